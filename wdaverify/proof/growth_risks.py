"""Proofs of worst-case risks of order 1 on R^n that grow as fast as the loss does.

With a constant L of every label's loss on R^n, ``loss(x, y_i) - L ||x - x_i||`` is largest at the sample: the risk is at most ``L
radius`` above the risk of the data. That is all of it where the loss grows by L at infinity (docs/theory.md); elsewhere the
search found less, and nothing is claimed.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify.proof.ends import easier_upper, moved_lower, moved_upper
from wdaverify.proof.loss_networks import with_margin
from wdaverify.proof.nominal import losses_above
from wdaverify.proof.numbers import nearby, written
from wdaverify.proof.plans import exact_plan
from wdaverify.proof.whole_space_constants import bounded_everywhere
from wdaverify.risk.audit import Auditor
from wdaverify.transport import round_down

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.ir.network import Network
    from wdaverify.proof.ledger import Ledger
    from wdaverify.risk.certificate import CurvePoint, RiskCertificate

_ANY = 2.0**30
"""The multiplier at radius 0."""


def prove_by_growth(ledger: Ledger, certificate: RiskCertificate) -> None:
    """Claim both ends at every radius where that is enough; the order is 1, the domain R^n."""
    proof = _GrowthProof(ledger, certificate)
    for k, point in enumerate(certificate.curve):
        if math.isfinite(point.risk.upper):
            proof.prove(f"/curve/{k}/worst_case_risk", point)


class _GrowthProof:
    """The claims of one certificate."""

    def __init__(self, ledger: Ledger, certificate: RiskCertificate) -> None:
        self._ledger, self._certificate = ledger, certificate
        self._soft = certificate.loss == "cross-entropy"
        self._auditor = Auditor(certificate.network, certificate.data, certificate.domain, certificate.loss)
        self._known: dict[tuple[int, float], str | None] = {}
        self._nominal = losses_above(certificate, self._auditor)

    def _below(self, sample: int, point: Vector) -> Fraction:
        value = self._auditor.loss(sample, point)
        return nearby(value, up=False) if self._soft else value

    def prove(self, pointer: str, point: CurvePoint) -> None:
        """Claim both ends at one radius."""
        data, ball = self._certificate.data, replace(self._certificate.ball, radius=point.radius)
        plan = exact_plan(point.plan, data, ball, self._below, say_losses=self._soft)
        lower = None if plan is None else moved_lower(point.risk, plan.value)
        found = None if lower is None else self._upper(point)
        if plan is None or lower is None or found is None:
            return
        multiplier, upper, claims = found
        terms: list[dict[str, Any]] = [{"lip": claims[y]} for y in data.y.tolist()]
        for term, value in zip(terms, self._nominal, strict=True):
            if self._soft:
                term["at_sample"] = written(value)
        shared: dict[str, Any] = {
            "radius": written(point.radius), "order": 1, "norm": str(ball.norm),
            "loss": "ce" if self._soft else self._certificate.loss,
        }  # fmt: skip
        above = self._ledger.claim(
            "risk_upper", about=(pointer, "upper"), **shared, lambda_=written(multiplier), terms=terms, value=written(upper)
        )
        below = self._ledger.claim("risk_lower", about=(pointer, "lower"), **shared, atoms=plan.atoms, value=written(lower))
        self._ledger.rest(pointer, (above, below), lower=lower, upper=upper)

    def _upper(self, point: CurvePoint) -> tuple[float, float, dict[int, str]] | None:
        """The multiplier that an end allows, this end, and the claims of all labels; the reported end comes first."""
        data = self._certificate.data
        nominal = sum((w * v for w, v in zip(data.fractions, self._nominal, strict=True)), Fraction(0))
        radius = Fraction(point.radius)
        for end in easier_upper(point.risk):
            multiplier = round_down((Fraction(end) - nominal) / radius) if radius else _ANY
            upper = moved_upper(point.risk, nominal + Fraction(max(multiplier, 0.0)) * radius)
            if upper is None or multiplier < 0.0:
                continue
            claims: dict[int, str] = {}
            for label in sorted(set(data.y.tolist())):
                claim = self._constant(label, multiplier)
                if claim is None:
                    break
                claims[label] = claim
            else:
                return multiplier, upper, claims
        return None

    def _constant(self, label: int, value: float) -> str | None:
        """A claim that the loss of a label grows by at most that; of the cross-entropy, that all its margins do."""
        if (label, value) not in self._known:
            self._known[label, value] = self._margins(label, value) if self._soft else self._margin(label, value)
        return self._known[label, value]

    def _margin(self, label: int, value: float) -> str | None:
        network = with_margin(self._certificate.network, label)
        return self._claimed(network, np.ones(1), f"loss:margin:{label}", value)

    def _margins(self, label: int, value: float) -> str | None:
        network = self._certificate.network
        claims = []
        for j in range(network.outputs):
            if j == label:
                continue
            row = np.eye(network.outputs)[j] - np.eye(network.outputs)[label]
            claims.append(self._claimed(network, row, f"margin:{j}-{label}", value))
            if claims[-1] is None:
                return None
        return self._ledger.claim("all", of=claims, value=written(value))

    def _claimed(self, network: Network, row: Vector, functional: str, value: float) -> str | None:
        norm = self._certificate.ball.norm
        work = partial(bounded_everywhere, self._ledger, network, row, value, norm)
        return self._ledger.prove(work, "lip", functional=functional, norm=str(norm), value=written(value))
