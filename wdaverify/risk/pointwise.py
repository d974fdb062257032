r"""The worst-case risk of order inf: every sample moves to the worst point of its own ball.

.. math:: R_\infty(\varepsilon) = \sum_i w_i \max \{\ell(x, y_i) : x \in X,\ \|x - x_i\| \le \varepsilon\}

(docs/theory.md, "Duality"). There is no budget to share: the samples whose brackets weigh most are searched, each in its ball, at
multiplier 0, until their sum is narrow enough. A bound for a ball holds for every smaller one, a point for every larger one.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import AuditError, WorkerLostError
from wdaverify.ir.exact import exact_forward
from wdaverify.parallel.executors import Limited
from wdaverify.parallel.fanout import as_finished
from wdaverify.parallel.hands import HERE, Hands
from wdaverify.risk.exploration import Progress, in_turn, part_of, work
from wdaverify.transport import round_down

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.ir.network import Network
    from wdaverify.pricing.prices import Prices
    from wdaverify.region import Region
    from wdaverify.risk.dual import Growth
    from wdaverify.risk.exploration import Worked
    from wdaverify.risk.loss_table import Loss
    from wdaverify.transport import GroundCost

_LEFT = 0.5
"""Part of the tolerance that may be left to the samples that are not searched."""

_SHRINKS = (1.0, *(1.0 - 2.0**-k for k in (51, 49, 44, 39, 34, 28, 22, 16, 10, 4, 1)))
"""Draw a point inward that rounding has put outside its ball: far, where the radius is small beside the coordinates."""

_NEAR = 1.0 + 2.0**-35
"""Points that miss a ball by no more than this factor are drawn into it."""

_TRIED = 4
"""The most promising new points of an offer are evaluated exactly."""


class BallPoints:
    """The points known for one sample, with exact lengths (rounded up) and losses (rounded down).

    Parameters
    ----------
    network, loss, region, center, label, cost, nominal
        As `columns.Columns`; of the cost only the length counts.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        region: Region,
        center: Vector,
        label: int,
        cost: GroundCost,
        nominal: tuple[Fraction, Fraction] | None = None,
    ) -> None:
        self._network, self._loss, self._region, self._cost = network, loss, region, cost
        self.center, self.label = center, label
        self.nominal = nominal or loss.bracket(exact_forward(network, center.tolist()), label)
        self._known: list[tuple[Fraction, Fraction, Vector]] = [(Fraction(0), self.nominal[0], center)]

    def best(self, radius: float) -> tuple[Fraction, Vector]:
        """The largest known loss within a radius, and where."""
        within = [(value, -k) for k, (length, value, _) in enumerate(self._known) if length <= radius]
        value, k = max(within)
        return value, self._known[-k][2]

    def offer(self, points: Matrix, radius: float) -> None:
        """Take the points (P, n) that are better than those known within a radius."""
        if not len(points):
            return
        inside = self._region.near(points)
        steps = inside - self.center
        lengths = self._cost.lengths(steps)
        values = self._loss.rough(self._network.compiled.forward(inside), self.label)
        values[lengths > radius * _NEAR] = -math.inf
        for k in np.argsort(-values, kind="stable")[:_TRIED]:
            if values[k] > float(self.best(radius)[0]):
                self._take(inside[k], radius)

    def _take(self, point: Vector, radius: float) -> None:
        """Evaluate a point exactly, after drawing it into the ball that it may miss by rounding."""
        for shrink in _SHRINKS:
            drawn = point[None] if shrink == 1.0 else self._region.near(self.center + shrink * (point[None] - self.center))
            if not len(drawn):
                return
            inside = drawn[0]
            length = self._cost.bracket(self.center, inside)[1]
            if length is not None and length <= radius:
                low = self._loss.bracket(exact_forward(self._network, inside.tolist()), self.label)[0]
                self._known.append((length, Fraction(round_down(low)), inside))
                return


@dataclass(slots=True, kw_only=True, eq=False)
class Moved:
    """One sample of the search.

    Attributes
    ----------
    weight
        Positive.
    growth
        Of its loss.
    warm
        Points (P, n) to begin with.
    open
        Opens its prices within a radius.
    ceilings
        Radius to a proved upper bound of the loss there.
    settled
        Radius to the gap at which its search went as far as it goes.
    """

    points: BallPoints
    weight: Fraction
    growth: Growth
    warm: Matrix
    open: Callable[[float], Prices]
    ceilings: dict[float, Fraction] = field(default_factory=dict)
    settled: dict[float, float] = field(default_factory=dict)
    prices: dict[float, Prices] = field(default_factory=dict)

    def upper(self, radius: float) -> Fraction | None:
        """A proved upper bound of the loss within a radius.

        Raises
        ------
        AuditError
            If a known point contradicts it.
        """
        bounds = [bound for reach, bound in self.ceilings.items() if reach >= radius]
        rises = [] if math.isinf(self.growth.rate) else [Fraction(self.growth.rate) * Fraction(radius)]
        rises += [] if self.growth.room is None else [self.growth.room]
        bounds += [self.points.nominal[1] + min(rises)] if rises else []
        known = self.points.best(radius)[0]
        if bounds and min(bounds) < known:
            raise AuditError(f"within {radius:g} no loss is said to be above {float(min(bounds))!r}, but one is {float(known)!r}")
        return min(bounds, default=None)


@dataclass(slots=True, kw_only=True, eq=False)
class Pointwise:
    """The searches of all samples, at all radii.

    Attributes
    ----------
    samples
        The distinct samples of positive weight.
    gap
        Relative width at which a bracket is closed.
    progress
        Called after every search.
    hands
        Who searches.
    searches
        How many searches were asked for.
    """

    loss: Loss
    samples: Sequence[Moved]
    gap: float
    progress: Callable[[Progress], None] = lambda _: None
    hands: Hands = HERE
    searches: int = 0

    def lower(self, radius: float) -> Fraction:
        """The expected loss of the points known."""
        return sum((s.weight * s.points.best(radius)[0] for s in self.samples), Fraction(0))

    def upper(self, radius: float) -> Fraction | None:
        """The proved upper end; ``None`` if there is none."""
        uppers = [s.upper(radius) for s in self.samples]
        known = [u for u in uppers if u is not None]
        if len(known) < len(uppers):
            return None
        return sum((s.weight * u for s, u in zip(self.samples, known, strict=True)), Fraction(0))

    def close(self, radii: Sequence[float], deadline: Deadline) -> None:
        """Work on all radii, the largest first.

        Raises
        ------
        KeyboardInterrupt
            If a search was interrupted; all that was found is kept.
        AuditError
            If prices contradict a known point.
        """
        for radius, share in in_turn(radii, deadline):
            self._close(radius, share)

    def _close(self, radius: float, deadline: Deadline) -> None:
        for sample in self.samples:
            if deadline.passed:  # every point is evaluated exactly
                break
            sample.points.offer(sample.warm, radius)
        while not deadline.passed:
            lower, upper = self.lower(radius), self.upper(radius)
            tolerance = self.gap * max(1.0, 0.0 if upper is None else abs(float(upper)))
            shares = [float(s.weight) * self._width(s, radius) for s in self.samples]
            self.progress(Progress(radius, float(lower), math.inf if upper is None else float(upper)))
            if sum(shares) <= tolerance:
                return
            # A search that was not cut short would find and prove the same again, for ever.
            gap = _LEFT * tolerance
            chosen = [k for k, s in enumerate(self.samples) if s.settled.get(radius, math.inf) > gap and shares[k] > 0.0]
            if not chosen:
                return
            chosen.sort(key=lambda k: (-shares[k], k))
            calls = self._calls(chosen, radius, gap, deadline)
            for k, future in as_finished(self.hands.executor, calls, hands=self.hands.count):
                self._learn(self.samples[k], radius, gap, future)

    def _width(self, sample: Moved, radius: float) -> float:
        upper = sample.upper(radius)
        return math.inf if upper is None else float(upper - sample.points.best(radius)[0])

    def _calls(
        self, chosen: list[int], radius: float, gap: float, deadline: Deadline
    ) -> Iterator[tuple[int, Callable[[], Worked]]]:
        """The searches of the widest samples, one for every hand, each with its share of the time left."""
        share = part_of(deadline, math.ceil(len(chosen) / self.hands.count))
        for k in chosen[: self.hands.count]:
            self.searches += 1
            sample = self.samples[k]
            if radius not in sample.prices:
                sample.prices[radius] = sample.open(radius)
                sample.prices[radius].offer(sample.points.best(radius)[1][None])
            cut = self.loss.cut(float(sample.points.best(radius)[0]))
            yield k, Limited(partial(work, sample.prices[radius], 0.0, cut, gap, share), deadline)

    def _learn(self, sample: Moved, radius: float, gap: float, future: Future[Worked]) -> None:
        """Take up what a search of one sample's ball found, and take note unless its time was up."""
        try:
            prices, found, late = future.result()
        except WorkerLostError as error:
            warnings.warn(f"a sample keeps the bound that it had: {error}", RuntimeWarning, stacklevel=2)
            sample.settled[radius] = gap
            return
        sample.prices[radius] = prices
        sample.points.offer(found, radius)
        price = prices.upper(0.0)
        if math.isfinite(price):
            sample.ceilings[radius] = self.loss.of_price(Fraction(price))
        elif price != math.inf:
            raise AuditError(f"within {radius:g} the price is bounded by {price}: no point is worth so little")
        if not late:
            sample.settled[radius] = gap
