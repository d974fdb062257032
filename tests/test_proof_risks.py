"""Proofs of worst-case risks, judged: what is marked as proved holds the oracle's risk; small cases leave nothing unproved."""

from __future__ import annotations

import json
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.networks import random_mlp
from tests.risk_cells import box_corners
from tests.risk_oracle import RiskOracle
from tests.strategies import degenerate_networks, small_networks
from tests.test_proof import stored
from wdaverify.check.report import check
from wdaverify.proof.powers96 import power
from wdaverify.risk.certify import certify
from wdaverify.transport import WassersteinBall

THREATS = (("linf", 1.0), ("l1", 1.0), ("linf", np.inf), ("l1", np.inf), ("l2", 2.0))


@given(
    st.one_of(st.tuples(small_networks(outputs=2), st.just(True)), st.tuples(degenerate_networks(outputs=2), st.just(False))),
    st.sampled_from(THREATS),
    st.sampled_from(("margin", "hinge", "zero-one")),
    st.sampled_from((0.0, 0.05, 0.4)),
    st.integers(0, 2**31),
)
@settings(max_examples=8, deadline=None)
def test_risks_of_small_networks_are_proved(drawn, threat, loss, radius, seed):
    network, generic = drawn
    (norm, order), x = threat, np.random.default_rng(seed).uniform(-1, 1, (3, network.inputs))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network, data = stored(network, folder, x)
        ball = WassersteinBall(radius=radius, order=order, norm=norm)
        certificate = certify(network, data, ball, loss=loss, domain=wv.Box(-1, 1), comparison_time=0.0)
        certificate.save(folder / "r.json")
        report = json.loads((folder / "r.json").read_text())
        assert "proof" not in report or check(folder / "r.json").accepted
        bracket = report["curve"][0]["worst_case_risk"]
        oracle = RiskOracle(network, box_corners(-np.ones(2), np.ones(2)), x, data.y.tolist(), norm=norm, loss=loss)
        least, most = oracle.risk(radius, order)
        size = 1e-7 * max(1.0, abs(least))
        assert float(bracket["lower"]) <= most + size
        assert float(bracket["upper"]) >= least - size
        if generic and bracket["status"] == "exact":
            assert bracket["evidence"] == "proved"


@pytest.mark.slow
def test_the_curve_is_proved_radius_by_radius(tmp_path):
    network, data = stored(random_mlp([3, 8, 6, 3], 4), tmp_path, np.random.default_rng(1).uniform(-1, 1, (4, 3)))
    ball = WassersteinBall(radius=0.1, order=1, norm="l2")
    for loss in ("margin", "zero-one"):
        certificate = certify(network, data, ball, loss=loss, radii=[0.0, 0.1, 0.3], domain=wv.Box(-1, 1))
        certificate.save(tmp_path / "r.json")
        curve = json.loads((tmp_path / "r.json").read_text())["curve"]
        assert [point["worst_case_risk"]["evidence"] for point in curve] == ["proved"] * 3
        certificate.save(tmp_path / "r.json", proof=False)
        assert "proof" not in json.loads((tmp_path / "r.json").read_text())


@pytest.mark.parametrize("order", ["1", "2", "3/2", "7/3", "64"])
def test_powers_are_the_tightest_multiples(order):
    exponent, unit = Fraction(order), Fraction(1, 2**96)
    for base in (Fraction(0), Fraction(1, 3), Fraction(9, 4), Fraction(1), Fraction(10**9, 7)):
        low, high = power(base, exponent, up=False), power(base, exponent, up=True)
        p, q = exponent.numerator, exponent.denominator
        assert low**q <= base**p <= high**q
        assert high - low in (0, unit)
