"""The inference rule `query`: a rational upper bound of a linear form over all points of a context.

One backward sweep adds non-negative multiples of facts (evidence), substitutes the affine identities, and relaxes each
undetermined neuron by ``y >= 0``, ``y >= z`` and ``y <= sigma z + max(-sigma l, (1 - sigma) u)``, valid for every
0 <= sigma <= 1; what remains on the inputs is bounded in closed form by `conc`. Neumaier, Shcherbina 2004, rule 2.5.

Residuals of a block are integers over one denominator; zeros are skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from operator import mul
from typing import Any

from .concave import conc
from .context import Context
from .num import Rejected, bounded, number, packed, power_of_two
from .program import Form, Stage


@dataclass
class Evidence:
    """The choices of a certificate at one rule, parsed: multipliers, slopes, and the vector of `conc`."""

    p: dict[int, Fraction] = field(default_factory=dict)
    u: dict[int, Fraction] = field(default_factory=dict)
    l: dict[int, Fraction] = field(default_factory=dict)  # noqa: E741
    c: dict[int, Fraction] = field(default_factory=dict)
    d: dict[int, Fraction] = field(default_factory=dict)
    a: dict[int, Fraction] = field(default_factory=dict)
    s: dict[int, Fraction] = field(default_factory=dict)
    b: Fraction = Fraction(0)
    o: Fraction = Fraction(0)
    young: tuple[Fraction, Fraction] | None = None
    w: dict[int, Fraction] | None = None

    @staticmethod
    def parse(ctx: Context, fields: dict[str, Any]) -> Evidence:
        """Read the fields, and check that every multiplier is non-negative and every row is available."""
        count = len(ctx.program.neurons)
        found = Evidence()
        for key, value in fields.items():
            if key in ("p", "u", "l", "a", "s"):
                setattr(found, key, packed(value, key, count))
            elif key == "c":
                found.c = packed(value, key, len(ctx.target[0].rows) if ctx.target[0] else 0)
            elif key == "d":
                found.d = packed(value, key, len(ctx.question.facts))
            elif key in ("b", "o"):
                setattr(found, key, number(value, key))
            elif key == "w":
                found.w = packed(value, key, ctx.program.inputs)
            elif key == "young" and type(value) is list and len(value) == 2:
                found.young = (number(value[0], key), number(value[1], key))
            else:
                raise Rejected(f"unknown evidence {key!r}")
        multipliers = [v for each in (found.p, found.u, found.l, found.c, found.d, found.a) for v in each.values()]
        if any(v.numerator < 0 for v in (*multipliers, found.b, found.o)):
            raise Rejected("a multiplier is negative")
        if any(not 0 <= v.numerator <= v.denominator for v in found.s.values()):
            raise Rejected("a slope s is not in [0, 1]")
        if any(not ctx.fixed[n] for n in found.p):
            raise Rejected("multiplier p of a neuron that no split has fixed")
        if any(ctx.u[n] is None for n in found.u) or any(ctx.l[n] is None for n in found.l):
            raise Rejected("multiplier of a bound that is infinite")
        return found


class Residual:
    """Coefficients of the variables, block by block, as integers over a denominator per block."""

    def __init__(self, ctx: Context, terms: dict[tuple[int, int], Fraction]) -> None:
        self.sizes = ctx.program.sizes
        self.values: list[list[int] | None] = [None] * len(self.sizes)
        self.dens = [1] * len(self.sizes)
        for block in {b for b, _ in terms}:
            entries = [(i, w) for (b, i), w in terms.items() if b == block]
            values, _ = self.open(block, lcm(*{w.denominator for _, w in entries}))
            for i, w in entries:
                values[i] += w.numerator * (self.dens[block] // w.denominator)

    def open(self, block: int, den: int) -> tuple[list[int], int]:
        """The list of a block, and the factor by which numerators over `den` are multiplied before they are added."""
        values = self.values[block]
        if values is None:
            values = self.values[block] = [0] * self.sizes[block]
            self.dens[block] = den
            bounded(den.bit_length(), "a residual")
            return values, 1
        old = self.dens[block]
        common = lcm(old, den)
        if common != old:
            bounded(common.bit_length(), "a residual")
            values[:] = [v * (common // old) for v in values]
            self.dens[block] = common
        return values, common // den

    def take(self, block: int) -> list[int] | None:
        """Remove and return the coefficients of a block; None if all are zero."""
        values, self.values[block] = self.values[block], None
        if values is None or not any(values):
            return None
        bounded(max(map(int.bit_length, values)), "a residual")
        return values


def substitute(stage: Stage, r: list[int], residual: Residual, *, sizes: bool = False) -> None:
    """Replace the variables of an A stage by their rows: ``r_j += r_i w_ij``; with `sizes` the absolute weights."""
    den = residual.dens[stage.block] * stage.denominator
    for block, entries in stage.single.items():
        values, scale = residual.open(block, den)
        for i, c, w in entries:
            if r[i]:
                values[c] += r[i] * (abs(w) if sizes else w) * scale
    for g in stage.wide:
        rows = r if len(g.rows) == len(r) else [r[i] for i in g.rows]  # the rows of a group ascend
        if any(rows):
            fresh = residual.values[g.block] is None
            values, scale = residual.open(g.block, den)
            products = g.combine("size" if sizes else "row", rows)
            if fresh and len(g.columns) == len(values):  # columns ascend, so these are all of them, in order
                residual.values[g.block] = products
                continue
            for c, v in zip(g.columns, products, strict=True):
                values[c] += v * scale


class Sweep:
    """One backward sweep; `met` are the neurons with a residual, `constants` the constant by denominators.

    With `exact` nothing is rounded: the sweep then states an identity, not only a bound, where all that it meets is determined.
    """

    def __init__(self, ctx: Context, evidence: Evidence, *, exact: bool = False) -> None:
        self.ctx, self.evidence = ctx, evidence
        self.bits = None if exact else ctx.question.bits
        self.met: set[int] = set()
        self.constants: dict[int, int] = {}

    def add(self, numerator: int, den: int) -> None:
        """Add to the constant."""
        self.constants[den] = self.constants.get(den, 0) + numerator

    def run(self, terms: dict[tuple[int, int], Fraction]) -> tuple[list[int], int]:
        """The residual on the inputs, as integers and a denominator."""
        residual = Residual(self.ctx, terms)
        homogeneous, bits = self.ctx.question.homogeneous, self.bits
        for stage in reversed(self.ctx.program.stages):
            r = residual.take(stage.block)
            if r is None:
                continue
            den = residual.dens[stage.block]
            if stage.kind == "A":
                if not homogeneous:
                    self.add(sum(map(mul, r, stage.bias)), den * stage.denominator)
                substitute(stage, r, residual)
            else:
                if bits is not None:
                    r, den = self._truncated(stage, r, den, bits)
                self._relax(stage, r, den, residual)
        return residual.take(0) or [0] * residual.sizes[0], residual.dens[0]

    def _relax(self, stage: Stage, r: list[int], den: int, residual: Residual) -> None:
        """Replace each y by its z or by a row of its relaxation."""
        moved: dict[int, list[tuple[int, int, int]]] = {}  # block to index, numerator, its further denominator
        modes = self.ctx.mode
        for n, (rho, (block, i)) in enumerate(zip(r, stage.sources, strict=True), stage.first):
            if rho:
                self.met.add(n)
                if modes[n] > 0:
                    moved.setdefault(block, []).append((i, rho, 1))
                elif modes[n] == 0:
                    self._relaxed(n, i, rho, den, moved.setdefault(block, []))
        for block, parts in moved.items():
            if parts:
                further = lcm(*{own for _, _, own in parts})
                values, scale = residual.open(block, den * further)
                for i, v, own in parts:
                    values[i] += v * (further // own) * scale

    def _relaxed(self, n: int, i: int, rho: int, den: int, moved: list[tuple[int, int, int]]) -> None:
        """An undetermined neuron: ``g (y - z) >= 0`` against a negative residual, the upper row for a positive one."""
        a, sigma_units, offset = self.ctx.relaxation(n)
        further = 1
        if rho < 0:
            chosen = self.evidence.a.get(n)
            if chosen is None:
                if a:
                    moved.append((i, rho, 1))
                return
            moved.append((i, rho * chosen.numerator, chosen.denominator))
            # What is left, rho (1 - a), is negative (dropped, y >= 0) or, for a > 1, positive.
            rho, further = -rho * (chosen.numerator - chosen.denominator), chosen.denominator
            if rho <= 0:
                return
        own = self.evidence.s.get(n)
        if own is None:
            moved.append((i, rho * sigma_units, 16384 * further))
        else:
            offset = self.ctx.offset(n, own.numerator, own.denominator)
            moved.append((i, rho * own.numerator, own.denominator * further))
        if offset is None or (self.ctx.l[n] is None and self.ctx.u[n] is None):
            raise Rejected(f"neuron {n} has no finite upper row")
        self.add(rho * offset[0], den * further * offset[1])

    def _truncated(self, stage: Stage, r: list[int], den: int, bits: int) -> tuple[list[int], int]:
        """Optional bit control: round residuals toward zero where y is bounded, and pay for what is removed."""
        largest = Fraction(max(map(abs, r)), den)
        e = largest.numerator.bit_length() - largest.denominator.bit_length()
        while power_of_two(e) < largest:
            e += 1
        while power_of_two(e - 1) >= largest:
            e -= 1
        unit = power_of_two(e - bits)
        new = lcm(den, unit.denominator)
        step = unit.numerator * (new // unit.denominator)
        scaled, result = [v * (new // den) for v in r], []
        for i, v in enumerate(scaled):
            low, high = self.ctx.l[stage.first + i], self.ctx.u[stage.first + i]
            kept = v if high is None else (abs(v) // step * step if v > 0 else -(abs(v) // step * step))
            if kept != v and high is not None:
                zero = Fraction(0)
                end = max(zero, high) if v > 0 else max(zero, low if low is not None else zero)
                self.add((v - kept) * end.numerator, new * end.denominator)
            result.append(kept)
        if any(v % step for v in result):
            return result, new
        return [v // step * unit.numerator for v in result], unit.denominator


def query(ctx: Context, form: Form, evidence: Evidence, multiplier: Fraction) -> tuple[Fraction, Sweep, list[int]]:
    """An upper bound of ``form - multiplier * cost`` over the context; also the sweep and the residual on the inputs."""
    q, places = ctx.question, ctx.program.places
    sweep = Sweep(ctx, evidence)
    terms: dict[tuple[int, int], Fraction] = {}

    def add(place: tuple[int, int], w: Fraction) -> None:
        terms[place] = terms.get(place, Fraction(0)) + w

    constant = form.constant
    for v, w in form.terms.items():
        add(places[v], w)
    for n, mu in evidence.p.items():
        add(ctx.program.neurons[n], mu * ctx.fixed[n])
    for bounds, sign in ((evidence.u, -1), (evidence.l, 1)):
        for n, mu in bounds.items():
            end = (ctx.u if sign < 0 else ctx.l)[n]
            add(ctx.program.neurons[n], mu * sign)
            constant -= mu * sign * end if end is not None else 0
    for row, mu in _rows(ctx, evidence):
        for v, w in row.terms.items():
            add(places[v], mu * w)
        constant += mu * row.constant
    multiplier += evidence.o * q.multiplier
    if evidence.b:
        if q.ball is None:
            raise Rejected("multiplier b without a ball")
        constant += evidence.b * q.ball
        multiplier += evidence.b
    r, den = sweep.run(terms)
    common = lcm(*sweep.constants)
    constant += Fraction(sum(v * (common // d) for d, v in sweep.constants.items()), common)
    total = constant + conc(ctx, r, den, multiplier, evidence.young, evidence.w)
    bounded(max(total.numerator.bit_length(), total.denominator.bit_length()), "a bound")
    return total, sweep, r


def _rows(ctx: Context, evidence: Evidence) -> list[tuple[Form, Fraction]]:
    """The target's rows and the domain's facts with their multipliers, the cutoff's among them (without its cost)."""
    target, cutoff = ctx.target[0], ctx.question.cutoff
    rows = [(target.rows[k], mu) for k, mu in evidence.c.items()] if target else []
    rows += [(ctx.question.facts[k], mu) for k, mu in evidence.d.items()]
    if evidence.o:
        if target is None or cutoff is None:
            raise Rejected("multiplier o without a cutoff or before the target")
        objective = target.objective
        rows.append((Form(objective.terms, objective.constant - cutoff), evidence.o))
    return rows
