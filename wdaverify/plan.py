"""The distribution that moves given masses of the samples to one point each.

Every sample keeps one atom, except those that move in part, which are split in two (docs/theory.md, Zero-one loss: after a
greedy filling at most one, so at most N + 1 atoms).
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify.powers import power_bracket
from wdaverify.transport import Atom, TransportPlan, round_down, round_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wdaverify._types import Vector
    from wdaverify.dataset import Dataset


def plan_of_moves(
    data: Dataset, goals: Sequence[Vector | None], lengths: Sequence[float], moved: Sequence[Fraction], *, order: float
) -> TransportPlan:
    """The plan that moves the given mass of each sample to its goal.

    Parameters
    ----------
    goals
        A point per sample; a sample that moves must have one.
    lengths
        At least the distance from each sample to its goal, where it moves.
    moved
        Mass that moves, per sample, at most its weight.
    order
        Of the costs: ``length^order``, rounded up; the length itself for order inf.

    Returns
    -------
    TransportPlan
        Moved masses are rounded down, so that the budget holds for the float64 masses too; each source's masses add up
        to its weight up to rounding.

    Examples
    --------
    >>> from wdaverify.dataset import Dataset
    >>> data = Dataset([[0.0], [1.0]], [0, 1])
    >>> plan = plan_of_moves(data, [data.x[1], None], [1.0, 0.0], [Fraction(1, 4), Fraction(0)], order=1.0)
    >>> [(atom.source, atom.mass, atom.cost) for atom in plan.atoms]
    [(0, 0.25, 1.0), (0, 0.25, 0.0), (1, 0.5, 0.0)]
    """
    atoms: list[Atom] = []
    for i, (weight, mass, goal) in enumerate(zip(data.fractions, moved, goals, strict=True)):
        start = Atom(source=i, label=int(data.y[i]), mass=0.0, cost=0.0, point=data.x[i])
        atoms.extend(_atoms_of(start, goal, length=float(lengths[i]), weight=weight, mass=mass, order=order))
    return TransportPlan(tuple(atoms), order)


def _atoms_of(
    start: Atom, goal: Vector | None, *, length: float, weight: Fraction, mass: Fraction, order: float
) -> Iterator[Atom]:
    """One atom, or two if only a part of the mass moves away from the start."""
    shipped = round_down(mass)
    if shipped > 0 and goal is not None:
        yield replace(start, mass=shipped, cost=power_up(length, order), point=goal)
    rest = float(weight - Fraction(shipped)) if mass < weight or shipped == 0 else 0.0
    if rest > 0 or shipped == 0:
        yield replace(start, mass=rest)


def power_up(length: float, order: float) -> float:
    """``length^order`` as float64, rounded up; the length itself for order inf.

    >>> power_up(3.0, 2.0), power_up(3.0, math.inf)
    (9.0, 3.0)
    """
    if math.isinf(order) or length == 0:
        return length
    _, high = power_bracket(Fraction(length), order)
    return math.inf if high is None else round_up(high)
