"""The judge's own reading of a model against the library's: two implementations without common code, one function."""

from __future__ import annotations

import random
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.judge_drafts import DATA
from tests.onnx_cases import CASES, Case
from tests.onnx_models import model
from wdaverify.check.model import program_of
from wdaverify.check.num import Unreadable
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.from_onnx import from_onnx

REFUSED = {"Mean", "ConvTranspose-1d", "ConvTranspose-2d"}
"""Operators that the judge does not know; it says so by name."""

INSTANCES = sorted((DATA.parent.parent / "instances").rglob("*.onnx"))
MODELS = [*INSTANCES, *(p for p in sorted(DATA.rglob("*.onnx")) if p.name[0] not in "b" and "fuzz" not in p.parts)]


def points(n: int, count: int, seed: int = 0) -> list[list[Fraction]]:
    """Rational points, some with coordinates that are no floats."""
    rng = random.Random(seed)
    return [[Fraction(rng.randint(-30, 30), rng.choice((1, 2, 3, 7, 16))) for _ in range(n)] for _ in range(count)]


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.name)
def test_models_are_the_same_function(path: Path) -> None:
    content = path.read_bytes()
    program, network = program_of(content, path.name), from_onnx(content)
    assert (program.inputs, len(program.outputs)) == (network.inputs, network.outputs)
    for x in points(program.inputs, 3):
        assert tuple(program.output_values(x)) == exact_forward(network, x)


@pytest.mark.parametrize(("name", "case", "opset"), [pytest.param(n, c, o, id=f"{n}-opset{o}") for n, c, os in CASES for o in os])
def test_operators_are_the_same_function_or_refused(name: str, case: Case, opset: int) -> None:
    for seed in range(6):
        rng = np.random.default_rng([seed, opset, zlib.crc32(getattr(case, "__name__", "").encode())])
        content = model(*case(rng, opset), opset=opset)
        if name in REFUSED:
            with pytest.raises(Unreadable, match=name.split("-")[0]):
                program_of(content, "m.onnx")
            continue
        if b"edge" in content or b"reflect" in content or b"wrap" in content:  # modes of Pad
            with pytest.raises(Unreadable, match="only constant padding"):
                program_of(content, "m.onnx")
            continue
        program, network = program_of(content, "m.onnx"), from_onnx(content)
        for x in points(program.inputs, 2, seed):
            assert tuple(program.output_values(x)) == exact_forward(network, x)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("b01_truncated", "truncated"), ("b04_unknown_op", "Frobnicate"), ("b06_sigmoid", "Sigmoid"), ("b09_nan_weight", "W1"),
        ("b11_external_missing", "external data"), ("b15_int_input", "element type 7"), ("b19_huge_dim", "limit"),
        ("b22_cycle", "cycle"), ("b24_duplicate_output", "twice"),
    ],
)  # fmt: skip
def test_hostile_models_are_refused_by_name(name: str, words: str) -> None:
    content = (DATA / "hostile" / f"{name}.onnx").read_bytes()
    with pytest.raises(Unreadable, match=rf"^{name}.onnx: .*{words}"):
        program_of(content, f"{name}.onnx")


def test_a_model_cut_anywhere_is_never_read_as_another() -> None:
    content = (DATA / "hostile" / "good.onnx").read_bytes()
    whole = program_of(content, "good.onnx")
    for end in range(len(content)):
        try:
            program = program_of(content[:end], "good.onnx")
        except Unreadable:
            continue
        # A cut behind the graph loses only the list of operator versions, without which nothing is read.
        assert program.names() == whole.names()
        assert program.output_values([Fraction(1), Fraction(1, 3)]) == whole.output_values([Fraction(1), Fraction(1, 3)])


DOUBTFUL: list[tuple[str, list[int], list[list[int]], dict[str, Any], str]] = [
    ("AveragePool", [1, 1, 6], [], {"auto_pad": "SAME_UPPER", "kernel_shape": [1], "strides": [3]}, "different pads"),
    ("MaxPool", [1, 1, 6], [], {"auto_pad": "SAME_LOWER", "kernel_shape": [1], "strides": [3]}, "different pads"),
    ("Slice", [3, 5], [[0, 0], [2, 2], [0, -2]], {}, "do not fit"),
    ("Split", [6], [], {"num_outputs": 2}, "num_outputs"),
]
"""Operator, shape, further inputs, attributes: runtimes refuse them, or disagree about them; and words of the refusal."""


@pytest.mark.parametrize(("op", "shape", "lists", "attributes", "words"), DOUBTFUL)
def test_what_has_no_certain_meaning_is_refused(
    op: str, shape: list[int], lists: list[list[int]], attributes: dict[str, Any], words: str
) -> None:
    stored = [numpy_helper.from_array(np.array(v, np.int64), f"c{k}") for k, v in enumerate(lists)]
    node = helper.make_node(op, ["x", *(t.name for t in stored)], ["y"], **attributes)
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", shape), ("y", None))]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], stored)
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()
    with pytest.raises(Unreadable, match=words):
        program_of(content, "m.onnx")
