"""Proofs of risks of order 1 on R^n, judged, against corners and the ray; and what they stand on."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import random_mlp
from tests.risk_whole_space import whole_space_risk
from tests.strategies import degenerate_networks, small_networks
from tests.test_proof_whole_space_powers import certified
from wdaverify._types import Norm
from wdaverify.check.context import Context, Question, Target
from wdaverify.check.model import program_of
from wdaverify.ir.to_onnx import to_onnx
from wdaverify.proof.cell_forms import cell_forms, decided_everywhere
from wdaverify.proof.priced_risks import _RiskProof
from wdaverify.proof.thin import exact_forms
from wdaverify.proof.whole_space_prices import WholeSpacePrice

SIZES = st.sampled_from([[2, 4, 3], [1, 5, 2], [2, 3, 2, 2]])


@given(st.integers(0, 2**31), SIZES, st.sampled_from(["l1", "linf"]), st.sampled_from(["margin", "hinge"]))
@settings(max_examples=6, deadline=None)
def test_risks_of_order_1_are_true(seed, sizes, norm, loss):
    network, x = random_mlp(sizes, seed), np.random.default_rng(seed).uniform(-1, 1, (2, sizes[0]))
    with tempfile.TemporaryDirectory() as name:
        data, _, bracket = certified(Path(name), network, x, norm, 1.0, loss)
    truth = whole_space_risk(network, data.x, data.y.tolist(), 0.25, norm=norm, loss=loss)
    assert float(bracket["lower"]) - 1e-7 <= truth <= float(bracket["upper"]) + 1e-7


@pytest.mark.parametrize("loss", ["margin", "hinge"])
@pytest.mark.parametrize("norm", ["l1", "linf"])
@pytest.mark.parametrize("sizes", [[2, 4, 3], [1, 5, 2], [2, 3, 2, 2]])
def test_risks_of_order_1_are_proved(sizes, norm, loss, tmp_path):
    x = np.random.default_rng(3).uniform(-1, 1, (2, sizes[0]))
    _, _, bracket = certified(tmp_path, random_mlp(sizes, 3), x, norm, 1.0, loss)
    assert (bracket["status"], bracket["evidence"]) == ("exact", "proved")


@given(degenerate_networks(), st.sampled_from(["l1", "linf"]))
@settings(max_examples=4, deadline=None)
def test_degenerate_networks_are_never_proved_wrongly(network, norm):
    x = np.array([[0.0, 0.5], [-0.25, 0.125]])
    with tempfile.TemporaryDirectory() as name:
        data, _, bracket = certified(Path(name), network, x, norm, 1.0, "margin")
    truth = whole_space_risk(network, data.x, data.y.tolist(), 0.25, norm=norm)
    assert float(bracket["lower"]) - 1e-7 <= truth <= float(bracket["upper"]) + 1e-7


@pytest.mark.parametrize("lie", ["steeper", "lower"])
def test_leaves_that_prove_less_are_refused(lie, tmp_path, monkeypatch):
    """Forms steeper than the price, or values below what the multipliers prove, are no proofs."""
    if lie == "steeper":
        monkeypatch.setattr(WholeSpacePrice, "_dual_norm", lambda self, form: 0.0)
        monkeypatch.setattr(WholeSpacePrice, "_multipliers", lambda self, form, rows, heights, most: np.zeros(len(rows)))
    else:
        honest = _RiskProof._fields
        monkeypatch.setattr(_RiskProof, "_fields", lambda self, i, value, place: honest(self, i, value - 0.01, place))
    x = np.random.default_rng(1).uniform(-1, 1, (2, 2))
    _, report, bracket = certified(tmp_path, random_mlp([2, 4, 3], 1), x, "linf", 1.0, "margin")
    assert bracket["evidence"] == "checked"
    assert "proof" not in report


@given(small_networks(), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_forms_of_cells_are_the_exact_ones(network, seed):
    modes = np.random.default_rng(seed).choice([-1.0, 0.0, 1.0], network.compiled.neurons)
    forms, outputs = cell_forms(network.compiled, modes)
    exact = np.array([[float(v) for v in form] for form in exact_forms(network, modes)])
    assert np.allclose(forms, exact, atol=1e-9)
    x = np.random.default_rng(seed).normal(size=network.inputs)
    signs = np.sign(forms @ np.append(x, 1.0))
    if (signs == np.where(modes > 0, 1.0, -1.0)).all():  # the point lies in the cell
        assert np.allclose(outputs @ np.append(x, 1.0), network.compiled.forward(x[None])[0], atol=1e-9)


@given(st.one_of(small_networks(), degenerate_networks()))
@settings(max_examples=25, deadline=None)
def test_phases_of_all_points_are_those_of_the_judge(network):
    with tempfile.TemporaryDirectory() as name:
        to_onnx(network, Path(name) / "m.onnx")
        program = program_of((Path(name) / "m.onnx").read_bytes(), "m.onnx")
    everywhere = [None] * network.inputs
    context = Context(Question(program, everywhere, everywhere, [Target()]))
    context.propagate()
    if len(context.mode) == network.compiled.neurons:  # the judge has no variable for a constant
        assert decided_everywhere(network.compiled).tolist() == context.mode


def test_euclidean_balls_of_more_inputs_are_left_alone(tmp_path):
    network = random_mlp([2, 4, 3], 1)
    price = WholeSpacePrice(None, network, np.eye(3)[:2], 0.0, np.zeros(2), Norm.L2, 1.0)
    assert not price.run(lambda record: None)
