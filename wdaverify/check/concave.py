"""`conc`: the largest value of ``r . x - multiplier * cost(x)`` over the current box, in closed form.

This replaces every row that an epigraph of a norm would need. Arithmetic is in integers over one denominator.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt, lcm

from .context import Context
from .num import Rejected, bounded


def conc(
    ctx: Context,
    r: Sequence[int],
    den: int,
    multiplier: Fraction,
    slope: tuple[Fraction, Fraction] | None,
    w: dict[int, Fraction] | None,
) -> Fraction:
    """An upper bound of ``(r / den) . x - multiplier * kappa(x)`` on the box; `slope` is (alpha, beta), `w` the l2 vector.

    With weights s everything is said in ``x'_j = s_j x_j``: coefficients are ``r_j / s_j``, ends and center are multiplied by s_j
    (`Context.box_integers`), and there are no weights. The vector w is one of these coordinates.
    """
    cost = ctx.question.cost
    if cost is not None and cost.weights:
        common = lcm(*{s.numerator for s in cost.weights})
        bounded(common.bit_length(), "the product of the weights")
        r = [v * s.denominator * (common // s.numerator) for v, s in zip(r, cost.weights, strict=True)]
        den *= common
    if multiplier == 0:
        return _linear(ctx, r, den)
    if cost is None:
        raise Rejected("a multiplier of a cost that the claim does not have")
    p = cost.order
    if p == 2 and cost.norm == "l2":
        return _quadratic(ctx, r, den, multiplier)
    loss = Fraction(0)
    if p != 1:
        # tau^p >= alpha tau - beta for all tau >= 0, by Young's inequality.
        if slope is None:
            raise Rejected(f"order {p} needs a line young = [alpha, beta]")
        alpha, beta = slope
        bits = max(v.bit_length() for v in (alpha.numerator, alpha.denominator, beta.numerator, beta.denominator, p.numerator))
        bounded((bits + 12) * p.numerator * 2, "the line young")
        big, q = p.numerator, p.denominator
        if alpha < 0 or beta < 0 or (beta / (p - 1)) ** (big - q) < (alpha / p) ** big:
            raise Rejected("young = [alpha, beta] is no line below the power")
        multiplier, loss = multiplier * alpha, multiplier * beta
        if multiplier == 0:
            return _linear(ctx, r, den) + loss
    rule = {"l1": _sum_norm, "linf": _max_norm}.get(cost.norm)
    return (rule(ctx, r, den, multiplier) if rule else _euclidean(ctx, r, den, multiplier, w)) + loss


def _linear(ctx: Context, r: Sequence[int], den: int) -> Fraction:
    """``sum_j max(r_j lo_j, r_j hi_j)``."""
    low, high, _, q = ctx.box_integers()
    total = 0
    for j, v in enumerate(r):
        if v:
            end = high[j] if v > 0 else low[j]
            if end is None:
                raise Rejected(f"input {j} is unbounded in the direction of its coefficient")
            total += v * end
    return Fraction(total, den * q)


def _sum_norm(ctx: Context, r: Sequence[int], den: int, multiplier: Fraction) -> Fraction:
    """l1: each coordinate is largest at an end or at the center, clipped."""
    low, high, center, q = ctx.box_integers()
    up, total = multiplier.numerator * den, 0  # everything over den * multiplier.denominator * q
    for j, v in enumerate(r):
        slope, c = v * multiplier.denominator, center[j]
        lo, hi = low[j], high[j]
        if (lo is None and slope < -up) or (hi is None and slope > up):
            raise Rejected(f"input {j} is unbounded in the direction of its coefficient")
        clipped = c if lo is None or c >= lo else lo
        clipped = clipped if hi is None or clipped <= hi else hi
        total += max(slope * x - up * abs(x - c) for x in (lo, hi, clipped) if x is not None)
    return Fraction(total, den * multiplier.denominator * q)


def _max_norm(ctx: Context, r: Sequence[int], den: int, multiplier: Fraction) -> Fraction:
    """linf: a concave piecewise-linear function of the radius tau, followed along its breakpoints."""
    low, high, center, q = ctx.box_integers()
    up = multiplier.numerator * den
    tau, total, steps = 0, 0, []
    for j, v in enumerate(r):
        lo, hi, c = low[j], high[j], center[j]
        tau = max(tau, (lo - c) if lo is not None else 0, (c - hi) if hi is not None else 0)
        slope = abs(v) * multiplier.denominator
        total += v * multiplier.denominator * c
        end = hi if v > 0 else lo
        room = None if end is None else (end - c if v > 0 else c - end)
        if slope:
            steps.append((slope, room))
    rising = -up
    for slope, room in steps:
        total += slope * (tau if room is None else min(room, tau))
        if room is None or room > tau:
            rising += slope
    total -= up * tau
    for slope, room in sorted(((s, k) for s, k in steps if k is not None and k > tau), key=lambda step: step[1]):
        if rising <= 0:
            break
        total += rising * (room - tau)
        tau, rising = room, rising - slope
    if rising > 0:
        raise Rejected("the box is unbounded in the direction of the coefficients")
    return Fraction(total, den * multiplier.denominator * q)


def _quadratic(ctx: Context, r: Sequence[int], den: int, multiplier: Fraction) -> Fraction:
    """Order 2, l2: separable, ``x_j = clip(c_j + r_j / (2 multiplier))``."""
    low, high, center, q = ctx.box_integers()
    # Coordinates over e = q * s: r / den / (2 multiplier) = r * multiplier.denominator / s.
    s = 2 * den * multiplier.numerator
    linear, square = 0, 0
    for j, v in enumerate(r):
        c = center[j] * s
        x = c + v * multiplier.denominator * q
        lo, hi = low[j], high[j]
        if lo is not None and x < lo * s:
            x = lo * s
        if hi is not None and x > hi * s:
            x = hi * s
        linear += v * x
        square += (x - c) ** 2
    return Fraction(linear, den * q * s) - multiplier * Fraction(square, (q * s) ** 2)


def _euclidean(ctx: Context, r: Sequence[int], den: int, multiplier: Fraction, w: dict[int, Fraction] | None) -> Fraction:
    """Order 1, l2: ``multiplier ||d|| >= w . d`` for any w with ``|w| <= multiplier``."""
    exact = [Fraction(v, den) for v in r]
    square = sum(v * v for v in r)
    if w is None:
        size = Fraction(square, den * den)
        if size <= multiplier**2:
            q = Fraction(1)
        else:
            ratio = (1 << 128) * multiplier**2 / size
            q = Fraction(isqrt(ratio.numerator // ratio.denominator), 1 << 64)
        chosen = [v * q for v in exact]
    else:
        chosen = [w.get(j, Fraction(0)) for j in range(len(r))]
        if sum(v * v for v in chosen) > multiplier**2:
            raise Rejected("the vector w is longer than the multiplier")
    total = Fraction(0)
    low, high, center, unit = ctx.box_integers()
    for j, (v, c) in enumerate(zip(exact, chosen, strict=True)):
        rest = v - c
        end = high[j] if rest > 0 else low[j]
        if rest and end is None:
            raise Rejected(f"input {j} is unbounded in the direction of its coefficient")
        total += c * center[j] + (rest * end if end is not None and rest else 0)
    return total / unit
