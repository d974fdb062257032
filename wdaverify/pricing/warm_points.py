"""Points of large gain about many samples, at many distances: where the search for the worst case begins.

For each sample, radius and rival the gain is ascended on the ball, cut with the domain, by conditional gradients: a linear
function of gradient g has its maximum on the ball at the point where coordinates have used their rooms up to the radius
(linf: all; l1: in the order of ``|g_k|``; l2: in proportion to g), and the walk steps towards it (Frank and Wolfe 1956, *An
algorithm for quadratic programming*). So it stays inside, and with full steps it visits vertices. All walks are one batch,
whose gradients are one backward pass through the network. Nothing is promised about the points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify._tolerances import TINY
from wdaverify._types import Norm
from wdaverify.attack.ascent import gradients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network
    from wdaverify.transport import GroundCost

_RADII = 16

_RATIO = 1.5
"""Of consecutive radii, down from the farthest distance in the domain."""

_STEPS = 30
"""Steps of a walk, the first half of them full."""

_JITTER = 0.1
"""Where the first gradient is taken: this part of the radius away."""

_ACTIVE_SETS = 6
"""Iterations for the step to the l2 ball; what is then too long is shortened."""

_NEGLIGIBLE = 1e-200
"""Squares of relative slopes below this are none."""

_ROWS = 2**14
"""Walks of one batch, at most."""


def warm_points(
    network: Network, x: Matrix, y: IntArray, ground: GroundCost, box: Box, seed: int = 0, deadline: Deadline | None = None
) -> list[Matrix]:
    """For each sample the points met where the margin is largest at some distance.

    Parameters
    ----------
    x, y
        Samples (N, n) in the box and their labels (N,).
    box
        Bounded, with vector ends.
    deadline
        Walks stop where they are when it has passed; samples that have not begun to walk then get no points.

    Returns
    -------
    list
        Points (P_i, n) for each sample, of increasing distance and increasing margin; perhaps none.
    """
    size = max(1, _ROWS // (_RADII * (network.outputs - 1)))
    points: list[Matrix] = []
    limit = deadline or Deadline()
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        if limit.passed:
            points.extend(x[k : k + 1][:0] for k in range(len(x))[part])
            continue
        points.extend(_batch(network, x[part], y[part], ground, box, seed + start, limit))
    return points


def _batch(
    network: Network, x: Matrix, y: IntArray, ground: GroundCost, box: Box, seed: int, deadline: Deadline
) -> Iterator[Matrix]:
    """The walks of some samples."""
    count, rivals = len(x), network.outputs - 1
    walls = np.maximum(box.upper - x, x - box.lower) * (1.0 if ground.scales is None else ground.scales)
    radii = np.linalg.norm(walls, ord=ground.norm.order, axis=1)[:, None] * _RATIO ** -np.arange(float(_RADII))
    sample = np.repeat(np.arange(count), _RADII * rivals)
    radius = np.repeat(radii, rivals, axis=1).ravel()
    rival = np.tile(np.arange(rivals), count * _RADII)
    rival = rival + (rival >= y[sample])
    rows = np.zeros((len(sample), network.outputs))
    rows[np.arange(len(sample)), rival] = 1.0
    rows[np.arange(len(sample)), y[sample]] = -1.0
    drawn = np.random.default_rng(seed).uniform(-1.0, 1.0, (len(sample), x.shape[1]))
    jitter = _JITTER * radius[:, None] * drawn / np.sqrt(x.shape[1])
    found = _walked(network, rows, (x[sample], radius, ground, box), jitter, deadline)
    logits = network.compiled.forward(found)
    margins = logits - logits[np.arange(len(found)), y[sample]][:, None]
    margins[np.arange(len(found)), y[sample]] = -np.inf
    gains, costs = margins.max(axis=1), ground.lengths(found - x[sample])
    for k in range(count):
        own = np.flatnonzero(sample == k)
        own = own[np.argsort(costs[own], kind="stable")]
        better = np.maximum.accumulate(np.concatenate([[-np.inf], gains[own]]))
        yield found[own[gains[own] > better[:-1]]]


def _walked(
    network: Network, rows: Matrix, balls: tuple[Matrix, Vector, GroundCost, Box], jitter: Matrix, deadline: Deadline
) -> Matrix:
    """The best point of each walk (R, n)."""
    centers, radius, ground, box = balls
    compiled, x = network.compiled, box.clip(centers + jitter)
    best, best_value = centers.copy(), np.full(len(x), -np.inf)
    for step in range(_STEPS + 1):
        values = compiled.trace(x)
        value = np.einsum("rk,rk->r", values[compiled.output], rows)
        better = (value > best_value) & (step > 0)
        best[better], best_value[better] = x[better], value[better]
        if step == _STEPS or (step > 0 and deadline.passed):
            break
        slopes = gradients(compiled, values, rows)
        target = extreme_points(slopes, centers, radius, ground, box)
        part = 1.0 if step < 2 else 2.0 / (step + 1.0)
        x = x + part * (target - x)
    return box.clip(best)


def extreme_points(slopes: Matrix, centers: Matrix, radius: Vector, ground: GroundCost, box: Box) -> Matrix:
    """The points (R, n) of balls, cut with the box, at which linear functions are largest."""
    scales = 1.0 if ground.scales is None else ground.scales
    room = np.where(slopes > 0, box.upper - centers, centers - box.lower) * (slopes != 0) * scales
    size, left = np.abs(slopes) / scales, radius[:, None]
    if ground.norm is Norm.LINF:
        moves = np.minimum(room, left)
    elif ground.norm is Norm.L1:
        order = np.argsort(-size, axis=1)
        rooms = np.take_along_axis(room, order, axis=1)
        spent = np.cumsum(rooms, axis=1) - rooms
        moves = np.empty_like(rooms)
        np.put_along_axis(moves, order, np.clip(left - spent, 0.0, rooms), axis=1)
    else:
        moves = _l2_moves(size, room, left)
    return np.asarray(centers + np.sign(slopes) * moves / scales)


def _l2_moves(size: Matrix, room: Matrix, left: Matrix) -> Matrix:
    """``min(s size, room)`` with the s at which the length is the radius, by the active-set iteration of its breakpoints."""
    size = np.where(room > 0, size / np.maximum(size.max(axis=1, keepdims=True), TINY), 0.0)
    factor = left / np.maximum(np.linalg.norm(size, axis=1, keepdims=True), 1.0)  # the norm is at least 1, or all are 0
    for _ in range(_ACTIVE_SETS):
        full = factor * size >= room
        free = np.square(np.where(full, 0.0, size)).sum(axis=1, keepdims=True)
        free = np.where(free > _NEGLIGIBLE, free, 0.0)
        rest = np.square(left) - np.square(np.where(full, room, 0.0)).sum(axis=1, keepdims=True)
        factor = np.where((free > 0) & (rest > 0), np.sqrt(np.maximum(rest, 0.0) / np.maximum(free, _NEGLIGIBLE)), factor)
    moves = np.minimum(factor * size, room)
    length = np.linalg.norm(moves, axis=1, keepdims=True)
    return np.asarray(moves * (left / np.maximum(length, np.maximum(left, TINY))))
