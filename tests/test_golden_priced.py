"""Every worst-case risk of the reference cases for margin and hinge on boxes, from ONNX file to certificate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import wdaverify as wv
from wdaverify.domain import parse_domain

FOLDER = Path(__file__).parent / "data" / "golden"
CASES = json.loads((FOLDER / "golden.json").read_text())["cases"]
NORMS = {"1": "l1", "2": "l2", "inf": "linf"}
ORDERS = {"R1": "1", "R2": "2", "Rinf": "inf"}


def questions():
    for case in CASES:
        answers = case.get("expected_by_r") or {"inf": case["expected"], "1": case["expected"]}
        for r, expected in answers.items():
            for field, order in ORDERS.items():
                for loss, values in expected.get(field, {}).items():
                    if loss in ("margin", "hinge") and case["domain"] != "R^n":
                        yield pytest.param(case, NORMS[r], order, loss, values, id=f"{case['name']}-{NORMS[r]}-{field}-{loss}")


@pytest.mark.parametrize(("case", "norm", "order", "loss", "values"), list(questions()))
def test_golden(case, norm, order, loss, values):
    network = wv.load(FOLDER / case["onnx"])
    data = wv.Dataset.load(FOLDER / case["data"])
    radii = [float(radius) for radius in values]
    ball = wv.WassersteinBall(radii[0], order=float(order), norm=norm)
    domain = parse_domain(case["domain_option"])
    certificate = wv.certify(network, data, ball, loss=loss, radii=radii, domain=domain, comparison_time=0)
    answers = case.get("expected_by_r", {}).get({"l1": "1", "l2": "2", "linf": "inf"}[norm], case.get("expected"))
    assert certificate.nominal_risk == pytest.approx(answers["mean"][loss], abs=1e-12)
    for point, value in zip(certificate.curve, values.values(), strict=True):
        low, high = value if isinstance(value, list) else (value, value)
        assert point.risk.exact
        assert point.risk.lower <= high + case["tol"]
        assert point.risk.upper >= low - case["tol"]
        assert len(point.plan.atoms) <= data.count + 1
