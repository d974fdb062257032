"""Proofs of worst-case risks on R^n that are as large as the constants of the losses allow.

With a constant L of every label's loss on R^n, no transport of ``W_p <= r`` gains more than ``L r``, since ``W_1 <= W_p``: the
risk is at most that much above the risk of the data. At order 1 this is all of it where the loss grows by L at infinity
(docs/theory.md); at larger orders where all samples can rise at that rate for the same distance. Elsewhere the search found
less, and nothing is claimed.
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

_STEEP = 1.0 + 2.0**-20
"""A plan whose points are reached at a rate beyond the constant, by more than this factor, needs no proof to refute it."""


class GrowthProof:
    """The claims of one certificate of a finite order.

    Parameters
    ----------
    order
        p, as the judge has it.
    """

    def __init__(self, ledger: Ledger, certificate: RiskCertificate, order: Fraction) -> None:
        self._order = order
        self._ledger, self._certificate = ledger, certificate
        self._soft = certificate.loss == "cross-entropy"
        self._auditor = Auditor(certificate.network, certificate.data, certificate.domain, certificate.loss)
        self._known: dict[tuple[int, float], str | None] = {}
        self._nominal = losses_above(certificate, self._auditor)

    def _below(self, sample: int, point: Vector) -> Fraction:
        value = self._auditor.loss(sample, point)
        return nearby(value, up=False) if self._soft else value

    def prove(self, pointer: str, point: CurvePoint) -> bool:
        """Claim both ends at one positive radius; whether that was enough."""
        data, ball = self._certificate.data, replace(self._certificate.ball, radius=point.radius)
        if not math.isfinite(point.risk.upper):
            return False
        plan = exact_plan(point.plan, data, ball, self._below, say_losses=self._soft)
        lower = None if plan is None else moved_lower(point.risk, plan.value)
        found = None if lower is None else self._upper(point)
        if plan is None or lower is None or found is None:
            return False
        upper, claims = found
        shared: dict[str, Any] = {
            "radius": written(point.radius), "order": written(self._order), "norm": str(ball.norm),
            "loss": "ce" if self._soft else self._certificate.loss,
        }  # fmt: skip
        reason: dict[str, Any] = {"constants": claims}
        if self._soft:
            reason["at_sample"] = [written(v) for v in self._nominal]
        above = self._ledger.claim("risk_upper", about=(pointer, "upper"), **shared, **reason, value=written(upper))
        below = self._ledger.claim("risk_lower", about=(pointer, "lower"), **shared, atoms=plan.atoms, value=written(lower))
        self._ledger.rest(pointer, (above, below), lower=lower, upper=upper)
        return True

    def _upper(self, point: CurvePoint) -> tuple[float, list[str]] | None:
        """An end, and the claims of all labels that it needs; the reported end comes first."""
        data = self._certificate.data
        nominal = sum((w * v for w, v in zip(data.fractions, self._nominal, strict=True)), Fraction(0))
        radius, steepest = Fraction(point.radius), self._steepest(point)
        for end in easier_upper(point.risk):
            constant = round_down((Fraction(end) - nominal) / radius)
            upper = moved_upper(point.risk, nominal + Fraction(max(constant, 0.0)) * radius)
            if upper is None or constant < 0.0 or steepest > constant * _STEEP:
                continue
            claims = []
            for label in sorted(set(data.y.tolist())):
                claim = self._constant(label, constant)
                if claim is None:
                    break
                claims.append(claim)
            else:
                return upper, claims
        return None

    def _steepest(self, point: CurvePoint) -> float:
        """The largest rate at which the loss rises to a point of the plan: no constant is smaller."""
        rates = [0.0]
        for atom in point.plan.atoms:
            center = self._certificate.data.x[atom.source]
            distance = float(np.linalg.norm(atom.point - center, ord=self._certificate.ball.norm.order))
            if distance > 0.0:
                rates.append(float(self._below(atom.source, atom.point) - self._nominal[atom.source]) / distance)
        return max(rates)

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
