"""Proofs of worst-case zero-one risks: a knapsack over proved distances from above, an exact plan from below."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from wdaverify.knapsack import fill
from wdaverify.proof.distances import DistanceQuestion, prove_distances
from wdaverify.proof.ends import moved_lower, moved_upper
from wdaverify.proof.numbers import written
from wdaverify.proof.plans import exact_plan
from wdaverify.proof.powers96 import rational_order
from wdaverify.risk.audit import Auditor

if TYPE_CHECKING:
    from wdaverify.proof.ledger import Ledger
    from wdaverify.risk.certificate import CurvePoint, RiskCertificate

_ORDERS = Fraction(1, 10**25)
"""Room for the roundings of powers, relative."""


def prove_zero_one(ledger: Ledger, certificate: RiskCertificate) -> None:
    """Claim the distances of all samples and both ends at every radius."""
    domain = certificate.domain.sized(certificate.network.inputs)
    question = DistanceQuestion(certificate.network, certificate.data, domain, certificate.ball.norm)
    claims = prove_distances(ledger, question, certificate.distances)
    auditor = Auditor(certificate.network, certificate.data, certificate.domain, certificate.loss)
    for k, point in enumerate(certificate.curve):
        _prove_point(ledger, certificate, auditor, claims, k, point)


def _prove_point(
    ledger: Ledger,
    certificate: RiskCertificate,
    auditor: Auditor,
    claims: dict[int, tuple[str, float]],
    k: int,
    point: CurvePoint,
) -> None:
    """Claim both ends at one radius."""
    ball, data = replace(certificate.ball, radius=point.radius), certificate.data
    order = None if math.isinf(ball.order) else rational_order(ball.order)
    plan = exact_plan(point.plan, data, ball, auditor.loss)
    if plan is None or (order is None and math.isfinite(ball.order)):
        return
    known = [claims[d.sample][1] if d.sample in claims else 0.0 for d in certificate.distances]
    most = fill(known, data.fractions, radius=ball.radius, order=ball.order, costly=False).value * (1 + _ORDERS)
    most = min(most, Fraction(1))  # as the judge's weights add up to
    lower, upper = moved_lower(point.risk, plan.value), moved_upper(point.risk, most)
    if lower is None or upper is None:
        return
    pointer = f"/curve/{k}/worst_case_risk"
    shared: dict[str, Any] = {
        "radius": written(ball.radius), "order": "inf" if order is None else written(order), "norm": str(ball.norm),
        "loss": certificate.loss,
    }  # fmt: skip
    terms = [claims[d.sample][0] if d.sample in claims else None for d in certificate.distances]
    above = ledger.claim("risk_upper", about=(pointer, "upper"), **shared, terms=terms, value=written(upper))
    below = ledger.claim("risk_lower", about=(pointer, "lower"), **shared, atoms=plan.atoms, value=written(lower))
    ledger.rest(pointer, (above, below), lower=lower, upper=upper)
