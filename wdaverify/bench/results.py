"""The table of results: one CSV row per instance, in the order of the list."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify.bench.instance import Instance
    from wdaverify.bench.outcome import Outcome

COLUMNS = ("instance", "command", "model", "property", "verdict", "lower", "upper", "seconds", "error")
"""`property` holds the data where the command has data, and the options of the row; ``;`` stands between ends of brackets."""


_FEW = 3
"""Ends of brackets that are shown of a row."""


def row(instance: Instance, outcome: Outcome) -> tuple[str, ...]:
    """The cells of a finished instance."""
    ends = (";".join(_number(end) for end in side) for side in (outcome.lower, outcome.upper))
    subject = " ".join([*([instance.subject] if instance.subject else []), *(f"{k}={v}" for k, v in instance.options.items())])
    numbers = str(instance.row), f"{outcome.seconds:.3f}"
    return (numbers[0], instance.command, instance.model, subject, outcome.verdict, *ends, numbers[1], outcome.error)


def shown(instance: Instance, outcome: Outcome) -> tuple[str, ...]:
    """The cells for people, without the error: few digits, and few of many ends."""
    cells = list(row(instance, outcome))[:-1]
    for column, ends in (("lower", outcome.lower), ("upper", outcome.upper)):
        few = [f"{float(end):.6g}" for end in ends[:_FEW]]
        more = [f"({len(ends) - _FEW} more)"] if len(ends) > _FEW else []
        cells[COLUMNS.index(column)] = " ".join([*few, *more])
    return tuple(cells)


def _number(end: float | str) -> str:
    return end if isinstance(end, str) else repr(end)


def as_csv(rows: Sequence[Sequence[str]]) -> bytes:
    """The file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode()
