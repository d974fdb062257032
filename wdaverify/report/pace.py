"""How long a search may still take: estimates that are no better than what they rest on, and say so.

Samples differ: the last are often the hardest. An estimate by count therefore looks at the last few that ended only, and grows
while the next is awaited. An estimate by width continues the rate at which the logarithm of a bracket's width has fallen.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_RECENT = 10
"""How many ends an estimate by count looks at."""

_FEWEST = 3
"""Ends, or widths, below which nothing is estimated."""


def left_by_count(ends: Sequence[float], remaining: int, now: float) -> float | None:
    """Seconds until `remaining` more have ended, if they take as long as the last ones; ``None`` if there is nothing to go by.

    Examples
    --------
    One a second; but the next one has kept us waiting for five:

    >>> left_by_count([1.0, 2.0, 3.0, 4.0], 10, now=4.5), left_by_count([1.0, 2.0, 3.0, 4.0], 10, now=9.0)
    (10.0, 50.0)
    """
    recent = ends[-_RECENT:]
    if len(recent) < _FEWEST or remaining <= 0:
        return None
    each = (recent[-1] - recent[0]) / (len(recent) - 1)
    return remaining * max(each, now - recent[-1])


def left_by_width(widths: Sequence[tuple[float, float]], goal: float, now: float) -> float | None:
    """Seconds until a bracket is as narrow as `goal`, if it goes on as in the later half of its history of (time, width).

    It is 0 when that is so already, and ``None`` if there is nothing to go by.

    Examples
    --------
    Halved every second:

    >>> left_by_width([(0.0, 1.0), (1.0, 0.5), (2.0, 0.25), (3.0, 0.125)], 2.0**-6, now=3.0)
    3.0
    >>> left_by_width([(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)], 0.1, now=3.0) is None
    True
    """
    known = [(at, width) for at, width in widths if 0 < width < math.inf]
    if widths and widths[-1][1] <= goal:
        return 0.0
    if len(known) < _FEWEST or goal <= 0:
        return None
    at, width = known[(len(known) - 1) // 2]
    fallen, passed = math.log(width / known[-1][1]), now - at
    if fallen <= 0 or passed <= 0:
        return None
    return math.log(known[-1][1] / goal) * passed / fallen


def in_words(left: float | None, limit: float) -> str:
    """What is said of the time left, 0 if a bracket is closed, with the seconds until the time limit (``inf`` without one).

    Examples
    --------
    >>> in_words(None, float("inf")), in_words(12.4, float("inf")), in_words(4000.0, 90.0), in_words(None, 7300.0)
    ('no estimate yet', 'about 12 s left', 'at most 90 s left', 'at most 2 h left')
    """
    if left == 0:
        return "closed"
    if math.isfinite(limit) and (left is None or left > limit):
        return f"at most {_coarse(limit)} left"
    return "no estimate yet" if left is None or not math.isfinite(left) else f"about {_coarse(left)} left"


def _coarse(seconds: float) -> str:
    """A duration of which only the size is known."""
    if seconds < 100:
        return f"{max(round(seconds), 1)} s"
    return f"{round(seconds / 60)} min" if seconds < 6000 else f"{round(seconds / 3600)} h"
