"""Random graphs with branches, the round trip through ONNX, and the float replay."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.onnx_models import model, node, runtime
from wdaverify._errors import ModelError
from wdaverify.ir.builder import GraphBuilder
from wdaverify.ir.evaluate import forward, trace
from wdaverify.ir.exact import exact_forward, exact_trace
from wdaverify.ir.expression import constant, take
from wdaverify.ir.from_onnx import from_onnx
from wdaverify.ir.load import load
from wdaverify.ir.network import Network
from wdaverify.ir.replay import float_replay
from wdaverify.ir.to_onnx import to_onnx
from wdaverify.ir.to_torch import to_torch
from wdaverify.ir.values import accumulate, product, to_fractions

WIDTH = 4


def random_graph(seed: int) -> bytes:
    """Eight nodes over tensors (1, 4), each reading any earlier ones: residual, shared and dead branches."""
    rng = np.random.default_rng(seed)
    nodes: list[onnx.NodeProto] = []
    weights: dict[str, np.ndarray] = {"alpha": np.float32(0.3), "order": np.array([2, 0, 3, 3])}
    names = ["X"]
    for k in range(8):
        a, b = (names[int(i)] for i in rng.integers(len(names), size=2))
        name = "Y" if k == 7 else f"t{k}"
        if k % 3 == 0:
            weights[f"W{k}"] = rng.normal(size=(WIDTH, WIDTH)).astype(np.float32)
            weights[f"B{k}"] = rng.normal(size=WIDTH).astype(np.float32)
            nodes.append(node("Gemm", [a, f"W{k}", f"B{k}"], [name]))
        else:
            nodes.append(
                [
                    node("Relu", [a], [name]),
                    node("Add", [a, b], [name]),
                    node("Max", [a, b], [name]),
                    node("Sub", [a, b], [name]),
                    node("Mul", [a, "alpha"], [name]),
                    node("Gather", [a, "order"], [name], axis=1),
                    node("Abs", [a], [name]),
                    node("Clip", [a], [name]),
                ][int(rng.integers(8))]
            )
        names.append(name)
    return model(nodes, weights, (1, WIDTH))


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs(seed: int) -> None:
    content = random_graph(seed)
    network = from_onnx(content)
    x = np.random.default_rng(seed).normal(size=(3, WIDTH)).astype(np.float32)
    result = forward(network, x.astype(np.float64))
    for row, point in zip(result, x, strict=True):
        expected = runtime(content, point[None, :])
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-5 * (1 + np.abs(expected).max()))
        exact = [float(v) for v in exact_forward(network, point.tolist())]
        np.testing.assert_allclose(row, exact, rtol=0, atol=1e-9 * (1 + np.abs(row).max()))
    np.testing.assert_allclose(to_torch(network)(torch.tensor(x)).numpy(), result, rtol=0, atol=1e-9 * (1 + np.abs(result).max()))


@pytest.mark.parametrize("seed", range(20))
def test_round_trip_through_onnx_is_exact(seed: int, tmp_path: Path) -> None:
    network = from_onnx(random_graph(seed))
    to_onnx(network, tmp_path / "again.onnx")
    again = load(tmp_path / "again.onnx")
    point = [Fraction(k + 1, 7) for k in range(WIDTH)]
    assert exact_forward(again, point) == exact_forward(network, point)
    assert again.relus == network.relus


def test_export_refuses_what_the_type_cannot_hold(tmp_path: Path) -> None:
    third = from_onnx(model([node("ReduceMean", ["X"], axes=[1])], {}, (1, 3)))
    with pytest.raises(ModelError, match="exactly"):
        to_onnx(third, tmp_path / "third.onnx")
    builder = GraphBuilder(1)
    tenth = builder.finish(builder.scale(builder.input, np.array([0.1])))
    with pytest.raises(ModelError, match="float32"):
        to_onnx(tenth, tmp_path / "tenth.onnx", dtype="float32")
    to_onnx(tenth, tmp_path / "tenth.onnx", dtype="float64")
    assert exact_forward(load(tmp_path / "tenth.onnx"), [1]) == (Fraction(0.1),)
    assert [p.name for p in tmp_path.iterdir()] == ["tenth.onnx"]


def test_replay_rounds_as_the_stored_model_does(tmp_path: Path) -> None:
    nodes = [node("Gemm", ["X", "W"], ["h"]), node("Softmax", ["h"])]
    content = model(nodes, {"W": np.eye(2, dtype=np.float32)}, (1, 2))
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    network = load(path)
    assert network.source is not None
    assert (network.source.file, network.source.sha256) == ("net.onnx", hashlib.sha256(content).hexdigest())
    points = np.array([[0.1, 0.2], [1.0, -3.0], [0.0, 0.0]])
    result = float_replay(network, points)
    assert result is not None
    expected = torch.softmax(torch.tensor(points, dtype=torch.float32), dim=1).double().numpy()
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-7)
    assert not np.array_equal(result, torch.softmax(torch.tensor(points), dim=1).numpy())


def test_replay_of_fixed_batches_and_of_nothing() -> None:
    fixed = from_onnx(model([node("Neg", ["X"])], {}, (3, 2)))
    result = float_replay(fixed, np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert result is not None
    assert result.tolist() == [[-1, -2], [-3, -4]]
    empty = float_replay(fixed, np.zeros((0, 2)))
    assert empty is not None
    assert empty.shape == (0, 2)
    builder = GraphBuilder(1)
    assert float_replay(builder.finish(builder.input), np.zeros((1, 1))) is None


def test_replay_without_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    network = from_onnx(model_without_runtime())
    result = float_replay(network, np.array([[0.1, 2.0]]))
    assert result is not None
    assert result.tolist() == [[float(np.float32(-0.1)), -2.0]]


def model_without_runtime() -> bytes:
    pair = [onnx.helper.make_tensor_value_info(name, 1, (1, 2)) for name in "XY"]
    graph = onnx.helper.make_graph([node("Neg", ["X"])], "g", pair[:1], pair[1:])
    ids = [onnx.helper.make_operatorsetid("", 13)]
    return onnx.helper.make_model(graph, opset_imports=ids, ir_version=8).SerializeToString()


def test_builder_keeps_a_selection_out_of_the_graph() -> None:
    builder = GraphBuilder(3)
    swapped = take(builder.input, np.array([2, 0, -1]), Fraction(1, 2))
    hidden = builder.relu(builder.linear((np.array([0, 0]), np.array([0, 2]), np.array([3.0, 4.0])), swapped, np.zeros(1)))
    network = builder.finish(builder.add(hidden, constant(np.array([1.0]))))
    assert len(network.order) == 4  # input, affine, ReLU, affine
    assert exact_forward(network, [0, 0, 5]) == (18,)


floats = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(floats, floats), min_size=1, max_size=8))
def test_products_are_exact(pairs: list[tuple[float, float]]) -> None:
    a, b = (np.array(column) for column in zip(*pairs, strict=True))
    expected = [Fraction(x) * Fraction(y) for x, y in pairs]
    assert list(to_fractions(product(a, b))) == expected


@given(st.lists(st.tuples(st.integers(0, 3), floats), max_size=12))
def test_sums_are_exact(entries: list[tuple[int, float]]) -> None:
    groups = np.array([g for g, _ in entries], dtype=np.int64)
    values = np.array([v for _, v in entries], dtype=np.float64)
    expected = [sum((Fraction(v) for g, v in entries if g == k), Fraction(0)) for k in range(4)]
    assert list(to_fractions(accumulate(groups, values, 4))) == expected


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_evaluators_agree_at_every_node(seed: int) -> None:
    network: Network = from_onnx(random_graph(seed))
    x = np.random.default_rng(seed).normal(size=WIDTH)
    values, exact = trace(network, x[None, :]), exact_trace(network, x.tolist())
    for name in network.order:
        numerators, denominator = exact[name]
        truth = np.array([float(Fraction(int(v), denominator)) for v in numerators])
        np.testing.assert_allclose(values[name][0], truth, rtol=0, atol=1e-9 * (1 + np.abs(truth).max()))
