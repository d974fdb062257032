"""Proofs of constants on R^n, judged, against the cells of a square beyond all of which no further ones begin."""

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
from tests.rational_cells import output_forms
from tests.risk_whole_space import whole_space_risk
from tests.strategies import degenerate_networks, small_networks
from tests.test_proof import stored
from wdaverify._types import Norm
from wdaverify.check.report import check
from wdaverify.cli.main import main
from wdaverify.ir.to_onnx import to_onnx
from wdaverify.proof.whole_space_constants import _cancelling

FAR = 2.0**40


def truth(network, row, norm):
    """The largest norm of the gradient of ``row . f`` (its square for l2), exactly."""
    best = Fraction(0)
    for forms in output_forms(network, -FAR, FAR):
        gradient = [sum((Fraction(c) * form[k] for c, form in zip(row, forms, strict=True)), Fraction(0)) for k in (0, 1)]
        sizes = [abs(v) for v in gradient]
        best = max(best, {Norm.LINF: sum(sizes), Norm.L1: max(sizes), Norm.L2: sum(v * v for v in sizes)}[norm])
    return best


def reported(folder, network, names, norm):
    """The constants as the command writes them; a proof is accepted."""
    to_onnx(network, folder / "m.onnx")
    asked = [word for name in names for word in ("--functional", name)]
    output = folder / "r.json"
    assert (
        main(["lipschitz", str(folder / "m.onnx"), "--domain", "Rn", "--norm", str(norm), *asked, "--output", str(output)]) == 0
    )
    report = json.loads(output.read_text())
    assert "proof" not in report or check(output).accepted
    return [constant["value"] for constant in report["constants"]]


@given(
    st.one_of(st.tuples(small_networks(outputs=2), st.just(True)), st.tuples(degenerate_networks(outputs=2), st.just(False))),
    st.sampled_from(list(Norm)),
)
@settings(max_examples=6, deadline=None)
def test_constants_on_the_whole_space_are_proved(drawn, norm):
    (network, generic), power = drawn, 2 if norm is Norm.L2 else 1
    with tempfile.TemporaryDirectory() as name:
        found = reported(Path(name), network, ["logit:0", "label:1", "loss:margin:1"], norm)
    for bracket, row in zip(found, ([1.0, 0.0], [1.0, -1.0], [1.0, -1.0]), strict=True):
        exact = truth(network, row, norm)
        assert Fraction(bracket["lower"]) ** power <= exact <= Fraction(bracket["upper"]) ** power
        assert bracket["evidence"] == "proved" or not generic or bracket["status"] != "exact"


def test_losses_of_three_classes_on_the_whole_space(tmp_path):
    found = reported(tmp_path, random_mlp([2, 5, 3], 2), ["loss:margin:0", "loss:hinge:1", "loss:cross-entropy:0"], Norm.LINF)
    assert [bracket["evidence"] for bracket in found] == ["proved", "proved", "checked"]


@pytest.mark.parametrize("factor", [0.9, 0.999999])
def test_a_constant_that_is_too_small_is_never_proved(factor, tmp_path, monkeypatch):
    from wdaverify.proof import constants

    monkeypatch.setattr(constants, "easier_upper", lambda bracket: (factor * bracket.upper,))
    (bracket,) = reported(tmp_path, random_mlp([2, 5, 4, 2], 3), ["logit:0"], Norm.LINF)
    assert bracket["evidence"] == "checked"


@given(st.lists(st.lists(st.integers(-3, 3), min_size=2, max_size=2), min_size=1, max_size=5), st.data())
@settings(max_examples=100, deadline=None)
def test_multipliers_cancel_to_the_last_bit(rows, data):
    near = [Fraction(data.draw(st.floats(0, 4))) for _ in rows]
    found = _cancelling([[Fraction(v) for v in row] for row in rows], near)
    if found is not None:
        assert all(w >= 0 for w in found)
        assert all(sum(w * row[k] for w, row in zip(found, rows, strict=True)) == 0 for k in (0, 1))


GOLDEN = Path(__file__).parent / "data" / "golden"


@pytest.mark.parametrize("loss", ["margin", "hinge", "cross-entropy"])
def test_risks_that_grow_as_the_loss_does(loss, tmp_path):
    """g01: the margin is max(x, 0) - 1, with samples at 0 and 1/2; order 1 adds the radius to every loss."""
    network, data = wv.load(GOLDEN / "g01_ramp_R.onnx"), wv.Dataset.load(GOLDEN / "g01_ramp_R.npz")
    ball = wv.WassersteinBall(0.25, order=1, norm="linf")
    space = wv.Box.whole_space()
    certificate = wv.certify(network, data, ball, loss=loss, radii=[0.0, 0.25, 1.0], domain=space, comparison_time=0.0)
    certificate.save(tmp_path / "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    verdict = check(tmp_path / "r.json", model=GOLDEN / "g01_ramp_R.onnx", data=GOLDEN / "g01_ramp_R.npz")
    assert verdict.accepted
    nominal = {"margin": -0.75, "hinge": 0.25, "cross-entropy": 0.39366933584916475}[loss]
    for point in report["curve"]:
        bracket = point["worst_case_risk"]
        assert bracket["evidence"] == "proved"
        assert float(bracket["lower"]) - 1e-12 <= nominal + point["radius"] <= float(bracket["upper"]) + 1e-12


def test_a_risk_that_grows_less_than_its_constant_is_proved_by_prices(tmp_path):
    """The steepest cell of g11 is bounded: its price is below the constant, and no constant proves it."""
    network, data = stored(wv.load(GOLDEN / "g11_2d_K2.onnx"), tmp_path, np.random.default_rng(0).uniform(-1, 1, (2, 2)))
    ball = wv.WassersteinBall(0.3, order=1, norm="linf")
    certificate = wv.certify(network, data, ball, loss="margin", domain=wv.Box.whole_space(), comparison_time=0.0)
    certificate.save(tmp_path / "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    bracket = report["curve"][0]["worst_case_risk"]
    assert (bracket["status"], bracket["evidence"]) == ("exact", "proved")
    assert {"price", "risk_upper"} <= {claim["kind"] for claim in report["proof"]["claims"]}
    truth = whole_space_risk(network, data.x, data.y.tolist(), 0.3)
    assert float(bracket["lower"]) - 1e-7 <= truth <= float(bracket["upper"]) + 1e-7
