"""Hold results against published or expected ones: verdicts that contradict, brackets that exclude each other, times.

A list of published verdicts is a CSV with a header. Rows are matched by the columns ``onnx`` (or ``model``) and ``vnnlib`` (or
``property``), by the last parts of the paths. Columns that end in ``_s`` are the times of other programs. Expected results are a
results file of ours: ``verdict``, ``lower`` and ``upper`` are compared, and what both prove must not contradict.
"""

from __future__ import annotations

import csv
import io
import math
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from wdaverify._errors import InputError
from wdaverify._numbers import parse_number
from wdaverify.bench.outcome import BRACKET, DECIDED, EXACT
from wdaverify.bench.results import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_VERDICTS = {"sat", "unsat"}
_TIME = "_s"
_SLACK = 1e-12

LARGEST = 256 * 2**20
"""Bytes of a file to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a comparison found.

    Attributes
    ----------
    matched
        Rows that have a partner.
    agreeing
        Those in which both sides have an answer, and the answers do not contradict.
    contradictions
        One line for each row where they do.
    times
        Seconds of every program on the matched rows that it decided, ours under ``wdaverify``.
    """

    matched: int
    agreeing: int
    contradictions: tuple[str, ...]
    times: dict[str, tuple[float, ...]]


def compare(rows: Sequence[Sequence[str]], path: Path) -> Comparison:
    """Compare rows of results with a file.

    Raises
    ------
    InputError
        If the file cannot be read or lacks the columns.
    """
    known = _read(path)
    matched = agreeing = 0
    contradictions: list[str] = []
    times: dict[str, list[float]] = {"wdaverify": []}
    for cells in rows:
        ours = dict(zip(COLUMNS, cells, strict=True))
        theirs = known.get(_name(ours))
        if theirs is None:
            continue
        matched += 1
        reason = _contradiction(ours, theirs)
        if reason:
            contradictions.append(f"instance {ours['instance']} ({ours['model']} {ours['property']}): {reason}")
        agreeing += not reason and _answered(ours) and _answered(theirs)
        if ours["verdict"] in DECIDED:
            times["wdaverify"].append(float(ours["seconds"]))
        for column, value in theirs.items():
            if column.endswith(_TIME) and (seconds := _number(value)) is not None:
                times.setdefault(column.removesuffix(_TIME), []).append(seconds)
    return Comparison(
        matched=matched,
        agreeing=agreeing,
        contradictions=tuple(contradictions),
        times={name: tuple(sorted(each)) for name, each in times.items() if name != "timeout" and each},
    )


def _read(path: Path) -> dict[tuple[str, ...], dict[str, str]]:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise InputError(f"{path}: longer than {LARGEST // 2**20} MB")
        with _long_cells():
            rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a sound CSV file: {error}") from None
    if not rows or "verdict" not in rows[0] or not ({"onnx", "model"} & set(rows[0])):
        raise InputError(f"{path}: a file to compare with has a header with model (or onnx), property (or vnnlib) and verdict")
    for number, row in enumerate(rows, start=1):
        _check(path, number, row)
    return {_name(row): {k: v for k, v in row.items() if isinstance(v, str)} for row in rows}


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let a cell hold the ends of thousands of brackets; the limit is one of the whole interpreter."""
    before = csv.field_size_limit(LARGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _check(path: Path, number: int, row: dict[str, str]) -> None:
    """A row has a verdict, and its ends are brackets: as many numbers below as above, and none of those lower."""
    if not row["verdict"]:
        raise InputError(f"{path}, row {number}: has no verdict")
    lower, upper = (row.get(side) or "" for side in ("lower", "upper"))
    try:
        ends = [[parse_number(end) for end in side.split(";") if side] for side in (lower, upper)]
    except ValueError:
        raise InputError(f"{path}, row {number}: lower '{lower[:40]}' and upper '{upper[:40]}' are not numbers") from None
    if len(ends[0]) != len(ends[1]):
        raise InputError(f"{path}, row {number}: has {len(ends[0])} lower and {len(ends[1])} upper ends")
    for a, b in zip(*ends, strict=True):
        if not a <= b:  # NaN is no end either
            raise InputError(f"{path}, row {number}: [{a!r}, {b!r}] is no bracket")


def _name(row: dict[str, str]) -> tuple[str, ...]:
    """Rows are the same instance if the names of their files are, and the options."""
    model = row.get("model") or row.get("onnx") or ""
    subject = (row.get("property") or row.get("vnnlib") or "").split(" ")
    files = [PurePosixPath(name).name.removesuffix(".gz") if "=" not in name else name for name in (model, *subject)]
    return (row.get("command") or "verify", *files)


def _answered(row: dict[str, str]) -> bool:
    return row["verdict"] in DECIDED | {BRACKET}


def _contradiction(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """Why two answers cannot both be right, or nothing."""
    verdicts = {ours["verdict"], theirs["verdict"]}
    if verdicts == _VERDICTS:
        return f"{ours['verdict']}, where {theirs['verdict']} is known"
    if not verdicts <= {EXACT, BRACKET} or not theirs.get("lower"):
        return ""
    sides = [[[float(v) for v in row[side].split(";")] for side in ("lower", "upper")] for row in (ours, theirs)]
    if len(sides[0][0]) != len(sides[1][0]):
        return f"{len(sides[0][0])} brackets, where {len(sides[1][0])} are known"
    for a, b, c, d in zip(*sides[0], *sides[1], strict=True):
        if a > d + _SLACK * max(1.0, abs(d)) or c > b + _SLACK * max(1.0, abs(b)):
            return f"the brackets [{a!r}, {b!r}] and [{c!r}, {d!r}] exclude each other"
    return ""


def _number(text: str) -> float | None:
    """Seconds that a cell holds."""
    try:
        seconds = parse_number(text)
    except ValueError:
        return None
    return seconds if 0.0 <= seconds < math.inf else None
