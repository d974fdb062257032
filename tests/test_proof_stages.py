"""The stages that a proof names are those in which the judge lowers the model, with the neurons that the search has."""

from __future__ import annotations

import numpy as np
import pytest

from tests.onnx_models import model, node
from wdaverify.check.model import program_of
from wdaverify.ir.from_onnx import from_onnx
from wdaverify.proof.stages import stages_of

RNG = np.random.default_rng(5)


def real(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def shapes_from_constants():
    nodes = [
        node("Conv", ["X", "w", "b"], ["c"]),
        node("Relu", ["c"], ["r"]),
        node("Constant", [], ["one"], value_ints=[1]),
        node("Constant", [], ["all"], value_ints=[18]),
        node("Concat", ["one", "all"], ["shape"], axis=0),
        node("Reshape", ["r", "shape"], ["flat"]),
        node("Gemm", ["flat", "v"], ["Y"], transB=1),
    ]
    return model(nodes, {"w": real(2, 1, 2, 2), "b": real(2), "v": real(3, 18)}, (1, 1, 4, 4))


def statistics(scale):
    nodes = [
        node("Gemm", ["X", "w", "b"], ["g"]),
        node("BatchNormalization", ["g", "scale", "shift", "mean", "variance"], ["n"]),
        node("Relu", ["n"], ["r"]),
        node("Gemm", ["r", "v"], ["Y"]),
    ]
    tensors = {"w": real(3, 4), "b": real(4), "shift": real(4), "mean": real(4), "variance": real(4) ** 2, "v": real(4, 2)}
    return model(nodes, {**tensors, "scale": np.array(scale, dtype=np.float32)}, (1, 3))


def windows():
    nodes = [node("MaxPool", ["X"], ["m"], kernel_shape=[2, 2]), node("Flatten", ["m"], ["f"]), node("Gemm", ["f", "v"], ["Y"])]
    return model(nodes, {"v": real(9, 2)}, (1, 1, 4, 4))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(windows(), ["A18", "R18", "A18", "A9", "R9", "A9", "A2"], id="max-pooling in two rounds"),
        pytest.param(shapes_from_constants(), ["A18", "R18", "A3"], id="shapes computed from constants"),
        pytest.param(statistics([1.0, -2.0, 0.5, 3.0]), ["A4", "A4", "R4", "A2"], id="batch normalization"),
        pytest.param(statistics([1.0, 0.0, 0.5, 3.0]), ["A4", "A3", "R3", "A2"], id="a channel without scale is a constant"),
    ],
)
def test_stages_are_those_of_the_judge(content, expected):
    assert stages_of(from_onnx(content)) == expected
    assert program_of(content, "m.onnx").names() == expected


def test_neurons_that_the_judge_counts_otherwise_give_a_reason():
    nodes = [
        node("Clip", ["X"], ["r"], min=0.0, max=3.4e38),
        node("MatMul", ["r", "v"], ["Y"]),
    ]  # no limit for us, one for the judge
    content = model(nodes, {"v": real(3, 2)}, (1, 3), opset=7)
    reason = stages_of(from_onnx(content))
    assert isinstance(reason, str)
    assert "3 neurons for the search and 6 for the judge" in reason


def test_operators_that_the_judge_does_not_know_are_named():
    nodes = [node("Gemm", ["X", "v"], ["g"]), node("Mean", ["g", "X"], ["Y"])]
    assert "Mean" in stages_of(from_onnx(model(nodes, {"v": real(3, 3)}, (1, 3))))
