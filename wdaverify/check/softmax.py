"""The cross-entropy below linear forms of the logits: one form for each region of a cover of all logits.

A region is led by a class j and bounds the steps ``s_c = f_c - f_j`` of all other classes: ``lo_c <= s_c <= hi_c <= 0``, where
lo_c may be ``-inf``.

**Rows.** Let weights a_c and a number b satisfy ``1 + sum_c e^(s_c) <= e^(sum_c a_c s_c + b)`` at every corner of the region, at
which a class of weight 0 stays at hi_c, while one of another weight takes both of its ends, which are finite. Then every f of the
region has

    ce(f, y) = log sum_c e^(f_c - f_y) <= f_j + sum_c a_c (f_c - f_j) + b - f_y.

For ``h(s) = log(1 + sum_c e^(s_c)) - sum_c a_c s_c`` is convex, and so largest on the box at a corner; in a class of weight 0 it
grows, so that the upper end is enough; h <= b there is what the corners say. And ``ce(f, y) = f_j - f_y + h(s) + sum_c a_c s_c``.

**Cover.** Some class is the largest, so that the regions ``s <= 0`` of all leaders hold all logits; and those with ``s_c <= t``
and with ``s_c >= t`` hold what their parent holds. So the largest form less a cost, each over the points of its region or over
more of them, bounds the loss less this cost.

``ce`` lists the tree in pre-order, leaders increasing: ``[c, t]`` divides a region, ``s_c <= t`` first; ``{"a": packed, "b": b}``
is a row. Rows are the targets of the claim, in this order. The bounds of its region are facts of a target, c increasing: ``s_c -
lo_c >= 0`` if lo_c is finite, then ``hi_c - s_c >= 0``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

from .claims import Case
from .context import End, Target
from .num import Rejected, exp, number, packed, whole
from .program import Form

_SLOPED, _CORNERS = 10, 1 << 18
"""Classes with a weight in one row, and corners of all rows: an exponential each."""
_FAR = Fraction(-4096)
"""Below it, e^s is bounded by e^-4096."""


@dataclass(frozen=True)
class Region:
    """Bounds of the steps from a leader; its own entries mean nothing."""

    leader: int
    low: tuple[End, ...]
    high: tuple[Fraction, ...]

    @property
    def others(self) -> list[int]:
        """All classes but the leader."""
        return [c for c in range(len(self.high)) if c != self.leader]

    def halves(self, entry: list[Any]) -> tuple[Region, Region]:
        """The parts below and above an entry ``[c, t]``."""
        if len(entry) != 2:
            raise Rejected("ce: a division is no [class, number]")
        c, t = whole(entry[0], "class", len(self.high)), number(entry[1], "ce")
        low = self.low[c]
        if c == self.leader or not (low is None or low < t) or not t < self.high[c]:
            raise Rejected(f"ce: a region is not divided inside its range in class {c}")
        above, below = list(self.low), list(self.high)
        above[c] = below[c] = t
        return Region(self.leader, self.low, tuple(below)), Region(self.leader, tuple(above), self.high)

    def corners(self, sloped: list[int]) -> Iterator[dict[int, Fraction]]:
        """The steps at all corners; classes that are not sloped stay at their upper ends."""
        for choice in product((False, True), repeat=len(sloped)):
            steps = {c: self.high[c] for c in self.others}
            for c, up in zip(sloped, choice, strict=True):
                low = self.low[c]
                if low is None:
                    raise Rejected(f"ce: a row has a weight for class {c}, which is unbounded")
                steps[c] = self.high[c] if up else low
            yield steps


def targets(case: Case, label: int, entries: Any) -> list[Target]:
    """One target for each row of the cover, verified: its form, and the bounds of its region."""
    count = len(case.program.outputs)
    if type(entries) is not list:
        raise Rejected("ce is no list")
    pending = [Region(j, (None,) * count, (Fraction(0),) * count) for j in reversed(range(count))]
    found, corners = [], 0
    for entry in entries:
        if not pending:
            raise Rejected("ce: no region is open any more")
        region = pending.pop()
        if type(entry) is list:
            pending += reversed(region.halves(entry))
            continue
        if type(entry) is not dict or set(entry) != {"a", "b"}:
            raise Rejected("ce: an entry is neither [class, number] nor {a, b}")
        weights, offset = packed(entry["a"], "a", count), number(entry["b"], "b")
        corners += 1 << len(weights)
        if region.leader in weights or len(weights) > _SLOPED or corners > _CORNERS:
            raise Rejected("ce: a weight of the leader, or limit: too many weights")
        _verify(region, weights, offset)
        found.append(Target(_form(case, region, label, weights, offset), _bounds(case, region)))
    if pending:
        raise Rejected(f"ce: {len(pending)} regions are left open")
    return found


def _verify(region: Region, weights: dict[int, Fraction], offset: Fraction) -> None:
    """The inequality at every corner, in outward rounded exponentials."""
    sloped = [c for c, w in weights.items() if w]
    powers: dict[Fraction, Fraction] = {}
    for steps in region.corners(sloped):
        for s in steps.values():
            if s not in powers:
                powers[s] = exp(max(s, _FAR))[1]
        linear = offset + sum((weights[c] * steps[c] for c in sloped), Fraction(0))
        if exp(linear)[0] < 1 + sum((powers[s] for s in steps.values()), Fraction(0)):
            raise Rejected("ce: a row is below log-sum-exp at a corner of its region")


def _form(case: Case, region: Region, label: int, weights: dict[int, Fraction], offset: Fraction) -> Form:
    """``f_j + sum_c a_c (f_c - f_j) + b - f_y``."""
    coefficients = {**weights, region.leader: 1 - sum(weights.values(), Fraction(0))}
    coefficients[label] = coefficients.get(label, Fraction(0)) - 1
    form = case.program.objective(coefficients)
    return Form(form.terms, form.constant + offset)


def _bounds(case: Case, region: Region) -> list[Form]:
    """The facts of a region."""
    facts = []
    for c in region.others:
        low, up, down = region.low[c], case.difference(region.leader, c), case.difference(c, region.leader)
        if low is not None:
            facts.append(Form(down.terms, down.constant - low))
        facts.append(Form(up.terms, up.constant + region.high[c]))
    return facts
