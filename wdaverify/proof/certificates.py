"""Write the certificate of a worst-case risk, with its proofs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.proof.priced_risks import prove_priced
from wdaverify.proof.risks import prove_zero_one
from wdaverify.proof.save import Sources, save_proved
from wdaverify.report import json
from wdaverify.risk.document import risk_document, source_files, write_plans

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wdaverify.proof.ledger import Ledger
    from wdaverify.risk.certificate import RiskCertificate

_PROVERS: dict[str, Callable[[Ledger, RiskCertificate], None]] = {
    "zero-one": prove_zero_one,
    "margin": prove_priced,
    "hinge": prove_priced,
    "cross-entropy": prove_priced,
}
"""What proves the risks of a loss."""


def save_certificate(certificate: RiskCertificate, path: str | Path, *, proof: bool) -> str | None:
    """Write the file of kind ``risk``, and the points of large plans beside it before that.

    Returns
    -------
    str or None
        Why the file holds no proof though one was wanted; ``None`` otherwise.

    Raises
    ------
    InputError
        If a file cannot be written, or is the certificate's own model or data file.
    """
    target = json.check_writable(path, inputs=source_files(certificate))
    document = risk_document(certificate, write_plans(certificate, target))
    prover, source = _PROVERS.get(certificate.loss), certificate.data.source
    if not proof or prover is None or source is None or certificate.interrupted:
        json.write(document, target)
        return _excuse(certificate) if proof else None
    deadline = certificate.options.deadline
    return save_proved(
        document,
        target,
        certificate.network,
        lambda ledger: prover(ledger, certificate),
        sources=Sources(data=source.file),
        deadline=deadline,
    )


def _excuse(certificate: RiskCertificate) -> str:
    """Why no proof is even tried."""
    if certificate.interrupted:
        return "the search was interrupted"
    if certificate.data.source is None:
        return "the data did not come from a file"
    return f"risks of the loss {certificate.loss} have none"
