"""Every worst-case cross-entropy of the reference cases on bounded domains, from ONNX file to certificate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import wdaverify as wv
from wdaverify.domain_file import parse_domain

FOLDER = Path(__file__).parent / "data" / "golden"
ORDERS = {"R1": 1.0, "R2": 2.0, "Rinf": float("inf")}


def questions():
    for case in json.loads((FOLDER / "golden.json").read_text())["cases"]:
        answers = case.get("expected_by_r") or {"inf": case["expected"], "1": case["expected"]}
        for norm, expected in answers.items():
            for key, order in ORDERS.items():
                if "ce" in (expected.get(key) or {}):
                    name = {"1": "l1", "2": "l2", "inf": "linf"}[norm]
                    yield pytest.param(case, name, order, expected, expected[key]["ce"], id=f"{case['name']}-{name}-{key}")


@pytest.mark.parametrize(("case", "norm", "order", "expected", "values"), list(questions()))
def test_golden(case, norm, order, expected, values):
    network, data = wv.load(FOLDER / case["onnx"]), wv.Dataset.load(FOLDER / case["data"])
    radii = [float(radius) for radius in values]
    ball = wv.WassersteinBall(radii[0], order=order, norm=norm)
    domain = parse_domain(case["domain_option"])
    certificate = wv.certify(network, data, ball, loss="cross-entropy", domain=domain, radii=radii)
    assert certificate.nominal_risk == pytest.approx(expected["mean"]["ce"], abs=1e-12)
    for point, value in zip(certificate.curve, values.values(), strict=True):
        assert point.risk.exact
        assert point.risk.lower - 1e-12 <= value <= point.risk.upper + 1e-12
        assert point.risk.lower == pytest.approx(value, abs=1e-6)
