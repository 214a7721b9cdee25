"""Command line: `bert4keras2 inspect PATH` tells what a checkpoint is and what in it does not fit."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2.inspect") -> int:
    """Run the command line.

    Args:
        arguments: those after the program's name; sys.argv's if None.
        prog: the program's name, for its help and its errors.

    Returns:
        The exit status: 0, 1 if something does not fit, 2 if the path is no checkpoint.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Tell what a checkpoint is: family, sizes, heads, the call that loads it, and what does not fit.",
    )
    parser.add_argument("path", help="folder, file or TensorFlow prefix; or a name on the Hugging Face hub (hfl/rbt3)")
    parser.add_argument("--model", help="family, where neither configuration nor variables tell (roformer, nezha, ...)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--variables", action="store_true", help="list the names and shapes of all variables")
    options = parser.parse_args(arguments)

    from bert4keras2.checkpoints.finding.resolve import resolve
    from bert4keras2.checkpoints.report import describe
    from bert4keras2.errors import CheckpointError

    try:
        found = describe(resolve(options.path), options.model)
    except (CheckpointError, ValueError, OSError, ImportError) as error:
        if options.json:
            print(json.dumps({"problems": [str(error)]}, ensure_ascii=False, indent=2))
        else:
            print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        content = found.as_dict()
        if not options.variables:
            content.pop("shapes")
        print(json.dumps(content, ensure_ascii=False, indent=2))
    else:
        print("\n".join(lines(found)))
        if options.variables:
            width = max(map(len, found.shapes), default=0)
            print("\nvariables")
            for name, shape in found.shapes.items():
                print(f"  {name:<{width}}  {shape}")
    return 1 if found.problems else 0


def lines(found: Any) -> list[str]:
    """Return the report on a `Description` as aligned lines."""
    rows: list[tuple[str, str]] = [("weights", f"{found.weights} ({found.format})")]
    rows.append(("configuration", found.configuration or "none"))
    tokens = "" if found.tokens is None else f" ({found.tokens} tokens)"
    rows.append(("vocabulary", f"{found.vocabulary}{tokens}" if found.vocabulary else "none"))
    if found.family:
        rows.append(("family", f"{found.family} (told by the {found.told_by})"))
    if found.released:
        rows.append(("package", found.released))
    rows += [("", "")]
    for name in dict.fromkeys([*found.sizes, *found.configured]):
        stored, said = found.sizes.get(name), found.configured.get(name)
        text = str(said if stored is None else stored)
        if stored is None:
            text += " (configuration)"
        elif said is not None and said != stored:
            text += f" (the configuration says {said})"
        rows.append((name, text))
    rows.append(("", ""))
    rows += _listed("blocks", found.structure) + _listed("heads", found.heads)
    kinds = ", ".join(f"{kind}" if len(found.dtypes) == 1 else f"{kind}: {n}" for kind, n in found.dtypes.items())
    rows.append(("parameters", f"{found.parameters:,} in {found.variables} variables ({kinds})"))
    if found.slots:
        rows.append(("optimizer", f"{found.slots} variables of an optimizer, not loaded"))
    if found.unknown:
        more = ", ..." if len(found.unknown) > 4 else ""
        rows.append(("unknown", f"{len(found.unknown)}: {', '.join(found.unknown[:4])}{more}"))
    rows += _listed("cannot tell", found.untold, "; ")
    rows += [("note", text) for text in found.notes]
    if found.call:
        rows += [("", ""), ("load it by", found.call)]
    rows += [("", "")] if found.problems else []
    rows += [("DOES NOT FIT" if k == 0 else "", text) for k, text in enumerate(found.problems)]
    width = max(len(title) for title, _ in rows)
    return [f"{title:<{width}}  {text}".rstrip() for title, text in rows]


def _listed(title: str, texts: list[str], separator: str = ", ") -> list[tuple[str, str]]:
    return [(title, separator.join(texts))] if texts else []


if __name__ == "__main__":
    raise SystemExit(main())
