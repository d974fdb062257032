"""Networks of every operator that the judge lowers around ReLUs: constants, distances, risks and verdicts come out proved."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import wdaverify as wv
from tests.onnx_models import model, node, runtime
from wdaverify.check.report import check
from wdaverify.cli.main import main
from wdaverify.dataset import Dataset
from wdaverify.ir.load import load
from wdaverify.risk.certify import certify

RNG = np.random.default_rng(11)


def real(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def network(*middle, width, tensors=None, opset=13):
    """A convolution of 3x3 inputs to two maps of 2x2, what lies between, and two logits."""
    nodes = [
        node("Conv", ["X", "w", "b"], ["H"]),
        *middle,
        node("Flatten", ["M"], ["f"]),
        node("Gemm", ["f", "v", "c"], ["Y"]),
    ]
    first = {"w": real(2, 1, 2, 2), "b": real(2)}
    return model(nodes, {**first, "v": real(width, 2), "c": real(2), **(tensors or {})}, (1, 1, 3, 3), opset=opset)


def alone(op, width=8, tensors=None, opset=13, **attributes):
    return network(node(op, ["H", *(tensors or {})], ["M"], **attributes), width=width, tensors=tensors, opset=opset)


RELU = node("Relu", ["H"], ["R"])
SQUARE = np.array([0, 1, 2, 3], dtype=np.int64)
MODELS = {
    "MaxPool": alone("MaxPool", width=2, kernel_shape=[2, 2]),
    "Relu and MaxPool": network(RELU, node("MaxPool", ["R"], ["M"], kernel_shape=[1, 2]), width=4),
    "overlapping MaxPool": network(RELU, node("MaxPool", ["R"], ["M"], kernel_shape=[1, 2], pads=[0, 1, 0, 1]), width=12),
    "overlapping AveragePool": network(
        RELU, node("AveragePool", ["R"], ["M"], kernel_shape=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1), width=18
    ),
    "GlobalMaxPool": alone("GlobalMaxPool", width=2),
    "GlobalAveragePool": network(RELU, node("GlobalAveragePool", ["R"], ["M"]), width=2),
    "ReduceMax": alone("ReduceMax", width=4, axes=[3]),
    "ReduceMin": alone("ReduceMin", width=4, axes=[1]),
    "ReduceMean": network(RELU, node("ReduceMean", ["R"], ["M"], axes=[2]), width=4),
    "LeakyRelu": alone("LeakyRelu", alpha=0.25),
    "PRelu": alone("PRelu", tensors={"slope": np.array([[[0.5]], [[-0.25]]], dtype=np.float32)}),
    "Abs": alone("Abs"),
    "Clip": alone("Clip", tensors={"low": np.float32(-0.5), "high": np.float32(0.5)}),
    "Clip from below": alone("Clip", tensors={"low": np.float32(-0.5)}),
    "Max": alone("Max", tensors={"floor": real(1, 2, 1, 1)}),
    "Min": alone("Min", tensors={"ceiling": real(1, 2, 1, 1)}),
    "Slice and Concat": network(
        RELU,
        node("Slice", ["R", "start", "end", "axis"], ["S"]),
        node("Concat", ["R", "S"], ["M"], axis=1),
        width=12,
        tensors={"start": np.array([0]), "end": np.array([1]), "axis": np.array([1])},
    ),
    "Pad": network(RELU, node("Pad", ["R", "pads"], ["M"]), width=18, tensors={"pads": np.array([0, 0, 1, 1, 0, 0, 0, 0])}),
}


@pytest.fixture(params=MODELS, ids=lambda name: name.replace(" ", "-"))
def content(request, tmp_path, monkeypatch):
    """A model with its files, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    found = MODELS[request.param]
    (tmp_path / "m.onnx").write_bytes(found)
    x = np.random.default_rng(3).uniform(-1, 1, (2, 9))
    logits = [runtime(found, row.astype(np.float32).reshape(1, 1, 3, 3)) for row in x]
    np.savez(tmp_path / "d.npz", x=x, y=[int(np.argmax(v)) for v in logits])
    return found


def proved(*words, pointer):
    """The bracket that a command proves."""
    domain = [] if words[0] == "verify" else ["--domain=-1,1"]
    assert main([*words, *domain, "--output", "r.json", "--quiet"]) == 0
    return accepted(pointer)


def accepted(pointer):
    """The bracket of a report, which must be proved, and accepted by the judge."""
    report = json.loads(Path("r.json").read_text(encoding="utf-8"))
    verdict = check("r.json")
    assert verdict.accepted, verdict.message
    for part in pointer:
        report = report[part]
    assert report["evidence"] == "proved"
    return report


def margins(content, points, label):
    values = np.array([runtime(content, p.astype(np.float32).reshape(1, 1, 3, 3)) for p in points])
    return values[:, 1 - label] - values[:, label]


def test_answers_are_proved_and_hold_at_random_points(content):
    x, y = (np.load("d.npz")[name] for name in ("x", "y"))
    rng = np.random.default_rng(5)
    ball = wv.WassersteinBall(radius=0.1, order=math.inf, norm="linf")
    data = Dataset.load("d.npz").first(1)
    certify(load("m.onnx"), data, ball, loss="margin", domain=wv.Box(-1, 1), comparison_time=0.0).save("r.json")
    risk = accepted(("curve", 0, "worst_case_risk"))
    near = np.clip(x[0] + rng.uniform(-0.1, 0.1, (60, 9)), -1, 1)
    assert margins(content, near, int(y[0])).max() <= float(risk["upper"]) + 1e-4
    distance = proved("distance", "m.onnx", "--data", "d.npz", "--samples", "1", pointer=("distances", 0, "distance"))
    if distance["lower"] not in (0, "inf"):
        inside = np.clip(x[0] + rng.uniform(-1, 1, (60, 9)) * distance["lower"], -1, 1)
        assert margins(content, inside, int(y[0])).max() <= 1e-4


def test_constants_and_verdicts_are_proved(content, tmp_path):
    constant = proved("lipschitz", "m.onnx", "--functional", "margin:0-1", "--norm", "linf", pointer=("constants", 0, "value"))
    pairs = np.random.default_rng(7).uniform(-1, 1, (40, 2, 9))
    rise = np.abs(margins(content, pairs[:, 0], 1) - margins(content, pairs[:, 1], 1))
    assert (rise <= float(constant["upper"]) * np.abs(pairs[:, 0] - pairs[:, 1]).max(axis=1) + 1e-4).all()
    declared = "".join(f"(declare-const X_{k} Real)(assert (>= X_{k} 0))(assert (<= X_{k} 1))\n" for k in range(9))
    declared += "(declare-const Y_0 Real)(declare-const Y_1 Real)\n"
    least = Fraction(float(constant["upper"])) + 1 + Fraction(float(margins(content, np.zeros((1, 9)), 1)[0]))
    (tmp_path / "p.vnnlib").write_text(f"{declared}(assert (>= (- Y_0 Y_1) {float(least)!r}))\n")
    verdict = proved("verify", "m.onnx", "p.vnnlib", pointer=())
    assert verdict["verdict"] == "unsat"
