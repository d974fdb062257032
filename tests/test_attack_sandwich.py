"""What an attack finds never exceeds what is certified, at any radius, order and norm; and comes close where that is exact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import wdaverify as wv
from tests.attack_cases import NAMES

GOLDEN = Path(__file__).parent / "data" / "golden"
CASES = {case["name"]: case for case in json.loads((GOLDEN / "golden.json").read_text(encoding="utf-8"))["cases"]}
RADII = [0.0, 0.02, 0.1, 0.5]


def _question(name):
    domain = CASES[name]["domain"]
    with np.load(GOLDEN / f"{name}.npz") as data:
        return wv.load(GOLDEN / f"{name}.onnx"), wv.Dataset(data["x"], data["y"]), wv.Box(domain["lo"], domain["hi"])


PLANAR = [("g11_2d_K2", norm, order) for norm in ("l1", "l2", "linf") for order in (1.0, 2.0, np.inf)]


@pytest.mark.parametrize(("name", "norm", "order"), [*PLANAR, ("g14_iris", "linf", 2.0)])
def test_the_risk_found_is_at_most_the_risk_certified(name, norm, order):
    network, data, box = _question(name)
    ball = wv.WassersteinBall(RADII[-1], order=order, norm=norm)
    certificate = wv.certify(network, data, ball, loss="zero-one", domain=box, radii=RADII)
    for method in NAMES:
        found = wv.attack(network, data, ball, method=method, domain=box, radii=RADII, steps=20, restarts=3, device="cpu")
        for attacked, certified in zip(found.curve, certificate.curve, strict=True):
            assert attacked.radius == certified.radius
            assert 1 - attacked.worst_case_accuracy <= certified.risk.upper + 1e-12
            if method == "wda++":
                assert 1 - attacked.worst_case_accuracy >= certified.risk.lower - 1e-4
        assert found.clean_accuracy == pytest.approx(1 - certificate.nominal_risk)
