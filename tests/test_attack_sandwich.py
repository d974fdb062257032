"""What an attack finds never exceeds what is certified, at any radius, order and norm; and comes close where that is exact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import wdaverify as wv
from tests.attack_cases import NAMES
from wdaverify.risk.zero_one_certificate import certificate_from

GOLDEN = Path(__file__).parent / "data" / "golden"
CASES = {case["name"]: case for case in json.loads((GOLDEN / "golden.json").read_text(encoding="utf-8"))["cases"]}
RADII = [0.0, 0.02, 0.1, 0.5]


def _question(name):
    domain = CASES[name]["domain"]
    with np.load(GOLDEN / f"{name}.npz") as data:
        return wv.load(GOLDEN / f"{name}.onnx"), wv.Dataset(data["x"], data["y"]), wv.Box(domain["lo"], domain["hi"])


PLANAR = [("g11_2d_K2", norm, order) for norm in ("l1", "l2", "linf") for order in (1.0, 2.0, np.inf)]


@pytest.mark.slow
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


INSTANCES = Path(__file__).parents[1] / "instances"
SHIPPED = sorted(path.relative_to(INSTANCES).as_posix() for path in INSTANCES.glob("*/*.onnx"))


@pytest.mark.parametrize("model", SHIPPED)
def test_on_every_shipped_network_the_attack_stays_below_the_certificate(model):
    network = wv.load(INSTANCES / model)
    data = wv.Dataset.load(next((INSTANCES / model).parent.glob("*-test.npz"))).first(3)
    domain = wv.Box(data.x.min(axis=0), data.x.max(axis=0) + 1.0)
    for norm in ("linf", "l1"):
        ball = wv.WassersteinBall(0.05, order=1, norm=norm)
        options = wv.DistanceOptions(time_limit=1.0)  # the upper end holds at any moment
        certificate = wv.certify(network, data, ball, domain=domain, radii=RADII, options=options, comparison_time=0.0)
        for order in (1.0, 2.0, np.inf):
            asked = wv.WassersteinBall(0.05, order=order, norm=norm)
            found = wv.attack(network, data, asked, domain=domain, radii=RADII, steps=10, restarts=1, device="cpu")
            proved = certificate_from(network, data, asked, certificate.distances, domain=domain, radii=RADII)
            for attacked, certified in zip(found.curve, proved.curve, strict=False):
                assert 1 - attacked.worst_case_accuracy <= certified.risk.upper + 1e-12
