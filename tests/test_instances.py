"""The shipped networks and data are what `instances/manifest.json` and `instances/README.md` say."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from sklearn.datasets import load_breast_cancer, load_digits, load_iris

import wdaverify as wv
from wdaverify.bench.instance_list import read_instances

ROOT = Path(__file__).parents[1] / "instances"
MANIFEST = json.loads((ROOT / "manifest.json").read_text(encoding="utf-8"))
NETWORKS = {entry["file"]: entry for entry in MANIFEST["networks"]}
DATA = {entry["file"]: entry for entry in MANIFEST["data"]}


def load_samples(source: str):
    """The training and test samples as the training script splits them."""
    spec = importlib.util.spec_from_file_location("instances_samples", ROOT / "samples.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.SOURCES[source].load()


def logits(file: str, x) -> np.ndarray:
    """Float32 outputs of onnxruntime."""
    session = onnxruntime.InferenceSession(ROOT / file, providers=["CPUExecutionProvider"])
    inputs = np.asarray(x, np.float32).reshape(len(x), *NETWORKS[file]["input_shape"])
    return session.run(["logits"], {"x": inputs})[0]


def hits(file: str, x, y) -> int:
    """How many samples the network classifies correctly in float32."""
    return int((logits(file, x).argmax(axis=1) == y).sum())


def rows(x) -> Counter:
    return Counter(row.tobytes() for row in np.ascontiguousarray(x, np.float64))


def test_manifest_lists_every_file_with_its_hash():
    present = {p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*") if p.suffix in {".onnx", ".npz"}}
    assert present == NETWORKS.keys() | DATA.keys()
    for file, entry in (NETWORKS | DATA).items():
        assert hashlib.sha256((ROOT / file).read_bytes()).hexdigest() == entry["sha256"], file


def test_files_are_small():
    sizes = [(ROOT / file).stat().st_size for file in (*NETWORKS, *DATA)]
    assert max(sizes) < 1_000_000
    assert sum(sizes) < 2_000_000


@pytest.mark.parametrize("file", NETWORKS)
def test_accuracy_is_what_the_manifest_says(file):
    entry = NETWORKS[file]
    training, _ = load_samples(file.split("/")[0])
    with np.load(ROOT / entry["test_data"]) as test:
        x, y = test["x"], test["y"]
    # float32 kernels differ between processors: one sample near a tie may fall to the other side
    for points, labels, stated in ((x, y, entry["test_accuracy"]), (training.x, training.y, entry["train_accuracy"])):
        assert abs(hits(file, points, labels) - round(stated * len(labels))) <= 1
    assert entry["test_accuracy"] >= 0.9


@pytest.mark.parametrize("file", NETWORKS)
def test_network_file_is_plain_float32_without_notes(file):
    model = onnx.load(ROOT / file)
    onnx.checker.check_model(model, full_check=True)
    assert {(o.domain, o.version) for o in model.opset_import} == {("", 18)}
    assert {node.op_type for node in model.graph.node} <= {"Gemm", "Relu", "Conv", "Add", "Reshape"}
    weights = [numpy_helper.to_array(t) for t in model.graph.initializer if t.data_type != onnx.TensorProto.INT64]
    assert all(w.dtype == np.float32 and np.isfinite(w).all() for w in weights)
    assert sum(w.size for w in weights) == NETWORKS[file]["parameters"]
    items = (model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output)
    assert not any(item.doc_string or item.metadata_props for item in items)


@pytest.mark.parametrize("file", NETWORKS)
def test_batch_is_free(file):
    with np.load(ROOT / NETWORKS[file]["test_data"]) as test:
        x = test["x"][:7]
    one_by_one = np.concatenate([logits(file, row[None]) for row in x])
    np.testing.assert_allclose(logits(file, x), one_by_one, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("file", DATA)
def test_data_has_the_promised_form(file):
    with np.load(ROOT / file) as data:
        assert set(data.files) == {"x", "y"}
        x, y = data["x"], data["y"]
    assert (x.dtype, y.dtype) == (np.float64, np.int64)
    assert x.shape[0] == y.shape[0] == DATA[file]["samples"]
    assert x.min() >= 0
    grades = [25] if "cancer" in file else []
    assert np.delete(x, grades, axis=1).max() <= 1
    assert set(y) == set(range(len(set(y))))
    assert (np.diff(y) != 0).mean() > 0.3  # sorted by class it would be close to 0


def test_grids():
    with np.load(ROOT / "digits/digits-test.npz") as data:
        assert (data["x"] * 16 == np.round(data["x"] * 16)).all()
    with np.load(ROOT / "planar/moons-test.npz") as data:
        assert (data["x"] * 1024 == np.round(data["x"] * 1024)).all()


def test_digits_and_iris_are_genuine():
    x, y = load_digits(return_X_y=True)
    known = rows(np.column_stack([x / 16, y]))
    with np.load(ROOT / "digits/digits-test.npz") as data:
        assert rows(np.column_stack([data["x"], data["y"]])) <= known
    x, y = load_iris(return_X_y=True)
    known = rows(np.column_stack([np.round(x, 1), y]))
    with np.load(ROOT / "iris/iris-test.npz") as data:
        lengths = np.round(data["x"] * (x.max(axis=0) - x.min(axis=0)) + x.min(axis=0), 1)
        assert rows(np.column_stack([lengths, data["y"]])) <= known


def test_cancer_is_genuine_and_all_of_it_lies_in_its_domain():
    data, domain = load_breast_cancer(), wv.load_domain(ROOT / "cancer/cancer.toml")
    training, test = load_samples("cancer")
    samples = np.concatenate([training.x, test.x])
    assert [domain.broken(x) for x in samples] == [None] * 569
    area = np.round(samples[:, 2] * data.data[:, 23].max(), 6)
    assert Counter(area) == Counter(np.round(data.data[:, 3], 6))
    assert (samples[:, 27:].sum(axis=0) > 185).all()  # thirds
    moved = test.x[0].copy()
    moved[9] += 0.125
    assert "frozen" in domain.broken(moved, test.x[0])
    assert "one-hot" in domain.broken(np.append(test.x[0][:27], [1.0, 1.0, 0.0]))
    assert domain.broken(np.where(np.arange(30) == 25, 4.5, test.x[0])) is not None
    assert "row" in domain.broken(np.where(np.arange(30) == 0, 1.0, test.x[0]))


@pytest.mark.parametrize("file", DATA)
def test_test_samples_were_held_out(file):
    training, test = load_samples(file.split("/")[0])
    with np.load(ROOT / file) as data:
        assert (data["x"] == test.x).all()
        assert (data["y"] == test.y).all()
    assert (len(training.x), len(test.x)) == (DATA[file]["training_samples"], DATA[file]["samples"])


def test_the_held_out_digits_are_the_complement_of_the_training_digits():
    training, test = load_samples("digits")
    assert rows(training.x) + rows(test.x) == rows(load_digits().data / 16)


def signed_gradient_accuracy(file: str, radius: float) -> float:
    """Accuracy of an MLP after one signed gradient step on each margin, the forward and backward pass written out."""
    model = onnx.load(ROOT / file)
    arrays = {t.name: numpy_helper.to_array(t).astype(float) for t in model.graph.initializer}
    layers = [(arrays[n.input[1]], arrays[n.input[2]]) for n in model.graph.node if n.op_type == "Gemm"]
    with np.load(ROOT / NETWORKS[file]["test_data"]) as data:
        x, y = data["x"], data["y"]

    def forward(h):
        gates = []
        for weight, bias in layers[:-1]:
            gates.append(h @ weight.T + bias > 0)
            h = np.maximum(h @ weight.T + bias, 0)
        return h @ layers[-1][0].T + layers[-1][1], gates

    outputs, gates = forward(x)
    rivals = np.where(np.eye(outputs.shape[1], dtype=bool)[y], -np.inf, outputs).argmax(axis=1)
    gradient = layers[-1][0][rivals] - layers[-1][0][y]
    for (weight, _), gate in zip(reversed(layers[:-1]), reversed(gates), strict=True):
        gradient = (gradient * gate) @ weight
    moved, _ = forward(np.clip(x + radius * np.sign(gradient), 0, 1))
    return float(np.mean(moved.argmax(axis=1) == y))


def test_adversarial_training_shows():
    plain = signed_gradient_accuracy("digits/digits-64-64-64.onnx", 0.1)
    hardened = signed_gradient_accuracy("digits/digits-64-64-64-adversarial.onnx", 0.1)
    assert hardened > plain + 0.2


def test_readme_lists_every_file_with_its_numbers():
    cells = [[cell.strip() for cell in line.split("|")] for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()]
    table = {row[1].strip("`"): row for row in cells if len(row) > 3}
    for file, entry in NETWORKS.items():
        assert float(table[file][3]) == entry["test_accuracy"], file
    for file, entry in DATA.items():
        assert int(table[file][2]) == entry["samples"], file


@pytest.mark.slow
def test_training_twice_on_one_machine_writes_the_same_bytes(tmp_path):
    name = "digits/digits-64-32-16"
    for folder in ("one", "two"):
        command = [sys.executable, str(ROOT / "train.py"), "--out", str(tmp_path / folder), "--only", name]
        subprocess.run(command, check=True, capture_output=True)
    one, two = ((tmp_path / folder / f"{name}.onnx").read_bytes() for folder in ("one", "two"))
    assert one == two


def test_lists_and_properties_are_what_their_script_writes(tmp_path):
    spec = importlib.util.spec_from_file_location("instances_lists", ROOT / "lists.py")
    lists = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lists)
    lists.write(tmp_path)
    written = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    present = {p.relative_to(ROOT).as_posix() for p in (*ROOT.glob("*.csv"), *ROOT.glob("properties/*"))}
    assert written == present - {"suite.expected.csv"}
    for name in written:
        assert (tmp_path / name).read_text() == (ROOT / name).read_text(), name


@pytest.mark.parametrize("name", ["verify", "certify", "lipschitz", "distance", "suite"])
def test_lists_can_be_read_and_the_suite_has_all_of_them(name):
    listed, suite = read_instances(ROOT / f"{name}.csv"), read_instances(ROOT / "suite.csv")
    assert {str(i) for i in listed} <= {str(i) for i in suite}
    expected = (ROOT / "suite.expected.csv").read_text().splitlines()
    assert len(expected) == len(suite) + 1
