"""Read labelled samples from comma-separated text of unknown origin."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import DataError
from wdaverify._numbers import parse_number

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector


def parse_csv(content: bytes) -> tuple[Matrix, Vector]:
    r"""Read samples and labels of a comma-separated file; a byte-order mark and any line ends are accepted.

    Parameters
    ----------
    content
        The file's bytes. The last column is the label. The first line is a header if none of its cells is a number;
        empty lines are skipped.

    Returns
    -------
    x, y
        Shapes (N, n) and (N,), unchecked beyond being numbers.

    Raises
    ------
    DataError
        If the text is not UTF-8, a line has another number of columns than the first, or a cell is no number.

    Examples
    --------
    >>> parse_csv(b"a,b,label\r\n0.5,1,0\r\n")
    (array([[0.5, 1. ]]), array([0.]))
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text (byte {error.start})") from None
    rows: list[list[float]] = []
    width = 0
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            line = [cell.strip() for cell in cells]
            if not any(line):
                continue
            if not width:
                width = len(line)
                if width < 2:
                    raise DataError(f"line {reader.line_num} has one column; at least one coordinate and the label are needed")
                if _is_header(line):
                    continue
            rows.append(_parse_row(line, reader.line_num, width))
    except csv.Error as error:
        raise DataError(f"not a sound CSV file: {error}") from None
    table = np.array(rows, dtype=np.float64).reshape(len(rows), max(width, 2))
    return table[:, :-1], table[:, -1]


def _is_header(line: list[str]) -> bool:
    """Whether the first line names columns; a line with a single number in it is data, perhaps damaged."""
    return all(_number(cell) is None for cell in line)


def _number(cell: str) -> float | None:
    """The number that a cell holds."""
    try:
        return parse_number(cell)
    except ValueError:
        return None


def _parse_row(line: list[str], number: int, width: int) -> list[float]:
    """The numbers of one data row."""
    if len(line) != width:
        raise DataError(f"line {number} has {len(line)} columns, the first line has {width}")
    values = []
    for column, cell in enumerate(line, start=1):
        value = _number(cell)
        if value is None:
            raise DataError(f"line {number}, column {column}: '{cell[:40]}' is not a number")
        values.append(value)
    return values
