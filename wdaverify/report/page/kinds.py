"""Which sections the page of each kind of result has, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.report.page.accuracy_curve import accuracy_curve
from wdaverify.report.page.answer_attack import answer_attack
from wdaverify.report.page.answer_bench import answer_bench
from wdaverify.report.page.answer_distance import answer_distance
from wdaverify.report.page.answer_lipschitz import answer_lipschitz
from wdaverify.report.page.answer_risk import answer_risk
from wdaverify.report.page.bounds import bounds
from wdaverify.report.page.cactus import cactus
from wdaverify.report.page.classes import classes
from wdaverify.report.page.constants import constants
from wdaverify.report.page.distances import distances
from wdaverify.report.page.evidence import evidence
from wdaverify.report.page.instances import instances
from wdaverify.report.page.plans import plans
from wdaverify.report.page.question import question
from wdaverify.report.page.risk_curve import risk_curve

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify.report.page.material import Material, Section

KINDS: dict[str, tuple[Callable[[Material], Section | None], ...]] = {
    "risk": (answer_risk, risk_curve, plans, distances, classes, bounds, evidence, question),
    "attack": (answer_attack, accuracy_curve, plans, distances, classes, evidence, question),
    "distance": (answer_distance, distances, classes, evidence, question),
    "lipschitz": (answer_lipschitz, constants, evidence, question),
    "bench": (answer_bench, instances, cactus, evidence, question),
}
"""A section that has nothing to show is ``None`` and left out."""
