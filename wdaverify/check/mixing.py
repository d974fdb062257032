"""Leaf ``mix``: the largest dual norm of a gradient over a zonotope, by a semidefinite certificate.

The backward pass keeps the adjoint as ``m + sum_k e_k g_k`` with every e_k in [-1, 1]. An undetermined neuron, whose adjoint v
lies in [a, b], gives ``d v = q v + (d - q) v`` for any slope q (1/2 unless chosen), and the remainder lies between the least
and the largest of ``-q a, -q b, (1-q) a, (1-q) b``: a shift of m and a fresh symbol. With B = [m G] and any positive weights lam
of the coordinates and mu of the columns,

    ||B e||_1 <= U  if  T diag(lam) - B diag(1/mu) B^T is positive semidefinite and  T sum(lam) sum(mu) <= U^2;
    ||B e||_2 <= U  the same with lam = 1 and  T sum(mu) <= U^2,

because ``s^T B e <= sqrt(s^T T diag(lam) s) sqrt(e^T diag(mu) e)`` by Cauchy and Schwarz. ``||B e||_inf`` is the largest
absolute row sum. Semidefiniteness is proved here: a fixed-point factorisation, and an exact residual that must be diagonally
dominant.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from operator import mul
from typing import Any

from .adjoint import gradient_ranges
from .context import Context
from .engine import Residual, substitute
from .num import Rejected, bounded, power_of_two, r32
from .program import Ints, Stage

_CENTER = -1
_BITS = 96
_HALF = Fraction(1, 2)

Columns = list[list[Fraction]]


def zonotope(ctx: Context, slopes: dict[int, Fraction], free: Sequence[int]) -> Columns:
    """The columns of B on the free inputs: the center, then one per undetermined neuron in the order of their ids."""
    form = ctx.question.gradient
    assert form is not None
    gradient_ranges(ctx)
    vectors = {_CENTER: Residual(ctx, {ctx.program.places[v]: w for v, w in form.terms.items()})}
    for stage in reversed(ctx.program.stages):
        taken: dict[int, tuple[Ints, int]] = {}
        for k, residual in vectors.items():
            r = residual.take(stage.block)
            if r is not None and stage.kind == "A":
                substitute(stage, r, residual)
            elif r is not None:
                taken[k] = r, residual.dens[stage.block]
        if stage.kind == "R":
            _through(ctx, stage, taken, vectors, slopes)
    columns = []
    for k in (_CENTER, *(n for n, mode in enumerate(ctx.mode) if mode == 0)):
        found = vectors.get(k)
        values = found.take(0) if found is not None else None
        if values is None or found is None:
            columns.append([Fraction(0)] * len(free))
        else:
            columns.append([Fraction(values[j], found.dens[0]) for j in free])
    return columns


def _through(
    ctx: Context, stage: Stage, taken: dict[int, tuple[Ints, int]], vectors: dict[int, Residual], slopes: dict[int, Fraction]
) -> None:
    """Pass an R stage: every vector is scaled, and undetermined neurons shift the center and open a symbol each."""
    chosen = {i: {1: Fraction(1), -1: Fraction(0)}.get(ctx.mode[n], slopes.get(n, _HALF)) for i, n in enumerate(_neurons(stage))}
    further = lcm(*{q.denominator for q in chosen.values()})
    factors = [q.numerator * (further // q.denominator) for q in chosen.values()]
    shifts: dict[tuple[int, int], Fraction] = {}
    for i, n in enumerate(_neurons(stage)):
        if ctx.mode[n] == 0:
            low, high = _remainder(ctx, n, [(k, Fraction(r[i], den)) for k, (r, den) in taken.items()], chosen[i])
            place = stage.sources[i]
            shifts[place] = shifts.get(place, Fraction(0)) + (low + high) / 2
            if high > low:
                vectors[n] = Residual(ctx, {place: (high - low) / 2})
    for k, (r, den) in taken.items():
        for block in {b for b, _ in stage.sources}:
            values, scale = vectors[k].open(block, den * further)
            for (b, j), v, f in zip(stage.sources, r, factors, strict=True):
                if v and f and b == block:
                    values[j] += v * f * scale
    for (block, j), shift in shifts.items():
        if shift:
            values, scale = vectors[_CENTER].open(block, shift.denominator)
            values[j] += shift.numerator * scale


def _neurons(stage: Stage) -> range:
    return range(stage.first, stage.first + stage.size)


def _remainder(ctx: Context, n: int, parts: list[tuple[int, Fraction]], q: Fraction) -> tuple[Fraction, Fraction]:
    """The range of ``(d - q) v``, rounded outward; v is bounded by the zonotope and by the known range of its adjoint."""
    center = sum((v for k, v in parts if k == _CENTER), Fraction(0))
    spread = sum((abs(v) for k, v in parts if k != _CENTER), Fraction(0))
    low, high = ctx.adjoint[0][n], ctx.adjoint[1][n]
    a = center - spread if low is None else max(low, center - spread)
    b = center + spread if high is None else min(high, center + spread)
    ends = (-q * a, -q * b, (1 - q) * a, (1 - q) * b)
    return r32(min(ends), up=False), r32(max(ends), up=True)


def weights(value: Any, count: int, what: str) -> list[Fraction]:
    """A list ``[q, [v, ...]]`` of `count` positive numbers v / 2^q."""
    shaped = type(value) is list and len(value) == 2 and type(value[0]) is int and type(value[1]) is list
    if not shaped or abs(value[0]) > 16384 or len(value[1]) != count:
        raise Rejected(f"{what} is no list [q, [v, ...]] of {count} numbers")
    if not all(type(v) is int and 0 < v < 1 << 64 for v in value[1]):
        raise Rejected(f"{what} has a number that is not positive")
    scale = power_of_two(-value[0])
    return [v * scale for v in value[1]]


def mixing(ctx: Context, fields: dict[str, Any], slopes: dict[int, Fraction], free: Sequence[int]) -> Fraction:
    """The proved bound: of l1 exactly (largest row sum); else the value of the claim (l2: its square), or `Rejected`."""
    norm, stated = ctx.question.norm, ctx.question.stated
    columns = zonotope(ctx, slopes, free)
    if norm == "l1":
        if fields:
            raise Rejected("mix in the norm l1 takes no weights")
        return max((sum((abs(c[j]) for c in columns), Fraction(0)) for j in range(len(free))), default=Fraction(0))
    names = {"lam", "mu"} if norm == "linf" else {"mu"}
    if set(fields) != names or stated is None or stated < 0:
        raise Rejected(f"mix in this norm takes {' and '.join(sorted(names))}")
    mu = weights(fields["mu"], len(columns), "mu")
    lam = weights(fields["lam"], len(free), "lam") if norm == "linf" else [Fraction(1)] * len(free)
    top = stated**2 / (sum(mu) * (sum(lam) if norm == "linf" else 1))
    if free and not _dominated(columns, lam, mu, top):
        raise Rejected("the matrix of leaf mix is not proved to be positive semidefinite")
    return stated if norm == "linf" else stated**2


def _dominated(columns: Columns, lam: Sequence[Fraction], mu: Sequence[Fraction], top: Fraction) -> bool:
    """Whether ``top diag(lam) - B diag(1/mu) B^T`` is positive semidefinite; by Schur, the smaller of its two forms."""
    if len(columns) < len(lam):
        return _dominated([list(row) for row in zip(*columns, strict=True)], mu, lam, top)
    den = lcm(*{v.denominator for c in columns for v in c})
    bounded(den.bit_length(), "a zonotope")
    rows = [[c[j].numerator * (den // c[j].denominator) for c in columns] for j in range(len(lam))]
    # 1/mu rounded up adds a positive semidefinite matrix to what is subtracted: sound.
    inverse = [-(-(v.denominator << _BITS) // v.numerator) for v in mu]
    scale = (den * den) << _BITS
    matrix = []
    for j, row in enumerate(rows):
        weighted = list(map(mul, row, inverse))
        matrix.append([-sum(map(mul, weighted, other)) for other in rows[: j + 1]])
        diagonal = top * lam[j] * scale
        matrix[j][j] += diagonal.numerator // diagonal.denominator
    return positive(matrix)


def positive(matrix: list[Ints]) -> bool:
    """Whether a symmetric integer matrix, given by its lower triangle, is proved to be positive semidefinite.

    Factor ``K - eps I`` as ``L D L^T`` in fixed point, roughly; then ``K - L D L^T``, exactly, must be diagonally dominant.
    """
    n = len(matrix)
    largest = max(row[-1] for row in matrix)
    if largest <= 0:
        return not any(v for row in matrix for v in row)
    # Scaled to 2 _BITS bits: entries that are cut change by less than a unit, which n units of the diagonal pay for.
    shift = largest.bit_length() - 2 * _BITS
    cut = [[v >> shift if shift > 0 else v << -shift for v in row] for row in matrix]
    for j in range(n):
        cut[j][j] -= n if shift > 0 else 0
    eps = max(cut[j][j] for j in range(n)) >> 64
    factor: list[Ints] = []
    pivots: Ints = []
    weighted: list[Ints] = []  # d_k L_jk / 2^_BITS
    for j in range(n):
        row: Ints = []
        for i in range(j):
            row.append(((cut[j][i] << _BITS) - sum(map(mul, row, weighted[i]))) // pivots[i])
        weighted.append([v * d >> _BITS for v, d in zip(row, pivots, strict=True)])
        pivot = cut[j][j] - eps - (sum(map(mul, row, weighted[j])) >> _BITS)
        if pivot <= 0:
            return False
        factor.append(row)
        pivots.append(pivot)
        bounded(max((abs(v).bit_length() for v in row), default=0), "a factor")
    return _residual_dominant(cut, factor, pivots)


def _residual_dominant(matrix: list[Ints], factor: list[Ints], pivots: Ints) -> bool:
    """Whether ``K - L D L^T`` is diagonally dominant with a non-negative diagonal, exactly."""
    one = 1 << _BITS
    rows = [[*row, one] for row in factor]
    scaled = [[v * d for v, d in zip(row, pivots, strict=False)] for row in rows]
    off = [0] * len(rows)
    diagonal = []
    for j, row in enumerate(rows):
        for i in range(j):
            rest = abs((matrix[j][i] << 2 * _BITS) - sum(map(mul, row, scaled[i])))
            off[i] += rest
            off[j] += rest
        diagonal.append((matrix[j][j] << 2 * _BITS) - sum(map(mul, row, scaled[j])))
    return all(d >= o for d, o in zip(diagonal, off, strict=True))
