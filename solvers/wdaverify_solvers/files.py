"""Programs as `.mps` and `.lp` text with every float64 digit.

PuLP's own writers keep 13 significant digits, which is another program; these write each number so that reading it back
gives the same float64. A row with two different finite ends becomes two rows, because the RANGES section of the MPS
format stores the width, which is not always a float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csc_array

from wdaverify._errors import SolverError
from wdaverify.program.program import Sense

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._types import IntArray, Vector
    from wdaverify.program.program import Program

KINDS = {"E": "=", "G": ">=", "L": "<="}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OneSidedRows:
    """The rows of a program as they stand in a file: one sense and one number each.

    Parameters
    ----------
    source
        Index of the program's row, shape (k,); a row with two ends occurs twice, a row without ends never.
    kind
        ``E``, ``G`` or ``L`` for each.
    side
        Right-hand sides, shape (k,).
    """

    source: IntArray
    kind: list[str]
    side: Vector


def one_sided(program: Program) -> OneSidedRows:
    """Split rows into equations and one-sided inequalities, in the order of the program."""
    low, high = np.isfinite(program.row_lower), np.isfinite(program.row_upper)
    equal = low & (program.row_lower == program.row_upper)
    parts = [("E", equal, program.row_lower), ("G", low & ~equal, program.row_lower), ("L", high & ~equal, program.row_upper)]
    source = np.concatenate([np.flatnonzero(mask) for _, mask, _ in parts])
    kind = np.concatenate([np.full(int(mask.sum()), name) for name, mask, _ in parts])
    side = np.concatenate([values[mask] for _, mask, values in parts])
    order = np.argsort(source, kind="stable")
    return OneSidedRows(source=source[order].astype(np.int64), kind=kind[order].tolist(), side=side[order])


def mps_text(program: Program) -> str:
    """The program in free MPS format: columns ``X0 X1 ...``, rows ``R0 R1 ...`` as `one_sided` gives them.

    Raises
    ------
    SolverError
        If the program has a quadratic objective.
    """
    _refuse_quadratic(program)
    rows = one_sided(program)
    lines = ["NAME          PROGRAM"]
    if program.sense is Sense.MAXIMISE:
        lines += ["OBJSENSE", "    MAX"]
    lines += ["ROWS", " N  OBJ", *(f" {kind}  R{k}" for k, kind in enumerate(rows.kind)), "COLUMNS"]
    lines += _mps_columns(program, rows)
    lines += ["RHS"]
    if program.constant != 0:
        lines += [f"    RHS OBJ {-float(program.constant)!r}"]  # by convention the right-hand side of the objective is subtracted
    lines += [f"    RHS R{k} {value!r}" for k, value in enumerate(rows.side.tolist())]
    lines += ["BOUNDS", *_mps_bounds(program), "ENDATA", ""]
    return "\n".join(lines)


def lp_text(program: Program) -> str:
    """The program in CPLEX LP format: columns ``x0 x1 ...``, rows ``r0 r1 ...`` as `one_sided` gives them.

    Raises
    ------
    SolverError
        If the program has a quadratic objective.
    """
    _refuse_quadratic(program)
    rows = one_sided(program)
    matrix = program.matrix
    objective = _lp_sum(np.flatnonzero(program.objective), program.objective[program.objective != 0])
    constant = f" {float(program.constant):+.17g}" if program.constant != 0 else ""
    lines = ["Maximize" if program.sense is Sense.MAXIMISE else "Minimize", f" obj: {objective}{constant}", "Subject To"]
    for k, (row, kind, side) in enumerate(zip(rows.source.tolist(), rows.kind, rows.side.tolist(), strict=True)):
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        lines.append(f" r{k}: {_lp_sum(matrix.indices[part], matrix.data[part])} {KINDS[kind]} {side!r}")
    ends = zip(program.lower.tolist(), program.upper.tolist(), strict=True)
    lines += ["Bounds", *(f" {low!r} <= x{k} <= {high!r}" for k, (low, high) in enumerate(ends))]
    if program.is_mixed_integer:
        lines += ["General", " " + "\n ".join(f"x{k}" for k in np.flatnonzero(program.integer))]
    return "\n".join([*lines, "End", ""])


def _refuse_quadratic(program: Program) -> None:
    if program.quadratic is not None:
        raise SolverError("the .mps and .lp export is for linear programs: this one has a quadratic objective")


def _lp_sum(columns: IntArray, coefficients: Vector) -> str:
    """``+a x0 +b x1``, a few terms a line; an empty sum still names a column."""
    terms = [f"{value:+.17g} x{column}" for column, value in zip(columns.tolist(), coefficients.tolist(), strict=True)]
    return "\n  ".join(" ".join(terms[k : k + 8]) for k in range(0, len(terms), 8)) or "0 x0"


def _mps_columns(program: Program, rows: OneSidedRows) -> Iterator[str]:
    """The COLUMNS section; every column occurs, also one without entries."""
    matrix = csc_array(program.matrix[rows.source])
    starts, indices, data = matrix.indptr.tolist(), matrix.indices.tolist(), matrix.data.tolist()
    objective, integer = program.objective.tolist(), program.integer.tolist()
    inside = False
    for k in range(program.columns):
        if integer[k] != inside:
            inside = not inside
            yield f"    MARKER 'MARKER' '{'INTORG' if inside else 'INTEND'}'"
        yield f"    X{k} OBJ {objective[k]!r}"
        for entry in range(starts[k], starts[k + 1]):
            yield f"    X{k} R{indices[entry]} {data[entry]!r}"
    if inside:
        yield "    MARKER 'MARKER' 'INTEND'"


def _mps_bounds(program: Program) -> Iterator[str]:
    """Both bounds of every column, because readers disagree about the defaults."""
    for k, (low, high) in enumerate(zip(program.lower.tolist(), program.upper.tolist(), strict=True)):
        if low == high:
            yield f" FX BND X{k} {low!r}"
        elif low == -np.inf and high == np.inf:
            yield f" FR BND X{k}"
        else:
            yield f" MI BND X{k}" if low == -np.inf else f" LO BND X{k} {low!r}"
            yield f" PL BND X{k}" if high == np.inf else f" UP BND X{k} {high!r}"
