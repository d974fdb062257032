"""The answer to ``attack``: what was found, which bounds a risk from below only."""

from __future__ import annotations

from decimal import ROUND_CEILING
from typing import TYPE_CHECKING

from wdaverify.report.numbers import exactly, percent, shown
from wdaverify.report.page.answer_risk import threat
from wdaverify.report.page.material import Section

if TYPE_CHECKING:
    from wdaverify.report.page.material import Material

_CARDS = 4


def answer_attack(material: Material) -> Section:
    """A card for the data and one for each radius, and a sentence about the largest."""
    document = material.document
    curve = sorted(document["curve"], key=lambda point: point["radius"])
    cards = [{"name": "on the data", "value": percent(document["clean_accuracy"]), "detail": "clean accuracy", "badges": []}]
    cards += [
        {
            "name": f"at radius {shown(point['radius'])}",
            "value": percent(point["worst_case_accuracy"], ROUND_CEILING),
            "detail": f"pointwise {percent(point['robust_accuracy'], ROUND_CEILING)}",
            "badges": ["found"],
        }
        for point in curve[-_CARDS:]
    ]
    last = curve[-1]
    words = [
        f"{document['method']} found a distribution {threat(material, exactly(last['radius']))} on which the network is "
        f"right at most {percent(last['worst_case_accuracy'], ROUND_CEILING)} of the time; on the data, "
        f"{percent(document['clean_accuracy'])}.",
        "An attack cannot say that no distribution is worse: the true worst-case accuracy is at most this. "
        "How far below it may lie, certify answers.",
    ]
    missing = document["data"]["samples"] - document["attacked"]
    if missing:
        words.append(f"The attack stopped early: {missing} samples were not attacked and count as not found.")
    return Section(
        name="answer", title="Answer", values={"cards": cards, "sentences": words, "more": max(len(curve) - _CARDS, 0)}
    )
