"""The triangle relaxation with split pre-activations, whose phases are single bound changes.

For an unstable neuron with certified bounds ``l < 0 < u`` write its pre-activation as ``z = y - s`` with ``y = max(0, z)``
and ``s = max(0, -z)``. The convex hull of the graph over ``[l, u]`` is (Ehlers 2017, in these variables)

::

    y - s = sum_k w_k a_k + b,      0 <= y <= u,   0 <= s <= -l,      y / u + s / (-l) <= 1

so that *active* is ``s <= 0`` and *inactive* is ``y <= 0``: a branching decision changes one bound and no row. Stable
active neurons are ``y = w a + b``; stable inactive ones have no column. The last row is scaled by ``max(-l, u)`` and its
coefficients are rounded down, which keeps it valid because one of y and s is always 0. Weights and biases stand in the
rows as stored; where a float is only the rounding of an exact coefficient, or too small for a solver to keep, the row's
ends are moved apart by the error that this can make. All columns have finite bounds, so any dual vector gives a finite
safe bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, eye_array

from wdaverify._errors import SolverError
from wdaverify._tolerances import TINY, UNIT_ROUNDOFF
from wdaverify.ir.ops import Affine, Input, Relu

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, SparseMatrix, Vector
    from wdaverify.encode.graph import Ranges
    from wdaverify.ir.network import Network
    from wdaverify.program.builder import ProgramBuilder

NO_COLUMN = -1

_SPECK = 2.0**-60
"""Entries that add less than this part of a row's magnitude go into its error: solvers drop or refuse them."""

_NEGLIGIBLE = 2.0**-30
"""A bound smaller than this part of the opposite one is moved out to it."""

_FLOOR = 2.0**-900
"""Smaller bounds and errors are moved out to this: scaling by powers of two must not make them lose bits."""

_OUTWARD = 1.0 + 2.0**-20
"""Covers the rounding of error terms, which are sums of at most 2^30 positive numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """Values ``v[plus] - v[minus]`` in terms of columns; `NO_COLUMN` stands for 0."""

    plus: IntArray
    minus: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Neurons:
    """The unstable neurons of a relaxation, in topological order.

    Attributes
    ----------
    active, inactive
        Columns of y and s, shape (m,).
    rows
        Rows of the scaled triangles, shape (m,); their right-hand sides are `intercepts`.
    names
        ReLU node and index of each, for messages.
    """

    active: IntArray
    inactive: IntArray
    rows: IntArray
    intercepts: Vector
    names: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class SplitTriangle:
    """Where a network's values stand in the relaxation."""

    inputs: IntArray
    outputs: Form
    neurons: Neurons


def encode_split_triangle(builder: ProgramBuilder, network: Network, ranges: Ranges) -> SplitTriangle:
    """Add the relaxation of a network's graph to a program.

    Parameters
    ----------
    ranges
        Finite certified bounds of *every* node of the network on the region.
    """
    work = _Work(builder, network, ranges)
    for name in network.order:
        work.add(name)
    neurons = Neurons(
        active=_joined(work.active), inactive=_joined(work.inactive), rows=_joined(work.rows),
        intercepts=np.concatenate([np.zeros(0), *work.intercepts]), names=tuple(work.names),
    )  # fmt: skip
    return SplitTriangle(work.forms[network.input].plus, work.forms[network.output], neurons)


class _Work:
    """One encoding in progress: forms of the nodes so far, and the neurons met."""

    def __init__(self, builder: ProgramBuilder, network: Network, ranges: Ranges) -> None:
        self.builder, self.network, self.ranges = builder, network, ranges
        self.forms: dict[str, Form] = {}
        self.active: list[IntArray] = []
        self.inactive: list[IntArray] = []
        self.rows: list[IntArray] = []
        self.intercepts: list[Vector] = []
        self.names: list[tuple[str, int]] = []

    def add(self, name: str) -> None:
        """Give a node its form."""
        op = self.network.op(name)
        if isinstance(op, Input):
            lower, upper = self._bounds(name)
            self.forms[name] = Form(self.builder.add_columns(op.size, lower, upper), np.full(op.size, NO_COLUMN))
        elif isinstance(op, Relu):
            self._add_relu(name)
        elif not self._only_read_by_relus(name):
            lower, upper = self._bounds(name)
            columns = self.builder.add_columns(op.size, lower, upper)
            self._define(name, np.arange(op.size), Form(columns, np.full(op.size, NO_COLUMN)))
            self.forms[name] = Form(columns, np.full(op.size, NO_COLUMN))

    def _only_read_by_relus(self, name: str) -> bool:
        readers = list(self.network.graph.successors(name))
        return bool(readers) and name != self.network.output and all(isinstance(self.network.op(r), Relu) for r in readers)

    def _add_relu(self, name: str) -> None:
        """Columns and rows of one ReLU node; its source keeps its own columns if others read it too."""
        source = self.network.sources(name)[0]
        lower, upper = self._bounds(source)
        on, off = lower >= 0, upper <= 0
        unstable = np.flatnonzero(~on & ~off)
        plus, minus = np.full(len(lower), NO_COLUMN), np.full(len(lower), NO_COLUMN)
        live = np.flatnonzero(on & ~off)
        plus[live] = self.builder.add_columns(len(live), lower[live], upper[live])
        low, high = _apart(lower[unstable], upper[unstable])
        plus[unstable] = self.builder.add_columns(len(unstable), 0.0, high)
        minus[unstable] = self.builder.add_columns(len(unstable), 0.0, -low)
        chosen = np.concatenate([live, unstable])
        self._define(source, chosen, Form(plus[chosen], minus[chosen]))
        scale = np.maximum(-low, high)
        rows = self.builder.add_rows(
            [(plus[unstable], _diagonal(_quotient_down(scale, high))), (minus[unstable], _diagonal(_quotient_down(scale, -low)))],
            -np.inf, scale,
        )  # fmt: skip
        self.active.append(plus[unstable])
        self.inactive.append(minus[unstable])
        self.rows.append(rows)
        self.intercepts.append(scale)
        self.names.extend((name, int(k)) for k in unstable)
        self.forms[name] = Form(plus, np.full(len(plus), NO_COLUMN))

    def _define(self, name: str, chosen: IntArray, value: Form) -> None:
        """Rows that say: the chosen elements of node `name` equal `value`."""
        if not len(chosen):
            return
        terms = _terms(value, eye_array(len(chosen)).tocsr(), 1.0)
        op = self.network.op(name)
        if name in self.forms:  # it has columns of its own, because others read it
            terms += _terms(self.forms[name], csr_array(eye_array(len(self.forms[name].plus)).tocsr()[chosen]), -1.0)
            self.builder.add_rows(terms, 0.0, 0.0)
            return
        assert isinstance(op, Affine)
        total, error = np.abs(op.bias), np.zeros(op.size)
        magnitudes = [np.max(np.abs(self._bounds(source)), axis=0) for source in self.network.sources(name)]
        for matrix, magnitude in zip(op.matrices, magnitudes, strict=True):
            total = total + abs(matrix) @ magnitude
        for matrix, magnitude, source in zip(op.matrices, magnitudes, self.network.sources(name), strict=True):
            kept, dropped = _without_specks(matrix, magnitude, total)
            error = error + dropped
            terms += _terms(self.forms[source], csr_array(kept[chosen]), -1.0)
        if op.exact is not None:
            error = error + UNIT_ROUNDOFF * total + TINY * (1 + sum(matrix.shape[1] for matrix in op.matrices))
        if len(set(self.network.sources(name))) < len(self.network.sources(name)):
            error = error + 2.0 * len(op.matrices) * UNIT_ROUNDOFF * total  # entries of one column are added in float64
        error = np.where(error > 0, np.maximum(error * _OUTWARD, _FLOOR), 0.0)[chosen]
        bias = op.bias[chosen]
        low, high = np.nextafter(bias - error, -np.inf), np.nextafter(bias + error, np.inf)
        self.builder.add_rows(terms, np.where(error > 0, low, bias), np.where(error > 0, high, bias))

    def _bounds(self, name: str) -> tuple[Vector, Vector]:
        lower, upper = self.ranges.of(name, self.network.size(name))
        if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
            raise SolverError(f"node '{name}' has an infinite bound on the region: a search needs a bounded region")
        return np.where((lower < 0) & (lower > -_FLOOR), -_FLOOR, lower), np.where((upper > 0) & (upper < _FLOOR), _FLOOR, upper)


def _apart(lower: Vector, upper: Vector) -> tuple[Vector, Vector]:
    """Bounds ``l < 0 < u`` moved outward until neither is negligible beside the other: triangles keep moderate entries."""
    return np.minimum(lower, -_NEGLIGIBLE * upper), np.maximum(upper, -_NEGLIGIBLE * lower)


def _without_specks(matrix: SparseMatrix, magnitude: Vector, total: Vector) -> tuple[SparseMatrix, Vector]:
    """The matrix without entries that cannot matter in float64, and the most that they can add to each row."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    reach = np.abs(matrix.data) * magnitude[matrix.indices]
    speck = reach < _SPECK * total[rows]
    if not speck.any():
        return matrix, np.zeros(matrix.shape[0])
    kept = matrix.copy()
    kept.data = np.where(speck, 0.0, matrix.data)
    kept.eliminate_zeros()
    return kept, np.bincount(rows[speck], weights=reach[speck] + TINY, minlength=matrix.shape[0]).astype(np.float64)


def _terms(form: Form, matrix: SparseMatrix, sign: float) -> list[tuple[IntArray, SparseMatrix]]:
    """``sign * matrix`` applied to a form, as blocks of a row."""
    blocks = []
    for columns, side in ((form.plus, sign), (form.minus, -sign)):
        live: BoolArray = columns != NO_COLUMN
        if live.any():
            blocks.append((columns[live], csr_array(side * matrix[:, live])))
    return blocks


def _joined(parts: list[IntArray]) -> IntArray:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def _quotient_down(a: Vector, b: Vector) -> Vector:
    """``a / b`` rounded toward 0 by an ulp; both positive."""
    return np.nextafter(a / b, 0.0)


def _diagonal(values: Vector) -> SparseMatrix:
    n = len(values)
    return csr_array((values, (np.arange(n), np.arange(n))), shape=(n, n))
