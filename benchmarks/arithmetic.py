"""The arithmetic of the summaries; a number that does not exist is NaN."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CLOCK = 1e-4
"""Seconds below which a time says nothing; ratios take at least this much on both sides."""


def geometric_mean(values: Iterable[float]) -> float:
    """The geometric mean of positive numbers.

    >>> round(geometric_mean([2.0, 8.0]), 12)
    4.0
    """
    logs = [math.log(value) for value in values]
    return math.exp(math.fsum(logs) / len(logs)) if logs else math.nan


def ratio(other: float, ours: float) -> float:
    """How many times as long the other side took.

    >>> ratio(3.0, 1.5)
    2.0
    """
    return max(other, CLOCK) / max(ours, CLOCK)


def total_ratio(pairs: Sequence[tuple[float, float]]) -> float:
    """The ratio of the sums of pairs (ours, other)."""
    return ratio(math.fsum(other for _, other in pairs), math.fsum(ours for ours, _ in pairs)) if pairs else math.nan


def much_slower(pairs: Iterable[tuple[float, float]], *, factor: float = 2.0, floor: float = 1.0) -> int:
    """How often ours takes at least `factor` times as long, among the pairs of which both exceed `floor` seconds.

    >>> much_slower([(4.0, 2.0), (4.0, 0.9), (3.0, 2.0)])
    1
    """
    return sum(min(ours, other) > floor and ours >= factor * other for ours, other in pairs)


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Sum, median and maximum.

    >>> spread([1.0, 2.0, 6.0])
    (9.0, 2.0, 6.0)
    """
    return (math.fsum(values), median(values), max(values)) if values else (0.0, math.nan, math.nan)
