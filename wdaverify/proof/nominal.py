"""The losses on the data, as numbers that a certificate may state: exact, but for the cross-entropy a short number above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.ir.exact import exact_forward
from wdaverify.log_sum_exp import cross_entropy_bracket
from wdaverify.proof.numbers import nearby

if TYPE_CHECKING:
    from fractions import Fraction

    from wdaverify.risk.audit import Auditor
    from wdaverify.risk.certificate import RiskCertificate


def losses_above(certificate: RiskCertificate, auditor: Auditor) -> list[Fraction]:
    """An upper bound of the loss at every sample, (N,)."""
    network, data = certificate.network, certificate.data
    if certificate.loss != "cross-entropy":
        return [auditor.loss(i, data.x[i]) for i in range(data.count)]
    logits = [exact_forward(network, x.tolist()) for x in data.x]
    return [nearby(cross_entropy_bracket(f, y)[1], up=True) for f, y in zip(logits, data.y.tolist(), strict=True)]
