"""Finding the released package that a folder's name is of, and how it is built."""

from __future__ import annotations

import difflib
import os
import re

from bert4keras2.families.family import Released
from bert4keras2.families.table import family_of, released

__all__ = ["advice", "find_released", "markdown_table", "nearest_folder", "plain_name"]


def find_released(folder: str | os.PathLike[str], close: bool = False, family: str | None = None) -> Released | None:
    """Return the package that a folder's name is of.

    Args:
        folder: a path; its last part counts, with or without "(1)", "-master" and the like after the name.
        close: return the nearest one if none fits.
        family: what the variables look like, to choose the nearest among packages of that family.
    """
    name = os.path.basename(os.path.normpath(os.fspath(folder)))
    plain = plain_name(name)
    found = [
        (len(known), package)
        for package in released()
        for known in package.folders
        if plain == plain_name(known) or ("*" in known and plain.startswith(plain_name(known)))
    ]
    if found:
        return max(found, key=lambda pair: pair[0])[1]
    if not close:
        return None
    fitting = [package for package in released() if family in (None, family_of(package.model)[0])]
    by_name = {plain_name(known): package for package in fitting for known in package.folders}
    nearest = difflib.get_close_matches(plain, by_name, n=1, cutoff=0.6)
    return by_name[nearest[0]] if nearest else None


def advice(path: str | os.PathLike[str], family: str | None = None) -> str:
    """Return a sentence about how the package is built in whose folder a checkpoint lies, "" for an unknown folder.

    Args:
        path: of the checkpoint, or the folder.
        family: what the checkpoint's variables look like.
    """
    path = os.path.abspath(os.fspath(path))
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    name, package = os.path.basename(folder), find_released(folder)
    if package is not None:
        return f" The package {name} is built by {_arguments(package)}."
    package = find_released(folder, close=True, family=family)
    if package is not None:
        return f" {nearest_folder(name, package)}, whose name is like this folder's, is built by {_arguments(package)}."
    return ""


def nearest_folder(name: str, package: Released) -> str:
    """Return the one of a package's folders whose name is nearest to a name."""
    return max(
        package.folders, key=lambda known: difflib.SequenceMatcher(None, plain_name(name), plain_name(known)).ratio()
    )


def _arguments(package: Released) -> str:
    given = {"model": package.model, **package.options}
    return ", ".join(f"{key}={value!r}" for key, value in given.items())


def markdown_table() -> str:
    """Return the table of the documentation, one line a package."""
    lines = ["| folder | arguments | tokenizer | published at |", "| --- | --- | --- | --- |"]
    for package in released():
        places = [f"github.com/{package.project}"] if package.project else []
        where = "; ".join(places + ([f"hub: `{package.hub}`"] if package.hub else []))
        name = f"`{package.name}`" + (f" ({package.note})" if package.note else "")
        arguments = "" if package.model == "bert" and not package.options else f"`{_arguments(package)}`"
        tokenizer = package.tokenizer.split(":")[0]
        lines.append(f"| {name} | {arguments} | {tokenizer} | {where} |")
    return "\n".join(lines)


def plain_name(name: str) -> str:
    """Return a folder's name without case, separators and what browsers and unpackers append."""
    name = re.sub(r"( ?\(\d+\)|-master|-main|\.zip)+$", "", name)
    return re.sub(r"[^0-9a-z.]", "", name.lower())
