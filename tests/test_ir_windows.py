"""Windows that are refused: too large, or meaning different things in different runtimes."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import onnx
import pytest

from tests.onnx_models import IR_VERSION, model, node, runtime
from wdaverify._errors import ModelError, UnsupportedOpError
from wdaverify.ir.evaluate import forward
from wdaverify.ir.from_onnx import from_onnx


def built(op: str, length: int, kernel: int | None, *, opset: int = 19, **attributes: Any) -> bytes:
    """One window operator over (1, 1, length); no runtime has seen the model."""
    sides = [onnx.helper.make_tensor_value_info(n, 1, (1, 1, d)) for n, d in (("X", length), ("Y", "m"))]
    stored = []
    if kernel is not None:
        stored = [onnx.numpy_helper.from_array(np.ones((1, 1, kernel), dtype=np.float32), "W")]
    graph = onnx.helper.make_graph([node(op, ["X", *(["W"] if stored else [])], **attributes)], "g", sides[:1], sides[1:], stored)
    ids = [onnx.helper.make_operatorsetid("", opset)]
    return onnx.helper.make_model(graph, opset_imports=ids, ir_version=IR_VERSION).SerializeToString()


@pytest.mark.parametrize(
    ("op", "length", "kernel", "attributes"),
    [
        ("AveragePool", 4, None, {"kernel_shape": [2**20], "pads": [2**20, 2**20]}),
        ("MaxPool", 4, None, {"kernel_shape": [2**20], "pads": [2**20, 2**20]}),
        ("Conv", 4, 2**12, {"pads": [2**20, 2**20]}),
        ("ConvTranspose", 2**14, 2**14, {}),
    ],
)
def test_the_size_is_checked_before_anything_is_built(op: str, length: int, kernel: int | None, attributes: Any) -> None:
    content = built(op, length, kernel, **attributes)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match=f"{op}_Y.*size limit"):
            from_onnx(content)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER"])
def test_dilated_pooling_with_automatic_pads_is_refused(op: str, auto: str) -> None:
    content = built(op, 7, None, kernel_shape=[2], dilations=[2], auto_pad=auto)
    with pytest.raises(UnsupportedOpError, match=rf"{op}_Y.*auto_pad with dilations"):
        from_onnx(content)


@pytest.mark.parametrize(
    ("attributes", "cause"),
    [({"auto_pad": "SAME_UPPER"}, "auto_pad SAME_UPPER"), ({"output_shape": [12]}, "output_shape")],
)
def test_a_transposed_convolution_beyond_its_kernel_is_refused(attributes: dict[str, Any], cause: str) -> None:
    """Stride 3 and kernel 2 reach 3 * 3 + 2 = 11 positions of 12."""
    with pytest.raises(UnsupportedOpError, match=rf"ConvTranspose_Y.*{cause} asks for.*\[12\], beyond the \[11\]"):
        from_onnx(built("ConvTranspose", 4, 2, strides=[3], **attributes))


@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
def test_an_unknown_auto_pad_is_refused(op: str) -> None:
    with pytest.raises(ModelError, match=f"{op}_Y.*unknown auto_pad 'SAME_MIDDLE'"):
        from_onnx(built(op, 4, 2, auto_pad="SAME_MIDDLE"))


@pytest.mark.parametrize("auto", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
def test_the_odd_pad_of_a_transposed_convolution_is_that_of_the_runtime(auto: str) -> None:
    weights = {"W": np.array([[[1, 10, 100]]], dtype=np.float32)}
    content = model([node("ConvTranspose", ["X", "W"], strides=[2], output_shape=[8], auto_pad=auto)], weights, (1, 1, 4))
    x = np.array([[[1, 2, 3, 4]]], dtype=np.float32)
    assert forward(from_onnx(content), x.reshape(1, 4).astype(np.float64))[0].tolist() == runtime(content, x).tolist()
