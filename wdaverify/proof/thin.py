"""Cells without generic points: phases that hold together only on a face.

Where every neuron is determined, ``max t: s_n z_n(x) >= t`` over the box says how thick a cell is. With 0 as the maximum its
multipliers prove ``sum mu_n s_n z_n <= 0``: points with all z_n of their strict signs are none. Float multipliers are rounded to
few bits, or solved for exactly, and the sum is bounded exactly.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from wdaverify.ir.exact import exact_affine
from wdaverify.ir.ops import Affine, Input
from wdaverify.ir.rational import common_denominator
from wdaverify.program.backend import SolveOptions
from wdaverify.program.program import Program, Sense
from wdaverify.proof.evidence import Evidence
from wdaverify.proof.leaves import node_slopes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._types import Matrix, Vector
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.proof.context import Context
    from wdaverify.search.relaxation import Path

_BITS = (0, 1, 2, 4, 8, 16, 24)
"""Fractional bits of multipliers, few first."""

_ROUNDING = 1e-9
"""Sums and multipliers below this part of their terms count as 0."""

_LARGEST = 2**16
"""Neurons times inputs, beyond which cells are not looked at."""


def thin_leaf(context: Context, path: Path, backend: Backend) -> dict[str, Any] | None:
    """A leaf *thin* (or *empty*) for a node where every neuron is determined; ``None`` if it has generic points, or may have."""
    network = context.network
    if not path or network.compiled.neurons * network.inputs > _LARGEST:
        return None
    slopes, decided = node_slopes(context, path)
    forms = exact_forms(network, np.where(decided != 0, decided, slopes.modes()))
    free = [k for k, (a, b) in enumerate(zip(context.area.low, context.area.high, strict=True)) if a < b]
    # An inactive neuron that vanishes on the whole cell excludes nothing.
    split = [abs(d) - 1 for d in path if d > 0 or forms[-d - 1][-1] > 0 or any(forms[-d - 1][k] for k in free)]
    if not split:
        return None
    rows = np.array([[float(decided[n]) * float(v) for v in forms[n]] for n in split])
    weights = _multipliers(context, rows, backend)
    if weights is None:
        return None
    columns = range(network.inputs + 1)
    for chosen in _candidates(weights, [[int(decided[n]) * v for v in forms[n]] for n in split], free):
        total = [
            sum((w * int(decided[n]) * forms[n][k] for n, w in zip(split, chosen, strict=True)), Fraction(0)) for k in columns
        ]
        value = _largest(context, total)
        if value <= 0:
            evidence = Evidence(phases={n: w for n, w in zip(split, chosen, strict=True) if w})
            return {"t": "leaf", "k": "empty" if value < 0 else "thin", **evidence.fields()}
    return None


def _candidates(weights: Vector, rows: list[list[Fraction]], free: list[int]) -> Iterator[list[Fraction]]:
    """Nonnegative rational multipliers near the solver's, not all 0: few bits first, then those that make coefficients vanish."""
    scaled = [float(w) for w in weights / max(float(weights.max()), 1e-300)]
    for bits in _BITS:
        rounded = [Fraction(round(w * 2.0**bits), 1 << bits) for w in scaled]
        if any(rounded):
            yield rounded
    used = [n for n, w in enumerate(scaled) if w > _ROUNDING]
    sizes = [sum(scaled[n] * abs(float(rows[n][k])) for n in used) for k in free]
    sums = [abs(sum(scaled[n] * float(rows[n][k]) for n in used)) for k in free]
    equations = [[rows[n][k] for n in used] for k, a, b in zip(free, sums, sizes, strict=True) if a <= _ROUNDING * b]
    solved = _null_vector(equations, len(used))
    if solved is not None and min(solved) >= 0:
        exact = [Fraction(0)] * len(scaled)
        for n, w in zip(used, solved, strict=True):
            exact[n] = w
        yield exact


def _null_vector(equations: list[list[Fraction]], size: int) -> list[Fraction] | None:
    """The solution of homogeneous equations up to a factor, ``None`` if it is 0 or not unique; by Gauss-Jordan elimination."""
    reduced: dict[int, list[Fraction]] = {}  # by the column of its pivot, which no other row has
    for equation in equations:
        row = equation
        for column, known in reduced.items():
            row = [a - row[column] * b for a, b in zip(row, known, strict=True)] if row[column] else row
        pivot = next((k for k, v in enumerate(row) if v), None)
        if pivot is None:
            continue
        row = [v / row[pivot] for v in row]
        for column, known in reduced.items():
            reduced[column] = [a - known[pivot] * b for a, b in zip(known, row, strict=True)] if known[pivot] else known
        reduced[pivot] = row
    open_ = [k for k in range(size) if k not in reduced]
    if len(open_) != 1:  # a vertex leaves one
        return None
    return [Fraction(1) if k == open_[0] else -reduced[k][open_[0]] for k in range(size)]


def _multipliers(context: Context, rows: Matrix, backend: Backend) -> Vector | None:
    """Multipliers of ``s_n z_n - t >= 0`` where t is largest; rows hold the coefficients and then the constant."""
    area, (count, width) = context.area, rows.shape
    scale = np.abs(rows).max(axis=1, keepdims=True)
    scaled = rows / np.where(scale > 0, scale, 1.0)
    matrix = np.column_stack([scaled[:, :-1], -np.ones(count)])
    objective = np.zeros(width)
    objective[-1] = 1.0
    program = Program(
        objective=objective, matrix=csr_array(matrix), row_lower=-scaled[:, -1], row_upper=np.full(count, np.inf),
        lower=np.append(area.lower, -4.0 - np.abs(scaled).sum()), upper=np.append(area.upper, 4.0 + np.abs(scaled).sum()),
        integer=np.zeros(width, dtype=np.bool_), sense=Sense.MAXIMISE,
    )  # fmt: skip
    duals = backend.solve(program, SolveOptions()).row_duals
    if duals is None or duals.shape != (count,) or not np.isfinite(duals).all():
        return None
    return np.abs(duals) / np.where(scale[:, 0] > 0, scale[:, 0], 1.0)


def _largest(context: Context, form: list[Fraction]) -> Fraction:
    """The largest value of an affine form over the box."""
    low, high = context.area.low, context.area.high
    return sum((max(c * a, c * b) for c, a, b in zip(form, low, high, strict=False)), form[-1])


def exact_forms(network: Network, modes: Vector) -> list[list[Fraction]]:
    """Coefficients and constant of every z as a form of the inputs, where neurons of positive modes (neurons,) are active."""
    n = network.inputs
    columns: list[dict[str, Any]] = []
    for k in range(n + 1):  # the columns of the linear part, then the constant
        values: dict[str, Any] = {}
        first = 0
        for name in network.order:
            op, sources = network.op(name), network.sources(name)
            if isinstance(op, Input):
                unit, q = common_denominator([[Fraction(int(j == k)) for j in range(n)]])
                values[name] = unit[0], q
            elif isinstance(op, Affine):
                total, q = exact_affine(op, [values[s] for s in sources])
                values[name] = (total if k == n else total - op.rational.bias * (q // op.rational.denominator)), q
            else:
                total, q = values[sources[0]]
                values[name] = np.where(modes[first : first + op.size] > 0, total, 0).astype(object), q
                first += op.size
        columns.append(values)
    names = [network.sources(name)[0] for name in network.relu_nodes]
    return [
        [Fraction(int(column[name][0][i]), int(column[name][1])) for column in columns]
        for name in names
        for i in range(network.size(name))
    ]
