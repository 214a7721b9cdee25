"""What a row says, whatever its columns are called: values by a task's own names, labels as text."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from bert4keras2.tasks.rows.tables import COLUMNS, RowError, Rows, read_rows

__all__ = [
    "check_label", "check_text", "found_labels", "label_list", "label_text", "label_value", "numbered", "rows_of",
    "trimmed", "values_of",
]  # fmt: skip


def rows_of(source: Any, what: str = "rows") -> Rows:
    """Return rows by `read_rows`, of which there has to be one.

    Raises:
        RowError: if there is none.
    """
    rows = read_rows(source)
    if not rows:
        raise RowError(f"{what} is empty: there is nothing to learn from or to look at")
    return rows


def values_of(
    row: Any, where: str, orders: Sequence[tuple[str, ...]], optional: Collection[str] = ()
) -> dict[str, Any]:
    """Return a row's values by what the task calls them.

    Args:
        row: a mapping, whose keys may have any of the names in circulation; or a tuple.
        where: the row's place, for messages.
        orders: what tuples hold, for each length that they may have; of mappings the longest one counts.
        optional: what may be missing; it is then not in the result.

    Raises:
        RowError: for a row of another length, or without what is needed.
    """
    if not isinstance(row, Mapping):
        order = next((names for names in orders if len(names) == len(row)), None)
        if order is None:
            shapes = " or ".join(f"({', '.join(names)})" for names in orders)
            raise RowError(f"{where} has {len(row)} columns: {str(row)[:80]}; expected {shapes}")
        return dict(zip(order, row, strict=True))
    keys = {str(key).lower(): key for key in reversed(list(row))}
    found: dict[str, Any] = {}
    wanted = max(orders, key=len)
    for name in wanted:
        # What is called exactly so counts before what others call it.
        key = next((keys[known] for known in (name, *COLUMNS.get(name, ())) if known in keys), None)
        if key is not None and not _is_missing(row[key]):
            found[name] = row[key]
        elif name not in optional:
            names = ", ".join(map(repr, COLUMNS.get(name, (name,))))
            raise RowError(
                f"{where} has no {name}: looked for {names}; found {', '.join(map(str, row)) or 'nothing'}. Other names"
                f" of columns: read_rows(source, columns={{{name!r}: ...}})"
            )
    return found


def trimmed(row: Any, names: Sequence[str]) -> Any:
    """Return a row of which tuples have no more columns than a task asks for, texts first."""
    return row[: len(names)] if isinstance(row, tuple | list) else row


def _is_missing(value: Any) -> bool:
    """Whether a value is what pandas and JSON have for none."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def check_text(text: Any, where: str, what: str = "text") -> str:
    """Return a text that has more in it than blanks.

    Raises:
        RowError: if it is empty, or none.
    """
    if not isinstance(text, str):
        raise RowError(f"{where}: the {what} is a {type(text).__name__} {text!r:.60}, expected a str")
    if not text.strip():
        raise RowError(f"{where}: the {what} is empty; leave such rows out")
    return text


# -- labels ------------------------------------------------------------------------------------------------------------


def label_text(value: Any, where: str) -> str:
    """Return a label as text: 1 and 1.0 are "1", true is "true".

    Raises:
        RowError: if it is neither a text nor a whole number.
    """
    if isinstance(value, str):
        if value.strip():
            return value.strip()
    elif isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return str(bool(value)).lower()
    else:
        try:
            if value is not None and float(value) == int(value):
                return str(int(value))
        except (TypeError, ValueError, OverflowError):
            pass
    raise RowError(f"{where}: the label is {value!r:.80}, expected a text or a whole number")


def label_list(value: Any, where: str) -> list[str]:
    """Return a row's labels where it may have several: a list, or a text of them as JSON or with | between.

    Raises:
        RowError: if they are none.
    """
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            try:
                value = json.loads(value)
            except ValueError as error:
                raise RowError(f"{where}: the labels {value!r:.80} are no JSON ({error})") from error
        else:
            value = [part for part in value.split("|") if part.strip()]
    if not isinstance(value, Iterable):
        value = [value]
    return list(dict.fromkeys(label_text(one, where) for one in value))


def label_value(value: Any, where: str) -> float:
    """Return a label that is a number.

    Raises:
        RowError: if it is none.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise RowError(f"{where}: the label is {value!r:.80}, expected a number")
    return number


def check_label(label: str, labels: Collection[str], where: str) -> None:
    """Raise a RowError that names the nearest one if a label is none of the set."""
    if label not in labels:
        close = difflib.get_close_matches(label, labels, n=1, cutoff=0.5)
        known = ", ".join(map(repr, list(labels)[:12])) + (", ..." if len(labels) > 12 else "")
        hint = f"did you mean {close[0]!r}?" if close else f"the set is {known}"
        raise RowError(f"{where}: label {label!r} is none of the {len(labels)} labels; {hint}")


def found_labels(labels: Iterable[str]) -> list[str]:
    """Return the labels that occur, in an order that does not depend on that of the rows: 2 before 10."""
    return sorted(set(labels), key=_natural)


def _natural(label: str) -> list[tuple[bool, Any]]:
    parts = (part for part in re.split(r"([0-9]+)", label) if part)
    return [(False, int(part)) if part[0] in "0123456789" else (True, part) for part in parts]


def numbered(labels: Iterable[Any] | None) -> list[str] | None:
    """Return the labels that a task is given, as texts.

    Raises:
        ValueError: if one comes twice, or there are fewer than one.
    """
    if labels is None:
        return None
    if isinstance(labels, str | bytes):
        raise TypeError(f"labels is one {type(labels).__name__} {labels!r:.60}; expected a list of labels")
    found = [label_text(label, f"labels[{index}]") for index, label in enumerate(labels)]
    twice = next((label for label in found if found.count(label) > 1), None)
    if twice is not None or not found:
        raise ValueError(f"labels holds {twice!r} twice" if found else "labels is empty")
    return found
