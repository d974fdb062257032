"""Close the bracket of the worst-case risk at every radius: the lazy loop (docs/theory.md, "Exact risk").

The best distribution on the points known so far gives the lower end and a multiplier (`envelope`); the bounds of all samples'
prices there give an upper end (`dual`). The samples that keep the two apart most are priced at that multiplier, which makes their
bounds sharper or brings new points, and it begins again. Neither points nor prices depend on the radius: the largest one comes
first, whose points reach farthest, and the others begin with all that is known.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify._errors import WorkerLostError
from wdaverify.parallel.executors import Limited
from wdaverify.parallel.fanout import as_finished
from wdaverify.parallel.hands import HERE, Hands
from wdaverify.powers import power_bracket
from wdaverify.risk.envelope import Master, fill_budget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from wdaverify._types import Matrix
    from wdaverify.pricing.prices import Prices
    from wdaverify.risk.columns import Columns
    from wdaverify.risk.dual import Ceiling
    from wdaverify.risk.loss_table import Loss
    from wdaverify.risk.rays import Ray

Worked: TypeAlias = "tuple[Prices, Matrix, bool]"
"""Prices that know more, points, and whether time was up."""

_BATCH = 5
"""One part in so many of the samples is priced before the master is solved anew."""

_LEFT = 0.5
"""Part of the tolerance that may be left to the samples that are not priced."""

_WIDTH = 0.25
"""Part of the tolerance to which a sample is priced."""

_ABOVE = 0.125
"""Part of the tolerance that multipliers above the slope at infinity may cost."""

_STUCK = 0.9
"""A sample whose bracket stays wider than this part of what it was is not priced again at the same multiplier."""

_PATIENCE = 40
"""Rounds without progress before the rest of a bracket is left open."""

_PROGRESS = 0.98
"""A round is progress if the bracket is narrower than this part of the narrowest one that counted."""

_STEP = 1.5
"""Ratio of multipliers at which the dual is looked at without a search."""

_MOST_STEPS = 12

_LARGEST = math.nextafter(math.inf, 0.0)


@dataclass(slots=True, kw_only=True, eq=False)
class Priced:
    """One sample of the exploration.

    Attributes
    ----------
    weight
        Positive.
    stuck_at
        The multiplier at which its pricing got no further; ``None`` if it never did.
    timeouts
        How often its time was up.
    """

    columns: Columns
    prices: Prices
    ceiling: Ceiling
    weight: Fraction
    stuck_at: float | None = None
    timeouts: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a bracket stands."""

    radius: float
    lower: float
    upper: float


@dataclass(slots=True, kw_only=True, eq=False)
class Exploration:
    """All that is known about the samples of one loss, order and norm.

    Attributes
    ----------
    samples
        The distinct samples of positive weight.
    order
        p, finite.
    gap
        Relative width at which a bracket is closed.
    ray
        What can be gained at infinity, on R^n with order 1.
    progress
        Called after every round.
    hands
        Who prices samples.
    searches
        How many pricings were asked for.
    """

    loss: Loss
    samples: Sequence[Priced]
    order: float
    gap: float
    ray: Ray | None = None
    progress: Callable[[Progress], None] = lambda _: None
    hands: Hands = HERE
    searches: int = 0
    _duals: list[tuple[Fraction, Fraction]] = field(default_factory=list)

    def master(self, radius: float) -> Master:
        """The best distribution on the known points within a radius."""
        weights = [sample.weight for sample in self.samples]
        hulls, ray = [sample.columns.hull for sample in self.samples], Fraction(0) if self.ray is None else self.ray.lower
        return fill_budget(hulls, weights, self._budget(radius)[0], ray)

    def upper(self, radius: float) -> Fraction | None:
        """The least proved upper end at a radius; ``None`` if there is none."""
        budget = self._budget(radius)[1]
        bounds = [multiplier * budget + total for multiplier, total in self._duals] if budget is not None else []
        return min(bounds, default=None)

    def multiplier(self, radius: float) -> Fraction:
        """The price of one more unit of ``radius^p``: the multiplier of the least upper end.

        Its dual is a proved line above the whole curve, and meets it here up to the width of the bracket. The slope of the
        master's last segment is that of a chord of known points, which may be steeper; it is all there is at radius 0 or
        without an upper end.
        """
        budget = self._budget(radius)[1]
        if radius == 0 or budget is None or not self._duals:
            return self.master(radius).multiplier
        return min(self._duals, key=lambda dual: dual[0] * budget + dual[1])[0]

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
        """Work on one radius; where it stays open, other multipliers may say more than that of the master."""
        self._scan(radius, deadline)
        self._loop(radius, deadline)
        upper = self.upper(radius)
        if upper is None or upper - self.master(radius).value > self._tolerance(upper):
            self._scan(radius, deadline)

    def _scan(self, radius: float, deadline: Deadline) -> None:
        """Evaluate the dual at larger and smaller multipliers while that lowers the upper end: no search, known bounds only."""
        start = min(max(_float(self.master(radius).multiplier), self._least_multiplier(radius)), _LARGEST)
        for factor in (_STEP, 1.0 / _STEP) if start > 0.0 else ():
            multiplier, best = start, self.upper(radius)
            for _ in range(_MOST_STEPS):
                multiplier *= factor
                if deadline.passed or not self._least_multiplier(radius) <= multiplier <= _LARGEST:
                    break
                self._evaluate(multiplier, deadline)
                found = self.upper(radius)
                if found is None or (best is not None and found >= best):
                    break
                best = found

    def _tolerance(self, upper: Fraction | None) -> float:
        return self.gap * max(1.0, 1.0 if upper is None else abs(_float(upper)))

    def _loop(self, radius: float, deadline: Deadline) -> None:
        narrowest, patience = math.inf, _PATIENCE
        while patience > 0:
            master = self.master(radius)
            multiplier = min(max(_float(master.multiplier), self._least_multiplier(radius)), _LARGEST)
            widths = self._evaluate(multiplier, deadline)
            upper = self.upper(radius)
            width = math.inf if upper is None else float(upper - master.value)
            self.progress(Progress(radius, float(master.value), math.inf if upper is None else float(upper)))
            tolerance = self._tolerance(upper)
            if width <= tolerance or deadline.passed:
                return
            patience, narrowest = (_PATIENCE, width) if width < _PROGRESS * narrowest else (patience - 1, narrowest)
            chosen = self._choose(multiplier, widths, tolerance)
            if not chosen:
                return
            gap = _WIDTH * tolerance
            calls = self._calls(chosen, multiplier, gap, deadline)
            for i, future in as_finished(self.hands.executor, calls, hands=self.hands.count):
                self._learn(self.samples[i], multiplier, float(widths[i]), gap, future)

    def _least_multiplier(self, radius: float) -> float:
        """Just above the slope at infinity, where phi is finite: what that costs is a small part of the tolerance."""
        if self.ray is None or self.ray.upper == 0.0:
            return 0.0
        return self.ray.upper + _ABOVE * self.gap * max(1.0 / radius, self.ray.upper)

    def _evaluate(self, multiplier: float, deadline: Deadline) -> np.ndarray:
        """Record the dual at a multiplier; how far the ends of every sample's phi are apart there."""
        uppers = [sample.ceiling.upper(multiplier, deadline) for sample in self.samples]
        known = [u for u in uppers if u is not None]
        if len(known) == len(uppers):
            total = sum((sample.weight * u for sample, u in zip(self.samples, known, strict=True)), Fraction(0))
            self._duals.append((Fraction(multiplier), total))
        lows = [sample.columns.best(multiplier) for sample in self.samples]
        return np.array([math.inf if u is None else max(0.0, float(u) - low) for u, low in zip(uppers, lows, strict=True)])

    def _choose(self, multiplier: float, widths: np.ndarray, tolerance: float) -> list[int]:
        """The samples to price: the widest, until the rest is narrow enough; one batch of them at most."""
        shares = np.array([float(sample.weight) for sample in self.samples]) * widths
        order = np.argsort(-shares, kind="stable")
        rest = np.cumsum(shares[order][::-1])[::-1]
        wide = [int(i) for i, left in zip(order, rest, strict=True) if left > _LEFT * tolerance and shares[i] > 0.0]
        open_ones = [i for i in wide if self.samples[i].stuck_at != multiplier]
        open_ones.sort(key=lambda i: self.samples[i].timeouts)
        return open_ones[: max(1, math.ceil(len(self.samples) / _BATCH))]

    def _calls(
        self, chosen: list[int], multiplier: float, gap: float, deadline: Deadline
    ) -> Iterator[tuple[int, Callable[[], Worked]]]:
        """One pricing for every chosen sample; each is made when a hand is free for it, with its share of the time then left."""
        for left, i in zip(range(len(chosen), 0, -1), chosen, strict=True):
            self.searches += 1
            sample, share = self.samples[i], part_of(deadline, 2 * math.ceil(left / self.hands.count))
            cut = self.loss.cut(sample.columns.best(multiplier))
            yield i, Limited(partial(work, sample.prices, multiplier, cut, gap, share), deadline)

    def _learn(self, sample: Priced, multiplier: float, width: float, gap: float, future: Future[Worked]) -> None:
        """Take up what was found and proved about a sample, and take note if that did not help."""
        try:
            sample.prices, found, late = future.result()
        except WorkerLostError as error:
            warnings.warn(f"a sample keeps the price that it had: {error}", RuntimeWarning, stacklevel=2)
            sample.stuck_at = multiplier
            return
        sample.ceiling.renew(sample.prices)
        sample.columns.offer(found)
        upper = sample.ceiling.upper(multiplier)
        left = math.inf if upper is None else float(upper) - sample.columns.best(multiplier)
        if left > max(2.0 * gap, _STUCK * width) or (math.isinf(left) and math.isinf(width)):
            if late:
                sample.timeouts += 1
            else:
                sample.stuck_at = multiplier

    def _budget(self, radius: float) -> tuple[Fraction, Fraction | None]:
        """``radius^p`` between rationals."""
        return (Fraction(0), Fraction(0)) if radius == 0 else power_bracket(Fraction(radius), self.order)


def work(prices: Prices, multiplier: float, cut: float, gap: float, deadline: Deadline) -> Worked:
    """Price a sample; in another process its prices come back as a copy that knows more."""
    found = prices.work(multiplier, cut=cut, gap=gap, deadline=deadline)
    return prices, found, deadline.passed


def in_turn(radii: Sequence[float], deadline: Deadline) -> Iterator[tuple[float, Deadline]]:
    """The positive radii, the largest first, each with its share of the time that is left then."""
    ordered = sorted({radius for radius in radii if radius > 0}, reverse=True)
    for done, radius in enumerate(ordered):
        yield radius, part_of(deadline, len(ordered) - done)


def part_of(deadline: Deadline, parts: int) -> Deadline:
    """One of so many equal parts of the time left."""
    return deadline if deadline.unlimited else Deadline.after(deadline.remaining / parts)


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
