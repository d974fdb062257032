r"""The best distribution on known points: the column-generation master, without a linear-programming solver.

Sample i with weight ``w_i`` has points of cost ``c_ik`` and loss ``l_ik``, among them itself at cost 0. The program

.. math:: \max \Bigl\{\sum_i w_i \sum_k a_{ik} l_{ik} : a_{ik} \ge 0,\ \sum_k a_{ik} = 1,\
          \sum_i w_i \sum_k a_{ik} c_{ik} \le \varepsilon^p\Bigr\}

only sees the upper concave hull of each sample's points, up to its maximum: all their segments, steepest first, fill the budget
(docs/theory.md, "Exact risk"). The slope of the segment that is not wholly paid for is the multiplier of the budget, and
its sample the only one that is split: N samples keep at most N + 1 atoms. All numbers are rational.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Vertex:
    """A corner of a hull.

    Attributes
    ----------
    cost, value
        Its coordinates.
    column
        The number of the point that it is.
    """

    cost: Fraction
    value: Fraction
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Master:
    """An optimal solution.

    Attributes
    ----------
    value
        The expected loss.
    corners
        For every sample the corner of its hull that it has reached.
    split
        The sample that goes a part of its way to the next corner, and that part, in (0, 1); ``None`` if no sample is split.
    multiplier
        The slope of the first segment that is not wholly paid for: the gain of one more unit of budget; 0 if all are paid.
    spent_on_ray
        The budget that moves a vanishing mass to infinity (`risk.rays`), where every unit gains the slope of the ray.
    """

    value: Fraction
    corners: tuple[int, ...]
    split: tuple[int, Fraction] | None
    multiplier: Fraction
    spent_on_ray: Fraction = Fraction(0)


def upper_hull(costs: Sequence[Fraction], values: Sequence[Fraction]) -> tuple[Vertex, ...]:
    """The corners of the upper concave hull, from cost 0 up to the largest value, in order of cost.

    Parameters
    ----------
    costs, values
        Of the points; the first one costs 0 and the others more.

    Returns
    -------
    tuple of Vertex
        Costs and values increase strictly, slopes decrease strictly.

    Examples
    --------
    >>> points = [(0, 0), (1, 3), (2, 3), (3, 4), (2, 1)]
    >>> [v.column for v in upper_hull(*([Fraction(u) for u in row] for row in zip(*points)))]
    [0, 1, 3]
    """
    hull = [Vertex(costs[0], values[0], 0)]
    for k in sorted(range(1, len(costs)), key=lambda k: (costs[k], -values[k], k)):
        point = Vertex(costs[k], values[k], k)
        if point.value <= hull[-1].value:
            continue  # costs no less and is worth no more
        while len(hull) > 1 and not _above(hull[-1], hull[-2], point):
            hull.pop()
        hull.append(point)
    return tuple(hull)


def _above(middle: Vertex, left: Vertex, right: Vertex) -> bool:
    """Whether a corner lies strictly above the chord of its neighbours."""
    return (middle.value - left.value) * (right.cost - middle.cost) > (right.value - middle.value) * (middle.cost - left.cost)


def fill_budget(
    hulls: Sequence[Sequence[Vertex]], weights: Sequence[Fraction], budget: Fraction, ray: Fraction = Fraction(0)
) -> Master:
    """Spend the budget on the steepest segments of all hulls.

    Parameters
    ----------
    hulls
        One per sample, as `upper_hull` gives them.
    weights
        Nonnegative, one per sample; samples of weight 0 stay where they are.
    budget
        Nonnegative.
    ray
        What a unit of budget gains at infinity, without end; 0 where nothing is to be gained.

    Examples
    --------
    >>> hull = upper_hull([Fraction(0), Fraction(2)], [Fraction(0), Fraction(6)])
    >>> solved = fill_budget([hull, hull], [Fraction(1, 2)] * 2, Fraction(3, 2))
    >>> solved.value, solved.split, solved.multiplier
    (Fraction(9, 2), (1, Fraction(1, 2)), Fraction(3, 1))
    """
    corners = [0] * len(hulls)
    value = sum((w * hull[0].value for w, hull in zip(weights, hulls, strict=True)), Fraction(0))
    segments = [
        (-(b.value - a.value) / (b.cost - a.cost), i, k)
        for i, hull in enumerate(hulls)
        if weights[i] > 0
        for k, (a, b) in enumerate(pairwise(hull))
    ]
    for slope, i, k in sorted(segments):
        if -slope <= ray:
            break
        cost = weights[i] * (hulls[i][k + 1].cost - hulls[i][k].cost)
        rise = weights[i] * (hulls[i][k + 1].value - hulls[i][k].value)
        if cost <= budget:
            corners[i], budget, value = k + 1, budget - cost, value + rise
            continue
        share = budget / cost
        split = (i, share) if share > 0 else None
        return Master(value=value + share * rise, corners=tuple(corners), split=split, multiplier=-slope)
    spent = budget if ray > 0 else Fraction(0)
    return Master(value=value + spent * ray, corners=tuple(corners), split=None, multiplier=ray, spent_on_ray=spent)
