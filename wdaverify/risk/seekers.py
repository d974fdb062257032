"""What is asked of every sample, set up for the lazy loop: one seeker for finite orders, one for order inf."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import numpy as np

from wdaverify.domain import Box
from wdaverify.pricing.prices import PriceQuestion
from wdaverify.pricing.warm_points import warm_points
from wdaverify.risk.columns import Columns
from wdaverify.risk.dual import Ceiling
from wdaverify.risk.exploration import Exploration, Priced
from wdaverify.risk.mixture import Route
from wdaverify.risk.pointwise import BallPoints, Moved, Pointwise
from wdaverify.transport import GroundCost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix
    from wdaverify.dataset import Dataset
    from wdaverify.ir.network import Network
    from wdaverify.risk.dual import Growth
    from wdaverify.risk.exploration import Progress
    from wdaverify.risk.loss_table import Loss, Pricer
    from wdaverify.risk.rays import Ray
    from wdaverify.transport import WassersteinBall


_REACH = 4.0
"""On R^n the attack looks as far beyond the data, in units of 1 + their size."""


class Seeker(Protocol):
    """Closes brackets, and says what lies behind them."""

    def close(self, radii: Sequence[float], deadline: Deadline) -> None:
        """Work on all radii until they are closed, or time is up.

        Raises
        ------
        KeyboardInterrupt
            If interrupted; what was found is kept.
        """
        ...

    def lower(self, radius: float) -> Fraction:
        """The expected loss of the best distribution known within a radius."""
        ...

    def upper(self, radius: float) -> Fraction | None:
        """A proved upper bound; ``None`` if there is none."""
        ...

    def routes(self, radius: float) -> list[Route]:
        """The best distribution known."""
        ...

    def multiplier(self, radius: float) -> float | None:
        """The gain of one more unit of ``radius^p``; ``None`` for order inf."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskQuestion:
    """One loss and one threat.

    Attributes
    ----------
    domain
        Of the network's dimension.
    growth
        How fast the loss grows, one per sample.
    pricer
        Opens the prices of margins.
    ray
        What can be gained at infinity, on R^n with order 1.
    seed
        Of the attack that finds the first points.
    progress
        Called with the bracket after every round.
    """

    network: Network
    data: Dataset
    ball: WassersteinBall
    loss: Loss
    domain: Box
    gap: float
    growth: Sequence[Growth]
    pricer: Pricer
    ray: Ray | None
    seed: int
    progress: Callable[[Progress], None]

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """The numbers of samples that are equal, in order of their first."""
        found: dict[tuple[bytes, int], list[int]] = {}
        for i in range(self.data.count):
            found.setdefault((self.data.x[i].tobytes(), int(self.data.y[i])), []).append(i)
        return [tuple(group) for group in found.values()]

    def weight(self, group: tuple[int, ...]) -> Fraction:
        """Of equal samples together."""
        return sum((self.data.fractions[i] for i in group), Fraction(0))

    @property
    def present(self) -> list[tuple[int, ...]]:
        """The groups of positive weight: the others change nothing."""
        return [group for group in self.groups if self.weight(group) > 0]

    def warm_points(self, cost: GroundCost) -> list[Matrix]:
        """Points (P, n) about the first sample of every present group, where its margin is large; or of a large box on R^n."""
        firsts = [group[0] for group in self.present]
        box = self.domain
        if not box.bounded:
            far = _REACH * (1.0 + np.abs(self.data.x).max(axis=0))
            box = Box(self.data.x.min(axis=0) - far, self.data.x.max(axis=0) + far)
        return warm_points(self.network, self.data.x[firsts], self.data.y[firsts], cost, box, self.seed)

    @property
    def resting(self) -> list[Route]:
        """The routes of samples without weight: they stay."""
        return [Route(sources=g, point=self.data.x[g[0]]) for g in self.groups if self.weight(g) == 0]

    def price_question(self, sample: int, cost: GroundCost, reach: float = math.inf) -> PriceQuestion:
        """What is to be priced for a sample."""
        return PriceQuestion(
            network=self.network,
            label=int(self.data.y[sample]),
            center=self.data.x[sample],
            cost=cost,
            domain=self.domain,
            reach=reach,
        )


def seeker_for(question: RiskQuestion) -> Seeker:
    """The seeker of the ball's order."""
    return PointwiseSeeker(question) if math.isinf(question.ball.order) else BudgetSeeker(question)


class BudgetSeeker:
    """Finite orders: all samples share a budget (`exploration.Exploration`)."""

    def __init__(self, question: RiskQuestion) -> None:
        self._question, self._groups = question, question.present
        cost = GroundCost(question.ball.norm, question.ball.order)
        self.exploration = Exploration(
            loss=question.loss,
            samples=[self._sample(*each, cost) for each in zip(self._groups, question.warm_points(cost), strict=True)],
            order=question.ball.order,
            gap=question.gap,
            ray=question.ray,
            progress=question.progress,
        )

    def _sample(self, group: tuple[int, ...], warm: Matrix, cost: GroundCost) -> Priced:
        asked, i = self._question, group[0]
        columns = Columns(asked.network, asked.loss, asked.domain, asked.data.x[i], int(asked.data.y[i]), cost)
        prices = asked.loss.prices(asked.price_question(i, cost), asked.pricer)
        columns.offer(warm)
        prices.offer(warm)
        ceiling = Ceiling(asked.loss, prices, columns, asked.growth[i], cost.order)
        return Priced(columns=columns, prices=prices, ceiling=ceiling, weight=asked.weight(group))

    def close(self, radii: Sequence[float], deadline: Deadline) -> None:
        """Work on all radii."""
        self.exploration.close(radii, deadline)

    def lower(self, radius: float) -> Fraction:
        """The value of the master."""
        return self.exploration.master(radius).value

    def upper(self, radius: float) -> Fraction | None:
        """The least dual bound."""
        return self.exploration.upper(radius)

    def routes(self, radius: float) -> list[Route]:
        """Where the master sends every sample."""
        master, routes = self.exploration.master(radius), self._question.resting
        for k, (group, sample) in enumerate(zip(self._groups, self.exploration.samples, strict=True)):
            columns, corner = sample.columns, master.corners[k]
            point = columns.points[columns.hull[corner].column]
            if master.spent_on_ray > 0 and self._question.ray is not None and group[0] == self._question.ray.sample:
                routes.append(self._question.ray.route(columns.center, group, point, sample.weight, master.spent_on_ray))
                continue
            if master.split is None or master.split[0] != k:
                routes.append(Route(sources=group, point=point))
            else:
                further = columns.points[columns.hull[corner + 1].column]
                routes.append(Route(sources=group, point=point, further=further, share=master.split[1]))
        return routes

    def multiplier(self, radius: float) -> float | None:
        """The slope of the marginal segment."""
        try:
            return float(self.exploration.master(radius).multiplier)
        except OverflowError:
            return math.inf


class PointwiseSeeker:
    """Order inf: every sample has its own ball (`pointwise.Pointwise`)."""

    def __init__(self, question: RiskQuestion) -> None:
        self._question, self._groups, self._cost = question, question.present, GroundCost(question.ball.norm)
        self.pointwise = Pointwise(
            loss=question.loss,
            samples=[self._sample(*each) for each in zip(self._groups, question.warm_points(self._cost), strict=True)],
            gap=question.gap,
            progress=question.progress,
        )

    def _sample(self, group: tuple[int, ...], warm: Matrix) -> Moved:
        asked, i, cost = self._question, group[0], self._cost
        points = BallPoints(asked.network, asked.loss, asked.domain, asked.data.x[i], int(asked.data.y[i]), cost)
        return Moved(
            points=points,
            weight=asked.weight(group),
            growth=asked.growth[i],
            warm=warm,
            open=lambda radius: asked.loss.prices(asked.price_question(i, cost, radius), asked.pricer),
        )

    def close(self, radii: Sequence[float], deadline: Deadline) -> None:
        """Work on all radii."""
        self.pointwise.close(radii, deadline)

    def lower(self, radius: float) -> Fraction:
        """The expected loss of the best points."""
        return self.pointwise.lower(radius)

    def upper(self, radius: float) -> Fraction | None:
        """The expected bound."""
        return self.pointwise.upper(radius)

    def routes(self, radius: float) -> list[Route]:
        """Every sample to its best point."""
        pairs = zip(self._groups, self.pointwise.samples, strict=True)
        return [*self._question.resting, *(Route(sources=g, point=s.points.best(radius)[1]) for g, s in pairs)]

    def multiplier(self, radius: float) -> float | None:  # noqa: ARG002 - as the protocol has it
        """There is no budget."""
        return None
