"""Constants and slopes of the reference cases, none of them computed by wdaverify."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import wdaverify as wv
from wdaverify.domain_file import parse_domain
from wdaverify.functionals import parse_functional
from wdaverify.growth.methods import METHODS
from wdaverify.growth.slope import slope
from wdaverify.program.backend import get_backend

DATA = Path(__file__).parent / "data"
GOLDEN = json.loads((DATA / "golden" / "golden.json").read_text())["cases"]
ANCHORS = json.loads((DATA / "lipschitz" / "anchors.json").read_text())["cases"]
NAMES = {"1": "l1", "2": "l2", "inf": "linf"}
FIELDS = {
    "L": "label", "L_box": "label", "L_Rn": "label", "L_margin": "loss:margin", "L_margin_box": "loss:margin",
    "L_hinge_box": "loss:hinge",
}  # fmt: skip


def golden_questions():
    """(model, domain, norm, {functional: constant}, {functional: slope}, tolerance)."""
    for case in GOLDEN:
        answers = case.get("expected_by_r") or dict.fromkeys(NAMES, case["expected"])
        for norm, expected in answers.items():
            by_domain = {case["domain_option"]: {}, "Rn": {}}
            for field, kind in FIELDS.items():
                values = expected.get(field, {})
                domain = "Rn" if field == "L_Rn" else case["domain_option"]
                pairs = values.items() if isinstance(values, dict) else enumerate(values)
                by_domain[domain] |= {f"{kind}:{y}": value for y, value in pairs}
            slopes = expected.get("slope", {})
            pairs = slopes.items() if isinstance(slopes, dict) else enumerate(slopes)
            steep = {f"label:{y}": value for y, value in pairs}
            for domain, constants in by_domain.items():
                wanted = steep if domain == "Rn" else {}
                if constants or wanted:
                    name = f"{case['name']}-{NAMES[norm]}-{domain}"
                    yield pytest.param(case["onnx"], domain, NAMES[norm], constants, wanted, case["tol"], id=name)


@pytest.mark.parametrize(("model", "domain", "norm", "constants", "slopes", "tolerance"), list(golden_questions()))
def test_golden(model, domain, norm, constants, slopes, tolerance):
    network = wv.load(DATA / "golden" / model)
    found = wv.lipschitz_constants(network, list(constants), domain=parse_domain(domain), norms=[norm])
    for record, (name, value) in zip(found, constants.items(), strict=True):
        assert record.functional == name
        assert record.value.exact
        assert record.value.lower == pytest.approx(value, abs=tolerance, rel=1e-9)
        assert record.value.upper == pytest.approx(value, abs=tolerance, rel=1e-9)
        if name in slopes:
            assert record.slope.value.lower == pytest.approx(slopes[name], abs=tolerance)
            assert record.slope.value.upper == pytest.approx(slopes[name], abs=tolerance)
    for name, value in slopes.items():
        found = slope(get_backend("highs"), network, parse_functional(name, network.outputs), wv.Norm(norm)).value
        assert found.lower == pytest.approx(value, abs=tolerance)
        assert found.upper == pytest.approx(value, abs=tolerance)


def anchors(engine, *names):
    for case in ANCHORS:
        if case["case"] in names:
            yield pytest.param(engine, case, id=f"{case['case']}-{engine}")


CHECKED = [
    *anchors("search", "degen_abs_identity_1-2-1", "iris_4-8-8-3", "digits_64-32-16-10.radius-0.02"),
    *anchors("milp", "degen_abs_identity_1-2-1", "iris_4-8-8-3"),
]


@pytest.mark.parametrize(("engine", "case"), CHECKED)
def test_anchors(engine, case, monkeypatch):
    monkeypatch.chdir(DATA / "lipschitz")
    network = wv.load(case["onnx"])
    expected = {(c["functional"], c["norm"]): c["exact"] for c in case["constants"]}
    known = {kind if kind is None else f"loss:{kind}" for kind in METHODS}
    functionals = [f for f in dict.fromkeys(f for f, _ in expected) if not f.startswith("loss") or f.rsplit(":", 1)[0] in known]
    options = wv.LipschitzOptions(engine=engine)
    found = wv.lipschitz_constants(
        network, functionals, domain=parse_domain(case["domain_option"]), norms=["linf", "l2", "l1"], options=options
    )
    checked = 0
    for record in found:
        truth = expected.get((record.functional, str(record.norm)))
        if truth is None:
            continue
        checked += 1
        room = 1e-12 if not record.functional.startswith("loss") else 1e-9
        assert record.value.lower <= truth * (1 + room)
        assert record.value.upper >= truth * (1 - room)
        if engine == "search" and not record.functional.startswith("loss"):
            assert record.value.upper - record.value.lower <= 1e-9 * truth
        if record.norm is not wv.Norm.L2:
            assert record.value.exact
    assert checked == sum(f in functionals for f, _ in expected)


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "case"), list(anchors("search", "rand_2-16-16-2_s0", "digits_64-32-16-10.radius-0.15")))
def test_large_anchors(engine, case, monkeypatch):
    test_anchors(engine, case, monkeypatch)


def test_the_closed_pattern_answers_of_other_tools_are_too_large():
    case = next(case for case in ANCHORS if case["case"].startswith("degen"))
    network = wv.load(DATA / "lipschitz" / case["onnx"])
    for constant in case["constants"]:
        ours = wv.lipschitz(network, constant["functional"], norm=constant["norm"], domain=parse_domain(case["domain_option"]))
        theirs = constant["peers"]["lipbab"]["value"]
        assert ours.value.upper < 1.001 * constant["exact"] < theirs
        # the truth, by sampling: no secant is steeper
        x = np.linspace(-1, 1, 4001)[:, None]
        y = network.compiled.forward(x)[:, 0]
        assert np.max(np.abs(np.diff(y) / np.diff(x[:, 0]))) <= ours.value.upper * (1 + 1e-9)
