"""The points that a report speaks about: its domain, or the hull of the boxes of a property."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .context import End
from .num import Rejected, Unreadable, number, real, whole
from .program import Form
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


@dataclass
class Region:
    """A domain: which points exist, and what a unit of each coordinate costs.

    A point satisfies all of it, exactly: the ends; whole numbers at `integer` coordinates; exactly one 1 and else 0 in each
    group of `one_hot`; and every form of `facts` is at least 0. Mass of a sample keeps its `frozen` coordinates. The ground norm
    is that of ``S (x' - x)``, S the diagonal of `weights` (None: ones).

    Proofs from above may forget constraints, because more points only raise a largest value: a stream of a sample works on its
    box, may use any fact, and may split at whole numbers. Points of proofs from below satisfy every constraint.
    """

    low: list[End] = field(default_factory=list)
    high: list[End] = field(default_factory=list)
    frozen: frozenset[int] = frozenset()
    integer: frozenset[int] = frozenset()
    one_hot: list[list[int]] = field(default_factory=list)
    facts: list[Form] = field(default_factory=list)
    weights: tuple[Fraction, ...] | None = None

    @property
    def plain(self) -> bool:
        """Whether it is nothing but a box."""
        return not (self.frozen or self.integer or self.one_hot or self.facts or self.weights)

    def about(self, sample: Sequence[Fraction], radius: Fraction | None = None) -> tuple[list[End], list[End]]:
        """A box with all points that a sample can move to, perhaps within a radius: ``|s_j (x_j - c_j)|`` is at most any norm."""
        low, high = list(self.low), list(self.high)
        for j, c in enumerate(sample):
            if j in self.frozen:
                low[j] = high[j] = c
            if radius is not None:
                reach = radius / (self.weights[j] if self.weights else 1)
                low[j], high[j] = _larger(low[j], c - reach), _smaller(high[j], c + reach)
            if j in self.integer:
                low[j], high[j] = (None if v is None else Fraction(f(v)) for v, f in ((low[j], math.ceil), (high[j], math.floor)))
        return low, high

    def step(self, x: Sequence[Fraction], center: Sequence[Fraction]) -> list[Fraction]:
        """``S (x - center)``."""
        weights = self.weights or (Fraction(1),) * len(center)
        return [s * (a - b) for s, a, b in zip(weights, x, center, strict=True)]

    def broken(self, x: Sequence[Fraction], sample: Sequence[Fraction] | None = None) -> str | None:
        """Which constraint a point breaks, or keeps a sample from moving there."""
        for j, (v, lo, hi) in enumerate(zip(x, self.low, self.high, strict=True)):
            if (lo is not None and v < lo) or (hi is not None and v > hi):
                return f"leaves the domain in coordinate {j}"
            if j in self.integer and v.denominator != 1:
                return f"is not whole in coordinate {j}"
            if sample is not None and j in self.frozen and v != sample[j]:
                return f"moves the frozen coordinate {j}"
        for group in self.one_hot:
            if sorted(x[j] for j in group) != [0] * (len(group) - 1) + [1]:
                return f"has not exactly one 1 and else 0 in the coordinates {group[:8]}"
        for k, fact in enumerate(self.facts):
            if sum((w * x[j] for j, w in fact.terms.items()), fact.constant) < 0:
                return f"breaks row {k}"
        return None


def _larger(a: End, b: Fraction) -> Fraction:
    return b if a is None else max(a, b)


def _smaller(a: End, b: Fraction) -> Fraction:
    return b if a is None else min(a, b)


def region(value: Any, n: int) -> Region:
    """The domain that a report states: ``Rn``, or ends with what constrains points further."""
    if value == "Rn":
        return Region([None] * n, [None] * n)
    names = {"lower", "upper", "frozen", "weights", "integer", "one_hot", "rows"}
    if type(value) is not dict or not {"lower", "upper"} <= set(value) <= names:
        raise Unreadable("the domain is neither Rn nor {lower, upper} with the constraints that are known")
    low, high = _box(value, n)
    groups = [_features(g, n) for g in _list(value.get("one_hot", []), "one_hot")]
    whole = {*_features(value.get("integer", []), n), *(j for g in groups for j in g)}
    rows = [_row(row, n) for row in _list(value.get("rows", []), "rows")]
    rows += [Form(dict.fromkeys(g, Fraction(-1)), Fraction(1)) for g in groups]
    rows += [Form(dict.fromkeys(g, Fraction(1)), Fraction(-1)) for g in groups]
    weights = None
    if "weights" in value:
        weights = tuple(_finite(w, "weight") for w in _list(value["weights"], "weights"))
        if len(weights) != n or any(w <= 0 for w in weights):
            raise Rejected("the weights of the domain are not one positive number per coordinate")
    return Region(low, high, frozenset(_features(value.get("frozen", []), n)), frozenset(whole), groups, rows, weights)


def _row(value: Any, n: int) -> Form:
    """``at_most - coefficients . x[features]``, which is at least 0."""
    if type(value) is not dict or set(value) != {"features", "coefficients", "at_most"}:
        raise Unreadable("a row of the domain is no {features, coefficients, at_most}")
    features, given = _features(value["features"], n), _list(value["coefficients"], "coefficients")
    if len(features) != len(given):
        raise Unreadable("a row of the domain has not one coefficient per feature")
    terms = {j: -_finite(w, "coefficient") for j, w in zip(features, given, strict=True)}
    return Form(terms, _finite(value["at_most"], "at_most"))


def _list(value: Any, what: str) -> list[Any]:
    if type(value) is not list:
        raise Unreadable(f"{what} of the domain is no list")
    return value


def _features(value: Any, n: int) -> list[int]:
    """Different coordinates."""
    found = [whole(j, "coordinate of the domain", n) for j in _list(value, "a list of coordinates")]
    if len(set(found)) < len(found):
        raise Unreadable("a coordinate of the domain is listed twice")
    return found


def _finite(value: Any, what: str) -> Fraction:
    found = real(value, what)
    if not isinstance(found, Fraction):
        raise Rejected(f"a {what} of the domain is infinite")
    return found


def _box(value: dict[str, Any], n: int) -> tuple[list[End], list[End]]:
    """The ends."""
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
    if isinstance(end, Fraction):
        return end
    if end != infinite:
        raise Rejected("an end of the domain is an infinity of the wrong sign")
    return None
