"""The affine piece of an activation pattern against the forward pass, autograd and the enumeration of cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.networks import random_mlp, random_residual
from tests.onnx_cases import CASES, Case
from tests.onnx_models import model
from tests.oracles import enumerate_cells
from wdaverify.domain import Box
from wdaverify.ir.evaluate import forward
from wdaverify.ir.from_onnx import from_onnx
from wdaverify.ir.network import Network
from wdaverify.ir.pattern import affine_piece, jacobian, pattern_at
from wdaverify.ir.to_torch import to_torch


def check_piece(network: Network, x: np.ndarray) -> None:
    """At a generic point the piece gives the value, and its weight is the derivative that torch computes."""
    piece = affine_piece(network, pattern_at(network, x))
    value = forward(network, x[None])[0]
    np.testing.assert_allclose(piece.weight @ x + piece.bias, value, rtol=0, atol=1e-9 * (1 + np.abs(value).max()))
    module = to_torch(network)
    derivative = torch.autograd.functional.jacobian(lambda v: module(v[None])[0], torch.tensor(x)).numpy()
    np.testing.assert_allclose(piece.weight, derivative, rtol=0, atol=1e-9 * (1 + np.abs(derivative).max()))


@pytest.mark.parametrize(("case", "opset"), [pytest.param(case, opsets[-1], id=name) for name, case, opsets in CASES])
def test_every_op(case: Case, opset: int) -> None:
    nodes, weights, shape = case(np.random.default_rng(3), opset)
    network = from_onnx(model(nodes, weights, shape, opset=opset))
    check_piece(network, np.random.default_rng(4).normal(size=network.inputs))


@pytest.mark.parametrize("seed", range(10))
def test_random_networks(seed: int) -> None:
    network = random_residual(seed, 3, 6, 2) if seed % 2 else random_mlp([3, 7, 5, 2], seed)
    for x in np.random.default_rng(seed).normal(size=(5, 3)):
        check_piece(network, x)


def test_jacobians_of_enumerated_cells() -> None:
    network = random_mlp([2, 5, 4, 3], 1)
    cells = list(enumerate_cells(network, Box(-1, 1).sized(2)))
    assert len(cells) > 10
    for cell in cells:
        pattern = {name: np.array(phases) for name, phases in cell.pattern.items()}
        np.testing.assert_allclose(jacobian(network, pattern), cell.slope, atol=1e-12)
