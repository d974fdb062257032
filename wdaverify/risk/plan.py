"""The distribution that attains the lower end of the worst-case zero-one risk.

Every sample keeps one atom, except that at most one sample is split in two (docs/theory.md, Zero-one loss): at
most N + 1 atoms.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify.risk.mixture import atom_cost
from wdaverify.transport import Atom, TransportPlan, round_down

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wdaverify._types import Vector
    from wdaverify.dataset import Dataset
    from wdaverify.risk.adversarial import AdversarialDistance
    from wdaverify.transport import WassersteinBall


def worst_case_plan(
    data: Dataset, distances: Sequence[AdversarialDistance], moved: Sequence[Fraction], *, ball: WassersteinBall
) -> TransportPlan:
    """The plan that moves the given mass of each sample to its nearest known adversarial point.

    Parameters
    ----------
    data, distances
        One distance per sample; a sample that moves must have a point.
    moved
        Mass that moves, per sample, at most its weight.
    ball
        Gives the norm and the order of the costs.

    Returns
    -------
    TransportPlan
        Moved masses are rounded down, so that the budget holds for the float64 masses too; each source's masses add up
        to its weight up to rounding.
    """
    atoms: list[Atom] = []
    for i, (weight, mass, found) in enumerate(zip(data.fractions, moved, distances, strict=True)):
        start = Atom(source=i, label=int(data.y[i]), mass=0.0, cost=0.0, point=data.x[i])
        atoms.extend(_atoms_of(start, found.point, weight=weight, mass=mass, ball=ball))
    return TransportPlan(tuple(atoms), ball.order)


def _atoms_of(start: Atom, point: Vector | None, *, weight: Fraction, mass: Fraction, ball: WassersteinBall) -> Iterator[Atom]:
    """One atom, or two if only a part of the mass moves away from the start."""
    shipped = round_down(mass)
    if shipped > 0 and point is not None:
        yield replace(start, mass=shipped, cost=atom_cost(start.point, point, ball), point=point)
    rest = float(weight - Fraction(shipped)) if mass < weight or shipped == 0 else 0.0
    if rest > 0 or shipped == 0:
        yield replace(start, mass=rest)
