"""Every operator against onnxruntime, and the evaluators against each other."""

from __future__ import annotations

import zlib

import numpy as np
import onnx
import pytest
import torch

from tests.onnx_cases import CASES, Case
from tests.onnx_models import by_reference, model, runtime
from wdaverify.ir.evaluate import forward
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.from_onnx import from_onnx
from wdaverify.ir.lowering import LOWERINGS
from wdaverify.ir.network import Network
from wdaverify.ir.to_torch import to_torch

SEEDS = 6


def agree(network: Network, x: np.ndarray) -> np.ndarray:
    """The float64 output; exact arithmetic and torch must give the same up to float64 rounding."""
    result = forward(network, x[None, :])[0]
    scale = 1.0 + np.abs(result).max()
    exact = np.array([float(v) for v in exact_forward(network, x.tolist())])
    np.testing.assert_allclose(result, exact, rtol=0, atol=1e-9 * scale)
    from_torch = to_torch(network)(torch.tensor(x[None, :])).numpy()[0]
    np.testing.assert_allclose(from_torch, exact, rtol=0, atol=1e-9 * scale)
    return result


@pytest.mark.parametrize(
    ("case", "opset", "seed"),
    [pytest.param(c, o, s, id=f"{n}-opset{o}-{s}") for n, c, os in CASES for o in os for s in range(SEEDS)],
)
def test_operator_agrees_with_onnxruntime(case: Case, opset: int, seed: int) -> None:
    rng = np.random.default_rng([seed, opset, zlib.crc32(getattr(case, "__name__", "").encode())])
    nodes, weights, shape = case(rng, opset)
    content = model(nodes, weights, shape, opset=opset)
    x = (2 * rng.normal(size=shape)).astype(np.float32)
    expected = runtime(content, x)
    network = from_onnx(content)
    assert network.input_shape == shape[1:]
    result = agree(network, x.astype(np.float64).ravel())
    np.testing.assert_allclose(result, expected, rtol=0, atol=2e-6 * (1.0 + np.abs(expected).max()))


_REFERENCE_FAILS = {"Mean", "Pad", "ConvTranspose-1d", "ConvTranspose-2d", "MaxPool-1d", "MaxPool-2d"}
"""The onnx reference evaluator raises on some of these cases."""


@pytest.mark.parametrize(("name", "case"), [pytest.param(n, c, id=n) for n, c, _ in CASES if n not in _REFERENCE_FAILS])
def test_operator_in_the_newest_opset_agrees_with_the_reference_evaluator(name: str, case: Case) -> None:
    opset = onnx.defs.onnx_opset_version()
    for seed in range(SEEDS):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        nodes, weights, shape = case(rng, opset)
        x = rng.normal(size=shape).astype(np.float32)
        content, expected = by_reference(nodes, weights, x, opset=opset)
        result = agree(from_onnx(content), x.astype(np.float64).ravel())
        np.testing.assert_allclose(result, expected, rtol=0, atol=2e-6 * (1.0 + np.abs(expected).max()))


def test_every_operator_of_the_table_has_a_case() -> None:
    tested = {op for _, case, opsets in CASES for op in {n.op_type for n in case(np.random.default_rng(0), opsets[0])[0]}}
    elsewhere = {"Softmax", "LogSoftmax", "Size", "CastLike"}  # test_ir_exactness, test_ir_torch
    assert set(LOWERINGS) == tested | elsewhere
