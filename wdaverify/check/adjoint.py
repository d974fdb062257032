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
from .num import bounded, d14
from .program import Ints, Stage, forward

Ranges: TypeAlias = "tuple[Ints, Ints, int]"
"""Middles and radii over a denominator."""


def gradient_ranges(ctx: Context, *, keep: bool = True) -> Ranges:
    """Exact backward interval pass under the context: the ranges of the gradients in all inputs.

    What records state of adjoints is intersected with its range on the way. With `keep` the ranges of undetermined neurons and of
    inputs are noted in the context, where `jquery` reads the former; nothing reads the range of a determined neuron.
    """
    form = ctx.question.gradient
    assert form is not None
    middle, radius = Residual(ctx, {ctx.program.places[v]: w for v, w in form.terms.items()}), Residual(ctx, {})
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
        noted = [keep and mode == 0 for mode in ctx.mode[stage.first : stage.first + stage.size]]
        ranges = _intersected(ctx, ctx.adjoint, stage.first, (m, r, den), noted)
        _pass_phases(ctx, stage, ranges, (middle, radius))
    ranges = _joined(middle, radius, 0)
    return _intersected(ctx, ctx.adjoint_x, 0, ranges, [keep] * ctx.program.inputs)


def _pass_phases(ctx: Context, stage: Stage, ranges: Ranges, passes: tuple[Residual, Residual]) -> None:
    """Add ``d_n G_y`` to the adjoint of z: the range itself (on), nothing (off), or its hull with 0."""
    m, r, den = ranges
    for block in {b for b, _ in stage.sources}:
        lists = [each.open(block, 2 * den) for each in passes]
        for n, (b, i), middle, radius in zip(range(stage.first, stage.first + stage.size), stage.sources, m, r, strict=True):
            mode = ctx.mode[n]
            if mode < 0 or b != block:
                continue
            low, high = middle - radius, middle + radius
            if mode == 0:
                low, high = min(low, 0), max(high, 0)
            for (values, scale), part in zip(lists, (low + high, high - low), strict=True):
                values[i] += part * scale


def _joined(middle: Residual, radius: Residual, block: int) -> tuple[Ints, Ints, int]:
    """The coefficients of a block in both residuals, over one denominator."""
    den = lcm(middle.dens[block] if middle.values[block] else 1, radius.dens[block] if radius.values[block] else 1)
    bounded(den.bit_length(), "an adjoint")
    lists = []
    for each in (middle, radius):
        own = each.dens[block]
        values = each.take(block)
        lists.append([0] * each.sizes[block] if values is None else [v * (den // own) for v in values])
    return lists[0], lists[1], den


def _intersected(ctx: Context, known: tuple[list[End], list[End]], first: int, ranges: Ranges, noted: Sequence[bool]) -> Ranges:
    """The intersection of ranges with what is known; it is noted in the context for those that are, and where something was."""
    m, r, den = ranges
    ends: list[tuple[Fraction, Fraction]] = []
    tighter = False
    for i, middle, radius, wanted in zip(range(first, first + len(m)), m, r, noted, strict=True):
        stated = known[0][i] is not None or known[1][i] is not None
        if stated or wanted:
            low, high = Fraction(middle - radius, den), Fraction(middle + radius, den)
            tighten(ctx, known, i, low, high)
            tighter |= known[0][i] != low or known[1][i] != high
    if not tighter:
        return ranges
    for i, middle, radius in zip(range(first, first + len(m)), m, r, strict=True):
        a, b = known[0][i], known[1][i]
        ends.append((Fraction(middle - radius, den) if a is None else a, Fraction(middle + radius, den) if b is None else b))
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


def jquery(ctx: Context, start: dict[tuple[int, int], Fraction], evidence: Evidence) -> Fraction:
    """An upper bound of ``sum start_v G_v`` over the gradients of all generic points of the context."""
    form = ctx.question.gradient
    assert form is not None
    tangents = Residual(ctx, start)
    blocks: list[tuple[Ints, int]] = [(tangents.values[0] or [0] * ctx.program.inputs, tangents.dens[0])]
    constants: dict[int, int] = {}
    for stage in ctx.program.stages:
        if stage.kind == "A":
            blocks.append(forward(stage, blocks, constants=False))
        else:
            moved, den = _through(ctx, stage, blocks, evidence, constants)
            values, scale = tangents.open(stage.block, den)  # holds what `start` has there
            blocks.append(([v + t * scale for v, t in zip(values, moved, strict=True)], tangents.dens[stage.block]))
    total = sum((Fraction(v, d) for d, v in constants.items()), Fraction(0))
    for v, w in form.terms.items():
        block, i = ctx.program.places[v]
        total += w * Fraction(blocks[block][0][i], blocks[block][1])
    bounded(max(total.numerator.bit_length(), total.denominator.bit_length()), "a bound")
    return total


def _through(
    ctx: Context, stage: Stage, blocks: Sequence[tuple[Ints, int]], evidence: Evidence, constants: dict[int, int]
) -> tuple[Ints, int]:
    """The tangents of an R stage over a denominator; what its undetermined neurons cost goes to `constants`."""
    common = lcm(*{blocks[b][1] for b in {b for b, _ in stage.sources}})
    slopes = [q for each in (evidence.s, evidence.a) for n, q in each.items() if 0 <= n - stage.first < stage.size]
    unit = lcm(16384, *{q.denominator for q in slopes})
    tangents = []
    for n, (block, i) in enumerate(stage.sources, stage.first):
        values, den = blocks[block]
        mode = ctx.mode[n]
        if not values[i] or mode < 0:
            tangents.append(0)
            continue
        rho, q = values[i] * (common // den), unit
        if mode == 0:
            low, high = ctx.adjoint[0][n], ctx.adjoint[1][n]
            assert low is not None
            assert high is not None
            # [a, b] / d is the range of the adjoint, q / unit the slope.
            a, b, d = low.numerator * high.denominator, high.numerator * low.denominator, low.denominator * high.denominator
            chosen = (evidence.s if rho > 0 else evidence.a).get(n)
            if chosen is None:
                q = _default_slope(a, b, positive=rho > 0) * (unit // 16384)
            else:
                q = chosen.numerator * (unit // chosen.denominator)
            if rho > 0:
                most = max(-q * a, -q * b, (unit - q) * a, (unit - q) * b)
            else:
                most = max(q * a, q * b, (q - unit) * a, (q - unit) * b)
            key = common * d * unit
            constants[key] = constants.get(key, 0) + abs(rho) * most
        tangents.append(rho * q)
    bounded((common * unit).bit_length(), "a tangent")
    return tangents, common * unit


def _default_slope(a: int, b: int, *, positive: bool) -> int:
    """D14 of ``b / (b - a)``, or of ``-a / (b - a)``, in units of 2^-14; 0 or 1 where the sign of the adjoint is known."""
    if a >= 0 or b <= 0:
        return 16384 if (a >= 0) == positive else 0
    return (32768 * (b if positive else -a) + (b - a)) // (2 * (b - a))


def gradient_norm(ctx: Context, evidence: Evidence, free: Sequence[int]) -> Fraction:
    """An upper bound of the dual norm of the gradient (l2: of its square) over the free coordinates: leaf ``jac``."""
    norm = ctx.question.norm
    m, r, den = gradient_ranges(ctx, keep=norm == "linf")
    sizes = [abs(m[j]) + r[j] for j in free]  # the larger of |m - r| and |m + r|
    if norm == "l1":
        return Fraction(max(sizes, default=0), den)
    if norm == "l2":
        return Fraction(sum(map(mul, sizes, sizes)), den * den)
    start: dict[tuple[int, int], Fraction] = {}
    paid = Fraction(0)
    for j in free:
        chosen = (evidence.w or {}).get(j)
        if chosen is None:
            chosen = Fraction(1) if m[j] >= r[j] else Fraction(-1) if m[j] <= -r[j] else d14(Fraction(m[j], r[j]))
        # |G| is convex: its distance from a line of any slope is largest at an end.
        p, q = chosen.numerator, chosen.denominator
        a, b = m[j] - r[j], m[j] + r[j]
        if most := max(abs(a) * q - p * a, abs(b) * q - p * b):
            paid += Fraction(most, den * q)
        if chosen:
            start[0, j] = chosen
    return min(paid + jquery(ctx, start, evidence), Fraction(sum(sizes), den))


def adjoint_bound(ctx: Context, place: tuple[int, int], sign: int, evidence: Evidence) -> Fraction:
    """An upper bound of ``sign * G`` of one variable."""
    return jquery(ctx, {place: Fraction(sign)}, evidence)


def exact_gradient(ctx: Context) -> list[Fraction] | None:
    """The gradient where every neuron is determined, None elsewhere."""
    if not all(ctx.mode):
        return None
    m, _, den = gradient_ranges(ctx, keep=False)
    return [Fraction(v, den) for v in m]
