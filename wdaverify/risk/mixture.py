"""The distribution behind the lower end of a priced risk, as a transport plan.

Every sample keeps one atom, at the corner of its hull that the master reached; the one that is split has two
(`envelope.Master`). Samples that are equal share their corner: where they are split, one after the other goes on to the next
corner, so that still only one has two atoms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify.plan import power_up
from wdaverify.transport import Atom, GroundCost, TransportPlan, distance_up, round_down, round_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wdaverify._types import Vector
    from wdaverify.dataset import Dataset
    from wdaverify.transport import WassersteinBall


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """Where the mass of equal samples goes.

    Attributes
    ----------
    sources
        Their numbers.
    point
        Where it goes; the samples themselves, where it stays.
    further
        Where a part of it goes instead, at a higher cost; ``None`` if nothing does.
    share
        That part of it, in (0, 1); 0 if nothing does.
    """

    sources: tuple[int, ...]
    point: Vector
    further: Vector | None = None
    share: Fraction = Fraction(0)


def plan_of(data: Dataset, routes: Sequence[Route], ball: WassersteinBall, scales: Vector | None = None) -> TransportPlan:
    """The plan that follows the routes, which together have every sample once.

    Parameters
    ----------
    scales
        Of the ground cost, (n,).

    Returns
    -------
    TransportPlan
        In order of the sources. Masses that move are rounded down, so that the budget holds for them, too; each source's masses
        add up to its weight up to rounding.
    """
    atoms = [atom for route in routes for atom in _atoms(data, route, ball, scales)]
    return TransportPlan(tuple(sorted(atoms, key=lambda atom: atom.source)), ball.order)


def _atoms(data: Dataset, route: Route, ball: WassersteinBall, scales: Vector | None) -> Iterator[Atom]:
    """The atoms of equal samples."""
    left = route.share * sum((data.fractions[i] for i in route.sources), Fraction(0))
    for i in route.sources:
        weight = data.fractions[i]
        going = min(left, weight) if route.further is not None else Fraction(0)
        left -= going
        if going > 0 and route.further is not None:
            yield _atom(data, i, route.further, going, ball, scales)
        if going < weight or weight == 0:
            yield _atom(data, i, route.point, weight - going, ball, scales)


def _atom(data: Dataset, source: int, point: Vector, mass: Fraction, ball: WassersteinBall, scales: Vector | None) -> Atom:
    cost = atom_cost(data.x[source], point, ball, scales)
    rounded = float(mass) if cost == 0 else round_down(mass)
    return Atom(source=source, label=int(data.y[source]), mass=rounded, cost=cost, point=point)


def atom_cost(start: Vector, point: Vector, ball: WassersteinBall, scales: Vector | None = None) -> float:
    """``||S (point - start)||^p`` as float64, rounded up; the distance itself for order inf."""
    if scales is not None:
        paid = GroundCost(ball.norm, 1.0 if math.isinf(ball.order) else ball.order, scales).bracket(start, point)[1]
        return math.inf if paid is None else round_up(paid)
    return power_up(distance_up(start, point, ball.norm), ball.order)
