"""The searches of every sample, set up for the lazy loop: one seeker for finite orders, one for order inf."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from wdaverify.parallel.hands import HERE, Hands
from wdaverify.risk.columns import Columns
from wdaverify.risk.dual import Ceiling
from wdaverify.risk.exploration import Exploration, Priced
from wdaverify.risk.mixture import Route
from wdaverify.risk.pointwise import BallPoints, Moved, Pointwise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix
    from wdaverify.risk.question import RiskQuestion
    from wdaverify.transport import GroundCost


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
        x, y = asked.data.x[i], int(asked.data.y[i])
        columns = Columns(asked.network, asked.loss, asked.region(i), x, y, cost, asked.nominal.get(i))
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
        x, y = asked.data.x[i], int(asked.data.y[i])
        points = BallPoints(asked.network, asked.loss, asked.region(i), x, y, cost, asked.nominal.get(i))
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
