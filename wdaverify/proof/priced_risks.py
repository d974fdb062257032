"""Proofs of worst-case risks of losses that are priced: prices of all samples from above, an exact plan from below.

Duality: ``risk <= lambda r^p + sum_i w_i s_i`` with ``s_i >= phi_i(lambda)``; for order inf s_i bounds the loss in the ball of
the radius. The plan says which s_i to aim at: its points bound phi_i from below, and what is left to the reported upper end is
shared by all samples. The hinge loss has the margin's price, since ``max(0, 1 + m) - lambda kappa <= max(0, 1 + s)``. The
cross-entropy is no rational: atoms state a lower bound of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify.domain import Box
from wdaverify.feature_domain import as_domain
from wdaverify.pricing.prices import PriceQuestion
from wdaverify.proof.area import Area
from wdaverify.proof.cross_entropy_prices import CrossEntropyProof
from wdaverify.proof.cubes import Cubes
from wdaverify.proof.ends import moved_lower, moved_upper, room
from wdaverify.proof.growth_risks import GrowthProof
from wdaverify.proof.nominal import loss_above, losses_above
from wdaverify.proof.numbers import nearby, written
from wdaverify.proof.plans import exact_cost, exact_plan
from wdaverify.proof.powers96 import power, rational_order
from wdaverify.proof.prices import Price, PriceProof
from wdaverify.proof.softmax_cover import SoftmaxCover
from wdaverify.proof.whole_space_prices import WholeSpacePrice
from wdaverify.risk.audit import Auditor
from wdaverify.transport import GroundCost, round_up

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.feature_domain import Domain
    from wdaverify.proof.ledger import Ledger
    from wdaverify.risk.certificate import CurvePoint, RiskCertificate

_LOGARITHMIC = "cross-entropy"

_ATTEMPTS = 4
"""Values that are tried for a price."""


def prove_priced(ledger: Ledger, certificate: RiskCertificate) -> None:
    """Claim both ends at every radius."""
    domain, order = as_domain(certificate.domain, certificate.network.inputs), certificate.ball.order
    exact = rational_order(order) if math.isfinite(order) else Fraction(1)
    if exact is None:
        return
    auditor = Auditor(certificate.network, certificate.data, certificate.domain, certificate.loss)
    cubes = growth = None
    if not domain.bounded and isinstance(certificate.domain, Box):
        cubes = Cubes(ledger, certificate.network, certificate.ball.norm)
        growth = None if math.isinf(order) else GrowthProof(ledger, certificate, exact)
    ground = _Ground(ledger, certificate, domain, cubes, auditor)
    for k, point in enumerate(certificate.curve):
        if growth is None or point.radius == 0.0 or not growth.prove(f"/curve/{k}/worst_case_risk", point):
            _RiskProof(ground, k, point).prove()


@dataclass(frozen=True, slots=True, eq=False)
class _Ground:
    """What the proofs at all radii share.

    Attributes
    ----------
    cubes
        Of an unbounded box.
    known
        Sample and multiplier to the claim of a price and its value; for finite orders.
    """

    ledger: Ledger
    certificate: RiskCertificate
    domain: Domain
    cubes: Cubes | None
    auditor: Auditor
    known: dict[tuple[int, float], tuple[str, Fraction]] = field(default_factory=dict)


class _RiskProof:
    """The proof at one radius."""

    def __init__(self, ground: _Ground, number: int, point: CurvePoint) -> None:
        certificate, self._known = ground.certificate, ground.known
        self._ledger, self._certificate, self._point = ground.ledger, certificate, point
        self._domain, self._cubes, self._auditor = ground.domain, ground.cubes, ground.auditor
        self._scales = ground.domain.weights
        self._ball = replace(certificate.ball, radius=point.radius)
        self._pointer = f"/curve/{number}/worst_case_risk"
        self._finite = math.isfinite(self._ball.order)
        self._weight = (point.multiplier or 0.0) if self._finite else 0.0
        order = rational_order(self._ball.order) if self._finite else Fraction(1)
        self._order = order

    def prove(self) -> None:
        """Claim both ends, if both can be proved."""
        data, logarithmic = self._certificate.data, self._certificate.loss == _LOGARITHMIC
        plan = None
        if self._order is not None:
            stated = {"say_losses": logarithmic, "scales": self._scales}
            plan = exact_plan(self._point.plan, data, self._ball, self._loss, **stated)  # type: ignore[arg-type]
        if plan is None or self._order is None or not math.isfinite(self._point.risk.upper):
            return
        lower = moved_lower(self._point.risk, plan.value)
        if lower is None:
            return
        found = self._still() if self._point.radius == 0.0 else self._upper()
        if found is None:
            return
        reason, upper = found
        shared: dict[str, Any] = {
            "radius": written(self._ball.radius), "order": written(self._order) if self._finite else "inf",
            "norm": str(self._ball.norm), "loss": "ce" if logarithmic else self._certificate.loss,
        }  # fmt: skip
        above = self._ledger.claim("risk_upper", about=(self._pointer, "upper"), **shared, **reason, value=written(upper))
        below = self._ledger.claim("risk_lower", about=(self._pointer, "lower"), **shared, atoms=plan.atoms, value=written(lower))
        self._ledger.rest(self._pointer, (above, below), lower=lower, upper=upper)

    def _loss(self, sample: int, point: Vector) -> Fraction:
        """The loss at a point, or a short number below it."""
        value = self._auditor.loss(sample, point)
        return nearby(value, up=False) if self._certificate.loss == _LOGARITHMIC else value

    def _still(self) -> tuple[dict[str, Any], float] | None:
        """At radius 0 no mass moves: the loss on the data is the risk, and no constant is needed."""
        losses, logarithmic = losses_above(self._certificate, self._auditor), self._certificate.loss == _LOGARITHMIC
        nominal = sum((w * v for w, v in zip(self._certificate.data.fractions, losses, strict=True)), Fraction(0))
        upper = moved_upper(self._point.risk, nominal)
        stated = {"at_sample": [written(v) for v in losses]} if logarithmic else {}
        return None if upper is None else ({"constants": [], **stated}, upper)

    def _upper(self) -> tuple[dict[str, Any], float] | None:
        """The terms of all samples, and the end that they prove."""
        data = self._certificate.data
        if self._finite and self._cubes is None and not self._domain.bounded:
            return None  # there is no rule for constraints on unbounded domains
        paid = Fraction(self._weight) * self._power(up=True)
        least = [self._least(i) for i in range(data.count)]
        base = paid + sum((w * v for w, v in zip(data.fractions, least, strict=True)), Fraction(0))
        allowed = Fraction(room(self._point.risk))
        slack = Fraction(self._point.risk.upper) - base
        if slack < allowed / 4:
            slack += allowed
        if slack <= 0:
            return None
        terms, total = [], paid
        for i, value in enumerate(least):
            found = self._known.get((i, self._weight)) if self._finite else None
            if found is None or found[1] > value + slack:
                found = self._price(i, value, slack)
            if found is None:
                return None
            self._known[i, self._weight] = found
            terms.append({"price": [[found[0], 1]]})
            total += data.fractions[i] * found[1]
        upper = moved_upper(self._point.risk, total)
        multiplier = {"lambda_": written(self._weight)} if self._finite else {}
        return None if upper is None else ({**multiplier, "terms": terms}, upper)

    def _power(self, *, up: bool) -> Fraction:
        assert self._order is not None
        return power(Fraction(self._ball.radius), self._order, up=up) if self._finite else Fraction(0)

    def _least(self, sample: int) -> Fraction:
        """The largest priced loss among the sample's own points: phi is at least that."""
        assert self._order is not None
        center = self._certificate.data.x[sample]
        own = [atom.point for atom in self._point.plan.atoms if atom.source == sample]
        values = []
        for point in [center, *own]:
            cost = exact_cost(point, center, self._ball, self._order, self._scales)
            values.append(self._loss(sample, point) - Fraction(self._weight) * cost)
        return max(values)

    def _price(self, sample: int, least: Fraction, slack: Fraction) -> tuple[str, Fraction] | None:
        """The claim that a sample's priced loss is at most a value, and that value; half the slack above `least` comes first."""
        certificate, place = self._certificate, self._place(sample)
        if place is None and (certificate.loss == _LOGARITHMIC or self._order != 1):
            return None
        if place is not None and certificate.loss == _LOGARITHMIC:
            return self._logarithmic(sample, least, slack, place)
        shift = 1.0 if certificate.loss == "hinge" else 0.0
        rivals = _rivals(certificate.network.outputs, int(certificate.data.y[sample]))
        value = round_up(least + slack / 2 - Fraction(shift))
        for _ in range(_ATTEMPTS):
            proof = self._margin(sample, rivals, value, place)
            claim = self._ledger.prove(proof.run, "price", **self._fields(sample, value, place))
            if claim is not None:
                exact = Fraction(value)
                return claim, max(Fraction(0), 1 + exact) if shift else exact
            if not math.isfinite(proof.missed):
                return None
            # the points were not the best ones, or else the multipliers are too coarse
            value = round_up(Fraction(value) + Fraction(max(0.0, proof.missed)) * 2 + slack / 16)
        return None

    def _margin(self, sample: int, rivals: Matrix, value: float, place: _Place | None) -> PriceProof | WholeSpacePrice:
        """What proves that all margins of a sample are at most a value and their price."""
        network, ball = self._certificate.network, self._ball
        if place is None:
            center = self._certificate.data.x[sample]
            return WholeSpacePrice(self._ledger, network, rivals, value, center, ball.norm, self._weight)
        ground = GroundCost(ball.norm, ball.order if self._finite else 1.0, self._scales)
        return PriceProof(
            Price(network, place.area, rivals, value, ground, self._weight), self._ledger.backend, self._ledger.deadline
        )

    def _logarithmic(self, sample: int, least: Fraction, slack: Fraction, place: _Place) -> tuple[str, Fraction] | None:
        """The same for the cross-entropy, whose cover is refined to an eighth of the slack below the value."""
        network, data, ball, area = self._certificate.network, self._certificate.data, self._ball, place.area
        ground, gap = GroundCost(ball.norm, ball.order if self._finite else 1.0, self._scales), float(slack / 8)
        question = PriceQuestion(
            network=network, label=int(data.y[sample]), center=data.x[sample], cost=ground, domain=Box(area.lower, area.upper),
            reach=math.inf if self._finite else ball.radius,
        )  # fmt: skip
        points = np.array([atom.point for atom in self._point.plan.atoms if atom.source == sample])
        cover = SoftmaxCover(question, self._ledger.backend, self._weight, points)
        value = round_up(least + slack / 2)
        for _ in range(_ATTEMPTS):
            if cover.refine(value - gap, gap, self._ledger.deadline):
                entries, rows = cover.written(value - gap)
                price = Price(network, area, np.zeros((0, network.outputs)), value, ground, self._weight)
                proof = CrossEntropyProof(price, rows, self._ledger.backend, self._ledger.deadline)
                claim = self._ledger.prove(proof.run, "price", **self._fields(sample, value, place), ce=entries)
                return None if claim is None else (claim, Fraction(value))
            if cover.best <= value - gap:
                return None
            value = round_up(Fraction(cover.best) + slack / 2)  # the plan's points were not the best ones
        return None

    def _place(self, sample: int) -> _Place | None:
        """Where the sample can go, and what a claim says about that; ``None`` if there is no bounded part that matters."""
        center, ball = self._certificate.data.x[sample], self._ball
        if not self._finite:
            said = {"sample": sample, "norm": str(ball.norm), "radius": written(ball.radius)}
            return _Place(Area.of_sample(self._domain, center, ball.norm, ball.radius), {"ball": said})
        if self._domain.bounded:
            return _Place(Area.of_sample(self._domain, center, ball.norm), {})
        assert self._order is not None
        assert self._cubes is not None
        found = self._cubes.about(int(self._certificate.data.y[sample]), self._weight, self._order)
        if found is None:
            return None
        claim, radius = found
        within: dict[str, Any] = {"radius": written(radius), "lip": claim}
        if self._certificate.loss == _LOGARITHMIC:
            within["at_sample"] = written(loss_above(self._certificate, self._auditor, sample))
        return _Place(Area.cube(self._domain.box, center, radius, ball.norm), {"within": within})

    def _fields(self, sample: int, value: float, place: _Place | None) -> dict[str, Any]:
        """What the claim says."""
        norm, end = str(self._ball.norm), written(value)
        fields: dict[str, Any] = {
            "sample": sample, "norm": norm, "p": written(self._ball.order) if self._finite else 1,
            "lambda_": written(self._weight), "loss": "ce" if self._certificate.loss == _LOGARITHMIC else "margin", "value": end,
        }  # fmt: skip
        return {**fields, **({"cutoff": end} if self._finite else {}), **(place.fields if place is not None else {})}


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """A bounded part of the domain, and the fields that say so in a claim."""

    area: Area
    fields: dict[str, Any]


def _rivals(outputs: int, label: int) -> Matrix:
    """Rows ``e_j - e_y``, j increasing."""
    rows = np.eye(outputs)
    rows[:, label] -= 1.0
    return np.delete(rows, label, axis=0)
