"""One table of single-operator models: random attributes, several opsets.

A case is a function of a random generator and an opset that returns nodes, weights and the input's shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from tests.onnx_models import node

Spec = tuple[list[onnx.NodeProto], dict[str, np.ndarray], tuple[int, ...]]
Case = Callable[[np.random.Generator, int], Spec]


def _f(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def _i(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def gemm(rng: np.random.Generator, opset: int) -> Spec:
    trans = int(rng.integers(2))
    w = _f(rng, 3, 4) if trans else _f(rng, 4, 3)
    c = [_f(rng, 3), _f(rng, 1, 3), _f(rng, 1, 1), _f(rng)][int(rng.integers(3 if opset < 11 else 4))]
    n = node("Gemm", ["X", "W", "C"], alpha=float(rng.normal()), beta=float(rng.normal()), transB=trans)
    return [n], {"W": w, "C": c}, (1, 4)


def gemm_transposed(rng: np.random.Generator, opset: int) -> Spec:
    return [node("Gemm", ["W", "X", "C"], transA=1, transB=1)], {"W": _f(rng, 5, 2), "C": _f(rng, 2, 1)}, (1, 5)


def matmul(rng: np.random.Generator, opset: int) -> Spec:
    kind = int(rng.integers(5))
    if kind == 0:
        return [node("MatMul", ["X", "W"])], {"W": _f(rng, 4, 3)}, (1, 2, 4)
    if kind == 1:
        return [node("MatMul", ["W", "X"])], {"W": _f(rng, 3, 4)}, (1, 4, 2)
    if kind == 2:
        return [node("MatMul", ["X", "W"])], {"W": _f(rng, 3, 4, 2)}, (1, 2, 4)
    if kind == 3:
        return [node("MatMul", ["X", "W"])], {"W": _f(rng, 4)}, (1, 2, 4)
    return [node("MatMul", ["W", "X"])], {"W": _f(rng, 4)}, (1, 4, 3)


def binary(op: str) -> Case:
    def case(rng: np.random.Generator, opset: int) -> Spec:
        c = [_f(rng, 2, 3), _f(rng, 3), _f(rng, 2, 1), _f(rng, 1, 2, 3), _f(rng), _f(rng, 4, 2, 3)][int(rng.integers(6))]
        c = np.where(np.abs(c) < 0.1, np.float32(0.5), c).astype(np.float32)
        inputs = ["X", "C"] if op == "Div" or rng.integers(2) else ["C", "X"]
        return [node(op, inputs)], {"C": c}, (1, 2, 3)

    return case


def nary(op: str) -> Case:
    def case(rng: np.random.Generator, opset: int) -> Spec:
        count = int(rng.integers(1, 6))
        if opset < 8:  # no broadcasting yet
            weights = {f"C{k}": _f(rng, 1, 2, 3) for k in range(count)}
        else:
            weights = {f"C{k}": [_f(rng, 2, 3), _f(rng, 3), _f(rng, 1, 2, 1)][int(rng.integers(3))] for k in range(count)}
        scaled = node("Mul", ["X", "S"], ["M"])
        names = ["X", *weights, "M"]
        order = [names[k] for k in rng.permutation(len(names))]
        return [scaled, node(op, order)], {**weights, "S": _f(rng, 1)}, (1, 2, 3)

    return case


def unary(op: str, **attributes: Any) -> Case:
    return lambda rng, opset: ([node(op, ["X"], **attributes)], {}, (1, 2, 3))


def leaky(rng: np.random.Generator, opset: int) -> Spec:
    slope = {} if rng.integers(3) == 0 else {"alpha": float(rng.normal())}
    return [node("LeakyRelu", ["X"], **slope)], {}, (1, 2, 3)


def prelu(rng: np.random.Generator, opset: int) -> Spec:
    slope = [_f(rng, 2, 1), _f(rng, 1), _f(rng, 2, 3)][int(rng.integers(3))]
    return [node("PRelu", ["X", "A"])], {"A": slope}, (1, 2, 3)


def clip(rng: np.random.Generator, opset: int) -> Spec:
    low, high = sorted(rng.normal(size=2).astype(np.float32))
    which = int(rng.integers(1, 4))
    if opset < 11:
        ends = {k: float(v) for k, v, bit in (("min", low, 1), ("max", high, 2)) if which & bit}
        return [node("Clip", ["X"], **ends)], {}, (1, 2, 3)
    inputs = ["X", "lo" if which & 1 else "", *(["hi"] if which & 2 else [])]
    return [node("Clip", inputs)], {"lo": np.float32(low), "hi": np.float32(high)}, (1, 2, 3)


def _windowed(rng: np.random.Generator, rank: int, opset: int, *, dilated: bool = True) -> dict[str, Any]:
    kernel = [int(k) for k in rng.integers(1, 4, rank)]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": [int(s) for s in rng.integers(1, 4, rank)]}
    auto = ["NOTSET", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"][int(rng.integers(6))]
    if auto != "NOTSET":
        if auto.startswith("SAME"):  # onnxruntime refuses windows shorter than the stride here
            attributes["kernel_shape"] = [max(k, s) for k, s in zip(kernel, attributes["strides"], strict=True)]
        return {**attributes, "auto_pad": auto}
    attributes["pads"] = [int(rng.integers(0, k)) for k in [*kernel, *kernel]]
    if dilated:
        attributes["dilations"] = [int(d) for d in rng.integers(1, 3, rank)]
    return attributes


def conv(rank: int) -> Case:
    def case(rng: np.random.Generator, opset: int) -> Spec:
        attributes = _windowed(rng, rank, opset)
        groups = int(rng.integers(1, 3))
        w = _f(rng, 2 * groups, 2, *attributes["kernel_shape"])
        if rng.integers(2):
            del attributes["kernel_shape"]
        inputs, weights = (["X", "W", "B"], {"W": w, "B": _f(rng, 2 * groups)}) if rng.integers(2) else (["X", "W"], {"W": w})
        return [node("Conv", inputs, group=groups, **attributes)], weights, (1, 2 * groups, *([7, 6, 5][:rank]))

    return case


def conv_transpose(rank: int) -> Case:
    def case(rng: np.random.Generator, opset: int) -> Spec:
        groups, strides = int(rng.integers(1, 3)), [int(s) for s in rng.integers(1, 4, rank)]
        kernel = [int(k) for k in rng.integers(1, 4, rank)]
        attributes: dict[str, Any] = {"strides": strides, "group": groups, "kernel_shape": kernel}
        kind = int(rng.integers(4))
        if kind == 0:
            attributes["pads"] = [int(rng.integers(0, k)) for k in [*kernel, *kernel]]
            attributes["output_padding"] = [int(rng.integers(0, s)) for s in strides]
            attributes["dilations"] = [int(d) for d in rng.integers(1, 3, rank)]
        elif kind == 1:
            attributes["output_shape"] = [
                max(3 * s + k - 1 - int(rng.integers(0, k)), 4) for s, k in zip(strides, kernel, strict=True)
            ]
        elif kind == 2:
            attributes["auto_pad"] = ["SAME_UPPER", "SAME_LOWER", "VALID"][int(rng.integers(3))]
            attributes["kernel_shape"] = kernel = [max(k, s) for k, s in zip(kernel, strides, strict=True)]
        w = _f(rng, 2 * groups, 3, *kernel)
        return (
            [node("ConvTranspose", ["X", "W", "B"], **attributes)],
            {"W": w, "B": _f(rng, 3 * groups)},
            (1, 2 * groups, *[4] * rank),
        )

    return case


def pool(op: str, rank: int) -> Case:
    def case(rng: np.random.Generator, opset: int) -> Spec:
        newer = opset >= (10 if op == "MaxPool" else 19)
        attributes = _windowed(rng, rank, opset, dilated=newer)
        if opset >= 10 and "auto_pad" not in attributes:
            attributes["ceil_mode"] = int(rng.integers(2))
        if op == "AveragePool":
            attributes["count_include_pad"] = int(rng.integers(2))
        return [node(op, ["X"], **attributes)], {}, (1, 2, *([7, 6, 5][:rank]))

    return case


def batch_normalization(rng: np.random.Generator, opset: int) -> Spec:
    weights = {"s": _f(rng, 3), "b": _f(rng, 3), "m": _f(rng, 3), "v": np.abs(_f(rng, 3))}
    return [node("BatchNormalization", ["X", *weights], epsilon=1e-3)], weights, (1, 3, 2, 2)


def reduce(op: str) -> Case:
    def case(rng: np.random.Generator, opset: int) -> Spec:
        axes = [[1], [2], [-1], [1, 3], [1, 2, 3], [-2, 1]][int(rng.integers(6))]
        keep = int(rng.integers(2))
        if opset >= (13 if op == "ReduceSum" else 18):
            return [node(op, ["X", "axes"], keepdims=keep)], {"axes": _i(*axes)}, (1, 3, 2, 4)
        return [node(op, ["X"], axes=axes, keepdims=keep)], {}, (1, 3, 2, 4)

    return case


def pad(rng: np.random.Generator, opset: int) -> Spec:
    mode = ["constant", "reflect", "edge"][int(rng.integers(3))]
    pads = [0, 0, *(int(p) for p in rng.integers(0, 2, 2)), 0, 0, *(int(p) for p in rng.integers(0, 3, 2))]
    if mode == "constant" and rng.integers(2):
        pads[2] = -1
    if opset < 11:
        return [node("Pad", ["X"], mode=mode, pads=pads, value=0.3)], {}, (1, 2, 3, 4)
    inputs = ["X", "pads", "value"] if mode == "constant" else ["X", "pads"]
    return [node("Pad", inputs, mode=mode)], {"pads": _i(*pads), "value": np.float32(0.3)}, (1, 2, 3, 4)


def slice_(rng: np.random.Generator, opset: int) -> Spec:
    if opset < 10:
        return [node("Slice", ["X"], starts=[1, -3], ends=[2**31 - 1, -1], axes=[2, 1])], {}, (1, 5, 4)
    starts, ends, steps = [(1, 9, 2), (-1, -(2**62), -1), (4, 0, -2), (-9, 3, 1), (-2, -9, -1)][int(rng.integers(5))]
    weights = {"s": _i(starts), "e": _i(ends), "a": _i(-2), "t": _i(steps)}
    return [node("Slice", ["X", *weights])], weights, (1, 5, 4)


def split(rng: np.random.Generator, opset: int) -> Spec:
    sizes = [1, 3, 2] if rng.integers(2) else [2, 2, 2]
    names = ["p", "Y", "q"]
    if opset < 13:
        return [node("Split", ["X"], names, axis=1, split=sizes)], {}, (1, 6, 2)
    return [node("Split", ["X", "sizes"], names, axis=-2)], {"sizes": _i(*sizes)}, (1, 6, 2)


def split_uneven(rng: np.random.Generator, opset: int) -> Spec:
    return [node("Split", ["X"], ["p", "q", "Y"], axis=1, num_outputs=3)], {}, (1, 7, 2)


def gather(rng: np.random.Generator, opset: int) -> Spec:
    index = [_i(0, 2, 2), np.int64(1), np.array([[0, 1], [2, 0]], dtype=np.int32)][int(rng.integers(3))]
    if opset >= 11 and rng.integers(2):
        index = _i(-1, 0)
    return [node("Gather", ["X", "I"], axis=int(rng.integers(1, 3)))], {"I": index}, (1, 3, 4)


def concat(rng: np.random.Generator, opset: int) -> Spec:
    return [node("Neg", ["X"], ["M"]), node("Concat", ["X", "C", "M"], axis=1)], {"C": _f(rng, 1, 2, 3)}, (1, 1, 3)


def axes_op(op: str, axes: list[int], shape: tuple[int, ...]) -> Case:
    def case(rng: np.random.Generator, opset: int) -> Spec:
        if opset >= 13:
            return [node(op, ["X", "axes"])], {"axes": _i(*axes)}, shape
        return [node(op, ["X"], axes=axes)], {}, shape

    return case


def reshape(rng: np.random.Generator, opset: int) -> Spec:
    target = [_i(0, -1), _i(1, 4, 6), _i(-1, 0, 4), _i(24)][int(rng.integers(4))]
    return [node("Reshape", ["X", "shape"])], {"shape": target}, (1, 6, 4)


def shape_chain(rng: np.random.Generator, opset: int) -> Spec:
    nodes = [
        node("Shape", ["X"], ["s"]),
        node("Gather", ["s", "zero"], ["n"], axis=0),
        node("Constant", [], ["rest"], value=onnx.numpy_helper.from_array(_i(-1))),
        node("Unsqueeze", ["n", "axes"], ["n1"]) if opset >= 13 else node("Unsqueeze", ["n"], ["n1"], axes=[0]),
        node("Concat", ["n1", "rest"], ["target"], axis=0),
        node("Reshape", ["X", "target"]),
    ]
    return nodes, {"zero": np.int64(0), "axes": _i(0)}, (1, 3, 4)


def constant_of_shape(rng: np.random.Generator, opset: int) -> Spec:
    value = onnx.numpy_helper.from_array(np.array([0.1], dtype=np.float32))
    nodes = [node("Shape", ["X"], ["s"]), node("ConstantOfShape", ["s"], ["c"], value=value), node("Add", ["X", "c"])]
    return nodes, {}, (1, 2, 3)


def expand(rng: np.random.Generator, opset: int) -> Spec:
    return [node("Expand", ["X", "s"])], {"s": _i(2, 3, 1)}, (1, 1, 4)


_OLD = (7, 9, 11, 13, 18)
CASES: list[tuple[str, Case, tuple[int, ...]]] = [
    ("Gemm", gemm, _OLD),
    ("Gemm-transposed", gemm_transposed, (7, 13)),
    ("MatMul", matmul, (7, 9, 13)),
    *((op, binary(op), (7, 13, 14)) for op in ("Add", "Sub", "Mul", "Div")),
    *((op, nary(op), (7, 8, 12, 13)) for op in ("Sum", "Mean", "Max", "Min")),
    *((op, unary(op), (7, 13, 14)) for op in ("Relu", "Abs", "Neg", "Identity")),
    ("Dropout", unary("Dropout"), (7, 10, 13)),
    ("Cast", unary("Cast", to=1), (7, 9, 13)),
    ("Flatten", unary("Flatten", axis=2), (7, 9, 13)),
    ("Transpose", unary("Transpose", perm=[0, 2, 1]), (7, 13)),
    ("LeakyRelu", leaky, (7, 16)),
    ("PRelu", prelu, (7, 9, 16)),
    ("Clip", clip, (7, 11, 12, 13)),
    *((f"Conv-{d}d", conv(d), (7, 11, 22)) for d in (1, 2, 3)),
    *((f"ConvTranspose-{d}d", conv_transpose(d), (7, 11)) for d in (1, 2)),
    *((f"MaxPool-{d}d", pool("MaxPool", d), (8, 10, 12)) for d in (1, 2)),
    *((f"AveragePool-{d}d", pool("AveragePool", d), (7, 10, 11, 19)) for d in (1, 2)),
    ("GlobalAveragePool", lambda rng, opset: ([node("GlobalAveragePool", ["X"])], {}, (1, 2, 3, 3)), (7, 22)),
    ("GlobalMaxPool", lambda rng, opset: ([node("GlobalMaxPool", ["X"])], {}, (1, 2, 3, 3)), (7, 22)),
    ("BatchNormalization", batch_normalization, (7, 9, 14, 15)),
    *((op, reduce(op), (7, 11, 13, 18)) for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin")),
    ("Pad", pad, (7, 11, 13, 18)),
    ("Slice", slice_, (7, 10, 13)),
    ("Split", split, (7, 11, 13)),
    ("Split-uneven", split_uneven, (18,)),
    ("Gather", gather, (7, 11, 13)),
    ("Concat", concat, (7, 11, 13)),
    ("Squeeze", axes_op("Squeeze", [2], (1, 3, 1, 2)), (7, 11, 13)),
    ("Unsqueeze", axes_op("Unsqueeze", [0, 3], (1, 3, 2)), (7, 11, 13)),
    ("Reshape", reshape, (7, 13, 14)),
    ("Shape-chain", shape_chain, (7, 11, 13, 15)),
    ("ConstantOfShape", constant_of_shape, (9, 20)),
    ("Expand", expand, (8, 13)),
]
"""Name, case, opsets."""
