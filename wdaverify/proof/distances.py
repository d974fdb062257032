"""Proofs of minimum distances: a refutation of the ball within the lower end, and the adversarial point at the upper end.

One target per class j other than the label, with the rows ``f_j - f_k >= 0`` for all k; a point of the ball where j attains the
largest logit satisfies them. With all of them refuted, every error lies outside the ball, at a distance of at least its radius.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.proof.area import Area
from wdaverify.proof.context import Context
from wdaverify.proof.ends import easier_lower
from wdaverify.proof.leaves import EmptyLeaves, Target
from wdaverify.proof.numbers import written
from wdaverify.proof.refutation import refuted
from wdaverify.proof.save import Sources, save_proved
from wdaverify.report import json
from wdaverify.search.question import Question

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wdaverify._types import Norm
    from wdaverify.dataset import Dataset
    from wdaverify.domain import Box
    from wdaverify.feature_domain import Domain
    from wdaverify.ir.network import Network
    from wdaverify.proof.ledger import Emit, Ledger
    from wdaverify.report.records import Document
    from wdaverify.risk.adversarial import AdversarialDistance, DistanceOptions


@dataclass(frozen=True, slots=True, eq=False)
class DistanceQuestion:
    """What all samples share."""

    network: Network
    data: Dataset
    domain: Box | Domain
    norm: Norm


def prove_distances(
    ledger: Ledger, question: DistanceQuestion, found: Sequence[AdversarialDistance]
) -> dict[int, tuple[str, float]]:
    """Claim both ends of every distance; a bracket counts as proved if both are.

    Returns
    -------
    dict
        Sample to the claim of its lower end and that end, where one is proved.
    """
    lower: dict[int, tuple[str, float]] = {}
    for k, record in enumerate(found):
        pointer = f"/distances/{k}/distance"
        below, above = _lower(ledger, question, record, pointer), _upper(ledger, question, record, pointer)
        if below is not None:
            lower[record.sample] = below
        trivial = record.distance.lower == 0.0
        if (below is None and not trivial) or (above is None and math.isfinite(record.distance.upper)):
            continue
        needed = tuple(claim for claim in (below and below[0], above) if claim is not None)
        if needed:
            ledger.rest(pointer, needed, **({"lower": json.real(below[1])} if below else {}))
    return lower


def save_distances(
    document: Document,
    path: Path,
    network: Network,
    data: Dataset,
    found: Sequence[AdversarialDistance],
    *,
    domain: Box | Domain,
    norm: Norm,
    options: DistanceOptions,
) -> str | None:
    """Write the file of kind ``distance`` with its proofs; arguments as of the search that found the distances.

    Returns
    -------
    str or None
        Why the file holds no proof; ``None`` if it holds one.
    """
    if data.source is None:
        json.write(document, path)
        return "the data did not come from a file"
    question = DistanceQuestion(network, data, domain.sized(network.inputs), norm)

    def prove(ledger: Ledger) -> None:
        prove_distances(ledger, question, found)

    return save_proved(
        document,
        path,
        network,
        prove,
        sources=Sources(data=data.source.file),
        deadline=options.deadline,
    )


def _lower(ledger: Ledger, question: DistanceQuestion, record: AdversarialDistance, pointer: str) -> tuple[str, float] | None:
    """The claim that nothing nearer is an error, at the reported end or a little before it."""
    if record.distance.lower == 0.0 or (math.isinf(record.distance.lower) and not question.domain.bounded):
        return None
    for distance in easier_lower(record.distance):
        end = "inf" if math.isinf(distance) else written(distance)
        claim = ledger.prove(
            partial(_refuted, ledger, question, record, distance),
            "distance",
            about=(pointer, "lower"),
            sample=record.sample,
            norm=str(question.norm),
            radius=end,
            value=end,
        )
        if claim is not None:
            return claim, distance
    return None


def _upper(ledger: Ledger, question: DistanceQuestion, record: AdversarialDistance, pointer: str) -> str | None:
    """The claim that the adversarial point is one."""
    if record.point is None or math.isinf(record.distance.upper):
        return None
    point = [written(v) for v in record.point.tolist()]
    value = written(record.distance.upper)
    about = (pointer, "upper")
    return ledger.claim("adversary", about=about, sample=record.sample, norm=str(question.norm), x=point, value=value)


def _refuted(ledger: Ledger, question: DistanceQuestion, record: AdversarialDistance, distance: float, emit: Emit) -> bool:
    """Whether every class but the label is refuted within a distance."""
    network = question.network
    area = Area.of_sample(question.domain, question.data.x[record.sample], question.norm, distance)
    context = Context.of(network, area, emit)
    classes = [j for j in range(network.outputs) if j != record.label]
    if len(classes) > 1:
        emit({"t": "targets"})
    for j in classes:
        if not refuted(context, EmptyLeaves(context, class_target(network, j)), ledger.backend, emit, ledger.deadline):
            return False
    return True


def class_target(network: Network, winner: int) -> Target:
    """Class `winner` attains the largest logit."""
    rows = -np.eye(network.outputs)
    rows[:, winner] += 1.0
    others = [k for k in range(network.outputs) if k != winner]
    return Target(Question.of(rows[others], inputs=network.inputs), tuple(range(len(others))))
