"""Lipschitz proofs: intervals of the gradient, and `jquery`, an upper bound of a linear form of it.

Adjoints of g = c . v at a generic point: ``G_out = c``; an A stage adds ``w_ij G_i`` to G_j; a neuron adds ``d_n G_y`` to its z,
with d_n = 1 (on), 0 (off), and any value in [0, 1] else. `jquery` runs the tangent program forward and replaces ``d_n G_y``, with
``G_y`` in [A, B], by its best linear bound of slope q: the points (G, d G) lie in the hull of the vertices at A, B and d = 0, 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from operator import mul
from typing import TypeAlias

from .context import Context, End
from .engine import Evidence, Residual, substitute
from .num import bounded
from .program import Ints, Stage, forward

Ranges: TypeAlias = "tuple[Ints, Ints, int]"
"""Middles and radii over a denominator."""


def gradient_ranges(ctx: Context) -> dict[int, Ranges]:
    """Exact backward interval pass under the context: the ranges of the adjoints of inputs (block 0) and of neurons, by blocks.

    What records state of adjoints is intersected with its range on the way.
    """
    form = ctx.question.gradient
    assert form is not None
    middle, radius = Residual(ctx, {ctx.program.places[v]: w for v, w in form.terms.items()}), Residual(ctx, {})
    found: dict[int, Ranges] = {}
    for stage in reversed(ctx.program.stages):
        # One list of each block, middle and radius over the same denominator.
        m, r, den = _joined(middle, radius, stage.block)
        if stage.kind == "A":
            if any(m):
                middle.dens[stage.block] = den
                substitute(stage, m, middle)
            if any(r):
                radius.dens[stage.block] = den
                substitute(stage, r, radius, sizes=True)
            continue
        found[stage.block] = ranges = _intersected(ctx, ctx.adjoint, stage.first, (m, r, den))
        _pass_phases(ctx, stage, ranges, (middle, radius))
    found[0] = _intersected(ctx, ctx.adjoint_x, 0, _joined(middle, radius, 0))
    return found


def _pass_phases(ctx: Context, stage: Stage, ranges: Ranges, passes: tuple[Residual, Residual]) -> None:
    """Add ``d_n G_y`` to the adjoint of z: the range itself (on), nothing (off), or its hull with 0; all of it twice."""
    m, r, den = ranges
    modes = ctx.mode[stage.first : stage.first + stage.size]
    for block in {b for b, _ in stage.sources}:
        (middles, scale), (radii, own_scale) = (each.open(block, 2 * den) for each in passes)
        for mode, (b, i), middle, radius in zip(modes, stage.sources, m, r, strict=True):
            if mode < 0 or b != block:
                continue
            low, high = middle - radius, middle + radius
            if mode == 0:
                low, high = min(low, 0), max(high, 0)
            middles[i] += (low + high) * scale
            radii[i] += (high - low) * own_scale


def _joined(middle: Residual, radius: Residual, block: int) -> tuple[Ints, Ints, int]:
    """The coefficients of a block in both residuals, over one denominator."""
    den = lcm(middle.dens[block] if middle.values[block] else 1, radius.dens[block] if radius.values[block] else 1)
    bounded(den.bit_length(), "an adjoint")
    lists = []
    for each in (middle, radius):
        own = each.dens[block]
        values = each.take(block)
        if values is None:
            values = [0] * each.sizes[block]
        elif own != den:
            values = [v * (den // own) for v in values]
        lists.append(values)
    return lists[0], lists[1], den


def _intersected(ctx: Context, known: tuple[list[End], list[End]], first: int, ranges: Ranges) -> Ranges:
    """The intersection of ranges with what records state of them; what was stated is noted in the context."""
    m, r, den = ranges
    stated = [k for k in range(first, first + len(m)) if known[0][k] is not None or known[1][k] is not None]
    if not stated:
        return ranges
    ends = [(Fraction(middle - radius, den), Fraction(middle + radius, den)) for middle, radius in zip(m, r, strict=True)]
    for k in stated:
        tighten(ctx, known, k, *ends[k - first])
        a, b = known[0][k], known[1][k]
        assert a is not None
        assert b is not None
        ends[k - first] = a, b
    common = lcm(*{v.denominator for pair in ends for v in pair})
    bounded(common.bit_length(), "an adjoint")
    whole = [(a.numerator * (common // a.denominator), b.numerator * (common // b.denominator)) for a, b in ends]
    return [a + b for a, b in whole], [b - a for a, b in whole], 2 * common


def tighten(ctx: Context, known: tuple[list[End], list[End]], index: int, low: End, high: End) -> None:
    """Intersect the range of an adjoint."""
    a, b = known[0][index], known[1][index]
    if low is not None and (a is None or low > a):
        ctx.put(known[0], index, low)
    if high is not None and (b is None or high < b):
        ctx.put(known[1], index, high)


def jquery(ctx: Context, tangents: Residual, evidence: Evidence, adjoints: dict[int, Ranges]) -> Fraction:
    """An upper bound of ``sum t_v G_v`` over the gradients of all generic points of the context."""
    form = ctx.question.gradient
    assert form is not None
    blocks: list[tuple[Ints, int]] = [(tangents.values[0] or [0] * ctx.program.inputs, tangents.dens[0])]
    total = Fraction(0)
    for stage in ctx.program.stages:
        if stage.kind == "A":
            blocks.append(forward(stage, blocks, constants=False))
        else:
            moved, den, cost = _through(ctx, stage, blocks, evidence, adjoints[stage.block])
            total += cost
            values, scale = tangents.open(stage.block, den)  # holds where a query of one neuron starts
            blocks.append(([v + t * scale for v, t in zip(values, moved, strict=True)], tangents.dens[stage.block]))
    for v, w in form.terms.items():
        block, i = ctx.program.places[v]
        total += w * Fraction(blocks[block][0][i], blocks[block][1])
    bounded(max(total.numerator.bit_length(), total.denominator.bit_length()), "a bound")
    return total


def _through(
    ctx: Context, stage: Stage, blocks: Sequence[tuple[Ints, int]], evidence: Evidence, ranges: Ranges
) -> tuple[Ints, int, Fraction]:
    """The tangents of an R stage over a denominator, and what its undetermined neurons cost."""
    common = lcm(*{blocks[b][1] for b in {b for b, _ in stage.sources}})
    slopes = [q for each in (evidence.s, evidence.a) for n, q in each.items() if 0 <= n - stage.first < stage.size]
    unit = lcm(16384, *{q.denominator for q in slopes})
    tangents, cost = [], 0
    for n, ((block, i), middle, radius) in enumerate(zip(stage.sources, *ranges[:2], strict=True), stage.first):
        values, den = blocks[block]
        mode = ctx.mode[n]
        if not values[i] or mode < 0:
            tangents.append(0)
            continue
        rho, q = values[i] * (common // den), unit
        if mode == 0:
            a, b = middle - radius, middle + radius  # the range of the adjoint, over the denominator of ranges
            chosen = (evidence.s if rho > 0 else evidence.a).get(n)
            if chosen is None:
                q = _default_slope(a, b, positive=rho > 0) * (unit // 16384)
            else:
                q = chosen.numerator * (unit // chosen.denominator)
            if rho > 0:
                most = max(-q * a, -q * b, (unit - q) * a, (unit - q) * b)
            else:
                most = max(q * a, q * b, (q - unit) * a, (q - unit) * b)
            cost += abs(rho) * most
        tangents.append(rho * q)
    bounded((common * unit).bit_length(), "a tangent")
    return tangents, common * unit, Fraction(cost, common * ranges[2] * unit)


def _default_slope(a: int, b: int, *, positive: bool) -> int:
    """D14 of ``b / (b - a)``, or of ``-a / (b - a)``, in units of 2^-14; 0 or 1 where the sign of the adjoint is known."""
    if a >= 0 or b <= 0:
        return 16384 if (a >= 0) == positive else 0
    return (32768 * (b if positive else -a) + (b - a)) // (2 * (b - a))


def gradient_norm(ctx: Context, evidence: Evidence, free: Sequence[int]) -> Fraction:
    """An upper bound of the dual norm of the gradient (l2: of its square) over the free coordinates: leaf ``jac``."""
    norm, adjoints = ctx.question.norm, gradient_ranges(ctx)
    m, r, den = adjoints[0]
    sizes = [abs(m[j]) + r[j] for j in free]  # the larger of |m - r| and |m + r|
    if norm == "l1":
        return Fraction(max(sizes, default=0), den)
    if norm == "l2":
        return Fraction(sum(map(mul, sizes, sizes)), den * den)
    chosen = evidence.w or {}
    unit, paid = lcm(16384, *{v.denominator for v in chosen.values()}), 0
    tangents = Residual(ctx, {})
    start, _ = tangents.open(0, unit)
    for j in free:
        middle, radius = m[j], r[j]
        if j in chosen:
            p = chosen[j].numerator * (unit // chosen[j].denominator)
        elif abs(middle) >= radius:
            p = unit if middle >= radius else -unit
        else:
            p = (32768 * middle + radius) // (2 * radius) * (unit // 16384)  # D14 of middle / radius
        # |G| is convex: its distance from a line of any slope is largest at an end.
        a, b = middle - radius, middle + radius
        paid += max(abs(a) * unit - p * a, abs(b) * unit - p * b)
        start[j] = p
    return min(Fraction(paid, den * unit) + jquery(ctx, tangents, evidence, adjoints), Fraction(sum(sizes), den))


def adjoint_range(ctx: Context, place: tuple[int, int]) -> tuple[Fraction, Fraction]:
    """The range of the adjoint of an input or a neuron."""
    block, i = place
    m, r, den = gradient_ranges(ctx)[block]
    return Fraction(m[i] - r[i], den), Fraction(m[i] + r[i], den)


def adjoint_bound(ctx: Context, place: tuple[int, int], sign: int, evidence: Evidence) -> Fraction:
    """An upper bound of ``sign * G`` of an input or a neuron."""
    return jquery(ctx, Residual(ctx, {place: Fraction(sign)}), evidence, gradient_ranges(ctx))


def exact_gradient(ctx: Context) -> list[Fraction] | None:
    """The gradient where every neuron is determined, None elsewhere."""
    if not all(ctx.mode):
        return None
    m, _, den = gradient_ranges(ctx)[0]
    return [Fraction(v, den) for v in m]
