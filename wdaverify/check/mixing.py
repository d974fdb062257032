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
from itertools import zip_longest
from math import lcm
from operator import mul
from typing import Any

from .adjoint import Ranges, gradient_ranges
from .context import Context
from .num import Rejected, bounded, power_of_two, r32
from .program import Ints, Stage

_CENTER = -1
_BITS = 96
_HALF = Fraction(1, 2)


class _Bundle:
    """The adjoints of a block's variables, each a list over all symbols so far (entry 0: the center), over one denominator."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.rows: list[list[Ints]] = [[[] for _ in range(n)] for n in sizes]
        self.dens = [1] * len(sizes)

    def open(self, block: int, den: int) -> int:
        """The factor for numerators over `den` before they are added to a block."""
        common = lcm(self.dens[block], den)
        bounded(common.bit_length(), "a zonotope")
        if common != self.dens[block]:
            factor = common // self.dens[block]
            self.rows[block] = [[v * factor for v in row] for row in self.rows[block]]
            self.dens[block] = common
        return common // den

    def add(self, block: int, index: int, values: Ints, factor: int) -> None:
        """Add a list, which may be longer or shorter than what is there."""
        old = self.rows[block][index]
        new = [v * factor for v in values]
        if old:
            new = [a + b for a, b in zip_longest(old, new, fillvalue=0)]
        self.rows[block][index] = new


def zonotope(ctx: Context, slopes: dict[int, Fraction], free: Sequence[int]) -> tuple[list[Ints], int]:
    """The columns of B on the free inputs over a denominator: the center, then one per undetermined neuron by ids."""
    form = ctx.question.gradient
    assert form is not None
    adjoints = gradient_ranges(ctx)
    bundle, symbols = _Bundle(ctx.program.sizes), {_CENTER: 0}
    for v, w in form.terms.items():
        block, i = ctx.program.places[v]
        bundle.add(block, i, [w.numerator], bundle.open(block, w.denominator))
    for stage in reversed(ctx.program.stages):
        if stage.kind == "A":
            _substitute(stage, bundle)
        else:
            _through(ctx, stage, adjoints[stage.block], bundle, symbols, slopes)
    rows = [bundle.rows[0][j] for j in free]
    order = [symbols.get(k, -1) for k in (_CENTER, *(n for n, mode in enumerate(ctx.mode) if mode == 0))]
    return [[row[s] if 0 <= s < len(row) else 0 for row in rows] for s in order], bundle.dens[0]


def _substitute(stage: Stage, bundle: _Bundle) -> None:
    """Replace the variables of an A stage by their rows: for all symbols at once, packed into one integer per variable."""
    rows = bundle.rows[stage.block]
    length = max(map(len, rows), default=0)
    largest = max((abs(v).bit_length() for row in rows for v in row), default=0)
    for g in stage.groups:
        mine = [rows[i] for i in g.rows]
        if not any(map(any, mine)):
            continue
        factor = bundle.open(g.block, bundle.dens[stage.block] * stage.denominator)
        slot = (largest + max(w.bit_length() for row in g.view("size") for w in row) + len(mine).bit_length() + 9) // 8
        half = 1 << (8 * slot - 1)
        bias = half * (((1 << 8 * slot * length) - 1) // ((1 << 8 * slot) - 1))
        lines = []
        for row in mine:
            content = b"".join((v + half).to_bytes(slot, "little") for v in row)
            low = half * (((1 << 8 * slot * len(row)) - 1) // ((1 << 8 * slot) - 1))
            lines.append(int.from_bytes(content, "little") - low)
        read = int.from_bytes
        for c, column in zip(g.columns, g.view("column"), strict=True):
            content = (sum(map(mul, lines, column)) + bias).to_bytes(slot * length, "little")
            sums = [read(content[k : k + slot], "little") - half for k in range(0, slot * length, slot)]
            bundle.add(g.block, c, sums, factor)


def _through(
    ctx: Context, stage: Stage, ranges: Ranges, bundle: _Bundle, symbols: dict[int, int], slopes: dict[int, Fraction]
) -> None:
    """Pass an R stage: every list is scaled, and an undetermined neuron shifts the center and opens a symbol."""
    den = bundle.dens[stage.block]
    for i, (block, j) in enumerate(stage.sources):
        n, row = stage.first + i, bundle.rows[stage.block][i]
        mode = ctx.mode[n]
        if mode < 0 or not row:
            continue
        if mode > 0:
            bundle.add(block, j, row, bundle.open(block, den))
            continue
        q = slopes.get(n, _HALF)
        bundle.add(block, j, [v * q.numerator for v in row], bundle.open(block, den * q.denominator))
        center, spread = Fraction(row[0], den), Fraction(sum(map(abs, row[1:])), den)
        least, most = Fraction(ranges[0][i] - ranges[1][i], ranges[2]), Fraction(ranges[0][i] + ranges[1][i], ranges[2])
        low, high = _remainder(max(least, center - spread), min(most, center + spread), q)
        symbols[n] = len(symbols)
        fresh = [0] * len(symbols)
        common = lcm(low.denominator, high.denominator)
        a, b = low.numerator * (common // low.denominator), high.numerator * (common // high.denominator)
        fresh[0], fresh[-1] = a + b, b - a  # over twice the denominator
        bundle.add(block, j, fresh, bundle.open(block, 2 * common))


def _remainder(a: Fraction, b: Fraction, q: Fraction) -> tuple[Fraction, Fraction]:
    """The range of ``(d - q) v``, rounded outward, for v in [a, b]: by the zonotope and by the range of its adjoint."""
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
    if not free:
        return Fraction(0)
    columns, den = zonotope(ctx, slopes, free)
    if norm == "l1":
        if fields:
            raise Rejected("mix in the norm l1 takes no weights")
        return Fraction(max(sum(abs(c[j]) for c in columns) for j in range(len(free))), den)
    names = {"lam", "mu"} if norm == "linf" else {"mu"}
    if set(fields) != names or stated is None or stated < 0:
        raise Rejected(f"mix in this norm takes {' and '.join(sorted(names))}")
    mu = weights(fields["mu"], len(columns), "mu")
    lam = weights(fields["lam"], len(free), "lam") if norm == "linf" else [Fraction(1)] * len(free)
    top = stated**2 / (sum(mu) * (sum(lam) if norm == "linf" else 1))
    if not _dominated(columns, lam, mu, top * den * den):
        raise Rejected("the matrix of leaf mix is not proved to be positive semidefinite")
    return stated if norm == "linf" else stated**2


def _dominated(columns: list[Ints], lam: Sequence[Fraction], mu: Sequence[Fraction], top: Fraction) -> bool:
    """Whether ``top diag(lam) - B diag(1/mu) B^T`` is positive semidefinite; by Schur, the smaller of its two forms."""
    rows = [list(row) for row in zip(*columns, strict=True)]
    if len(columns) < len(lam):
        rows, lam, mu = columns, mu, lam
    # 1/mu rounded up adds a positive semidefinite matrix to what is subtracted: sound.
    shift = 48 + max(0, *(v.numerator.bit_length() - v.denominator.bit_length() for v in mu))
    inverse = [-(-(v.denominator << shift) // v.numerator) for v in mu]
    matrix = []
    for j, row in enumerate(rows):
        weighted = list(map(mul, row, inverse))
        matrix.append([-sum(map(mul, weighted, other)) for other in rows[: j + 1]])
        diagonal = top * lam[j] * (1 << shift)
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
