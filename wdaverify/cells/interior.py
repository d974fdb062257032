"""Whether an activation cell has an interior: decided in rational arithmetic, or not at all.

Only full-dimensional cells have gradients that the network has. A pattern that is feasible on a lower-dimensional set alone
may have a larger one: relu(x) - relu(-x) = x has slope 1, and the pattern "both active" of the point 0 has slope 2.

A linear program proposes the centre of the largest ball in the cell, or weights that say why there is none. The first is checked
by the signs of all pre-activations there, the second by `cells.emptiness`; neither rests on the solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify.cells.emptiness import proves_no_interior
from wdaverify.cells.largest_ball import largest_ball
from wdaverify.cells.view import View, Walls
from wdaverify.ir.exact_piece import exact_forms_of_neurons, exact_pre_activations

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Vector
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

_LOOKS = 3
"""Programs to solve: every one looks at the last one's centre with a magnifying glass, a million times closer at most."""


class InteriorKind(StrEnum):
    """What is known about the interior of a cell."""

    FULL = "full"
    """A point inside was checked exactly: the cell is full-dimensional."""
    EMPTY = "empty"
    """Proved exactly: the cell has no interior point."""
    THIN = "thin"
    """Neither was proved. Whoever computes an upper end has to count the cell, whoever computes a lower end must not."""


@dataclass(frozen=True, slots=True, eq=False)
class Interior:
    """The answer, with the interior point (n,) of a full-dimensional cell."""

    kind: InteriorKind
    point: Vector | None = None


def interior_at(network: Network, box: Box, phases: BoolArray, point: Vector, *, decided: BoolArray | None = None) -> bool:
    """Whether a point lies in the interior of the cell of a pattern; this proves that the cell is full-dimensional.

    In exact arithmetic: the point is strictly inside the box in every coordinate that is not fixed (and on the fixed ones),
    and every pre-activation there has the strict sign of its phase, or else is 0 on the whole cell.

    Parameters
    ----------
    box
        With vector ends (n,); infinite ends are allowed.
    phases
        Shape (neurons,); true where active.
    decided
        Which neurons (neurons,) count, for a part of a pattern: with a neuron all those that it reads. ``None``: all.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from wdaverify.domain import Box
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> split, add = (Affine((csr_array(np.array(m)),), np.zeros(len(m))) for m in ([[1.0], [-1.0]], [[1.0, -1.0]]))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> network, box, both = Network.from_nodes(nodes, "y"), Box(-1, 1).sized(1), np.array([True, True])
    >>> interior_at(network, box, np.array([True, False]), np.array([0.5])), interior_at(network, box, both, np.array([0.0]))
    (True, False)
    """
    point, phases = np.asarray(point, dtype=np.float64), np.asarray(phases, dtype=np.bool_)
    fixed = box.lower == box.upper
    inside = np.where(fixed, point == box.lower, (box.lower < point) & (point < box.upper))
    if not (inside & np.isfinite(point)).all():
        return False
    counted = np.ones(len(phases), dtype=bool) if decided is None else decided
    values, _ = exact_pre_activations(network, phases, point.tolist())
    if (counted & np.where(phases, values < 0, values > 0)).any():
        return False
    neurons = np.flatnonzero(counted & (values == 0))
    # with value 0 here, it is 0 on the cell if nothing moves it
    return not (exact_forms_of_neurons(network, phases, neurons).coefficients[:, ~fixed] != 0).any()


def interior_of(
    backend: Backend,
    network: Network,
    box: Box,
    phases: BoolArray,
    deadline: Deadline | None = None,
    *,
    decided: BoolArray | None = None,
) -> Interior:
    """Find an interior point of the cell of a pattern, or prove that it has none.

    Parameters
    ----------
    backend
        Any that solves linear programs and reports duals; a wrong or failing one leads to *thin*.
    box
        With vector ends (n,), finite.
    phases
        Shape (neurons,); true where active.
    deadline
        For the linear programs; past it the answer may be *thin*.
    decided
        Which neurons (neurons,) count, for a part of a pattern: with a neuron all those that it reads. ``None``: all.

    Examples
    --------
    The pattern *both active* of ``relu(x) - relu(-x)`` holds at 0 only:

    >>> from scipy.sparse import csr_array
    >>> from wdaverify.domain import Box
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> from wdaverify.program.backend import get_backend
    >>> split, add = (Affine((csr_array(np.array(m)),), np.zeros(len(m))) for m in ([[1.0], [-1.0]], [[1.0, -1.0]]))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> network, box, both = Network.from_nodes(nodes, "y"), Box(-1, 1).sized(1), np.array([True, True])
    >>> interior_of(get_backend("highs"), network, box, both).kind
    <InteriorKind.EMPTY: 'empty'>
    """
    deadline, phases = deadline or Deadline(), np.asarray(phases, dtype=np.bool_)
    view = View.of_box(box)
    decided = np.ones(len(phases), dtype=bool) if decided is None else decided
    walls = Walls.of(network, phases, view, decided)
    if walls is None:
        return Interior(InteriorKind.EMPTY)
    values = walls.values
    for _ in range(_LOOKS):
        ball = largest_ball(backend, walls.slopes, values / view.scale, view.low, view.high, deadline)
        for point in view.candidates(ball, walls.slopes, values / view.scale):
            if interior_at(network, box, phases, point, decided=decided):
                return Interior(InteriorKind.FULL, point)
        weights = np.zeros(len(phases))
        weights[walls.neurons] = ball.weights / walls.sizes
        if proves_no_interior(network, box, phases, weights):
            return Interior(InteriorKind.EMPTY)
        if ball.center is None or not view.is_close(ball):
            break
        view = view.closer(ball)
        values = walls.values_at(network, phases, view.origin)
    return Interior(InteriorKind.THIN)
