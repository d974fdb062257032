"""What is asked of every sample, set up for the lazy loop: one seeker for finite orders, one for order inf."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify.domain import Box
from wdaverify.feature_domain import Domain, alike
from wdaverify.parallel.hands import HERE, Hands
from wdaverify.pricing.prices import PriceQuestion
from wdaverify.pricing.warm_points import warm_points
from wdaverify.pricing.whole_space import WholeSpacePrices, search_box
from wdaverify.region import Region
from wdaverify.risk.columns import Columns
from wdaverify.risk.dual import Ceiling
from wdaverify.risk.exploration import Exploration, Priced
from wdaverify.risk.mixture import Route
from wdaverify.risk.pointwise import BallPoints, Moved, Pointwise
from wdaverify.transport import GroundCost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wdaverify._types import Matrix
    from wdaverify.dataset import Dataset
    from wdaverify.ir.network import Network
    from wdaverify.pricing.prices import Prices
    from wdaverify.program.backend import SessionBackend
    from wdaverify.risk.dual import Growth
    from wdaverify.risk.exploration import Progress
    from wdaverify.risk.loss_table import Loss, Pricer
    from wdaverify.risk.rays import Ray
    from wdaverify.transport import WassersteinBall


_WARM_PART = 0.5
"""Of the time left, the walks to the first points take this part at most."""

_REACH = 4.0
"""On R^n the attack looks as far beyond the data, in units of 1 + their size."""


class Seeker(Protocol):
    """Closes brackets, and says what lies behind them."""

    def close(self, radii: Sequence[float], deadline: Deadline, hands: Hands = HERE) -> None:
        """Work on all radii until they are closed, or time is up; the hands price samples.

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
        Opens the prices of margins on bounded domains.
    session_backend
        Keeps programs between solves, for what lies far away.
    ray
        What can be gained at infinity, on R^n with a finite order; for orders above 1 only its slope matters.
    seed
        Of the attack that finds the first points.
    progress
        Called with the bracket after every round.
    deadline
        Of the search. The first points take a part of the time at most.
    """

    network: Network
    data: Dataset
    ball: WassersteinBall
    loss: Loss
    domain: Box | Domain
    gap: float
    growth: Sequence[Growth]
    pricer: Pricer
    session_backend: SessionBackend
    ray: Ray | None
    seed: int
    progress: Callable[[Progress], None]
    deadline: Deadline = field(default_factory=Deadline)

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
        firsts, near = [group[0] for group in self.present], self.domain
        if not near.bounded:
            far = _REACH * (1.0 + np.abs(self.data.x).max(axis=0))
            near = Box(self.data.x.min(axis=0) - far, self.data.x.max(axis=0) + far)
        x, y, found = self.data.x[firsts], self.data.y[firsts], [np.zeros((0, self.network.inputs))] * len(firsts)
        until = self.deadline.slice(math.inf, _WARM_PART)
        for members, box in alike(near, x):
            points = warm_points(self.network, x[members], y[members], cost, box, self.seed, until)
            for k, own in zip(members, points, strict=True):
                found[k] = self.region(firsts[k]).near(own)
        return found

    def region(self, sample: int) -> Region:
        """What a sample can move to."""
        return Region.of(self.domain, self.data.x[sample])

    def cost(self, order: float) -> GroundCost:
        """The ground cost in the ball's norm, with the weights of the domain."""
        return GroundCost(self.ball.norm, order, self.domain.weights if isinstance(self.domain, Domain) else None)

    @property
    def resting(self) -> list[Route]:
        """The routes of samples without weight: they stay."""
        return [Route(sources=g, point=self.data.x[g[0]]) for g in self.groups if self.weight(g) == 0]

    def prices(self, sample: int, cost: GroundCost, reach: float = math.inf) -> Prices:
        """Opens the prices of a sample; on R^n those of a box about it, and of what lies outside if that is within reach."""
        center, region = self.data.x[sample], self.region(sample)
        question = PriceQuestion(
            network=self.network,
            label=int(self.data.y[sample]),
            center=center,
            cost=cost,
            domain=region.box if self.domain.bounded else search_box(center, reach)[0],
            reach=reach,
            constraints=region.constraints,
        )
        if self.domain.bounded or math.isfinite(reach):
            return self.loss.prices(question, self.pricer)
        assert self.ray is not None

        excess = None if self.loss.excess is None else self.loss.excess(self.network.outputs)
        return WholeSpacePrices(question, _Near(question, self.loss, self.pricer), self.session_backend, self.ray.upper, excess)


@dataclass(frozen=True, slots=True)
class _Near:
    """Opens prices on boxes about a sample; a function that can be sent to other processes."""

    question: PriceQuestion
    loss: Loss
    pricer: Pricer

    def __call__(self, box: Box) -> Prices:
        return self.loss.prices(replace(self.question, domain=box), self.pricer)


def seeker_for(question: RiskQuestion) -> Seeker:
    """The seeker of the ball's order."""
    return PointwiseSeeker(question) if math.isinf(question.ball.order) else BudgetSeeker(question)


class BudgetSeeker:
    """Finite orders: all samples share a budget (`exploration.Exploration`)."""

    def __init__(self, question: RiskQuestion) -> None:
        self._question, self._groups = question, question.present
        cost = question.cost(question.ball.order)
        self.exploration = Exploration(
            loss=question.loss,
            samples=[self._sample(*each, cost) for each in zip(self._groups, question.warm_points(cost), strict=True)],
            order=question.ball.order,
            gap=question.gap,
            ray=question.ray if question.ball.order == 1 else None,
            progress=question.progress,
        )

    def _sample(self, group: tuple[int, ...], warm: Matrix, cost: GroundCost) -> Priced:
        asked, i = self._question, group[0]
        columns = Columns(asked.network, asked.loss, asked.region(i), asked.data.x[i], int(asked.data.y[i]), cost)
        prices = asked.prices(i, cost)
        if not asked.deadline.passed:  # every point is evaluated exactly
            columns.offer(warm)
            prices.offer(warm)
        ceiling = Ceiling(asked.loss, prices, columns, asked.growth[i], cost.order)
        return Priced(columns=columns, prices=prices, ceiling=ceiling, weight=asked.weight(group))

    def close(self, radii: Sequence[float], deadline: Deadline, hands: Hands = HERE) -> None:
        """Work on all radii."""
        self.exploration.hands = hands
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
            if master.spent_on_ray > 0 and self._question.ray is not None and self._question.ray.sample in group:
                routes.append(self._question.ray.route(columns.center, group, point, sample.weight, master.spent_on_ray))
                continue
            if master.split is None or master.split[0] != k:
                routes.append(Route(sources=group, point=point))
            else:
                further = columns.points[columns.hull[corner + 1].column]
                routes.append(Route(sources=group, point=point, further=further, share=master.split[1]))
        return routes

    def multiplier(self, radius: float) -> float | None:
        """The multiplier of the least dual bound."""
        try:
            return float(self.exploration.multiplier(radius))
        except OverflowError:
            return math.inf


class PointwiseSeeker:
    """Order inf: every sample has its own ball (`pointwise.Pointwise`)."""

    def __init__(self, question: RiskQuestion) -> None:
        self._question, self._groups, self._cost = question, question.present, question.cost(1.0)
        self.pointwise = Pointwise(
            loss=question.loss,
            samples=[self._sample(*each) for each in zip(self._groups, question.warm_points(self._cost), strict=True)],
            gap=question.gap,
            progress=question.progress,
        )

    def _sample(self, group: tuple[int, ...], warm: Matrix) -> Moved:
        asked, i, cost = self._question, group[0], self._cost
        points = BallPoints(asked.network, asked.loss, asked.region(i), asked.data.x[i], int(asked.data.y[i]), cost)
        return Moved(
            points=points,
            weight=asked.weight(group),
            growth=asked.growth[i],
            warm=warm,
            open=lambda radius: asked.prices(i, cost, radius),
        )

    def close(self, radii: Sequence[float], deadline: Deadline, hands: Hands = HERE) -> None:
        """Work on all radii."""
        self.pointwise.hands = hands
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
