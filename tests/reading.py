"""Count the lines of the files that docs/reading.md lists, and compare them with what it says.

python tests/reading.py
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def counted() -> list[tuple[str, int, int]]:
    """Return (files, lines that the page says, lines that they have) of each row of the page's table."""
    page = (ROOT / "docs/reading.md").read_text(encoding="utf-8")
    found = []
    for files, said in re.findall(r"^\| \d+ \| (.*?) \| (\d+) \|", page, re.M):
        paths = [ROOT / "bert4keras2" / name for name in re.findall(r"`(.*?)`", files)]
        found.append((files, int(said), sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)))
    return found


def main() -> None:
    """Print the table's rows with both numbers, and the sum."""
    rows = counted()
    for files, said, lines in rows:
        print(f"{lines:5} {'' if said == lines else f'(the page says {said}) '}{files}")
    print(f"{sum(lines for *_, lines in rows):5} lines together")


if __name__ == "__main__":
    main()
