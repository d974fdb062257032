"""From results of Python to pages: each kind of result, and the material that its page is made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wdaverify._errors import InputError
from wdaverify.attack.document import attack_document
from wdaverify.report import json, records
from wdaverify.report.page.material import Material
from wdaverify.report.page.save import decoded, save_page
from wdaverify.report.page.target import check_page
from wdaverify.risk.certificate import RiskCertificate
from wdaverify.risk.document import curve_records, risk_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify.attack.result import AttackResult
    from wdaverify.domain import Box
    from wdaverify.feature_domain import Domain
    from wdaverify.ir.network import Network
    from wdaverify.transport import TransportPlan

_ELSEWHERE = ""
"""Stands for points that are in memory: the document of a page need not hold them."""


def save_report(
    result: RiskCertificate | AttackResult,
    path: str | Path,
    *,
    network: Network | None = None,
    certificate: str | Path | None = None,
) -> None:
    """Write the page of a result: one HTML file that opens anywhere, offline.

    Parameters
    ----------
    result
        What `wdaverify.certify` or `wdaverify.attack` returned.
    path
        Of the page; it ends in ``.html``.
    network
        What was attacked; needed for the result of an attack, which holds the name of its victim only.
    certificate
        The JSON file to which the certificate was saved. With it the page says which brackets are proved; evidence that the
        result has without its proofs is shown otherwise.

    Raises
    ------
    InputError
        If the file cannot be written, its name does not end in ``.html``, the certificate cannot be read or is another's, or the
        network is missing.

    Examples
    --------
    >>> import tempfile
    >>> import wdaverify as wv
    >>> network = wv.load("instances/iris/iris-16-16.onnx")
    >>> data = wv.Dataset.load("instances/iris/iris-test.npz").first(3)
    >>> certificate = wv.certify(network, data, wv.WassersteinBall(radius=0.02))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     wv.save_report(certificate, f"{folder}/risk.html")
    ...     Path(f"{folder}/risk.html").read_text(encoding="utf-8").count("<h1>")
    1
    """
    target = check_page(Path(path), inputs=[] if certificate is None else [certificate])
    file = None if certificate is None else Path(certificate)
    if isinstance(result, RiskCertificate):
        save_page(risk_material(result, file=file), target)
        return
    if network is None:
        raise InputError("the report of an attack needs network=, the network that was attacked")
    save_page(attack_material(result, network, file=file), target)


def risk_material(result: RiskCertificate, *, file: Path | None = None) -> Material:
    """What the page of a worst-case risk is made of.

    Raises
    ------
    InputError
        If the certificate cannot be read.
    """
    plans = [point.plan for point in result.curve]
    document = decoded(risk_document(result, curve_records(result, _without_points(plans))), file)
    return Material(
        document=document,
        data=result.data,
        shape=result.network.input_shape,
        plans=plans,
        names=feature_names(result.domain),
        certificate=None if file is None else file.name,
    )


def attack_material(result: AttackResult, network: Network, *, file: Path | None = None) -> Material:
    """What the page of an attack is made of; errors as `risk_material`."""
    plans = [point.plan for point in result.curve]
    document: dict[str, Any] = decoded(attack_document(result, network, _without_points(plans)), file)
    return Material(
        document=document,
        data=result.data,
        shape=network.input_shape,
        plans=plans,
        names=feature_names(result.domain),
        certificate=None if file is None else file.name,
    )


def feature_names(domain: Box | Domain) -> tuple[str, ...] | None:
    """The names that a domain gives to its features, if it does."""
    return getattr(domain, "names", None)


def _without_points(plans: Sequence[TransportPlan]) -> list[records.PlanRecord]:
    return [json.plan_record(plan, _ELSEWHERE) for plan in plans]
