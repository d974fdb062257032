"""Malformed and malicious models: one line that names file and cause, or the exact answer."""

from __future__ import annotations

import gzip
import itertools
import json
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.onnx_models import IR_VERSION, node
from wdaverify._errors import ModelError, UnsupportedOpError
from wdaverify.ir import onnx_file
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.from_onnx import from_onnx
from wdaverify.ir.load import load

HOSTILE = Path(__file__).parent / "data" / "hostile"
EXPECTED = json.loads((HOSTILE / "expected.json").read_text())["cases"]
MODELS = sorted(name for name, case in EXPECTED.items() if case["kind"] in {"onnx", "torch"})


@pytest.mark.parametrize("name", MODELS)
def test_reference_cases(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = EXPECTED[name]
    monkeypatch.chdir(tmp_path)
    if case["expect"] == "reject":
        tracemalloc.start()
        with pytest.raises(ModelError) as caught:
            load(HOSTILE / name)
        assert tracemalloc.get_traced_memory()[1] < 100e6
        tracemalloc.stop()
        message = str(caught.value)
        assert message.startswith(name)
        assert "\n" not in message
        assert all(text in message for text in case["message_must_contain"])
        options = case["message_must_contain_any_of"]
        assert not options or any(text in message for text in options)
    else:
        network = load(HOSTILE / name)
        if "exact_max" in case:  # these networks are convex in the input: the maximum over the box is at a corner
            corners = itertools.product((-1, 1), repeat=network.inputs)
            assert max(exact_forward(network, corner)[0] for corner in corners) == Fraction(case["exact_max"])
    assert not list(tmp_path.iterdir())


def build(nodes: list[onnx.NodeProto], *, opset: int = 13, **changes: object) -> onnx.ModelProto:
    """A model that is not checked in any way."""
    weights = changes.get("weights", {})
    inputs = changes.get("inputs", [("X", TensorProto.FLOAT, (1, 2))])
    outputs = changes.get("outputs", [("Y", TensorProto.FLOAT, (1, 2))])
    assert isinstance(weights, dict)
    assert isinstance(inputs, list)
    assert isinstance(outputs, list)
    graph = helper.make_graph(
        nodes,
        "hostile",
        [helper.make_tensor_value_info(*i) for i in inputs],
        [helper.make_tensor_value_info(*o) for o in outputs],
        [numpy_helper.from_array(v, k) for k, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_operatorsetid("", opset)], ir_version=IR_VERSION)


def refusal(model: onnx.ModelProto | bytes, kind: type[ModelError] = ModelError) -> str:
    content = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(kind) as caught:
        from_onnx(content, name="bad.onnx")
    message = str(caught.value)
    assert message.startswith("bad.onnx: ")
    assert "\n" not in message
    return message


def test_relu_of_a_foreign_domain() -> None:
    foreign = helper.make_node("Relu", ["X"], ["Y"], name="trojan", domain="evil")
    model = build([foreign])
    model.opset_import.append(helper.make_operatorsetid("evil", 1))
    message = refusal(model, UnsupportedOpError)
    assert "trojan" in message
    assert "evil" in message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(value: float) -> None:
    weights = {"W_bad": np.array([[1, value], [0, 1]], dtype=np.float32)}
    assert "W_bad" in refusal(build([node("Gemm", ["X", "W_bad"])], weights=weights))


def test_nan_in_a_constant_node() -> None:
    tensor = numpy_helper.from_array(np.array([np.nan], dtype=np.float32))
    assert "'c'" in refusal(build([node("Constant", [], ["c"], value=tensor), node("Add", ["X", "c"])]))


@pytest.mark.parametrize("op", ["Sigmoid", "Exp", "QuantizeLinear", "LSTM", "ArgMax", "Sqrt"])
def test_operators_that_are_not_piecewise_linear(op: str) -> None:
    assert op in refusal(build([node(op, ["X"])]))


def test_a_product_of_two_variable_tensors() -> None:
    message = refusal(build([node("Neg", ["X"], ["h"]), node("Mul", ["X", "h"])]), UnsupportedOpError)
    assert "Mul" in message
    assert "Mul_Y" in message


def test_a_cast_to_integers() -> None:
    nodes = [node("Cast", ["X"], ["i"], to=TensorProto.INT64), node("Cast", ["i"], to=TensorProto.FLOAT)]
    assert "Cast_i" in refusal(build(nodes), UnsupportedOpError)


def test_division_by_zero() -> None:
    assert "zero" in refusal(build([node("Div", ["X", "C"])], weights={"C": np.zeros(2, dtype=np.float32)}))


def test_softmax_in_the_middle_and_along_the_wrong_axis() -> None:
    assert "Softmax_h" in refusal(build([node("Softmax", ["X"], ["h"]), node("Neg", ["h"])]), UnsupportedOpError)
    assert "axis 0" in refusal(build([node("Softmax", ["X"], axis=0)]), UnsupportedOpError)


def test_control_flow() -> None:
    branch = helper.make_graph([node("Identity", ["X"], ["b"])], "b", [], [helper.make_tensor_value_info("b", 1, (1, 2))])
    condition = helper.make_node("If", ["c"], ["Y"], name="fork", then_branch=branch, else_branch=branch)
    message = refusal(build([condition], weights={"c": np.array(True)}), UnsupportedOpError)
    assert "fork" in message
    assert "If" in message


def test_secondary_outputs() -> None:
    nodes = [node("Dropout", ["X"], ["d", "mask"]), node("Cast", ["mask"], to=TensorProto.FLOAT)]
    message = refusal(build(nodes), UnsupportedOpError)
    assert "'mask'" in message
    assert "Dropout_d" in message


def test_local_functions_and_sparse_initializers() -> None:
    model = build([node("Relu", ["X"])])
    model.functions.append(helper.make_function("custom", "f", ["a"], ["b"], [], [helper.make_operatorsetid("", 13)]))
    assert "function 'f'" in refusal(model)
    model = build([node("Relu", ["X"])])
    values = numpy_helper.from_array(np.ones(1, dtype=np.float32), "S")
    index = numpy_helper.from_array(np.zeros(1, dtype=np.int64), "S_index")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, index, [2]))
    assert "'S'" in refusal(model)


def test_inputs_and_outputs() -> None:
    float_pair, float_other = ("X", TensorProto.FLOAT, (1, 2)), ("Z", TensorProto.FLOAT, (1, 2))
    message = refusal(build([node("Add", ["X", "Z"])], inputs=[float_pair, float_other]))
    assert "'X', 'Z'" in message
    model = build([node("Relu", ["X"]), node("Neg", ["X"], ["Q"])], outputs=[("Y", 1, (1, 2)), ("Q", 1, (1, 2))])
    assert "'Y', 'Q'" in refusal(model)
    assert "int64" in refusal(build([node("Cast", ["X"], to=1)], inputs=[("X", TensorProto.INT64, (1, 2))]))
    assert "'height'" in refusal(build([node("Relu", ["X"])], inputs=[("X", 1, ("N", "height"))], outputs=[("Y", 1, ("N", "h"))]))


@pytest.mark.parametrize("opset", [1, 6, 1000])
def test_opsets_that_are_not_supported(opset: int) -> None:
    assert str(opset) in refusal(build([node("Relu", ["X"])], opset=opset))


def test_mismatched_shapes() -> None:
    weights = {"W": np.ones((3, 2), dtype=np.float32)}
    assert "shape" in refusal(build([node("MatMul", ["X", "W"])], weights=weights)).lower()
    assert "shape" in refusal(build([node("Relu", ["X"])], outputs=[("Y", 1, (1, 3))])).lower()


def test_a_small_file_that_asks_for_a_huge_tensor() -> None:
    nodes, sides = [node("ConstantOfShape", ["s"], ["c"]), node("Add", ["X", "c"])], [("X", 1, (1, 1))]
    model = build(nodes, weights={"s": np.array([2**40])}, inputs=sides, outputs=[("Y", 1, (1, 2**40))])
    assert "size" in refusal(model)
    weights = {"s": np.array([2**31, 2])}
    assert "size" in refusal(build([node("Expand", ["X", "s"])], weights=weights, outputs=[("Y", 1, (2**31, 2))]))
    assert "size" in refusal(build([node("Relu", ["X"])], inputs=[("X", 1, (1, 2**62))], outputs=[("Y", 1, (1, 2**62))]))


def external(location: str) -> onnx.ModelProto:
    model = build([node("Add", ["X", "W"])])
    tensor = onnx.TensorProto(name="W", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    model.graph.initializer.append(tensor)
    return model


@pytest.mark.parametrize(
    "location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "..\\secret.bin", "C:\\secret.bin", ""]
)
def test_external_data_outside_the_folder(location: str, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(np.ones(2, dtype=np.float32).tobytes())
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "bad.onnx"
    path.write_bytes(external(location).SerializeToString())
    with pytest.raises(ModelError, match=r"^bad\.onnx: .*outside") as caught:
        load(path)
    assert location in str(caught.value)


def test_external_data_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(np.ones(2, dtype=np.float32).tobytes())
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "w.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "bad.onnx").write_bytes(external("w.bin").SerializeToString())
    with pytest.raises(ModelError, match=r"w\.bin"):
        load(folder / "bad.onnx")


def test_external_data_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(np.array([0.5, 2], dtype=np.float32).tobytes())
    (tmp_path / "good.onnx").write_bytes(external("w.bin").SerializeToString())
    network = load(tmp_path / "good.onnx")
    assert exact_forward(network, [1, 1]) == (Fraction(3, 2), 3)


def test_external_data_that_are_too_short(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"1234")
    (tmp_path / "bad.onnx").write_bytes(external("w.bin").SerializeToString())
    with pytest.raises(ModelError, match=r"^bad\.onnx: .*\bW\b"):
        load(tmp_path / "bad.onnx")


def test_truncation_at_every_offset() -> None:
    content = (HOSTILE / "good.onnx").read_bytes()
    for length in range(len(content)):
        refusal(content[:length])


@pytest.mark.parametrize("name", ["good.onnx", "b25_gemm_alpha_beta.onnx", "b14_float64.onnx"])
def test_flipped_bytes_never_escape_as_another_exception(name: str) -> None:
    content = (HOSTILE / name).read_bytes()
    generator = np.random.default_rng(0)
    messages: list[str] = []
    for _ in range(300):
        bad = bytearray(content)
        bad[int(generator.integers(len(bad)))] = int(generator.integers(256))
        try:
            from_onnx(bytes(bad), name="bad.onnx")
        except ModelError as error:
            messages.append(str(error))
    assert all(m.startswith("bad.onnx: ") and "\n" not in m for m in messages)
    assert 0 < len(messages) < 300


def test_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        load(tmp_path / "nothing.onnx")
    for suffix in (".pt", ".pth", ".pkl"):
        path = tmp_path / f"net{suffix}"
        path.write_bytes(b"")
        with pytest.raises(ModelError, match=r"pickle.*from_torch"):
            load(path)
    (tmp_path / "net.h5").write_bytes(b"")
    with pytest.raises(ModelError, match=r"net\.h5: .*\.onnx"):
        load(tmp_path / "net.h5")
    (tmp_path / "net.onnx").mkdir()
    with pytest.raises(ModelError, match=r"net\.onnx: cannot be read"):
        load(tmp_path / "net.onnx")
    (tmp_path / "bad.onnx.gz").write_bytes(b"not gzip")
    with pytest.raises(ModelError, match=r"bad\.onnx\.gz: cannot be read"):
        load(tmp_path / "bad.onnx.gz")
    (tmp_path / "good.onnx.gz").write_bytes(gzip.compress((HOSTILE / "good.onnx").read_bytes()))
    assert load(tmp_path / "good.onnx.gz").relus == 2


def test_a_packed_model_takes_no_more_memory_than_it_has_and_a_bomb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, bomb = tmp_path / "good.onnx.gz", tmp_path / "bomb.onnx.gz"
    small.write_bytes(gzip.compress((HOSTILE / "good.onnx").read_bytes()))
    bomb.write_bytes(gzip.compress(bytes(2**24)))
    monkeypatch.setattr(onnx_file, "_UNPACKED", 2**20)
    tracemalloc.start()
    load(small)
    with pytest.raises(ModelError, match="unpacks to more than"):
        load(bomb)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
