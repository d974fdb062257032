"""The constant of the cross-entropy: against dense sampling of cells, references, and its place below the label's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.lying_sessions import LIES, LyingBackend
from tests.networks import mlp, random_mlp
from tests.oracles import enumerate_cells
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.domain import Box
from wdaverify.gradients.cross_entropy import largest_cross_entropy_gradients
from wdaverify.gradients.question import GradientLimits
from wdaverify.program.backend import get_backend
from wdaverify.search.result import End

HIGHS = get_backend("highs")
UNIT = Box(-1, 1)
DATA = Path(__file__).parent / "data" / "lipschitz"


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def sampled(network, box, label, norm, count=4000, seed=0):
    """The largest gradient norm among random points of each cell, and the cells' corners as far as samples reach them."""
    rng, best = np.random.default_rng(seed), 0.0
    sized = box.sized(network.inputs)
    for cell in enumerate_cells(network, box):
        x = sized.lower + (sized.upper - sized.lower) * rng.random((count, network.inputs))
        x = np.concatenate([x, cell.center + cell.radius * rng.uniform(-0.5, 0.5, (20, network.inputs))])
        x = x[(x @ cell.rows.T <= cell.sides + 1e-9).all(axis=1)]
        weights = softmax(x @ cell.slope.T + cell.offset)
        weights[:, label] -= 1.0
        best = max(best, np.linalg.norm(weights @ cell.slope, ord=norm.dual.order, axis=1).max(initial=0.0))
    return best


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3, 4]), st.sampled_from(list(Norm)))
def test_brackets_hold_and_close_for_two_classes(seed, outputs, norm):
    network = random_mlp([2, 5, 4, outputs], seed)
    (answer,) = largest_cross_entropy_gradients(HIGHS, network, UNIT.sized(2), 0, [norm])
    best = sampled(network, UNIT, 0, norm)
    assert answer.upper >= best * (1 - 1e-9)
    assert answer.lower >= best * (1 - 1e-2), "the samples found a steeper point"
    if outputs == 2:
        assert answer.upper <= answer.lower * (1 + 1e-9) + 1e-9
    else:  # a bracket that need not close, but is never wider than the label's constant allows
        assert answer.upper <= wv.lipschitz(network, "label:0", domain=UNIT, norm=str(norm)).value.upper * (1 + 1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_lower_end_is_attained_at_its_point(seed):
    network = random_mlp([2, 5, 4, 3], seed)
    (answer,) = largest_cross_entropy_gradients(HIGHS, network, UNIT.sized(2), 1, [Norm.LINF])
    if answer.point is None:
        assert answer.lower == 0.0
        return
    step = 1e-7
    differences = []
    for k in range(2):
        ends = np.array([answer.point + s * step * np.eye(2)[k] for s in (-1, 1)])
        losses = -np.log(softmax(network.compiled.forward(ends))[:, 1])
        differences.append((losses[1] - losses[0]) / (2 * step))
    # the point may lie close to a facet, where differences see two cells; then they mix both gradients
    assert np.abs(differences).sum() <= answer.upper * (1 + 1e-4) + 1e-6


@pytest.mark.parametrize("constant", [c for c in json.loads((DATA / "anchors.json").read_text())["cases"][0]["constants"]
                                      if c["functional"].startswith("loss")], ids=lambda c: c["norm"])  # fmt: skip
def test_reference_values(constant):
    network = wv.load(DATA / "rand_2-16-16-2_s0.onnx")
    found = wv.lipschitz(network, constant["functional"], domain=UNIT, norm=constant["norm"])
    assert found.value.lower == pytest.approx(constant["exact"], rel=1e-9)
    assert found.value.upper == pytest.approx(constant["exact"], rel=1e-9)


def test_closed_form_of_two_classes():
    """``f = (0, 2x)`` on [0, 3], label 0: the slope is ``2 sigmoid(2x)``, largest at 3."""
    network = mlp([[[0.0], [2.0]]], [[0.0, 0.0]])
    (answer,) = largest_cross_entropy_gradients(HIGHS, network, Box([0.0], [3.0]), 0, [Norm.LINF])
    truth = 2.0 / (1.0 + np.exp(-6.0))
    assert answer.end is End.CLOSED
    assert answer.lower <= truth * (1 + 1e-14)
    assert answer.upper >= truth * (1 - 1e-14)
    assert answer.upper - answer.lower <= 1e-9


@pytest.mark.parametrize("label", [0, 1, 2])
def test_it_is_at_most_the_constant_of_the_label(label):
    network = random_mlp([2, 6, 5, 3], 9)
    loss = wv.lipschitz(network, f"loss:cross-entropy:{label}", domain=UNIT)
    whole = wv.lipschitz(network, f"label:{label}", domain=UNIT)
    assert loss.value.lower < whole.value.upper
    assert loss.value.upper <= whole.value.upper * (1 + 1e-9)


def test_limits_and_no_time_leave_valid_brackets():
    network = random_mlp([3, 6, 5, 2], 2)
    best, before = sampled(network, UNIT, 0, Norm.LINF, count=500), np.inf
    for limits in (GradientLimits(deadline=Deadline.after(0.0)), *(GradientLimits(nodes=n) for n in (1, 4, 16, 64, 4096))):
        (answer,) = largest_cross_entropy_gradients(HIGHS, network, UNIT.sized(3), 0, [Norm.LINF], limits=limits)
        assert answer.lower <= answer.upper
        assert answer.upper >= best * (1 - 1e-9)
        assert answer.upper <= before * (1 + 1e-9)
        before = answer.upper


@pytest.mark.parametrize("lie", LIES)
def test_lies_can_only_widen(lie):
    network = random_mlp([2, 4, 3, 3], 4)
    (answer,) = largest_cross_entropy_gradients(
        LyingBackend(lie), network, UNIT.sized(2), 0, [Norm.L2], limits=GradientLimits(nodes=100)
    )
    best = sampled(network, UNIT, 0, Norm.L2, count=1000)
    assert answer.upper >= best * (1 - 1e-9)
    assert answer.lower <= wv.lipschitz(network, "loss:cross-entropy:0", domain=UNIT, norm="l2").value.upper * (1 + 1e-9)


def test_on_the_whole_space_the_label_bounds_it():
    network = mlp([[[1.0], [-1.0]], [[0.0, 0.0], [2.0, 0.0]]], [[0.0, 0.0], [0.0, 0.0]])  # f = (0, 2 relu(x))
    found = wv.lipschitz(network, "loss:cross-entropy:0", domain=Box.whole_space())
    assert found.value.lower == pytest.approx(2.0, rel=1e-6)
    assert found.value.upper == pytest.approx(2.0, rel=1e-6)


@settings(max_examples=4, deadline=None)
@given(network=small_networks(), norm=st.sampled_from(["linf", "l2", "l1"]))
def test_the_cross_entropy_is_at_most_as_steep_as_its_label(network, norm):
    for domain in (UNIT, Box.whole_space()):
        label, entropy = wv.lipschitz_constants(network, ["label:0", "loss:cross-entropy:0"], domain=domain, norms=[norm])
        assert entropy.value.lower <= label.value.upper
        x, y = np.random.default_rng(1).uniform(-1, 1, (2, 500, 2))
        y = np.clip(x + 0.01 * (y - x), -1, 1)
        losses = [np.log(np.exp(f - f[:, [0]]).sum(axis=1)) for f in (network.compiled.forward(x), network.compiled.forward(y))]
        moved = np.linalg.norm(x - y, axis=1, ord=wv.Norm(norm).order)
        assert (np.abs(losses[0] - losses[1]) <= entropy.value.upper * moved * (1 + 1e-9) + 1e-12).all()
