"""The float replay never costs a result: another runtime, or None and a line in the log."""

from __future__ import annotations

import logging

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import nn

from tests.onnx_models import IR_VERSION, node
from wdaverify._types import Norm
from wdaverify.dataset import Dataset
from wdaverify.domain import Box
from wdaverify.ir import replay
from wdaverify.ir.evaluate import forward
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.from_onnx import from_onnx
from wdaverify.ir.from_torch import from_torch
from wdaverify.ir.network import Network
from wdaverify.ir.replay import float_replay
from wdaverify.risk.adversarial import DistanceOptions
from wdaverify.risk.distance import distances


def double_network() -> tuple[nn.Module, Network]:
    """Operators that onnxruntime has only in float32."""
    torch.manual_seed(3)
    module = nn.Sequential(nn.Conv1d(1, 2, 2), nn.LeakyReLU(0.25), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(2, 2)).double()
    return module, from_torch(module, (1, 3))


def test_float64_convolution_and_leaky_relu_are_replayed() -> None:
    module, network = double_network()
    points = np.random.default_rng(0).normal(size=(5, 3))
    result = float_replay(network, points)
    assert result is not None
    with torch.no_grad():
        truth = module(torch.tensor(points)[:, None, :]).numpy()
    np.testing.assert_allclose(result, truth, rtol=0, atol=1e-14)
    np.testing.assert_allclose(forward(network, points), truth, rtol=0, atol=1e-14)
    np.testing.assert_allclose([float(v) for v in exact_forward(network, points[0].tolist())], truth[0], rtol=0, atol=1e-14)


def test_float64_distances_carry_their_replay() -> None:
    module, network = double_network()
    x = np.full((1, 3), 0.5)
    data = Dataset(x, forward(network, x).argmax(axis=1))
    (record,) = distances(network, data, norm=Norm.LINF, domain=Box(-9.0, 9.0), options=DistanceOptions())
    assert record.point is not None
    assert record.float_replay is not None
    with torch.no_grad():
        truth = module(torch.tensor(record.point)[None, None, :]).numpy()[0]
    np.testing.assert_allclose(record.float_replay, truth, rtol=0, atol=1e-13)


@pytest.mark.parametrize("op", ["Conv", "LeakyRelu", "PRelu", "AveragePool"])
def test_single_operators_in_float64(op: str) -> None:
    weights = {"Conv": {"W": np.full((1, 1, 2), 0.1)}, "PRelu": {"A": np.array([0.1])}}.get(op, {})
    more = {"AveragePool": {"kernel_shape": [2]}, "LeakyRelu": {"alpha": 0.25}}.get(op, {})
    size = 3 if op in {"Conv", "AveragePool"} else 4
    sides = [onnx.helper.make_tensor_value_info(n, TensorProto.DOUBLE, (1, 1, d)) for n, d in (("X", 4), ("Y", size))]
    stored = [onnx.numpy_helper.from_array(v, k) for k, v in weights.items()]
    graph = onnx.helper.make_graph([node(op, ["X", *weights], **more)], "g", sides[:1], sides[1:], stored)
    ids = [onnx.helper.make_operatorsetid("", 16)]
    network = from_onnx(onnx.helper.make_model(graph, opset_imports=ids, ir_version=IR_VERSION).SerializeToString())
    points = np.array([[0.3, -1.7, 2.1, -0.2]])
    result = float_replay(network, points)
    assert result is not None
    np.testing.assert_allclose(result, forward(network, points), rtol=0, atol=1e-15)


def test_a_model_that_no_runtime_can_run_gives_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(content: bytes, name: str) -> None:
        raise NotImplementedError("no such\nkernel")

    _, network = double_network()
    monkeypatch.setattr(replay, "_reference", broken)
    with caplog.at_level(logging.WARNING):
        assert float_replay(network, np.zeros((1, 3))) is None
    (record,) = [r for r in caplog.records if r.name == "wdaverify.ir.replay"]
    assert record.levelno == logging.WARNING
    assert "Sequential: no float replay: onnxruntime: " in record.getMessage()
    assert record.getMessage().endswith("the onnx reference evaluator: no such kernel")


def test_outputs_of_another_length_are_no_replay(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    _, network = double_network()
    monkeypatch.setattr(replay, "_reference", lambda content, name: lambda x: np.zeros(7))
    assert float_replay(network, np.zeros((1, 3))) is None
    assert "gives 7 numbers where the model has 2 outputs" in caplog.text
