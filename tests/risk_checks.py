"""What every risk certificate must satisfy, recomputed with nothing of the package but the certificate's own numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from tests.risk_cells import logits
from tests.risk_concave import lengths
from tests.risk_oracle import RiskOracle, losses_of

if TYPE_CHECKING:
    from wdaverify.domain import Box
    from wdaverify.risk.certificate import RiskCertificate


def scale_of(certificate: RiskCertificate) -> float:
    """What float64 errors of an oracle are relative to: the largest logit at the samples and the plans."""
    points = [certificate.data.x, *(point.plan.points for point in certificate.curve)]
    return max(1.0, *(float(np.abs(logits(certificate.network, p)).max()) for p in points))


def check_plans(certificate: RiskCertificate, domain: Box, *, rows: int | None = None) -> None:
    """Masses, budget, support and loss of every plan; at most N + 1 atoms unless the order is inf (N)."""
    data, ball = certificate.data, certificate.ball
    sized = domain.sized(data.size)
    for point in certificate.curve:
        atoms = point.plan.atoms
        assert len(atoms) <= data.count + (0 if math.isinf(ball.order) else 1)
        left = [Fraction(0)] * data.count
        spent, expected = 0.0, 0.0
        for atom in atoms:
            at = np.asarray(atom.point, dtype=np.float64)
            assert atom.mass >= 0
            assert atom.label == data.y[atom.source]
            assert (at >= sized.lower).all()
            assert (at <= sized.upper).all()
            left[atom.source] += Fraction(atom.mass)
            away = float(lengths(at - data.x[atom.source], str(ball.norm)))
            if math.isinf(ball.order):
                assert atom.cost >= away * (1 - 1e-12)
                assert away <= point.radius * (1 + 1e-12)
            elif away > 0:
                assert atom.cost >= away**ball.order * (1 - 1e-9)
                spent += atom.mass * (away / point.radius) ** ball.order
            outputs = logits(certificate.network, at[None, :])[0]
            expected += atom.mass * float(losses_of(np.delete(outputs, atom.label) - outputs[atom.label], certificate.loss))
        assert spent <= 1 + 1e-9
        assert all(abs(a - b) <= Fraction(1, 10**12) for a, b in zip(left, data.fractions, strict=True))
        if certificate.loss != "zero-one":  # ties of a margin in float64 are beyond an oracle
            assert expected >= point.risk.lower - 1e-9 * scale_of(certificate)
        assert point.risk.lower <= point.risk.upper


def check_against(certificate: RiskCertificate, oracle: RiskOracle, *, exact: bool = True) -> None:
    """Every bracket holds the oracle's value, and is exact."""
    order = certificate.ball.order
    room = 1e-9 * scale_of(certificate)
    assert abs(certificate.nominal_risk - oracle.nominal()) <= room
    for point in certificate.curve:
        below, above = oracle.risk(point.radius, order)
        question = f"{certificate.loss} {certificate.ball.norm} order {order} radius {point.radius}"
        assert point.risk.lower <= above + room, f"{question}: lower end {point.risk.lower} above the truth {above}"
        assert point.risk.upper >= below - room, f"{question}: upper end {point.risk.upper} below the truth {below}"
        if exact:
            assert point.risk.exact, f"{question}: {point.risk} is wide, the truth is {below}"
