"""What a report says of its brackets: another subject than that of the claims is refused, wherever it is written."""

from __future__ import annotations

import copy
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import judge_drafts as dr
from tests import judge_examples as ex
from wdaverify.check.report import check

OTHERS: dict[str, list[Any]] = {
    "norm": ["l1", "l2", "linf", None, 1],
    "functional": ["logit:0", "logit:1", "margin:0-1", "label:0", "label:1", "loss:margin:0", "loss:hinge:1", None],
    "sample": [0, 1, 2, -1, 0.5, None, "0"],
    "label": [0, 1, 2, -1, 0.5, None],
    "radius": [0, 0.125, 0.25, 0.5, 1, 2, "inf", None],
    "order": [1, 1.5, 2, "inf", 0, None],
    "loss": ["zero-one", "margin", "hinge", "cross-entropy", "linear", None, []],
    "objective": [[[0, 1]], [[1, -1]], [[0, 2]], None],
    "nominal_risk": [0, 0.5, 1, -1, "inf", None],
    "semantics": ["float32", None],
    "schema": ["wdaverify/2", None],
    "verdict": ["sat", "unsat", "unknown", None],
    "inputs": [2, 3, None],
    "outputs": [1, 2, 3, None],
    "sha256": ["0" * 64, None],
    "samples": [2, 3, 0, -1],
}  # fmt: skip

SAME = [{"margin:0-1", "margin:1-0"}, {"label:0", "label:1", "margin:0-1", "margin:1-0"}]
"""Functionals of two classes with one constant."""


def changed(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any, Any]]:
    """All (path, old, new) with another value of a field that says what a bracket is about."""
    found = []
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += [((*path, key), child, new) for new in OTHERS.get(key, []) if new != child]
        found += changed(child, (*path, key)) if key != "proof" else []
    return found


@pytest.mark.parametrize("name", ex.EXAMPLES)
def test_another_subject_is_refused(name: str, tmp_path: Path) -> None:
    document = ex.EXAMPLES[name](tmp_path)
    assert check(dr.write(tmp_path, document)).accepted
    mutants = changed(document)
    assert mutants
    for path, old, new in mutants:
        if any({old, new} <= same for same in SAME if isinstance(old, str) and isinstance(new, str)):
            continue
        mutant = copy.deepcopy(document)
        place: Any = mutant
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = new
        verdict = check(dr.write(tmp_path, mutant, "mutant.json"))
        assert not verdict.accepted, (path, old, new)
        assert "internal" not in verdict.message


@pytest.mark.parametrize("name", ["distance", "lipschitz", "slope", "margin"])
@pytest.mark.parametrize("place", ["options", "threat"])
def test_a_second_norm_is_refused(name: str, place: str, tmp_path: Path) -> None:
    document = ex.EXAMPLES[name](tmp_path)
    entries = (document, *document.get("constants", []), *document.get("slopes", []), *document.get("distances", []))
    stated = {v["norm"] for v in (document.get("options"), document.get("threat"), *entries) if v and "norm" in v}
    assert len(stated) == 1
    for norm in ("l1", "l2", "linf"):
        mutant = copy.deepcopy(document)
        mutant[place] = {**(mutant.get(place) or {}), "norm": norm}
        assert check(dr.write(tmp_path, mutant, "mutant.json")).accepted == (norm in stated)


@pytest.mark.parametrize(("risk", "accepted"), [(0.0, True), (0.5, False), (1.0, False)])
def test_the_nominal_risk_needs_no_claim_of_a_risk(risk: float, accepted: bool, tmp_path: Path) -> None:
    """Whatever the kind of the file, and although only a distance is proved in it."""
    document = {**ex.distance(tmp_path), "loss": "zero-one", "nominal_risk": risk}
    for kind in ("risk", "distance"):
        assert check(dr.write(tmp_path, {**document, "kind": kind})).accepted == accepted


def test_the_nominal_risk_is_that_of_samples_of_the_model(tmp_path: Path) -> None:
    """Samples of another width, or outside of the domain, have none."""
    document = ex.lipschitz(tmp_path)
    for x, accepted in (([[0.5]], True), ([[0.5, 0.5]], False), ([[1.5]], False)):
        np.savez(tmp_path / "data.npz", x=np.array(x), y=np.array([0]))
        fields = {"data": dr.reference(tmp_path / "data.npz"), "loss": "linear", "objective": [[0, 1]], "nominal_risk": 0.5}
        assert check(dr.write(tmp_path, {**document, **fields})).accepted == accepted


def test_the_kind_of_a_data_file_is_that_of_its_whole_name(tmp_path: Path) -> None:
    document = ex.distance(tmp_path)
    x, y = (np.load(tmp_path / document["data"]["file"])[k] for k in "xy")
    rows = "\n".join(f"{float(v[0])!r},{int(k)}" for v, k in zip(x, y, strict=True))
    name = "n" * 74 + ".csv" + ".npz" * 9
    for file, accepted in ((name, False), (name + ".csv", True)):
        (tmp_path / file).write_text(rows)
        document["data"] = dr.reference(tmp_path / file)
        assert check(dr.write(tmp_path, document)).accepted == accepted


@pytest.mark.parametrize("kind", [[], {}, None, 1, "attack", "strange"])
def test_files_of_no_kind_are_refused(kind: Any, tmp_path: Path) -> None:
    verdict = check(dr.write(tmp_path, {**ex.distance(tmp_path), "kind": kind}))
    assert not verdict.accepted
    assert "of kind" in verdict.message


FIELDS = {"constants": "value", "slopes": "value", "distances": "distance", "curve": "worst_case_risk"}


def test_no_end_is_moved_inward(tmp_path: Path) -> None:
    for name, make in ex.EXAMPLES.items():
        document = make(tmp_path)
        for family, field in (
            ("constants", "value"),
            ("slopes", "value"),
            ("distances", "distance"),
            ("curve", "worst_case_risk"),
        ):
            for k, entry in enumerate(document.get(family, [])):
                for end, away in (("lower", math.inf), ("upper", -math.inf)):
                    if entry.get(field, {}).get("evidence") != "proved" or not isinstance(entry[field][end], int | float):
                        continue
                    mutant = copy.deepcopy(document)
                    found = mutant[family][k][field]
                    found[end] = float(found[end]) + math.copysign(0.5, away)
                    accepted = check(dr.write(tmp_path, mutant, "mutant.json")).accepted
                    assert not accepted, (name, family, k, end)


@pytest.mark.parametrize("other", [[0.25], [], 0.5, [0.5, 0.5], [None], ["1/3"], ["inf"]])
def test_a_point_that_is_shown_is_the_one_that_is_proved(other: Any, tmp_path: Path) -> None:
    document = ex.distance(tmp_path)
    claim = next(c for c in document["proof"]["claims"] if c["kind"] == "adversary")
    entry = document["distances"][int(claim["about"][0].split("/")[2])]
    own = [float(Fraction(v)) for v in claim["x"]]
    for point, accepted in ((own, True), (list(map(str, claim["x"])), True), (None, True), (other, False)):
        entry["point"] = point
        assert check(dr.write(tmp_path, document)).accepted == accepted


def test_a_witness_is_the_point_that_is_proved(tmp_path: Path) -> None:
    document = ex.sat(tmp_path)
    own = [float(Fraction(v)) for v in document["proof"]["claims"][0]["x"]]
    for witness in (None, {"x": own, "y": [0.0]}):
        assert check(dr.write(tmp_path, {**document, "witness": witness})).accepted
    for witness in ({"x": [v + 1.0 for v in own]}, {}, [own], {"x": []}):
        assert not check(dr.write(tmp_path, {**document, "witness": witness})).accepted
    assert not check(dr.write(tmp_path, {**ex.unsat(tmp_path), "witness": {"x": own}})).accepted
