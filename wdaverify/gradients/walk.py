"""Find steep cells: random points, then steps across single facets to the neighbour that is steepest.

Inside a cell every pre-activation is affine, so that a step to the other side of any neuron's hyperplane is known: against its
gradient until it changes its sign, coordinates stopping at the box. All neurons are tried at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.cells.cell import activation_cell

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.domain import Box
    from wdaverify.gradients.incumbents import Incumbents
    from wdaverify.ir.compiled import CompiledNetwork

_SAMPLES = 512
"""Uniform points, and as many near corners."""

_STEPS = 24
"""Facets crossed at most."""

_GAIN = 1.0 + 1e-9
"""A step must gain this factor."""

_DOUBLINGS, _BISECTIONS = 20, 30
"""Steps of the search for the length that reaches a hyperplane within the box."""

_BEYOND, _LEAST = 1.001, 1e-9
"""How far a step goes, relative to what reaches the hyperplane, and at least beyond it."""


def patterns_at(compiled: CompiledNetwork, points: Matrix) -> Matrix:
    """The phases (M, neurons) at points (M, n) as 1 and -1, in float64."""
    values = compiled.trace(points)
    parts = [np.where(values[step.source] > 0, 1.0, -1.0) for step in compiled.relus]
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(points), 0))


def sampled(box: Box, seed: int) -> Matrix:
    """Points of the box: its centre, uniform ones, and ones near its corners, where other patterns are."""
    rng, n = np.random.default_rng(seed), len(box.lower)
    near = 0.5 * rng.random((_SAMPLES, n)) ** 4
    corners = np.abs(rng.integers(0, 2, (_SAMPLES, n)) - near)
    parts = np.concatenate([np.full((1, n), 0.5), rng.random((_SAMPLES, n)), corners])
    return np.asarray(box.clip(box.lower + (box.upper - box.lower) * parts))


def climb(
    compiled: CompiledNetwork,
    box: Box,
    unstable: IntArray,
    incumbents: Incumbents,
    start: Vector,
    pair: int,
    deadline: Deadline,
) -> None:
    """Cross facets from a point (n,) as long as the norm of a pair grows; every question takes what it finds on the way."""
    point, best = start, -np.inf
    for _ in range(_STEPS):
        tries = crossings(compiled, box, point, unstable)
        if not len(tries) or deadline.passed:
            return
        patterns = patterns_at(compiled, tries)
        values = incumbents.values(patterns)
        incumbents.offer(tries, patterns, values)
        winner = int(values[:, pair].argmax())
        if values[winner, pair] <= best * _GAIN:
            return
        point, best = tries[winner], float(values[winner, pair])


def crossings(compiled: CompiledNetwork, box: Box, point: Vector, neurons: IntArray) -> Matrix:
    """For each of the neurons that the box lets change its sign, a point (n,) behind its hyperplane, as far as the cell tells.

    Examples
    --------
    ``|x|`` at 1/2, in [-1, 1]: both neurons change at 0.

    >>> from scipy.sparse import csr_array
    >>> from wdaverify.domain import Box
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> split, add = (Affine((csr_array(np.array(m)),), np.zeros(len(m))) for m in ([[1.0], [-1.0]], [[1.0, 1.0]]))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> compiled = Network.from_nodes(nodes, "y").compiled
    >>> crossings(compiled, Box(-1, 1).sized(1), np.array([0.5]), np.array([0, 1])).round(2).tolist()
    [[-0.0], [-0.0]]
    """
    cell = activation_cell(compiled, patterns_at(compiled, point[None])[0] > 0)
    rows, sizes = -cell.rows[neurons], cell.rows[neurons] @ point + cell.offsets[neurons]  # |z| shrinks along the rows
    room = np.where(rows > 0, box.upper - point, box.lower - point)
    needed = np.abs(sizes) * _BEYOND + _LEAST * (1.0 + np.abs(sizes))
    reachable = (rows * room).sum(axis=1) > needed
    rows, room, needed = rows[reachable], room[reachable], needed[reachable, None]
    unit = needed / np.maximum((rows**2).sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)

    def moves(lengths: Matrix) -> Matrix:
        step = rows * (unit * lengths)
        return np.asarray(np.where(rows > 0, np.minimum(step, room), np.maximum(step, room)))

    high = np.ones_like(needed)
    for _ in range(_DOUBLINGS):
        high = np.where((rows * moves(high)).sum(axis=1, keepdims=True) >= needed, high, 2.0 * high)
    low = np.zeros_like(high)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        enough = (rows * moves(middle)).sum(axis=1, keepdims=True) >= needed
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(box.clip(point + moves(high)))
