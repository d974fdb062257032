"""The answer to ``certify --data``: nominal and worst-case risk, and what they mean."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import TYPE_CHECKING, Any

from wdaverify.report.numbers import exactly, percent, percent_bracket, shown, shown_bracket, shown_down, shown_up
from wdaverify.report.page.material import Section

if TYPE_CHECKING:
    from wdaverify.report.page.material import Material

_CARDS = 4
"""Radii that get a card; the table below the curve has all."""


def answer_risk(material: Material) -> Section:
    """A card for the data and one for each radius, and a sentence about the largest."""
    document = material.document
    rate = document["loss"] == "zero-one"
    curve = sorted(document["curve"], key=lambda point: point["radius"])
    nominal = percent(document["nominal_risk"]) if rate else shown(document["nominal_risk"])
    cards = [{"name": "on the data", "value": nominal, "detail": "nominal risk", "badges": []}]
    cards += [_card(point, rate=rate) for point in curve[-_CARDS:]]
    return Section(
        name="answer",
        title="Answer",
        values={"cards": cards, "sentences": _sentences(material, curve[-1], rate=rate), "more": max(len(curve) - _CARDS, 0)},
    )


def _card(point: dict[str, Any], *, rate: bool) -> dict[str, Any]:
    """The bracket at one radius."""
    risk = point["worst_case_risk"]
    lower, upper = risk["lower"], risk["upper"]
    value = percent_bracket(lower, upper) if rate else _middle(lower, upper, exact=risk["status"] == "exact")
    return {
        "name": f"at radius {shown(point['radius'])}",
        "value": value,
        "detail": shown_bracket(lower, upper),
        "badges": [risk["status"], risk["evidence"]],
    }


def _middle(lower: float | str, upper: float | str, *, exact: bool) -> str:
    """One number for an exact bracket, else both ends."""
    return shown(upper, 6) if exact else f"{shown_down(lower, 4)} to {shown_up(upper, 4)}"


def _sentences(material: Material, point: dict[str, Any], *, rate: bool) -> list[str]:
    """What the bracket at a radius means."""
    risk, radius = point["worst_case_risk"], exactly(point["radius"])
    near = threat(material, radius)
    loss = material.document["loss"]
    if rate:
        upper, lower = percent(risk["upper"], ROUND_CEILING), percent(risk["lower"], ROUND_FLOOR)
        words = [
            f"The network errs on {percent(material.document['nominal_risk'])} of the data. "
            f"It errs on at most {upper} of any distribution on the domain {near}; the one shown below reaches {lower}."
        ]
    else:
        words = [
            f"The expected {loss} loss is {shown(material.document['nominal_risk'])} on the data. "
            f"It is at most {shown_up(risk['upper'], 6)} under any distribution on the domain {near}; the one shown "
            f"below reaches {shown_down(risk['lower'], 6)}."
        ]
    if risk["status"] != "exact":
        words.append("The bracket is not closed: the truth lies anywhere between its ends. More time may narrow it.")
    if material.document["interrupted"]:
        words.append("The search was interrupted; the bracket holds, but is wider than it could be.")
    return words


def threat(material: Material, radius: str) -> str:
    """The ball in words."""
    if math.isinf(material.order):
        return f"that moves each sample by at most {radius} ({material.norm} norm)"
    return f"within Wasserstein distance {radius} (order {shown(material.order)}, {material.norm} norm)"
