"""The distribution that attains the lower end of the worst-case zero-one risk (docs/theory.md, Zero-one loss)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.plan import plan_of_moves
from wdaverify.transport import distance_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from wdaverify.dataset import Dataset
    from wdaverify.risk.adversarial import AdversarialDistance
    from wdaverify.transport import TransportPlan, WassersteinBall


def worst_case_plan(
    data: Dataset, distances: Sequence[AdversarialDistance], moved: Sequence[Fraction], *, ball: WassersteinBall
) -> TransportPlan:
    """The plan that moves the given mass of each sample to its nearest known adversarial point (`plan.plan_of_moves`)."""
    goals = [found.point for found in distances]
    lengths = [
        0.0 if goal is None or mass == 0 else distance_up(start, goal, ball.norm)
        for start, goal, mass in zip(data.x, goals, moved, strict=True)
    ]
    return plan_of_moves(data, goals, lengths, moved, order=ball.order)
