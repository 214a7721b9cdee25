"""Runs one script in a process of its own, with less to compute, and writes down how it ended."""

from __future__ import annotations

import faulthandler
import json
import runpy
import sys
import traceback
from pathlib import Path

from bert4keras2.backend import set_seed
from tests.dropin.shorten import shorten

__all__ = ["main"]


def main() -> int:
    """Run `child.py REPORT SECONDS STEPS SCRIPT ARGUMENTS...`; the report is one JSON object."""
    report, seconds, steps, script, *arguments = sys.argv[1:]
    script = Path(script)
    counts = shorten(int(steps))
    set_seed(0)  # the same end each time
    sys.path.insert(0, str(script.parent))
    sys.path.append(str(Path(__file__).parent / "stubs"))  # behind: what is installed comes first
    sys.argv = [script.name, *arguments]
    with open(f"{report}.stacks", "w", encoding="utf-8") as stacks:
        faulthandler.dump_traceback_later(float(seconds), exit=True, file=stacks)
        end = {"end": "runs"}
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as error:
            if error.code not in (None, 0):
                end = _stopped(error, script)
        except BaseException as error:
            traceback.print_exc()
            end = _stopped(error, script)
        faulthandler.cancel_dump_traceback_later()
    Path(report).write_text(json.dumps({**end, "counts": counts}, ensure_ascii=False), encoding="utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    import os

    os._exit(0)  # readers and servers in threads of the script would keep the process


def _stopped(error: BaseException, script: Path) -> dict[str, object]:
    """Return where in the script's folder an error came from, innermost first."""
    frames = []
    chain: BaseException | None = error
    while chain is not None:
        found = [
            (frame.filename, frame.lineno)
            for frame in traceback.extract_tb(chain.__traceback__)
            if Path(frame.filename).parent == script.parent
        ]
        frames += reversed(found)
        chain = chain.__cause__ or chain.__context__
    if isinstance(error, SyntaxError) and error.filename:
        frames.insert(0, (error.filename, error.lineno or 1))
    message = str(error).strip()
    return {"end": "stops", "error": type(error).__name__, "message": message[:2000], "frames": frames}


if __name__ == "__main__":
    sys.exit(main())
