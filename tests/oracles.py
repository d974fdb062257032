"""Slow and simple oracles: cells by linear programs with SciPy, distances by one program per cell.

They share no code with the package but the graph of the network itself: no bounds, no MILP, no encoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linprog, nnls

from wdaverify.ir.ops import Affine, Input, Relu

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._types import Norm
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network

_TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
_THIN = 1e-8


@dataclass(frozen=True)
class Cell:
    """``{x: rows x <= sides}`` with a ball of radius `radius` about `center` inside, and ``f = slope x + offset`` on it.

    `pattern` maps each ReLU node to the booleans of its active neurons.
    """

    pattern: dict[str, tuple[bool, ...]]
    rows: np.ndarray
    sides: np.ndarray
    center: np.ndarray
    radius: float
    slope: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True)
class _Part:
    rows: np.ndarray
    sides: np.ndarray
    center: np.ndarray
    radius: float


def _ball(rows: np.ndarray, sides: np.ndarray) -> _Part | None:
    """The polyhedron with its largest inscribed ball (radius at most 1), or None if it has no interior."""
    n = rows.shape[1]
    widths = np.linalg.norm(rows, axis=1)
    result = linprog(
        np.r_[np.zeros(n), -1.0],
        A_ub=np.c_[rows, widths],
        b_ub=sides,
        bounds=[(None, None)] * n + [(0, 1)],
        method="highs",
        options=_TIGHT,
    )
    if result.status == 2 or (result.status == 0 and -result.fun <= _THIN):
        return None
    assert result.status == 0, result.message
    return _Part(rows, sides, result.x[:n], -result.fun)


def _split(part: _Part, slope: np.ndarray, offset: float) -> Iterator[tuple[bool, _Part]]:
    """The full-dimensional parts where ``slope x + offset`` is at least 0 (True) and at most 0 (False)."""
    size = np.linalg.norm(slope)
    if size <= 1e-13:
        yield bool(offset > 0), part
        return
    for active in (True, False):
        sign = -1.0 if active else 1.0
        side = _ball(np.vstack([part.rows, sign * slope / size]), np.r_[part.sides, -sign * offset / size])
        if side is not None:
            yield active, side


def enumerate_cells(network: Network, box: Box) -> Iterator[Cell]:
    """All full-dimensional activation cells that meet the interior of a bounded box, neuron by neuron in graph order."""
    n = network.inputs
    sized = box.sized(n)
    whole = _ball(np.vstack([np.eye(n), -np.eye(n)]), np.r_[sized.upper, -sized.lower])
    assert whole is not None, "the box has no interior"
    yield from _grow(network, 0, whole, {}, {})


def _grow(
    network: Network,
    position: int,
    part: _Part,
    values: dict[str, tuple[np.ndarray, np.ndarray]],
    pattern: dict[str, tuple[bool, ...]],
) -> Iterator[Cell]:
    """Evaluate the nodes from `position` on as affine functions of the input, splitting `part` at every ReLU."""
    if position == len(network.order):
        slope, offset = values[network.output]
        yield Cell(pattern, part.rows, part.sides, part.center, part.radius, slope, offset)
        return
    name = network.order[position]
    op = network.op(name)
    if isinstance(op, Relu):
        slope, offset = values[network.sources(name)[0]]
        for signs, piece in _patterns(part, slope, offset, ()):
            on = np.array(signs, dtype=float)
            value = (slope * on[:, None], offset * on)
            yield from _grow(network, position + 1, piece, {**values, name: value}, {**pattern, name: signs})
        return
    if isinstance(op, Input):
        value = (np.eye(op.size), np.zeros(op.size))
    else:
        assert isinstance(op, Affine)
        terms = [(m.toarray(), values[s]) for m, s in zip(op.matrices, network.sources(name), strict=True)]
        value = (sum(m @ v[0] for m, v in terms), sum(m @ v[1] for m, v in terms) + op.bias)
    yield from _grow(network, position + 1, part, {**values, name: value}, pattern)


def _patterns(
    part: _Part, slope: np.ndarray, offset: np.ndarray, signs: tuple[bool, ...]
) -> Iterator[tuple[tuple[bool, ...], _Part]]:
    """The full-dimensional parts of one ReLU layer."""
    k = len(signs)
    if k == len(offset):
        yield signs, part
        return
    for active, piece in _split(part, slope[k], offset[k]):
        yield from _patterns(piece, slope, offset, (*signs, active))


def project(x: np.ndarray, rows: np.ndarray, sides: np.ndarray, norm: Norm) -> float:
    """Distance of x from ``{z: rows z <= sides}``, ``inf`` if that is empty: a linear program, or NNLS for l2."""
    n = len(x)
    if norm.order == 2:
        return _least_squares_distance(-rows, rows @ x - sides)
    eye = np.eye(n)
    if norm.order == 1:
        cost, slack = np.r_[np.zeros(n), np.ones(n)], -eye
    else:
        cost, slack = np.r_[np.zeros(n), 1.0], -np.ones((n, 1))
    extra = slack.shape[1]
    result = linprog(
        cost,
        A_ub=np.block([[rows, np.zeros((len(rows), extra))], [eye, slack], [-eye, slack]]),
        b_ub=np.r_[sides, x, -x],
        bounds=[(None, None)] * n + [(0, None)] * extra,
        method="highs",
        options=_TIGHT,
    )
    if result.status == 2:
        return np.inf
    assert result.status == 0, result.message
    return float(result.fun)


def _least_squares_distance(rows: np.ndarray, sides: np.ndarray) -> float:
    """``min ||u||_2`` with ``rows u >= sides`` (Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23)."""
    if np.all(sides <= 0):
        return 0.0
    stacked = np.vstack([rows.T, sides[None, :]])
    goal = np.r_[np.zeros(rows.shape[1]), 1.0]
    weights, size = nnls(stacked, goal)
    residual = stacked @ weights - goal
    if size < 1e-9:
        return np.inf
    return float(np.linalg.norm(residual[:-1] / residual[-1]))


def brute_force_distances(network: Network, box: Box, x: np.ndarray, label: int, norm: Norm) -> np.ndarray:
    """For every class j the smallest distance from x to a point of the box with ``f_j >= f_label``, shape (K,).

    The closed full-dimensional cells cover the box, so lower-dimensional contact is included. The entry of the label
    itself is ``inf``, as is that of a class that never reaches it.
    """
    least = np.full(network.outputs, np.inf)
    for cell in enumerate_cells(network, box):
        for rival in range(network.outputs):
            if rival == label:
                continue
            row = cell.slope[label] - cell.slope[rival]
            side = cell.offset[rival] - cell.offset[label]
            least[rival] = min(least[rival], project(x, np.vstack([cell.rows, row]), np.r_[cell.sides, side], norm))
    return least


def brute_force_distance(network: Network, box: Box, x: np.ndarray, label: int, norm: Norm) -> float:
    """The minimum adversarial distance of one sample: the least of `brute_force_distances`."""
    return float(brute_force_distances(network, box, x, label, norm).min())
