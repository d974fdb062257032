"""Proofs of worst-case cross-entropy, judged: what is marked as proved holds the oracle's risk; exact brackets are proved."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.lying_sessions import LIES, LyingBackend
from tests.networks import random_mlp
from tests.risk_cells import box_corners
from tests.risk_oracle import RiskOracle
from tests.strategies import degenerate_networks
from tests.test_proof import stored
from wdaverify.check.report import check
from wdaverify.cli.main import main
from wdaverify.proof import save
from wdaverify.risk.certify import certify
from wdaverify.transport import WassersteinBall

SEEDS = st.integers(0, 2**31)
GOLDEN = Path(__file__).parent / "data" / "golden"
THREATS = (("linf", 1.0), ("l1", 1.0), ("linf", np.inf), ("l1", np.inf), ("l2", np.inf))


def tiny(hidden, outputs, seed):
    """A network for which search and oracle are quick."""
    return random_mlp([2, hidden, outputs], seed)


@pytest.mark.slow
@given(
    st.one_of(
        st.tuples(st.builds(tiny, st.integers(1, 3), st.sampled_from((2, 3)), SEEDS), st.just(True)),
        st.tuples(degenerate_networks(outputs=2), st.just(False)),
    ),
    st.sampled_from(THREATS),
    st.sampled_from((0.05, 0.4)),
    st.integers(0, 2**31),
)
@settings(max_examples=3, deadline=None)
def test_risks_of_small_networks_are_proved(drawn, threat, radius, seed):
    network, generic = drawn
    (norm, order), x = threat, np.random.default_rng(seed).uniform(-1, 1, (2, network.inputs))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network, data = stored(network, folder, x)
        ball = WassersteinBall(radius=radius, order=order, norm=norm)
        certificate = certify(network, data, ball, loss="cross-entropy", domain=wv.Box(-1, 1), comparison_time=0.0)
        certificate.save(folder / "r.json")
        report = json.loads((folder / "r.json").read_text())
        assert "proof" not in report or check(folder / "r.json").accepted
        bracket = report["curve"][0]["worst_case_risk"]
        least, most = RiskOracle(
            network, box_corners(-np.ones(2), np.ones(2)), x, data.y.tolist(), norm=norm, loss="cross-entropy"
        ).risk(radius, order)
        size = 1e-7 * max(1.0, abs(least))
        assert float(bracket["lower"]) <= most + size
        assert float(bracket["upper"]) >= least - size
        if generic and bracket["status"] == "exact":
            assert bracket["evidence"] == "proved"


def test_a_judge_alone_accepts_what_the_command_writes(tmp_path):
    output = tmp_path / "r.json"
    for kind in ("onnx", "npz"):
        (tmp_path / f"g.{kind}").write_bytes((GOLDEN / f"g08_argmax_restricted_L.{kind}").read_bytes())
    wanted = ["--loss", "cross-entropy", "--radius", "0.5", "--order", "1", "--norm", "linf", "--domain=0,4"]
    assert main(["certify", str(tmp_path / "g.onnx"), "--data", str(tmp_path / "g.npz"), *wanted, "--output", str(output)]) == 0
    bracket = json.loads(output.read_text())["curve"][0]["worst_case_risk"]
    assert (bracket["status"], bracket["evidence"]) == ("exact", "proved")
    assert float(bracket["lower"]) <= 1.1243900987962754 <= float(bracket["upper"])
    room = Path(wv.__file__).parent / "check"
    files = ["--model", str(tmp_path / "g.onnx"), "--data", str(tmp_path / "g.npz")]
    done = subprocess.run([sys.executable, "-I", "-S", str(room), str(output), *files], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ACCEPT" in done.stdout


def test_the_curve_is_proved_radius_by_radius(tmp_path):
    network, data = stored(random_mlp([2, 4, 2], 4), tmp_path, np.random.default_rng(1).uniform(-1, 1, (2, 2)))
    ball = WassersteinBall(radius=0.1, order=1, norm="l1")
    radii = [0.0, 0.1, 0.3]
    certificate = certify(network, data, ball, loss="cross-entropy", radii=radii, domain=wv.Box(-1, 1), comparison_time=0.0)
    certificate.save(tmp_path / "r.json")
    curve = json.loads((tmp_path / "r.json").read_text())["curve"]
    assert [point["worst_case_risk"]["evidence"] for point in curve] == ["proved"] * 3


def test_a_lying_solver_proves_nothing_false(tmp_path, monkeypatch):
    network, data = stored(random_mlp([2, 4, 2], 7), tmp_path, np.random.default_rng(3).uniform(-1, 1, (1, 2)))
    ball = WassersteinBall(radius=0.2, order=1, norm="linf")
    certificate = certify(network, data, ball, loss="cross-entropy", domain=wv.Box(-1, 1), comparison_time=0.0)
    for lie in sorted(LIES):
        monkeypatch.setattr(save, "get_backend", lambda _, lie=lie: LyingBackend(lie))
        certificate.save(tmp_path / "r.json")
        report = json.loads((tmp_path / "r.json").read_text())
        assert "proof" not in report or check(tmp_path / "r.json").accepted
        bracket = report["curve"][0]["worst_case_risk"]
        assert float(bracket["lower"]) <= certificate.curve[0].risk.upper
        assert float(bracket["upper"]) >= certificate.curve[0].risk.lower
