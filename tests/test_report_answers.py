"""The first words of a page: the nearest error over all samples, ends that are rounded outwards, radii with all their digits."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import wdaverify as wv
from wdaverify.report.numbers import exactly
from wdaverify.report.page.accuracy_curve import accuracy_curve
from wdaverify.report.page.answer_attack import answer_attack
from wdaverify.report.page.answer_distance import answer_distance
from wdaverify.report.page.answer_lipschitz import answer_lipschitz
from wdaverify.report.page.answer_risk import answer_risk
from wdaverify.report.page.classes import classes
from wdaverify.report.page.material import Material

BALL = {"norm": "l2", "order": 2.0}


def _bracket(lower: float | str, upper: float | str, evidence: str = "checked") -> dict[str, Any]:
    return {"lower": lower, "upper": upper, "status": "exact" if lower == upper else "bracket", "evidence": evidence}


def _distances(*brackets: dict[str, Any]) -> Material:
    records = [{"sample": k, "label": 0, "distance": bracket} for k, bracket in enumerate(brackets)]
    data = wv.Dataset(np.zeros((len(records), 1)), np.zeros(len(records), dtype=int))
    return Material(document={"kind": "distance", "distances": records, "options": BALL, "interrupted": False}, data=data)


def _card(material: Material, name: str) -> dict[str, Any]:
    return next(card for card in answer_distance(material).values["cards"] if card["name"] == name)


def test_an_open_sample_may_hide_a_nearer_error():
    """Sample 1 is exact; of sample 2 nothing is known beyond 0.1, so that the least distance may be 0.1."""
    material = _distances(_bracket(0.0, 0.0), _bracket(0.25, 0.25, "proved"), _bracket(0.1, "inf"))
    card = _card(material, "nearest error")
    assert (card["detail"], card["badges"]) == ("[0.1, 0.25]", ["bracket", "checked"])
    closed = _card(_distances(_bracket(0.25, 0.25, "proved"), _bracket(0.5, 0.75, "proved")), "nearest error")
    assert (closed["value"], closed["detail"], closed["badges"]) == ("0.25", "0.25", ["exact", "proved"])


def test_without_a_known_error_there_is_no_nearest_one():
    names = [card["name"] for card in answer_distance(_distances(_bracket(0.0, 0.0), _bracket(0.1, "inf"))).values["cards"]]
    assert names == ["errors as they are"]


def test_distances_of_classes_are_not_below_those_known():
    document = {"kind": "risk", "distances": _distances(_bracket(0.1, 0.1234561)).document["distances"], "curve": []}
    section = classes(Material(document=document, data=wv.Dataset([[0.0]], [0])))
    assert section is not None
    assert [cell.text for cell in section.values["table"].rows[0]][-2:] == ["0.12346", "0.12346"]


def test_accuracies_after_an_attack_are_rounded_up():
    point = {"radius": 0.123456789, "worst_case_accuracy": 0.5000011, "robust_accuracy": 0.6000011, "mixture_accuracy": 0.7}
    document = {"kind": "attack", "method": "pgd", "curve": [point], "clean_accuracy": 0.9, "attacked": 1, "distances": []}
    document |= {"data": {"samples": 1}, "threat": BALL, "options": BALL | {"kappa": 1}}
    material = Material(document=document, data=wv.Dataset([[0.0]], [0]))
    values = answer_attack(material).values
    assert values["cards"][1]["value"] == "50.01\u00a0%"
    assert values["cards"][1]["detail"] == "pointwise 60.01\u00a0%"
    assert "distance 0.123456789 " in values["sentences"][0]
    assert "at most 50.01\u00a0%" in values["sentences"][0]
    assert [cell.text for cell in accuracy_curve(material).values["table"].rows[0]][1:] == ["0.500002", "0.600002"]


@pytest.mark.parametrize("radius", [0.123456449, 0.1, 1 / 3, 1e-9])
def test_a_bound_is_stated_for_no_larger_radius(radius):
    point = {"radius": radius, "worst_case_risk": _bracket(0.25, 0.5)}
    document = {"kind": "risk", "loss": "hinge", "nominal_risk": 0.1, "curve": [point], "threat": BALL, "options": BALL}
    sentence = answer_risk(Material(document=document | {"interrupted": False})).values["sentences"][0]
    (stated,) = re.findall(r"distance (\S+) ", sentence)
    assert float(stated) == radius
    assert stated == exactly(radius)


def test_the_largest_constant_is_not_stated_too_small():
    record = {"functional": "margin:0-1", "norm": "l2", "value": _bracket(1.0, 1.2345671)}
    section = answer_lipschitz(Material(document={"kind": "lipschitz", "constants": [record], "interrupted": False}))
    assert section.values["cards"][0]["value"] == "1.23457"
