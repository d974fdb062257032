"""Products of operator norms against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tests.networks import random_mlp, random_residual
from wdaverify._types import Norm
from wdaverify.bounds.operator_norms import label_bounds, lipschitz_bound, operator_norm
from wdaverify.ir.evaluate import forward


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**31), st.sampled_from(Norm), st.integers(-200, 200))
def test_operator_norms_are_tight_upper_bounds(rows, columns, seed, norm, exponent):
    matrix = np.random.default_rng(seed).normal(size=(rows, columns)) * 2.0**exponent
    true = np.linalg.norm(matrix, {Norm.L1: 1, Norm.L2: 2, Norm.LINF: np.inf}[norm])
    bound = operator_norm(csr_array(matrix), norm)
    assert true * (1 - 1e-15) <= bound <= true * (1 + 1e-3)


def test_exactly_known_norms():
    orthogonal = np.array([[3.0, 4.0], [-4.0, 3.0]])
    assert 5.0 <= operator_norm(csr_array(orthogonal), Norm.L2) < 5.0 * (1 + 1e-4)
    rank_one = np.outer(np.arange(1.0, 60.0), np.ones(40))
    true = np.linalg.norm(np.arange(1.0, 60.0)) * np.sqrt(40)
    assert true <= operator_norm(csr_array(rank_one), Norm.L2) < true * (1 + 1e-9)
    assert operator_norm(csr_array((3, 4)), Norm.L2) == 0.0
    assert operator_norm(csr_array(np.full((2, 2), 1e-300)), Norm.L2) >= 2e-300
    assert operator_norm(csr_array(np.array([[0.1] * 10])), Norm.LINF) >= 10 * 0.1


@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("network", [random_mlp((2, 6, 6, 3), 0), random_mlp((4, 8, 2), 1), random_residual(2, 2, 5, 3)])
def test_no_slope_exceeds_the_bound(network, norm):
    generator = np.random.default_rng(7)
    a = generator.uniform(-2, 2, size=(4000, network.inputs))
    # Long chords, and short ones in sign directions, where the dual norms of gradients are attained.
    signs = np.array(list(itertools.product([-1, 0, 1], repeat=network.inputs)))
    b = np.concatenate(
        [
            a[:2000] + generator.normal(size=(2000, network.inputs)),
            a[2000:] + 1e-3 * generator.permuted(signs[generator.integers(1, len(signs), size=2000)], axis=1),
        ]
    )
    length = np.linalg.norm(a - b, ord=norm.order, axis=1)
    keep = length > 0
    rise = (forward(network, a) - forward(network, b))[keep] / length[keep, None]
    for label in range(network.outputs):
        others = [j for j in range(network.outputs) if j != label]
        seen = max(np.abs(rise[:, j] - rise[:, label]).max() for j in others)
        bound = lipschitz_bound(network, f"label:{label}", norm=norm)
        assert seen <= bound * (1 + 1e-9)
        assert bound == max(lipschitz_bound(network, f"margin:{j}-{label}", norm=norm) for j in others)
        assert label_bounds(network, {label}, norm=norm) == {label: bound}
        assert np.abs(rise[:, label]).max() <= lipschitz_bound(network, f"logit:{label}", norm=norm) * (1 + 1e-9)


def test_an_affine_network_has_its_exact_constant():
    network = random_mlp((5, 3), 3)
    op = network.op(network.output)
    rows = op.matrices[0].toarray()
    for norm, dual in ((Norm.LINF, 1), (Norm.L1, np.inf), (Norm.L2, 2)):
        true = np.linalg.norm(rows[2] - rows[0], ord=dual)
        assert true <= lipschitz_bound(network, "margin:2-0", norm=norm) <= true * (1 + 1e-13)
