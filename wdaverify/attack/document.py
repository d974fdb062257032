"""The JSON form of an attack (kind ``attack``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.report import json, records
from wdaverify.report.plans import save_plans

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wdaverify.attack.result import AttackResult
    from wdaverify.ir.network import Network


def save_attack(found: AttackResult, path: str | Path, *, network: Network) -> None:
    """Write the file of kind ``attack``, and the points of large plans beside it before that.

    Parameters
    ----------
    network
        What was attacked: its file and hash go into the document.

    Raises
    ------
    InputError
        If a file cannot be written, or is the attack's own model or data file.
    """
    sources = [source.file for source in (network.source, found.data.source) if source is not None]
    target = json.check_writable(path, inputs=sources)
    plans = save_plans([point.plan for point in found.curve], target, inputs=sources)
    json.write(attack_document(found, network, plans), target)


def attack_document(found: AttackResult, network: Network, plans: Sequence[records.PlanRecord]) -> records.AttackDocument:
    """The file of kind ``attack``, with the records of its plans given."""
    curve = [
        records.AttackCurveRecord(
            radius=point.radius,
            robust_accuracy=point.robust_accuracy,
            worst_case_accuracy=point.worst_case_accuracy,
            mixture_accuracy=point.mixture_accuracy,
            plan=plan,
        )
        for point, plan in zip(found.curve, plans, strict=True)
    ]
    options, ball = found.options, found.ball
    names = ("steps", "restarts", "batch_size", "device", "seed", "kappa")
    return records.AttackDocument(
        model=json.model_record(network),
        domain=json.domain_record(found.domain),
        options={"norm": str(ball.norm), **{name: getattr(options, name) for name in names}},
        versions=json.versions(),
        seconds=found.seconds,
        interrupted=found.interrupted,
        data=json.data_record(found.data),
        threat=records.ThreatRecord(norm=str(ball.norm), order=json.real(ball.order)),
        method=options.method,
        clean_accuracy=found.clean_accuracy,
        distances=_distances(found),
        curve=curve,
        forward=found.forward,
        backward=found.backward,
        attacked=found.attacked,
    )


def _distances(found: AttackResult) -> list[records.FoundRecord]:
    """What was found for every sample."""
    sides = zip(found.data.y.tolist(), found.distances.tolist(), found.targets.tolist(), found.points, found.parts, strict=True)
    return [
        records.FoundRecord(
            sample=i,
            label=label,
            distance=json.real(distance),
            target=target if target >= 0 else None,
            point=json.coordinates(point) if target >= 0 else None,
            part=part or None,
        )
        for i, (label, distance, target, point, part) in enumerate(sides)
    ]
