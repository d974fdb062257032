"""Lipschitz proofs: intervals of the gradient, and `jquery`, an upper bound of a linear form of it.

Adjoints of g = c . v at a generic point: ``G_out = c``; an A stage adds ``w_ij G_i`` to G_j; a neuron adds ``d_n G_y`` to its z,
with d_n = 1 (on), 0 (off), and any value in [0, 1] else. `jquery` runs the tangent program forward and replaces ``d_n G_y``, with
``G_y`` in [A, B], by its best linear bound of slope q: the points (G, d G) lie in the hull of the vertices at A, B and d = 0, 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

from .context import Context, End
from .engine import Evidence, Residual, substitute
from .num import bounded, d14
from .program import Ints, Stage, forward


def gradient_ranges(ctx: Context) -> None:
    """Exact backward interval pass under the context: intersects the adjoints of all y and of all inputs with their ranges."""
    form = ctx.question.gradient
    assert form is not None
    middle, radius = _Pass(ctx, form.terms), _Pass(ctx, {})
    for stage in reversed(ctx.program.stages):
        # One list of each block, middle and radius over the same denominator.
        m, r, den = _joined(middle.residual, radius.residual, stage.block)
        if stage.kind == "A":
            if any(m):
                middle.residual.dens[stage.block] = den
                substitute(stage, m, middle.residual)
            if any(r):
                radius.residual.dens[stage.block] = den
                _substitute_magnitudes(stage, r, radius.residual)
            continue
        ends = [(Fraction(a - b, den), Fraction(a + b, den)) for a, b in zip(m, r, strict=True)]
        _intersect(ctx, ctx.adjoint, stage.first, ends)
        low = ctx.adjoint[0][stage.first : stage.first + stage.size]
        high = ctx.adjoint[1][stage.first : stage.first + stage.size]
        zero = Fraction(0)
        for i, place in enumerate(stage.sources):
            a, b = low[i] or zero, high[i] or zero
            mode = ctx.mode[stage.first + i]
            if mode < 0:
                continue
            if mode == 0:
                a, b = min(a, zero), max(b, zero)
            middle.add(place, (a + b) / 2)
            radius.add(place, (b - a) / 2)
        middle.flush()
        radius.flush()
    m, r, den = _joined(middle.residual, radius.residual, 0)
    _intersect(ctx, ctx.adjoint_x, 0, [(Fraction(a - b, den), Fraction(a + b, den)) for a, b in zip(m, r, strict=True)])


class _Pass:
    """A residual to which rationals are added in bulk."""

    def __init__(self, ctx: Context, terms: dict[int, Fraction]) -> None:
        self.residual = Residual(ctx, {ctx.program.places[v]: w for v, w in terms.items()})
        self.waiting: list[tuple[tuple[int, int], Fraction]] = []

    def add(self, place: tuple[int, int], value: Fraction) -> None:
        if value:
            self.waiting.append((place, value))

    def flush(self) -> None:
        for block in {b for (b, _), _ in self.waiting}:
            mine = [(i, v) for (b, i), v in self.waiting if b == block]
            common = lcm(*{v.denominator for _, v in mine})
            values, scale = self.residual.open(block, common)
            for i, v in mine:
                values[i] += v.numerator * (common // v.denominator) * scale
        self.waiting = []


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


def _substitute_magnitudes(stage: Stage, r: Ints, residual: Residual) -> None:
    """As `substitute` with the absolute weights."""
    den = residual.dens[stage.block] * stage.denominator
    for g in stage.groups:
        values, scale = residual.open(g.block, den)
        for i, row in zip(g.rows, g.magnitudes(), strict=True):
            if r[i]:
                factor = r[i] * scale
                for c, w in zip(g.columns, row, strict=True):
                    values[c] += factor * w


def _intersect(ctx: Context, known: tuple[list[End], list[End]], first: int, ends: Sequence[tuple[Fraction, Fraction]]) -> None:
    for i, (low, high) in enumerate(ends, first):
        tighten(ctx, known, i, low, high)


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
    sizes = ctx.program.sizes
    blocks: list[tuple[Ints, int]] = [_dense(sizes[0], 0, start)]
    total = Fraction(0)
    for stage in ctx.program.stages:
        if stage.kind == "A":
            blocks.append(forward(stage, blocks, constants=False))
        else:
            tangents, paid = _through(ctx, stage, blocks, evidence)
            total += paid
            for (block, i), w in start.items():
                if block == stage.block:
                    tangents[i] += w
            blocks.append(_dense(stage.size, 0, {(0, i): t for i, t in enumerate(tangents) if t}))
    for v, w in form.terms.items():
        block, i = ctx.program.places[v]
        total += w * Fraction(blocks[block][0][i], blocks[block][1])
    return total


def _dense(size: int, block: int, entries: dict[tuple[int, int], Fraction]) -> tuple[Ints, int]:
    mine = {i: w for (b, i), w in entries.items() if b == block}
    den = lcm(*{w.denominator for w in mine.values()})
    bounded(den.bit_length(), "a tangent")
    values = [0] * size
    for i, w in mine.items():
        values[i] = w.numerator * (den // w.denominator)
    return values, den


def _through(
    ctx: Context, stage: Stage, blocks: Sequence[tuple[Ints, int]], evidence: Evidence
) -> tuple[list[Fraction], Fraction]:
    """The tangents of an R stage, and the constants paid for its undetermined neurons."""
    tangents, paid, zero = [], Fraction(0), Fraction(0)
    for n, (block, i) in enumerate(stage.sources, stage.first):
        values, den = blocks[block]
        mode = ctx.mode[n]
        if not values[i] or mode < 0:
            tangents.append(zero)
            continue
        rho = Fraction(values[i], den)
        if mode == 0:
            low, high = ctx.adjoint[0][n], ctx.adjoint[1][n]
            assert low is not None and high is not None  # noqa: PT018
            q = (evidence.s if rho > 0 else evidence.a).get(n)
            if q is None:
                q = _default_slope(low, high, positive=rho > 0)
            if rho > 0:
                paid += rho * max(-q * low, -q * high, (1 - q) * low, (1 - q) * high)
            else:
                paid -= rho * max(q * low, q * high, (q - 1) * low, (q - 1) * high)
            rho *= q
        tangents.append(rho)
    return tangents, paid


def _default_slope(low: Fraction, high: Fraction, *, positive: bool) -> Fraction:
    if low >= 0:
        return Fraction(1 if positive else 0)
    if high <= 0:
        return Fraction(0 if positive else 1)
    return d14((high if positive else -low) / (high - low))


def gradient_norm(ctx: Context, evidence: Evidence, free: Sequence[int]) -> Fraction:
    """An upper bound of the dual norm of the gradient (l2: of its square) over the free coordinates: leaf ``jac``."""
    gradient_ranges(ctx)
    ends = []
    for j in free:
        a, b = ctx.adjoint_x[0][j], ctx.adjoint_x[1][j]
        assert a is not None and b is not None  # noqa: PT018
        ends.append((a, b))
    sizes = [max(abs(a), abs(b)) for a, b in ends]
    norm = ctx.question.norm
    if norm == "l1":
        return max(sizes, default=Fraction(0))
    if norm == "l2":
        return sum((v * v for v in sizes), Fraction(0))
    start: dict[tuple[int, int], Fraction] = {}
    paid = Fraction(0)
    for j, (a, b) in zip(free, ends, strict=True):
        chosen = (evidence.w or {}).get(j)
        if chosen is None:
            chosen = Fraction(1) if a >= 0 else Fraction(-1) if b <= 0 else d14((a + b) / (b - a))
        # |G| is convex: its distance from a line of any slope is largest at an end.
        paid += max(abs(a) - chosen * a, abs(b) - chosen * b)
        if chosen:
            start[0, j] = chosen
    return min(paid + jquery(ctx, start, evidence), sum(sizes, Fraction(0)))


def adjoint_bound(ctx: Context, place: tuple[int, int], sign: int, evidence: Evidence) -> Fraction:
    """An upper bound of ``sign * G`` of one variable."""
    return jquery(ctx, {place: Fraction(sign)}, evidence)


def exact_gradient(ctx: Context) -> list[Fraction] | None:
    """The gradient where every neuron is determined, None elsewhere."""
    if not all(ctx.mode):
        return None
    gradient_ranges(ctx)
    return [v if v is not None else Fraction(0) for v in ctx.adjoint_x[0]]
