"""Claims about the worst-case risk: upper ends by duality, lower ends by a transport plan.

For order p < inf and radius r, every lambda >= 0 gives ``risk <= lambda r^p + sum_i w_i phi_i(lambda)`` with ``phi_i(lambda) =
sup_x loss(x, y_i) - lambda ||x - x_i||^p``; a plan within the budget r^p gives a lower end. For the zero-one loss the dual is
a fractional knapsack over the distances. Nothing is rounded but roots and exponentials, outward.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from .claims import Case, Claim, coefficients
from .losses import at_most, bounds_growth, exact_loss, loss_above
from .num import Rejected, end_number, number, power, shown, whole
from .points import length, squared
from .tree import float_text

LOSSES = ("zero-one", "margin", "hinge", "ce", "linear")


class Threat:
    """Radius, order (None: infinite), norm and loss of a risk claim."""

    def __init__(self, case: Case, claim: Claim) -> None:
        self.case, self.claim = case, claim
        if case.samples is None:
            raise Rejected("speaks about samples, but the report names no data")
        self.weights = case.samples.weights
        self.radius, self.order = claim.number("radius"), end_number(claim["order"], "order")
        self.norm, self.loss = claim["norm"], claim["loss"]
        if self.radius < 0 or (self.order is not None and self.order < 1) or self.loss not in LOSSES:
            raise Rejected("the radius is negative, the order below 1, or the loss unknown")
        if (self.loss == "linear") != ("objective" in claim.fields):
            raise Rejected("loss linear has an objective, and only this loss")
        self.objective = coefficients(case, claim["objective"]) if self.loss == "linear" else {}
        self.values: dict[int, list[Fraction]] = {}

    def budget(self, *, up: bool) -> Fraction:
        """``radius^p``, rounded."""
        assert self.order is not None
        return power(self.radius, self.order, up=up)

    def outputs(self, i: int) -> list[Fraction]:
        """The exact outputs at sample i."""
        if i not in self.values:
            self.values[i] = self.case.program.output_values(list(self.case.center(i)))
        return self.values[i]

    def label(self, i: int) -> int:
        """The label of sample i; the linear loss has none."""
        return self.case.label(self.case.sample(i)) if self.loss != "linear" else 0

    def value(self, f: Sequence[Fraction], label: int) -> Fraction:
        """The exact loss; for the cross-entropy there is none."""
        return exact_loss(self.case, self.loss, f, label, self.objective)

    def nominal(self, i: int, stated: Any) -> Fraction:
        """An upper bound of the loss at sample i; that of the cross-entropy is stated and verified."""
        return loss_above(self.case, self.loss, self.case.sample(i), self.outputs(i), self.objective, stated)

    def bounded_by(self, constant: Claim, i: int) -> bool:
        """Whether a constant bounds the growth of the loss of sample i."""
        return bounds_growth(self.case, constant, self.loss, self.label(i), self.norm, self.objective)


def risk_upper(case: Case, claim: Claim) -> None:
    """Check an upper bound of the worst-case risk."""
    threat = Threat(case, claim)
    ways = {"terms", "constants"} & set(claim.fields)
    if len(ways) != 1 or ("at_sample" in claim.fields and "terms" in ways):
        raise Rejected("needs either terms or constants")
    if "constants" in ways:
        bound = _by_constants(threat)
    else:
        terms = claim["terms"]
        if type(terms) is not list or len(terms) != len(threat.weights):
            raise Rejected("terms has not one entry per sample")
        if (threat.loss != "zero-one" and threat.order is not None) != ("lambda" in claim.fields):
            raise Rejected("lambda belongs to losses other than zero-one at a finite order")
        bound = _zero_one(threat, terms) if threat.loss == "zero-one" else _priced(threat, terms)
    if claim.value is None or claim.value < bound:
        raise Rejected(f"the value is not proved: {float_text(bound)}")


def _zero_one(threat: Threat, terms: Sequence[Any]) -> Fraction:
    """The fractional knapsack over distances, greedy by cost; order inf: the weight within the radius."""
    costs: list[tuple[Fraction, Fraction]] = []
    near = Fraction(0)
    for i, (term, w) in enumerate(zip(terms, threat.weights, strict=True)):
        threat.case.label(threat.case.sample(i))
        distance: Fraction | None = Fraction(0)
        if term is not None:
            proved = threat.case.earlier(term, ("distance",))
            if proved["sample"] != i or proved["norm"] != threat.norm:
                raise Rejected(f"term {i} is the distance of another sample or norm")
            distance = proved.value
        if distance is None:
            continue
        if threat.order is None:
            near += w if distance <= threat.radius else 0
        else:
            costs.append((power(distance, threat.order, up=False), w))
    if threat.order is None:
        return near
    left, total = threat.budget(up=True), Fraction(0)
    for cost, w in sorted(costs):
        share = Fraction(1) if cost == 0 or w * cost <= left else left / (w * cost)
        total += share * w
        left -= share * w * cost
    return total


def _priced(threat: Threat, terms: Sequence[Any]) -> Fraction:
    """``lambda r^p + sum w_i s_i``."""
    infinite = threat.order is None
    multiplier = Fraction(0) if infinite else threat.claim.number("lambda")
    if multiplier < 0:
        raise Rejected("lambda is negative")
    total = Fraction(0) if infinite else multiplier * threat.budget(up=True)
    for i, (term, w) in enumerate(zip(terms, threat.weights, strict=True)):
        threat.case.sample(i)
        if type(term) is not dict:
            raise Rejected(f"term {i} is no object")
        if set(term) == {"price"}:
            value = _mixture(threat, i, term["price"], multiplier)
        elif set(term) in ({"lip"}, {"lip", "at_sample"}) and threat.order == 1:
            constant = threat.case.earlier(term["lip"], ("lip", "all"))
            if not threat.bounded_by(constant, i) or constant.value is None or constant.value > multiplier:
                raise Rejected(f"term {i}: claim {constant.id} does not bound the growth of this loss by lambda")
            value = threat.nominal(i, term.get("at_sample"))
        else:
            raise Rejected(f"term {i} is neither a price nor, at order 1, a constant")
        total += w * value
    return total


def _mixture(threat: Threat, i: int, pairs: Any, multiplier: Fraction) -> Fraction:
    """``sum theta s``: phi_i is convex and does not increase, so prices at smaller multipliers bound it."""
    if type(pairs) is not list or not pairs or not all(type(p) is list and len(p) == 2 for p in pairs):
        raise Rejected(f"term {i}: price is no list of [claim, weight]")
    claims = [threat.case.earlier(name, ("price",)) for name, _ in pairs]
    weights = [number(v, "weight") for _, v in pairs]
    for price in claims:
        _same_price(threat, i, price)
    if any(v < 0 for v in weights) or sum(weights) != 1:
        raise Rejected(f"term {i}: weights are negative or do not add up to 1")
    if sum(v * c.number("lambda") for v, c in zip(weights, claims, strict=True)) > multiplier:
        raise Rejected(f"term {i}: the prices are for a larger lambda")
    value = Fraction(0)
    for v, c in zip(weights, claims, strict=True):
        assert c.value is not None
        # The price of the hinge is that of the margin, cut at 0; x -> max(0, 1 + x) per price keeps the bound.
        value += v * (max(Fraction(0), 1 + c.value) if threat.loss == "hinge" else c.value)
    return value


def _same_price(threat: Threat, i: int, price: Claim) -> None:
    loss = "margin" if threat.loss == "hinge" else threat.loss
    if price["sample"] != i or price["norm"] != threat.norm or price["loss"] != loss:
        raise Rejected(f"claim {price.id} is the price of another sample, norm or loss")
    if loss == "linear" and coefficients(threat.case, price["objective"]) != threat.objective:
        raise Rejected(f"claim {price.id} is the price of another objective")
    ball = price.get("ball")
    if threat.order is None:
        if ball is None or price.number("lambda") != 0 or number(ball["radius"], "radius") < threat.radius:
            raise Rejected(f"claim {price.id} is no price on the ball of the radius")
    elif ball is not None or price.number("p") != threat.order:
        raise Rejected(f"claim {price.id} is a price of another order, or on a ball")


def _by_constants(threat: Threat) -> Fraction:
    """Nominal risk plus radius times the largest constant of a label that occurs; at every order from 1.

    At radius 0 no mass moves, whatever the order: the risk is the nominal one, and no constant is needed.
    """
    names, stated = threat.claim["constants"], threat.claim.get("at_sample")
    if type(names) is not list or (stated is None) != (threat.loss != "ce") or "lambda" in threat.claim.fields:
        raise Rejected("constants is no list, or at_sample is missing or stated without need")
    if stated is not None and (type(stated) is not list or len(stated) != len(threat.weights)):
        raise Rejected("at_sample has not one entry per sample")
    claims = [threat.case.earlier(name, ("lip", "all")) for name in names]
    total, largest = Fraction(0), Fraction(0)
    covered: dict[int, Fraction] = {}
    for i, w in enumerate(threat.weights):
        key = threat.label(i)
        if threat.radius > 0 and key not in covered:
            fitting = [c.value for c in claims if c.value is not None and threat.bounded_by(c, i)]
            if not fitting:
                raise Rejected(f"no constant bounds the loss of label {key}")
            covered[key] = min(fitting)
        largest = max(largest, covered.get(key, Fraction(0)))
        total += w * threat.nominal(i, stated[i] if stated is not None else None)
    return total + threat.radius * largest


def risk_lower(case: Case, claim: Claim, points: Any) -> None:
    """Check a transport plan; `points(reference)` gives the rows of an array beside the certificate."""
    threat = Threat(case, claim)
    rows = points(claim["points"]) if "points" in claim.fields else None
    if type(claim["atoms"]) is not list:
        raise Rejected("atoms is no list")
    masses = [Fraction(0)] * len(threat.weights)
    spent, gained = Fraction(0), Fraction(0)
    for k, atom in enumerate(claim["atoms"]):
        if type(atom) is not list or len(atom) not in (3, 4):
            raise Rejected(f"atom {k} is no [sample, x, mass] or [sample, x, mass, loss]")
        i, mass = case.sample(atom[0]), number(atom[2], "mass")
        if mass < 0:
            raise Rejected(f"atom {k} has a negative mass")
        x = case.point(atom[1]) if rows is None else rows(whole(atom[1], "row of points"))
        case.inside(x, f"atom {k}", i)
        masses[i] += mass
        spent += _cost(threat, k, mass, case.step(x, i))
        gained += mass * _loss_there(threat, k, x, i, atom[3] if len(atom) == 4 else None)
    for i, (mass, w) in enumerate(zip(masses, threat.weights, strict=True)):
        if mass != w:
            raise Rejected(f"the masses of sample {i} do not add up to its weight")
    if threat.order is not None and spent > threat.budget(up=False):
        raise Rejected("the plan costs more than the radius allows")
    if claim.value is None or claim.value > gained:
        raise Rejected(f"the plan gains only {float_text(gained)}")


def _cost(threat: Threat, k: int, mass: Fraction, step: Sequence[Fraction]) -> Fraction:
    """Mass times the p-th power of the distance, rounded up; order inf: 0, but the distance is checked."""
    distance = length(step, threat.norm)
    if threat.order is None:
        if mass and distance > squared(threat.radius, threat.norm):
            raise Rejected(f"atom {k} is farther away than the radius")
        return Fraction(0)
    if not mass or not distance:
        return Fraction(0)
    order = threat.order / 2 if threat.norm == "l2" else threat.order
    return mass * power(distance, order, up=True)


def _loss_there(threat: Threat, k: int, x: list[Fraction], i: int, stated: Any) -> Fraction:
    f = threat.case.program.output_values(x)
    label = threat.label(i)
    if threat.loss != "ce":
        if stated is not None:
            raise Rejected(f"atom {k} states a loss, which is computed: {shown(stated)}")
        return threat.value(f, label)
    value = number(stated, "loss")
    if not at_most(value, f, label):
        raise Rejected(f"the loss of atom {k} is below what is stated")
    return value
