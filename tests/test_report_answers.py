"""The first words of a page: the nearest error over all samples, ends that are rounded outwards, radii with all their digits."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import wdaverify as wv
from wdaverify.report.numbers import MISSING, exactly
from wdaverify.report.page.accuracy_curve import accuracy_curve
from wdaverify.report.page.answer_attack import answer_attack
from wdaverify.report.page.answer_distance import answer_distance
from wdaverify.report.page.answer_lipschitz import answer_lipschitz
from wdaverify.report.page.answer_risk import answer_risk
from wdaverify.report.page.bounds import bounds
from wdaverify.report.page.classes import classes
from wdaverify.report.page.constants import constants
from wdaverify.report.page.distances import distances
from wdaverify.report.page.evidence import evidence
from wdaverify.report.page.material import Material
from wdaverify.report.page.risk_curve import risk_curve
from wdaverify.transport import Atom, TransportPlan

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
    assert "any distribution on the domain within" in sentence


def test_the_largest_constant_is_not_stated_too_small():
    record = {"functional": "margin:0-1", "norm": "l2", "value": _bracket(1.0, 1.2345671)}
    section = answer_lipschitz(Material(document={"kind": "lipschitz", "constants": [record], "interrupted": False}))
    assert section.values["cards"][0]["value"] == "1.23457"


def _risk_by_distances(order: float) -> Material:
    """Class 0 errs as it is with sample 0, and loses half of sample 1 in the larger plan; class 1 is left alone."""
    data = wv.Dataset(np.zeros((4, 1)), [0, 0, 0, 1], weights=[1, 2, 1, 4])
    distances = [_bracket(0.0, 0.0), _bracket(0.25, 0.25), _bracket(0.5, "inf"), _bracket(0.125, 0.5)]
    records = [{"sample": k, "label": int(data.y[k]), "distance": d} for k, d in enumerate(distances)]
    curve = [{"radius": r, "worst_case_risk": _bracket(0.25, 0.25)} for r in (0.5, 0.125)]

    def plan(*moves: tuple[int, float, float]) -> TransportPlan:
        atoms = [Atom(source=k, label=int(data.y[k]), mass=m, cost=c, point=np.zeros(1)) for k, m, c in moves]
        return TransportPlan(tuple(atoms))

    plans = [plan((0, 0.125, 0.0), (1, 0.125, 0.25), (1, 0.125, 0.0), (2, 0.125, 0.0), (3, 0.5, 0.0)), plan((3, 1.0, 0.5))]
    document = {"kind": "risk", "distances": records, "curve": curve, "threat": {"norm": "l2", "order": order}, "options": BALL}
    return Material(document=document, data=data, plans=plans)


@pytest.mark.parametrize("order", [1.0, np.inf])
def test_classes_fare_as_their_samples_do(order):
    section = classes(_risk_by_distances(order))
    assert section is not None
    table = section.values["table"]
    assert list(table.headers)[-2:] == ["mass that moves at 0.5", "mass on errors at 0.5"]
    rows = [[cell.text.replace("\u00a0", "") for cell in row] for row in table.rows]
    assert rows[0] == ["0", "3", "50%", "1", "0.25", "0.25", "12.5%", "25%"]
    assert rows[1] == ["1", "1", "50%", "0", "0.5", "0.5", "0%", "0%"]


def test_distances_are_listed_by_their_upper_ends_rounded_outwards():
    material = _distances(_bracket(0.1, "inf"), _bracket(0.2, 1 / 3), _bracket(2 / 3, 2 / 3))
    for record in material.document["distances"]:
        record["target"] = None
    section = distances(material)
    assert section is not None
    rows = [[cell.text for cell in row] for row in section.values["table"].rows]
    assert [row[0] for row in rows] == ["1", "2", "0"]
    assert [row[4:6] for row in rows] == [["0.2", "0.333333334"], ["0.666666666", "0.666666667"], ["0.1", "∞"]]


def test_constants_are_rounded_outwards():
    record = {"functional": "margin:0-1", "norm": "l2", "value": _bracket(1 / 3, 2 / 3)}
    section = constants(Material(document={"kind": "lipschitz", "constants": [record]}))
    assert section is not None
    (row,) = section.values["table"].rows
    assert [cell.text for cell in row] == ["margin:0-1", "l2", "0.333333333", "0.666666667", "bracket", "checked"]


def test_other_certificates_are_above_the_upper_end():
    curve = [{"radius": r, "worst_case_risk": _bracket(0.25, upper)} for r, upper in ((0.1, 0.5), (0.2, "inf"))]
    other = {"name": "other", "constants": {"label:0": 2 / 3}, "worst_case_risk": [0.75, "inf"]}
    none = {"name": "none", "constants": {}, "worst_case_risk": ["inf", "inf"]}
    section = bounds(Material(document={"kind": "risk", "curve": curve, "bounds": [other, none]}))
    assert section is not None
    rows = [[cell.text for cell in row] for row in section.values["table"].rows]
    assert rows[1] == ["other", "0.666667", "0.75", "0.25", "∞", MISSING]
    assert rows[2] == ["none", MISSING, MISSING, MISSING, MISSING, MISSING]


def test_a_check_is_offered_only_where_something_is_proved():
    kinds = ("proved", "checked", "checked", "solver")
    material = _distances(*(_bracket(0.0, 1.0, kind) for kind in kinds))
    section = evidence(replace(material, certificate="d.json"))
    assert [(each["name"], each["count"]) for each in section.values["kinds"]] == [("proved", 1), ("checked", 2), ("solver", 1)]
    assert section.values["check"] == "wdaverify check d.json"
    assert evidence(material).values["check"] == ""
    assert evidence(replace(_distances(_bracket(0.0, 1.0)), certificate="d.json")).values["check"] == ""


@pytest.mark.parametrize("order", [1.0, 2.0, np.inf])
def test_curves_of_open_distances_are_told_apart(order):
    """Far lower ends of distances are upper ends of the risk: here 1 above, and below only the sample that errs as it is."""
    material = _distances(_bracket(0.0, 0.0), _bracket(0.0, "inf"), _bracket(0.0, 1e9), _bracket(0.0, "inf"))
    document = material.document | {"loss": "zero-one", "nominal_risk": 0.25, "bounds": []}
    point = {"radius": 0.5, "worst_case_risk": _bracket(0.25, 1.0), "multiplier": 0.0, "plan": {"atoms": []}}
    document |= {"kind": "risk", "curve": [point], "threat": {"norm": "l2", "order": order}}
    section = risk_curve(replace(material, document=document))
    upper, lower = (section.values["figure"].traces[k]["y"] for k in (0, 1))
    assert (min(upper), max(lower)) == (1.0, pytest.approx(0.25, abs=1e-8))
    assert [cell.text for cell in section.values["table"].rows[0]][:4] == ["0.5", "0.25", "1", "0.75"]


def test_ends_in_the_table_of_risks_are_rounded_outwards():
    point = {"radius": 0.5, "worst_case_risk": _bracket(1 / 3, 2 / 3), "multiplier": 0.0, "plan": {"atoms": []}}
    document = {"kind": "risk", "loss": "hinge", "nominal_risk": 0.25, "bounds": [], "distances": [], "curve": [point]}
    section = risk_curve(Material(document=document | {"threat": BALL}))
    assert [cell.text for cell in section.values["table"].rows[0]][1:4] == ["0.333333333", "0.666666667", "0.34"]
