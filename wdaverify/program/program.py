"""A linear, mixed-integer or diagonal quadratic program as plain arrays: the only form that solvers see."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, issparse, vstack

from wdaverify._errors import InputError
from wdaverify.program.columns import ColumnSums

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, SparseMatrix, Vector


REVISABLE = ("objective", "lower", "upper", "row_lower", "row_upper")
"""The vectors of a program that `Program.revised` may replace."""


class Sense(StrEnum):
    """The direction of optimisation."""

    MINIMISE = "minimise"
    MAXIMISE = "maximise"

    @property
    def sign(self) -> float:
        """The factor that turns the objective into one to be minimised: 1.0 or -1.0."""
        return 1.0 if self is Sense.MINIMISE else -1.0

    @property
    def trivial_bound(self) -> float:
        """The dual bound that says nothing: ``-inf`` when minimising, ``inf`` when maximising."""
        return -self.sign * float("inf")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """The program

    ::

        minimise or maximise    c.x + sum_k q_k x_k^2 + constant
        subject to              row_lower <= A x <= row_upper
                                lower <= x <= upper,   x_k integer where integer[k]

    in exact arithmetic over the float64 entries. Bounds are mandatory: a free column says ``-inf, inf``.

    Parameters
    ----------
    objective
        ``c``, shape (v,).
    matrix
        ``A``, shape (m, v), sparse rows.
    row_lower, row_upper
        Shape (m,); equal for an equation, infinite for a side that is missing.
    lower, upper
        Shape (v,).
    integer
        Shape (v,).
    sense
        The direction of optimisation.
    constant
        Added to the objective; it moves neither point nor duals.
    quadratic
        ``q``, shape (v,), or ``None``. Convex: ``q >= 0`` when minimising, ``q <= 0`` when maximising.

    Raises
    ------
    InputError
        If shapes disagree, a coefficient is not finite, a bound is NaN or an infinity of the wrong sign, a lower
        bound exceeds its upper bound, or the quadratic part is not convex.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> program = Program(
    ...     objective=np.array([1.0, 2.0]), matrix=csr_array([[1.0, 1.0]]),
    ...     row_lower=np.array([1.0]), row_upper=np.array([np.inf]),
    ...     lower=np.zeros(2), upper=np.ones(2), integer=np.zeros(2, dtype=bool), sense=Sense.MINIMISE)
    >>> program.columns, program.rows, program.value(np.array([1.0, 0.0]))
    (2, 1, 1.0)
    """  # noqa: D400

    objective: Vector
    matrix: SparseMatrix
    row_lower: Vector
    row_upper: Vector
    lower: Vector
    upper: Vector
    integer: BoolArray
    sense: Sense
    constant: float = 0.0
    quadratic: Vector | None = None
    _column_sums: list[ColumnSums] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        validate(self)

    @property
    def columns(self) -> int:
        """Number v of variables."""
        return len(self.objective)

    @property
    def rows(self) -> int:
        """Number m of constraints."""
        return len(self.row_lower)

    @property
    def is_mixed_integer(self) -> bool:
        """Whether any column must be an integer."""
        return bool(self.integer.any())

    @property
    def column_sums(self) -> ColumnSums:
        """What dual bounds need of the matrix, computed at first use and shared with all revisions of the program."""
        if not self._column_sums:
            self._column_sums.append(ColumnSums.of(self.matrix))
        return self._column_sums[0]

    def revised(self, **vectors: Vector) -> Program:
        """The same program with other vectors, of which only those are checked; all else is shared, not copied.

        Parameters
        ----------
        **vectors
            Any of `objective`, `lower`, `upper`, `row_lower` and `row_upper`.

        Raises
        ------
        InputError
            As `Program` says, or if another part of the program is named.
        """
        for name, vector in vectors.items():
            if name not in REVISABLE:
                raise InputError(f"'{name}' of a program cannot be revised: give one of {', '.join(REVISABLE)}")
            _check_vector(name, vector, len(getattr(self, name)))
        program: Program = object.__new__(Program)
        for name in self.__slots__:
            object.__setattr__(program, name, vectors.get(name, getattr(self, name)))
        if "objective" in vectors:
            _check_finite("objective", program.objective)
        if "lower" in vectors or "upper" in vectors:
            _check_interval("column", program.lower, program.upper)
        if "row_lower" in vectors or "row_upper" in vectors:
            _check_interval("row", program.row_lower, program.row_upper)
        return program

    def with_rows(self, matrix: SparseMatrix, lower: Vector, upper: Vector) -> Program:
        """The same program with the rows ``lower <= matrix x <= upper`` after its own.

        Raises
        ------
        InputError
            As `Program` says.
        """
        return replace(
            self,
            matrix=csr_array(vstack([self.matrix, matrix])),
            row_lower=np.concatenate([self.row_lower, lower]),
            row_upper=np.concatenate([self.row_upper, upper]),
        )

    def value(self, point: Vector) -> float:
        """The objective at `point` (v,) in float64, the constant included."""
        quadratic = 0.0 if self.quadratic is None else float(self.quadratic @ (point * point))
        return float(self.objective @ point) + quadratic + self.constant


def validate(program: Program) -> None:
    """Check every array of a program once, when it is made.

    Raises
    ------
    InputError
        As `Program` says.
    """
    if not issparse(program.matrix) or not isinstance(program.matrix, csr_array):
        raise InputError(f"the matrix of a program is a {type(program.matrix).__name__}: give a scipy.sparse.csr_array")
    rows, columns = len(program.row_lower), len(program.objective)
    if program.matrix.shape != (rows, columns):
        raise InputError(f"the matrix has shape {program.matrix.shape}, bounds and objective ask for {(rows, columns)}")
    expected = {
        "objective": columns, "lower": columns, "upper": columns, "integer": columns, "row_lower": rows, "row_upper": rows
    }  # fmt: skip
    for name, length in expected.items():
        _check_vector(name, getattr(program, name), length)
    _check_finite("objective", program.objective)
    _check_finite("matrix", program.matrix.data)
    _check_finite("constant", np.array([program.constant]))
    _check_interval("row", program.row_lower, program.row_upper)
    _check_interval("column", program.lower, program.upper)
    if program.quadratic is not None:
        _check_vector("quadratic", program.quadratic, columns)
        _check_finite("quadratic", program.quadratic)
        wrong = np.flatnonzero(program.sense.sign * program.quadratic < 0)
        if wrong.size:
            raise InputError(
                f"quadratic[{wrong[0]}] = {program.quadratic[wrong[0]]} is not convex when we {program.sense}; flip its sign"
            )


def _check_vector(name: str, array: object, length: int) -> None:
    """Shape (length,) and the right dtype."""
    dtype = np.bool_ if name == "integer" else np.float64
    if not isinstance(array, np.ndarray) or array.shape != (length,) or array.dtype != dtype:
        seen = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise InputError(f"{name} of a program is {seen}: give a {np.dtype(dtype).name} array of shape ({length},)")


def _check_finite(name: str, array: Vector) -> None:
    """No NaN and no infinity among coefficients."""
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise InputError(f"{name} of a program has the entry {array[bad[0]]} at position {bad[0]}: coefficients must be finite")


def _check_interval(kind: str, lower: Vector, upper: Vector) -> None:
    """``lower <= upper``, no NaN, no infinity of the wrong sign (the negated test also catches NaN)."""
    bad = np.flatnonzero(~((lower <= upper) & (lower < np.inf) & (upper > -np.inf)))
    if bad.size:
        k = bad[0]
        raise InputError(f"{kind} {k} of a program has the bounds [{lower[k]}, {upper[k]}]: give numbers with lower <= upper")
