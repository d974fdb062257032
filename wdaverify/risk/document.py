"""The JSON form of distances and of the risk certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wdaverify.report import json, records
from wdaverify.report.plans import save_plans

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wdaverify._types import Norm
    from wdaverify.dataset import Dataset
    from wdaverify.domain import Box
    from wdaverify.feature_domain import Domain
    from wdaverify.ir.network import Network
    from wdaverify.risk.adversarial import AdversarialDistance, DistanceOptions
    from wdaverify.risk.certificate import RiskCertificate


def options_record(norm: Norm, options: DistanceOptions) -> dict[str, Any]:
    """The options as every file records them; the engine is the one that ran."""
    names = ("time_limit", "gap", "engine", "solver", "workers", "seed", "device")
    return {"norm": str(norm), **{name: getattr(options, name) for name in names}}


def distance_records(distances: Sequence[AdversarialDistance]) -> list[records.DistanceRecord]:
    """The JSON form of adversarial distances."""
    return [
        records.DistanceRecord(
            sample=d.sample,
            label=d.label,
            distance=json.bracket_record(d.distance),
            target=d.target,
            point=json.coordinates(d.point),
            float_replay=json.reals(d.float_replay),
        )
        for d in distances
    ]


def distance_document(
    network: Network,
    data: Dataset,
    distances: Sequence[AdversarialDistance],
    *,
    domain: Box | Domain,
    options: dict[str, Any],
    seconds: float,
) -> records.DistanceDocument:
    """The file of kind ``distance``; `options` is an `options_record`."""
    return records.DistanceDocument(
        model=json.model_record(network),
        domain=json.domain_record(domain),
        options=options,
        versions=json.versions(),
        seconds=seconds,
        data=json.data_record(data),
        distances=distance_records(distances),
    )


def write_plans(certificate: RiskCertificate, target: Path) -> list[records.CurveRecord]:
    """The curve, with the points of large plans written beside `target`.

    Raises
    ------
    InputError
        If a file cannot be written, or is the certificate's own model or data file.
    """
    plans = save_plans([point.plan for point in certificate.curve], target, inputs=source_files(certificate))
    return curve_records(certificate, plans)


def curve_records(certificate: RiskCertificate, plans: Sequence[records.PlanRecord]) -> list[records.CurveRecord]:
    """The curve, with the records of its plans given."""
    return [
        records.CurveRecord(
            radius=point.radius,
            worst_case_risk=json.bracket_record(point.risk),
            multiplier=None if point.multiplier is None else json.real(point.multiplier),
            plan=plan,
        )
        for point, plan in zip(certificate.curve, plans, strict=True)
    ]


def source_files(certificate: RiskCertificate) -> list[str]:
    """The files that the certificate is about."""
    return [source.file for source in (certificate.network.source, certificate.data.source) if source is not None]


def risk_document(certificate: RiskCertificate, curve: list[records.CurveRecord]) -> records.RiskDocument:
    """The file of kind ``risk``, with its curve given."""
    return records.RiskDocument(
        model=json.model_record(certificate.network),
        domain=json.domain_record(certificate.domain),
        options=options_record(certificate.ball.norm, certificate.options),
        versions=json.versions(),
        seconds=certificate.seconds,
        interrupted=certificate.interrupted,
        data=json.data_record(certificate.data),
        threat=records.ThreatRecord(norm=str(certificate.ball.norm), order=json.real(certificate.ball.order)),
        loss=certificate.loss,
        nominal_risk=certificate.nominal_risk,
        curve=curve,
        bounds=[
            records.BoundRecord(
                name=bound.name,
                constants={name: json.real(value) for name, value in bound.constants.items()},
                worst_case_risk=[json.real(value) for value in bound.worst_case_risk],
                note=bound.note,
            )
            for bound in certificate.bounds
        ],
        distances=distance_records(certificate.distances),
    )
