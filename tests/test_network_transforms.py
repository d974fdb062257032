"""Homogenised, bias-free, margin and hinge networks: the same rationals, other arrangements."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tests.networks import mlp, random_mlp
from tests.oracles import enumerate_cells
from tests.strategies import small_networks
from wdaverify._errors import InputError
from wdaverify.domain import Box
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.homogenise import homogenised, without_biases
from wdaverify.ir.load import load
from wdaverify.ir.loss_networks import hinge_network, margin_network
from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Affine, Input, Relu
from wdaverify.ir.pattern import jacobian, pattern_at

GOLDEN = Path(__file__).parent / "data" / "golden"
rationals = st.fractions(min_value=-3, max_value=3, max_denominator=7)


def third() -> Affine:
    """``x / 3 + y / 7 - 1/9`` and ``2^-1080 + y``: no float holds the coefficients, and one bias is 0 as a float."""
    pattern = csr_array(np.array([[1.0, 1.0], [0.0, 1.0]]))
    data = [[Fraction(1, 3), Fraction(1, 7), Fraction(1)]]
    return Affine.from_fractions([pattern], data, [Fraction(-1, 9), Fraction(1, 2**1080)])


def awkward() -> Network:
    """A ReLU that reads the input, a node that reads the input twice, one without bias, one that reads no input, rationals."""
    twice = Affine((csr_array(np.array([[1.0, 2.0]])), csr_array(np.array([[0.5, 0.0]]))), np.array([0.25]))
    nodes = {
        "x": Node(Input(2)),
        "a": Node(Relu(2), ("x",)),
        "z": Node(third(), ("a",)),
        "b": Node(Relu(2), ("z",)),
        "c": Node(twice, ("x", "x")),
        "d": Node(Affine((csr_array(np.array([[1.0], [-1.0]])),), np.zeros(2)), ("c",)),
        "f": Node(Affine((csr_array(np.eye(2)), csr_array(np.eye(2))), np.array([0.0, -3.0])), ("b", "d")),
    }
    return Network.from_nodes(nodes, "f")


networks = st.one_of(small_networks(), st.just(awkward()))


@settings(deadline=None, max_examples=60)
@given(networks, st.tuples(rationals, rationals), rationals.filter(lambda t: t > 0))
def test_homogenised_is_t_times_f_of_u_over_t(network, u, t):
    lifted = homogenised(network)
    assert exact_forward(lifted, (*u, t)) == tuple(t * v for v in exact_forward(network, [v / t for v in u]))
    assert exact_forward(lifted, (*u, 0)) == exact_forward(without_biases(network), u)
    assert [lifted.size(name) for name in network.relu_nodes] == [network.size(name) for name in network.relu_nodes]
    assert all(not op.rational.bias.any() for op in map(lifted.op, lifted.order) if isinstance(op, Affine))


@settings(deadline=None, max_examples=40)
@given(networks, st.integers(0, 2**32 - 1), st.floats(0.01, 1))
def test_homogenised_has_the_gradients_of_the_network(network, seed, t):
    u = np.random.default_rng(seed).normal(size=2)
    lifted, own = homogenised(network), pattern_at(network, u / t)
    above = pattern_at(lifted, np.append(u, t))
    assume(all(np.array_equal(own[name], above[name]) for name in own))  # fails only within rounding of a breakpoint
    assert np.allclose(jacobian(lifted, above)[:, :2], jacobian(network, own), rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(small_networks(outputs=3), st.tuples(rationals, rationals))
def test_the_recession_function_is_the_limit_along_rays(network, u):
    far = 10**30
    limit = exact_forward(without_biases(network), u)
    assert all(abs(v / far - w) < 1e-20 for v, w in zip(exact_forward(network, [far * v for v in u]), limit, strict=True))
    assert exact_forward(without_biases(network), [3 * v for v in u]) == tuple(3 * v for v in limit)


@settings(deadline=None, max_examples=80)
@given(st.integers(2, 9).flatmap(lambda k: small_networks(outputs=k)), st.tuples(rationals, rationals), st.data())
def test_losses_as_networks_are_the_losses(network, x, data):
    label = data.draw(st.integers(0, network.outputs - 1))
    logits = exact_forward(network, x)
    margin = max(v for j, v in enumerate(logits) if j != label) - logits[label]
    assert exact_forward(margin_network(network, label), x) == (margin,)
    assert exact_forward(hinge_network(network, label), x) == (max(Fraction(0), 1 + margin),)
    assert margin_network(network, label).relus == network.relus + network.outputs - 2
    assert hinge_network(network, label).relus == network.relus + network.outputs - 1


def test_losses_of_rationals():
    logits = exact_forward(awkward(), [2, 1])
    assert exact_forward(margin_network(awkward(), 1), [2, 1]) == (logits[0] - logits[1],)


def test_the_margin_may_be_less_steep_than_the_steepest_pair():
    network = load(GOLDEN / "g08_argmax_restricted_L.onnx")
    steepest = max(abs(cell.slope[2, 0] - cell.slope[0, 0]) for cell in enumerate_cells(network, Box(0, 4)))
    margin = max(abs(cell.slope[0, 0]) for cell in enumerate_cells(margin_network(network, 0), Box(0, 4)))
    assert (steepest, margin) == (3.0, 1.0)


def test_a_hinge_below_its_threshold_is_flat():
    network = mlp([[[1.0], [0.0]]], [[5.0, 0.0]])  # f = (x + 5, 0): the margin of label 0 is -x - 5
    assert [cell.slope.tolist() for cell in enumerate_cells(hinge_network(network, 0), Box(-1, 1))] == [[[0.0]]]
    assert [cell.slope.tolist() for cell in enumerate_cells(margin_network(network, 0), Box(-1, 1))] == [[[-1.0]]]


@pytest.mark.parametrize("transform", [margin_network, hinge_network])
@pytest.mark.parametrize(("outputs", "label", "message"), [(1, 0, "two outputs"), (3, 3, "label 3"), (3, -1, "label -1")])
def test_labels_that_do_not_exist(transform, outputs, label, message):
    with pytest.raises(InputError, match=message):
        transform(random_mlp((2, 3, outputs), 0), label)
