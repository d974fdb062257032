"""Claims that are proved by exact evaluation: sat, point, adversary, liplow; and those that combine others: all, lip of ce."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from .adjoint import exact_gradient
from .claims import Case, Claim, functional
from .context import Context
from .losses import margin, proves_label
from .num import Rejected, exp, power
from .questions import question
from .tree import float_text

_DUAL = {"l1": "linf", "linf": "l1", "l2": "l2"}


def length(d: Sequence[Fraction], norm: str) -> Fraction:
    """The norm of a vector (l2: its square)."""
    if norm == "l1":
        return sum(map(abs, d), Fraction(0))
    if norm == "l2":
        return sum((v * v for v in d), Fraction(0))
    return max(map(abs, d), default=Fraction(0))


def squared(value: Fraction, norm: str) -> Fraction:
    """A non-negative number as `length` measures it."""
    return value**2 if norm == "l2" else value


def _sat(case: Case, claim: Claim) -> None:
    if case.disjuncts is None:
        raise Rejected("speaks about a property, but the report names none")
    x = case.point(claim["x"])
    y = case.program.output_values(x)
    for disjunct in case.disjuncts:
        if all(row.value(x, y) > 0 or (row.value(x, y) == 0 and not row.strict) for row in disjunct):
            return
    raise Rejected("the point satisfies no disjunct")


def _point(case: Case, claim: Claim) -> None:
    recession = claim.get("recession")
    if recession not in (None, True) or (recession is None) != ("norm" not in claim.fields):
        raise Rejected("recession is not true, or a norm is given without it or is missing")
    x = case.point(claim["x"])
    if recession:
        if length(x, claim["norm"]) > 1:
            raise Rejected("the direction is longer than 1")
    else:
        case.inside(x, "the point")
    blocks = case.program.values(x, homogeneous=bool(recession))
    value = case.program.at(case.objective(claim, homogeneous=bool(recession)), blocks)
    if claim.value is None or value < claim.value:
        raise Rejected(f"the value there is {float_text(value)}")


def _adversary(case: Case, claim: Claim) -> None:
    i = case.sample(claim["sample"])
    x = case.inside(case.point(claim["x"]), "the point", i)
    case.others(case.label(i))
    if margin(case.program.output_values(x), case.label(i)) < 0:
        raise Rejected("the point is classified as its sample is labelled")
    distance = length(case.step(x, i), claim["norm"])
    if claim.value is not None and (claim.value < 0 or distance > squared(claim.value, claim["norm"])):
        raise Rejected("the point is farther away")


def _liplow(case: Case, claim: Claim) -> None:
    if ("pair" in claim.fields) == ("at" in claim.fields) or claim.value is None:
        raise Rejected("needs either a pair or a point at")
    if claim.value <= 0:
        return  # a constant is never negative
    kind, outputs = functional(case, claim["functional"])
    if "pair" in claim.fields:
        _pair(case, claim, kind, outputs)
    elif kind == "loss:cross-entropy":
        _steep_enough(claim, _soft_steepness(case, claim, outputs[0]))
    elif kind == "label":
        best = max(_steepness(case, claim, f"margin:{j}-{outputs[0]}") for j in case.others(outputs[0]))
        _steep_enough(claim, best)
    else:
        _steep_enough(claim, _steepness(case, claim, claim["functional"]))


def _steep_enough(claim: Claim, found: Fraction) -> None:
    if claim.value is None or found < squared(claim.value, claim["norm"]):
        raise Rejected(f"the gradient there is shorter: {float_text(found)}")


def _pair(case: Case, claim: Claim, kind: str, outputs: tuple[int, ...]) -> None:
    """``abs(g(a) - g(b)) >= L ||a - b||`` for two different points."""
    if type(claim["pair"]) is not list or len(claim["pair"]) != 2:
        raise Rejected("a pair is no list of two points")
    a, b = (case.inside(case.point(v), "a point of the pair") for v in claim["pair"])
    if a == b:
        raise Rejected("the points of the pair are equal")
    norm, low = claim["norm"], claim.number("value")
    distance = length([u - v for u, v in zip(a, b, strict=True)], norm)
    f_a, f_b = case.program.output_values(a), case.program.output_values(b)
    if kind == "loss:cross-entropy":
        # With D >= ||a - b||: sum exp(z(a)) >= exp(L D) sum exp(z(b)), or the other way round.
        case.others(outputs[0])
        rise = exp(low * (power(distance, Fraction(1, 2), up=True) if norm == "l2" else distance))[1]
        sums = [[exp(v - f[outputs[0]]) for v in f] for f in (f_a, f_b)]
        ends = [tuple(sum((e[k] for e in s), Fraction(0)) for k in (0, 1)) for s in sums]
        if ends[0][0] < rise * ends[1][1] and ends[1][0] < rise * ends[0][1]:
            raise Rejected("the losses of the pair differ by less")
        return
    pairs = zip(_functions(case, kind, outputs, f_a), _functions(case, kind, outputs, f_b), strict=True)
    rise = max(abs(u - v) for u, v in pairs)
    if squared(rise, norm) < squared(low, norm) * distance:
        raise Rejected("the values of the pair differ by less")


def _functions(case: Case, kind: str, outputs: tuple[int, ...], f: Sequence[Fraction]) -> list[Fraction]:
    """The value of a functional; of a label those of all margins, of whose constants its own is the largest."""
    if kind == "logit":
        return [f[outputs[0]]]
    if kind == "margin":
        return [f[outputs[0]] - f[outputs[1]]]
    margins = [f[j] - f[outputs[0]] for j in case.others(outputs[0])]
    if kind == "loss:hinge":
        return [max(Fraction(0), 1 + max(margins))]
    return margins if kind == "label" else [max(margins)]


def _steepness(case: Case, claim: Claim, name: Any) -> Fraction:
    """The dual norm of the gradient (l2: its square) at a point where no neuron is at its kink."""
    return length(_gradient(case, claim, name), _DUAL[claim["norm"]])


def _soft_steepness(case: Case, claim: Claim, label: int) -> Fraction:
    """The same for the cross-entropy, from below: ``sum_(c != y) p_c grad(f_c - f_y)``, p_c enclosed."""
    f = case.program.output_values(case.point(claim["at"]))
    powers = [exp(v - f[label]) for v in f]
    least, most = (sum((p[k] for p in powers), Fraction(0)) for k in (0, 1))
    parts = []
    for c in case.others(label):
        gradient = _gradient(case, claim, f"margin:{c}-{label}")
        ends = [(g * powers[c][0] / most, g * powers[c][1] / least) for g in gradient]
        parts.append([(min(e), max(e)) for e in ends])
    totals = [(sum(e[0] for e in own), sum(e[1] for e in own)) for own in zip(*parts, strict=True)]
    sizes = [Fraction(max(0, a, -b)) for a, b in totals]
    return length(sizes, _DUAL[claim["norm"]])


def _gradient(case: Case, claim: Claim, name: str) -> list[Fraction]:
    """The gradient in the free coordinates, at a point where no neuron is at its kink."""
    x = case.inside(case.point(claim["at"]), "the point")
    asked = question(case, Claim(claim.id, "lip", {"functional": name, "norm": claim["norm"]}))
    free = [j for j, (lo, hi) in enumerate(zip(case.low, case.high, strict=True)) if lo is None or lo != hi]
    if any(x[j] in (case.low[j], case.high[j]) for j in free):
        raise Rejected("the point is at the border of the domain")
    ctx = Context(asked)
    blocks = asked.program.values(x)
    for n, (block, i) in enumerate(asked.program.neurons):
        z = blocks[block][0][i]
        if z == 0:
            raise Rejected(f"neuron {n} is 0 at the point")
        ctx.fix(n, 1 if z > 0 else -1)
    gradient = exact_gradient(ctx)
    assert gradient is not None
    return [gradient[j] for j in free]


def _all(case: Case, claim: Claim) -> None:
    if type(claim["of"]) is not list or not claim["of"]:
        raise Rejected("of is no list of claims")
    members = [case.earlier(name, ("lip", "slope", "max")) for name in claim["of"]]
    for member in members:
        if member.value is None or claim.value is None or member.value > claim.value:
            raise Rejected(f"claim {member.id} has a larger value")
    if len({(m.kind, m.get("norm")) for m in members}) > 1:
        raise Rejected("the members are of different kinds or norms")


def _lip_of_cross_entropy(case: Case, claim: Claim) -> None:
    """``k U`` with U for ``label:Y``; k = 1, or ``k >= 1 - exp(-M)`` with M an upper bound of the loss over the domain."""
    kind, outputs = functional(case, claim["functional"])
    base = case.earlier(claim["of"], ("lip", "all"))
    if kind != "loss:cross-entropy" or not proves_label(case, base, outputs[0], claim["norm"]):
        raise Rejected("of is no claim for all margins of the label")
    k = claim.number("k") if "k" in claim.fields else Fraction(1)
    if "price" in claim.fields:
        price = case.earlier(claim["price"], ("price",))
        fits = price["loss"] == "ce" and price.number("lambda") == 0 and "ball" not in price.fields
        if not fits or price.value is None or case.label(case.sample(price["sample"])) != outputs[0]:
            raise Rejected("the price bounds no cross-entropy of this label over the domain")
        if k < 1 - exp(-price.value)[0]:
            raise Rejected("k is below 1 - exp(-M)")
    elif k < 1:
        raise Rejected("k below 1 without a price")
    if base.value is None or claim.value is None or claim.value < k * base.value or claim.value < 0:
        raise Rejected("the value is below k U")


EVALUATED: dict[str, Callable[[Case, Claim], None]] = {
    "sat": _sat,
    "point": _point,
    "adversary": _adversary,
    "lip": _lip_of_cross_entropy,
    "liplow": _liplow,
    "all": _all,
}
"""Claims without a stream, but for risks."""
