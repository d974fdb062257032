"""Proofs of worst-case risks of losses that are priced: prices of all samples from above, an exact plan from below.

Duality: ``risk <= lambda r^p + sum_i w_i s_i`` with ``s_i >= phi_i(lambda)``; for order inf s_i bounds the loss in the ball of
the radius. The plan says which s_i to aim at: its points bound phi_i from below, and what is left to the reported upper end is
shared by all samples. The hinge loss has the margin's price, since ``max(0, 1 + m) - lambda kappa <= max(0, 1 + s)``. The
cross-entropy is no rational: atoms state a lower bound of it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify._types import Norm
from wdaverify.domain import Box
from wdaverify.feature_domain import as_domain
from wdaverify.pricing.prices import PriceQuestion
from wdaverify.proof.area import Area
from wdaverify.proof.cross_entropy_prices import CrossEntropyProof
from wdaverify.proof.ends import moved_lower, moved_upper, room
from wdaverify.proof.growth_risks import prove_by_growth
from wdaverify.proof.nominal import losses_above
from wdaverify.proof.numbers import nearby, written
from wdaverify.proof.plans import exact_cost, exact_plan
from wdaverify.proof.powers96 import power, rational_order
from wdaverify.proof.prices import Price, PriceProof
from wdaverify.proof.softmax_cover import SoftmaxCover
from wdaverify.risk.audit import Auditor
from wdaverify.transport import GroundCost, round_up

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.proof.ledger import Ledger
    from wdaverify.risk.certificate import CurvePoint, RiskCertificate

_LOGARITHMIC = "cross-entropy"

_ATTEMPTS = 4
"""Values that are tried for a price."""


def prove_priced(ledger: Ledger, certificate: RiskCertificate) -> None:
    """Claim both ends at every radius."""
    if isinstance(certificate.domain, Box) and not certificate.domain.bounded and certificate.ball.order == 1.0:
        prove_by_growth(ledger, certificate)
        return
    auditor = Auditor(certificate.network, certificate.data, certificate.domain, certificate.loss)
    for k, point in enumerate(certificate.curve):
        _RiskProof(ledger, certificate, auditor, k, point).prove()


class _RiskProof:
    """The proof at one radius."""

    def __init__(self, ledger: Ledger, certificate: RiskCertificate, auditor: Auditor, number: int, point: CurvePoint) -> None:
        self._ledger, self._certificate, self._auditor, self._point = ledger, certificate, auditor, point
        self._domain = as_domain(certificate.domain, certificate.network.inputs)
        self._scales = self._domain.weights
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
        found = self._still() if self._point.radius == 0.0 else self._upper() if self._priced() else None
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

    def _priced(self) -> bool:
        """Whether there is a rule for this cost: on bounded boxes, in l2 only for lengths and their squares."""
        if self._finite and not self._domain.bounded:
            return False
        return self._ball.norm is not Norm.L2 or self._weight == 0.0 or self._ball.order in {1.0, 2.0}

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
            found = self._price(i, value, slack)
            if found is None:
                return None
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
        certificate, ball = self._certificate, self._ball
        if certificate.loss == _LOGARITHMIC:
            return self._logarithmic(sample, least, slack)
        shift = 1.0 if certificate.loss == "hinge" else 0.0
        rivals = _rivals(certificate.network.outputs, int(certificate.data.y[sample]))
        ground = GroundCost(ball.norm, ball.order if self._finite else 1.0, self._scales)
        value = round_up(least + slack / 2 - Fraction(shift))
        for _ in range(_ATTEMPTS):
            price = Price(certificate.network, self._area(sample), rivals, value, ground, self._weight)
            proof = PriceProof(price, self._ledger.backend, self._ledger.deadline)
            claim = self._ledger.prove(proof.run, "price", **self._fields(sample, value))
            if claim is not None:
                exact = Fraction(value)
                return claim, max(Fraction(0), 1 + exact) if shift else exact
            if not math.isfinite(proof.missed):
                return None
            # the points were not the best ones, or else the multipliers are too coarse
            value = round_up(Fraction(value) + Fraction(max(0.0, proof.missed)) * 2 + slack / 16)
        return None

    def _logarithmic(self, sample: int, least: Fraction, slack: Fraction) -> tuple[str, Fraction] | None:
        """The same for the cross-entropy, whose cover is refined to an eighth of the slack below the value."""
        network, data, ball, area = self._certificate.network, self._certificate.data, self._ball, self._area(sample)
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
                claim = self._ledger.prove(proof.run, "price", **self._fields(sample, value), ce=entries)
                return None if claim is None else (claim, Fraction(value))
            if cover.best <= value - gap:
                return None
            value = round_up(Fraction(cover.best) + slack / 2)  # the plan's points were not the best ones
        return None

    def _area(self, sample: int) -> Area:
        """Where the sample can go."""
        center, ball = self._certificate.data.x[sample], self._ball
        return Area.of_sample(self._domain, center, ball.norm, math.inf if self._finite else ball.radius)

    def _fields(self, sample: int, value: float) -> dict[str, Any]:
        """What the claim says."""
        norm, end = str(self._ball.norm), written(value)
        fields: dict[str, Any] = {
            "sample": sample, "norm": norm, "p": written(self._ball.order) if self._finite else 1,
            "lambda_": written(self._weight), "loss": "ce" if self._certificate.loss == _LOGARITHMIC else "margin", "value": end,
        }  # fmt: skip
        if self._finite:
            return {**fields, "cutoff": end}
        return {**fields, "ball": {"sample": sample, "norm": norm, "radius": written(self._ball.radius)}}


def _rivals(outputs: int, label: int) -> Matrix:
    """Rows ``e_j - e_y``, j increasing."""
    rows = np.eye(outputs)
    rows[:, label] -= 1.0
    return np.delete(rows, label, axis=0)
