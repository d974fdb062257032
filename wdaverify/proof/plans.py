"""Lower ends of worst-case risks: the plan in exact masses.

Floats cannot hold that masses of a sample add up to its weight, nor that the budget is met to the last bit; rationals can. The
last atom of each sample takes what the others leave of its weight, and what exceeds the budget is taken from atoms that move.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify._types import Norm
from wdaverify.proof.numbers import written
from wdaverify.proof.powers96 import power, rational_order
from wdaverify.transport import exact_distance

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._types import Vector
    from wdaverify.dataset import Dataset
    from wdaverify.transport import TransportPlan, WassersteinBall


@dataclass(slots=True)
class _Piece:
    """An atom with its exact mass and cost."""

    source: int
    point: Vector
    mass: Fraction
    cost: Fraction
    loss: Fraction


@dataclass(frozen=True, slots=True)
class ExactPlan:
    """Atoms as the judge reads them, and their expected loss."""

    atoms: list[list[Any]]
    value: Fraction


def exact_plan(
    plan: TransportPlan,
    data: Dataset,
    ball: WassersteinBall,
    loss: Callable[[int, Vector], Fraction],
    *,
    say_losses: bool = False,
    scales: Vector | None = None,
) -> ExactPlan | None:
    """The plan in exact numbers, ``None`` if the order has no rational power.

    Parameters
    ----------
    loss
        Of a sample's label at a point: exact, or a lower bound.
    say_losses
        Whether atoms state their loss.
    scales
        What a unit of each feature costs (n,); ``None`` for ones.
    """
    order = Fraction(1) if math.isinf(ball.order) else rational_order(ball.order)
    if order is None:
        return None
    pieces = []
    for a in plan.atoms:
        cost = exact_cost(a.point, data.x[a.source], ball, order, scales)
        pieces.append(_Piece(a.source, a.point, Fraction(a.mass), cost, loss(a.source, a.point)))
    _fill(pieces, data)
    if math.isfinite(ball.order):
        _afford(pieces, data, power(Fraction(ball.radius), order, up=False), loss)
    if any(piece.mass < 0 for piece in pieces):
        return None
    kept = [piece for piece in pieces if piece.mass > 0]
    atoms = [
        [p.source, [written(v) for v in p.point.tolist()], written(p.mass), *([written(p.loss)] if say_losses else [])]
        for p in kept
    ]
    return ExactPlan(atoms, sum((p.mass * p.loss for p in kept), Fraction(0)))


def exact_cost(point: Vector, center: Vector, ball: WassersteinBall, order: Fraction, scales: Vector | None = None) -> Fraction:
    """At least the p-th power of the distance ``||S (point - center)||``, S the diagonal of the scales."""
    a, b = point.tolist(), center.tolist()
    if scales is not None:
        a, b = ([Fraction(s) * Fraction(v) for s, v in zip(scales.tolist(), x, strict=True)] for x in (a, b))
    distance = exact_distance(a, b, ball.norm)
    if distance == 0 or math.isinf(ball.order):
        return distance
    exponent = order / 2 if ball.norm is Norm.L2 else order
    return distance if exponent == 1 else power(distance, exponent, up=True)


def _fill(pieces: list[_Piece], data: Dataset) -> None:
    """Make the masses of each sample add up to its weight exactly."""
    for i, weight in enumerate(data.fractions):
        own = [p for p in pieces if p.source == i]
        *others, last = own
        last.mass = weight - sum((p.mass for p in others), Fraction(0))
        if last.mass < 0 and others:  # the floats add up to more than the weight
            others[-1].mass += last.mass
            last.mass = Fraction(0)


def _afford(pieces: list[_Piece], data: Dataset, budget: Fraction, loss: Callable[[int, Vector], Fraction]) -> None:
    """Send home what exceeds the budget, from the atom that gains least for its cost."""
    excess = sum((p.mass * p.cost for p in pieces), Fraction(0)) - budget
    home = {i: loss(i, data.x[i]) for i in {p.source for p in pieces if p.cost > 0}} if excess > 0 else {}
    moving = [p for p in pieces if p.cost > 0 and p.mass > 0]
    for piece in sorted(moving, key=lambda p: (p.loss - home.get(p.source, 0)) / p.cost):
        if excess <= 0:
            return
        sent = min(piece.mass, excess / piece.cost)
        piece.mass -= sent
        excess -= sent * piece.cost
        start = np.asarray(data.x[piece.source])
        pieces.append(_Piece(piece.source, start, sent, Fraction(0), home[piece.source]))
