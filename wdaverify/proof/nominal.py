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
    return [loss_above(certificate, auditor, i) for i in range(certificate.data.count)]


def loss_above(certificate: RiskCertificate, auditor: Auditor, sample: int) -> Fraction:
    """An upper bound of the loss at one sample."""
    x = certificate.data.x[sample]
    if certificate.loss != "cross-entropy":
        return auditor.loss(sample, x)
    logits = exact_forward(certificate.network, x.tolist())
    return nearby(cross_entropy_bracket(logits, int(certificate.data.y[sample]))[1], up=True)
