"""Sharpen an adversarial point: the nearest point of its activation cell, confirmed in exact arithmetic.

Inside the cell of a point the network is affine, so the nearest point of the cell with ``f_j >= f_y`` is an LP, and a
convex QP for l2. Its float solution may miss the boundary by a rounding error; `confirm` moves it across and believes
only a point whose margin is ``>= 0`` in rational arithmetic. Solver output is a proposal here: whatever it says, a wrong
point is never returned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY
from wdaverify._types import Norm
from wdaverify.encode.graph import Ranges
from wdaverify.encode.nearest import NearestQuestion, encode_nearest_in_cell
from wdaverify.ir.evaluate import forward
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.pattern import affine_piece, pattern_at
from wdaverify.program.backend import SolveOptions
from wdaverify.transport import distance_up

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, Vector
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

_ROUNDS = 5
_PUSHES = 14
_GRID = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VerifiedPoint:
    """A point of the domain with ``f_target >= f_label`` in exact arithmetic, and its distance rounded up."""

    point: Vector
    target: int
    distance: float


def confirm(network: Network, question: NearestQuestion, box: Box, point: Vector) -> VerifiedPoint | None:
    """Clip a point into the domain, push it across the boundary if it is just short of it, and check it exactly."""
    start = box.clip(np.asarray(point, dtype=np.float64))
    if not np.isfinite(start).all():
        return None
    if _crosses(network, question, start):
        return _verified(question, start)
    piece = affine_piece(network, pattern_at(network, start))
    gradient = piece.weight[question.target] - piece.weight[question.label]
    bias = piece.bias[question.target] - piece.bias[question.label]
    direction = _ascent(gradient, question.norm, movable=np.where(gradient > 0, start < box.upper, start > box.lower))
    rate = float(gradient @ direction)
    if rate <= 0.0:
        return None
    rounding = 2.0**-52 * (np.abs(gradient) @ np.abs(start) + abs(bias))
    step = max(-float(gradient @ start + bias), rounding) / rate
    for _ in range(_PUSHES):
        pushed = box.clip(start + step * direction)
        if _crosses(network, question, pushed):
            return _verified(question, pushed)
        step *= 2.0
    return None


def polish(
    network: Network, question: NearestQuestion, box: Box, point: Vector, *, backend: Backend, deadline: Deadline
) -> VerifiedPoint | None:
    """Return the nearest confirmed point reached from `point` by a line search and LPs of activation cells.

    The line search goes from the sample to `point` and jumps over all cells between; the LPs repeat in the cell of each
    new point while the distance falls, at most five times.
    """
    best = confirm(network, question, box, _first_crossing(network, question, box.clip(point)))
    if best is None:
        best = confirm(network, question, box, point)
    current = point if best is None else best.point
    for _ in range(_ROUNDS):
        if deadline.passed:
            break
        proposal = _cell_optimum(network, question, box, current, backend=backend, deadline=deadline)
        moved = None if proposal is None else confirm(network, question, box, proposal)
        if moved is None or (best is not None and moved.distance >= best.distance):
            break
        best, current = moved, moved.point
    return best if best is None else _rounded(network, question, box, best)


def _first_crossing(network: Network, question: NearestQuestion, point: Vector) -> Vector:
    """The first point found on the segment from the sample to `point` where the target scores as high as the label.

    Three batched passes, each over a grid of the last interval, in float64: a proposal like any other.
    """
    step = point - question.center
    low, high = 0.0, 1.0
    for _ in range(3):
        parts = np.linspace(low, high, _GRID + 1)[1:]
        outputs = forward(network, question.center + parts[:, None] * step)
        reached = np.flatnonzero(outputs[:, question.target] >= outputs[:, question.label])
        if not len(reached):
            break
        first = int(reached[0])
        low, high = (low if first == 0 else float(parts[first - 1])), float(parts[first])
    return np.asarray(question.center + high * step)


def _rounded(network: Network, question: NearestQuestion, box: Box, best: VerifiedPoint) -> VerifiedPoint:
    """A nearby point of few decimals if it is at least as near: where the truth is a round number, this finds it."""
    for decimals in (9, 12):
        candidate = box.clip(np.round(best.point, decimals))
        if distance_up(question.center, candidate, question.norm) < best.distance and _crosses(network, question, candidate):
            return _verified(question, candidate)
    return best


def _cell_optimum(
    network: Network, question: NearestQuestion, box: Box, point: Vector, *, backend: Backend, deadline: Deadline
) -> Vector | None:
    """The solver's nearest point with the target inside the cell of `point`; ``None`` when it finds none."""
    ranges = Ranges({network.input: box.lower}, {network.input: box.upper})
    program, graph = encode_nearest_in_cell(network, question, ranges, pattern_at(network, point))
    result = backend.solve(program, SolveOptions(deadline=deadline))
    return None if result.primal is None else result.primal[graph.inputs]


def _ascent(gradient: Vector, norm: Norm, *, movable: BoolArray) -> Vector:
    """The steepest direction of the norm among the coordinates that the domain leaves free."""
    free = np.where(movable, gradient, 0.0)
    if norm is Norm.LINF:
        return np.sign(free)
    if norm is Norm.L2:
        return free / max(float(np.linalg.norm(free)), TINY)
    direction = np.zeros_like(free)
    k = int(np.argmax(np.abs(free)))
    direction[k] = np.sign(free[k])
    return direction


def _crosses(network: Network, question: NearestQuestion, point: Vector) -> bool:
    logits = exact_forward(network, point.tolist())
    return logits[question.target] >= logits[question.label]


def _verified(question: NearestQuestion, point: Vector) -> VerifiedPoint:
    distance = distance_up(question.center, point, question.norm)
    return VerifiedPoint(point=point, target=question.target, distance=distance)
