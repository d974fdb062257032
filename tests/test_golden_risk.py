"""Every worst-case zero-one risk and distance of the reference cases, from ONNX file to certificate."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import wdaverify as wv
from wdaverify.domain_file import parse_domain
from wdaverify.risk.certify import certificate_from
from wdaverify.risk.distance import distances

FOLDER = Path(__file__).parent / "data" / "golden"
CASES = json.loads((FOLDER / "golden.json").read_text())["cases"]


def questions():
    for case in CASES:
        answers = case.get("expected_by_r") or {"inf": case["expected"], "1": case["expected"]}
        for norm, expected in answers.items():
            if norm != "2" and "zero_one" in expected:
                name = {"1": "l1", "inf": "linf"}[norm]
                yield pytest.param(case, name, expected, id=f"{case['name']}-{name}")


@pytest.mark.parametrize(("case", "norm", "expected"), list(questions()))
def test_golden(case, norm, expected):
    network = wv.load(FOLDER / case["onnx"])
    data = wv.Dataset.load(FOLDER / case["data"])
    domain = parse_domain(case["domain_option"])
    found = distances(network, data, norm=wv.Norm(norm), domain=domain, options=wv.DistanceOptions())
    low = [float(d) for d in expected.get("d_lo", expected.get("d"))]
    high = [float(d) for d in expected.get("d_hi", expected.get("d"))]
    for record, a, b in zip(found, low, high, strict=True):
        assert record.distance.exact
        assert record.distance.lower == pytest.approx(b, abs=1e-6) or math.isclose(record.distance.lower, b)
        assert record.distance.upper == pytest.approx(a, abs=1e-6) or math.isclose(record.distance.upper, a)
    # One search serves every order.
    for order, values in expected["zero_one"].items():
        radii = [float(radius) for radius in values]
        ball = wv.WassersteinBall(radii[0], order=float(order), norm=norm)
        certificate = certificate_from(network, data, ball, found, domain=domain, radii=radii)
        assert certificate.nominal_risk == pytest.approx(expected["mean"]["zo"], abs=1e-12)
        for point, value in zip(certificate.curve, values.values(), strict=True):
            assert point.risk.exact
            assert point.risk.lower == pytest.approx(value, abs=1e-6)
            assert point.risk.upper == pytest.approx(value, abs=1e-6)
