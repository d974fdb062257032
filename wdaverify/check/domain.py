"""The box that a report speaks about: its domain, or the hull of the boxes of a property."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .binding import real
from .context import End
from .num import Rejected, Unreadable, number
from .vnnlib import Disjunct


def hull(disjuncts: Sequence[Disjunct], n: int) -> tuple[list[End], list[End]]:
    """The smallest box that contains the boxes of all disjuncts."""
    boxes = []
    for disjunct in disjuncts:
        low: list[End] = [None] * n
        high: list[End] = [None] * n
        for row in disjunct:
            j = row.single_input()
            if j is not None:
                end = -row.constant / row.terms[0][1]
                if row.terms[0][1] > 0:
                    low[j] = end if low[j] is None else max(low[j], end)  # type: ignore[type-var]
                else:
                    high[j] = end if high[j] is None else min(high[j], end)  # type: ignore[type-var]
        boxes.append((low, high))
    lows, highs = zip(*boxes, strict=True) if boxes else ((), ())
    hull_low = [None if any(v is None for v in column) else min(column) for column in zip(*lows, strict=True)]
    hull_high = [None if any(v is None for v in column) else max(column) for column in zip(*highs, strict=True)]
    return (hull_low, hull_high) if boxes else ([None] * n, [None] * n)


def box(value: Any, n: int) -> tuple[list[End], list[End]]:
    """The box of the report; further constraints on points are not supported."""
    if value == "Rn":
        return [None] * n, [None] * n
    if type(value) is not dict or set(value) != {"lower", "upper"}:
        raise Unreadable("the domain is no box {lower, upper}; other constraints are not supported")
    ends = []
    for name, infinite in (("lower", -math.inf), ("upper", math.inf)):
        given = value[name]
        entries = given if type(given) is list else [given] * n
        if len(entries) != n:
            raise Rejected(f"the domain has {len(entries)} coordinates, the model {n} inputs")
        ends.append([_end(v, infinite) for v in entries])
    if any(a is not None and b is not None and a > b for a, b in zip(*ends, strict=True)):
        raise Rejected("the domain is empty")
    return ends[0], ends[1]


def _end(value: Any, infinite: float) -> End:
    if type(value) is str and value not in ("inf", "-inf"):
        return number(value, "end of the domain")
    end = real(value, "end of the domain")
    if isinstance(end, float):
        if end != infinite:
            raise Rejected("an end of the domain is an infinity of the wrong sign")
        return None
    return end
