r"""Linear upper bounds of log-sum-exp on regions of logits, proved at the corners.

A region is led by a class j and bounds every ``s_c = f_c - f_j``. For weights ``a`` that add up to 1

.. math:: \log \sum_c e^{f_c} - \sum_c a_c f_c = \log \sum_c e^{s_c} - \sum_{c \ne j} a_c s_c,

which is convex in s and therefore largest at a corner of the region; where ``a_c = 0`` it grows with ``s_c``, so that the upper
end is enough and the lower one may be missing. The largest corner value b gives ``log sum exp f <= a . f + b`` on the region. The
K regions ``s <= 0``, one per leader, hold all logits, and the halves of a region hold what it holds.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.log_sum_exp import cross_entropies, cross_entropy_bracket
from wdaverify.transport import round_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Matrix, Vector

_STEP = 2.0**-50
"""Weights are multiples of it: sums and differences of weights are exact in float64."""

_MOST_SLOPES = 8
"""Classes that may have a slope of their own: more would need more than 256 corners."""

_MIDDLE = 1e-3
"""What the height of a row in the middle of the region counts beside its height at the points met."""

_DOUBT = 2.0**-30
"""Float64 values of corners are trusted to this, relative to the terms, in the choice of corners that are evaluated exactly."""


@dataclass(frozen=True, slots=True, eq=False)
class LogitRegion:
    """All logits with ``lower_c <= f_c - f_leader <= upper_c``.

    Attributes
    ----------
    lower, upper
        Shape (K,), 0 at the leader, ``upper <= 0``; a lower end may be ``-inf``.
    """

    leader: int
    lower: Vector
    upper: Vector

    @staticmethod
    def led_by(leader: int, classes: int) -> LogitRegion:
        """All logits of which that class is a largest one."""
        lower = np.full(classes, -np.inf)
        lower[leader] = 0.0
        return LogitRegion(leader, lower, np.zeros(classes))

    def halves(self, side: int, at: float) -> tuple[LogitRegion, LogitRegion]:
        """The parts with ``s_side`` at most and at least `at`."""
        lower, upper = self.lower.copy(), self.upper.copy()
        upper[side] = lower[side] = at
        return LogitRegion(self.leader, self.lower, upper), LogitRegion(self.leader, lower, self.upper)

    def steps(self, logits: Matrix) -> Matrix:
        """``s`` (P, K) of logits (P, K), in float64."""
        return np.asarray(logits - logits[:, [self.leader]])


@dataclass(frozen=True, slots=True, eq=False)
class SoftmaxRow:
    """``log sum exp f <= weights . f + offset`` on a region.

    Attributes
    ----------
    weights
        Shape (K,), nonnegative multiples of ``2^-50`` that add up to exactly 1.
    """

    weights: Vector
    offset: float

    def excess(self, region: LogitRegion, steps: Vector) -> float:
        """By how much the row exceeds log-sum-exp at ``s`` (K,), in float64; a weight 0 allows ``-inf``."""
        used = self.weights > 0
        linear = float(self.weights[used] @ steps[used])
        return self.offset + linear - float(cross_entropies(steps[None], np.array([region.leader]))[0])


def softmax_row(region: LogitRegion, steps: Matrix, gains: Vector) -> SoftmaxRow:
    """A row for a region that is low at the points met.

    Parameters
    ----------
    steps, gains
        Shapes (P, K) and (P,) of the points met, perhaps none: the row's height there counts as ``row(steps) + gains``. Any
        values do, bad ones give high rows.

    Returns
    -------
    SoftmaxRow
        Weights from a small linear program. The offset is proved for the weights as they are: corners are evaluated in rational
        arithmetic, with float64 values deciding which of them cannot be the largest.

    Examples
    --------
    The chord of ``log(1 + exp s)`` between -1 and 0.

    >>> region = LogitRegion(0, np.array([0.0, -1.0]), np.zeros(2))
    >>> row = softmax_row(region, np.zeros((0, 2)), np.zeros(0))
    >>> row.weights.round(6).tolist(), round(row.offset, 6)
    ([0.620115, 0.379885], 0.693147)
    """
    sloped = _sloped(region)
    corners = _corners(region, sloped)
    slopes = _slopes(region, sloped, corners, steps, gains) if len(sloped) else np.zeros(0)
    weights = np.zeros(len(region.lower))
    weights[sloped] = np.floor(np.clip(slopes, 0.0, 1.0) / _STEP) * _STEP
    if weights.sum() > 1.0:
        weights[sloped] = np.floor(weights[sloped] / weights.sum() / (1.0 + 2.0**-40) / _STEP) * _STEP
    weights[region.leader] = 1.0 - weights.sum()
    return SoftmaxRow(weights, _offset(region, corners, weights))


def _sloped(region: LogitRegion) -> list[int]:
    """The classes that get a slope: those whose sides matter most."""
    height = np.where(np.isfinite(region.lower), np.exp(region.upper) - np.exp(region.lower), 0.0)
    order = np.argsort(-height, kind="stable")[:_MOST_SLOPES]
    return [int(c) for c in order if height[c] > 0.0]


def _corners(region: LogitRegion, sloped: Sequence[int]) -> Matrix:
    """The corners (2^d, K) of the region's part where all other classes are at their upper ends."""
    corners = np.tile(region.upper, (2 ** len(sloped), 1))
    for row, high in enumerate(itertools.product((False, True), repeat=len(sloped))):
        corners[row, sloped] = np.where(high, region.upper[sloped], region.lower[sloped])
    return corners


def _slopes(region: LogitRegion, sloped: list[int], corners: Matrix, steps: Matrix, gains: Vector) -> Vector:
    """Slopes (d,) whose row over all corners has the lowest peak over the points met."""
    from scipy.optimize import linprog  # takes a while to load, and losses other than the cross-entropy do not need it

    d, heights = len(sloped), cross_entropies(corners, np.full(len(corners), region.leader))
    middle = 0.5 * (region.lower + region.upper)[sloped]
    # columns: slopes, offset, peak
    over_corners = np.column_stack([-corners[:, sloped], -np.ones(len(corners)), np.zeros(len(corners))])
    under_peak = np.column_stack([steps[:, sloped], np.ones(len(steps)), -np.ones(len(steps))])
    at_most_one = np.r_[np.ones(d), 0.0, 0.0][None]
    goal = np.r_[_MIDDLE * middle, _MIDDLE, 1.0 if len(steps) else 0.0]
    bounds = [(0.0, 1.0)] * d + [(None, None), (None, None) if len(steps) else (0.0, 0.0)]
    result = linprog(
        goal,
        A_ub=np.concatenate([over_corners, under_peak, at_most_one]),
        b_ub=np.concatenate([-heights, -gains, [1.0]]),
        bounds=bounds,
        method="highs",
    )
    if result.x is None or not np.isfinite(result.x).all():
        powers = np.exp(region.upper)  # a proposal like any other: the slopes of log-sum-exp at the upper corner
        return np.asarray(powers[sloped] / powers.sum())
    return np.asarray(result.x[:d])


def _offset(region: LogitRegion, corners: Matrix, weights: Vector) -> float:
    """The largest value of ``log sum exp s - weights . s`` over the corners, rounded up."""
    labels = np.full(len(corners), region.leader)
    values = cross_entropies(corners, labels) - corners @ weights
    doubt = _DOUBT * (1.0 + np.abs(corners) @ weights + np.abs(values))
    close = np.flatnonzero(values + doubt >= (values - doubt).max())
    exact = [Fraction(w) for w in weights.tolist()]
    highest = []
    for corner in corners[close].tolist():
        point = [Fraction(s) for s in corner]
        high = cross_entropy_bracket(point, region.leader)[1]
        highest.append(high - sum((w * s for w, s in zip(exact, point, strict=True)), Fraction(0)))
    return round_up(max(highest))
