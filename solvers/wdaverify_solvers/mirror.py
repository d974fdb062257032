"""A program whose costs and bounds change between solves, with only the changes checked and copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.program.program import REVISABLE
from wdaverify_solvers.scaling import survives_scaled

if TYPE_CHECKING:
    from wdaverify._types import IntArray, SparseMatrix, Vector
    from wdaverify.program.program import Program


class ProgramMirror:
    """What a solver holds, as a program, and whether the solver reads all of it unaltered.

    Parameters
    ----------
    program
        The program at the start. It fits the solver when scaled by the factors.
    rows, columns
        Powers of two by which the solver's rows (m,) and columns (v,) are scaled.
    """

    def __init__(self, program: Program, rows: Vector, columns: Vector) -> None:
        self._program = program
        self._vectors: dict[str, Vector] = {name: getattr(program, name).copy() for name in REVISABLE}
        self._factors = {
            "objective": columns, "lower": 1.0 / columns, "upper": 1.0 / columns, "row_lower": rows, "row_upper": rows
        }  # fmt: skip
        self._changed: set[str] = set()
        self._unfit: set[str] = set()

    @property
    def program(self) -> Program:
        """The program with all changes so far. Later changes leave it as it is."""
        if self._changed:
            vectors = {name: self._vectors[name].copy() for name in self._changed}
            for vector in vectors.values():
                vector.flags.writeable = False
            self._program = self._program.revised(**vectors)
            self._changed.clear()
        return self._program

    @property
    def fits(self) -> bool:
        """Whether every cost and bound survives scaling exactly, below what the solver takes for infinite."""
        # a vector once found unfit is read as a whole until it fits again
        self._unfit = {name for name in self._unfit if not survives_scaled(self._vectors[name], self._factors[name])}
        return not self._unfit

    def append(self, matrix: SparseMatrix, lower: Vector, upper: Vector) -> None:
        """Add rows, whose factor is 1."""
        self._program = self.program.with_rows(matrix, lower, upper)
        ones = np.ones(len(lower))
        for name, values in (("row_lower", lower), ("row_upper", upper)):
            self._vectors[name] = np.concatenate([self._vectors[name], values])
            self._factors[name] = np.concatenate([self._factors[name], ones])

    def change(self, name: str, chosen: IntArray, values: Vector) -> Vector:
        """Replace the `chosen` entries of a vector and return the new ones as the solver is to see them."""
        factors = self._factors[name][chosen]
        self._vectors[name][chosen] = values
        self._changed.add(name)
        if not survives_scaled(values, factors):
            self._unfit.add(name)
        return values * factors
