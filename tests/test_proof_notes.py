"""A file that holds no proof though one was wanted says why, in one line on standard error; a file with a proof says nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from wdaverify._deadline import Deadline
from wdaverify.cli.main import main

FROZEN = 'lower = 0.0\nupper = 1.0\n[[features]]\nname = "a"\nfrozen = true\n[[features]]\nname = "b"\n'
PROPERTY = """(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)
(assert (>= X_0 0))(assert (<= X_0 1))(assert (>= X_1 0))(assert (<= X_1 1))(assert (>= Y_0 100))
"""


def written(folder, nodes=None, *, outside=False):
    """A model of two inputs and two outputs, its samples, a property and a domain, as files."""
    weight = numpy_helper.from_array(np.array([[1.0, -1.0], [-1.0, 1.0]], dtype=np.float32), "w")
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("x", "y")]
    nodes = nodes or [helper.make_node("Relu", ["x"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", value[:1], value[1:], [weight]), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    onnx.save(model, folder / "m.onnx", save_as_external_data=outside, location="m.onnx.data", size_threshold=0)
    np.savez(folder / "d.npz", x=np.array([[0.9, 0.2], [0.1, 0.7]]), y=[0, 1])
    (folder / "p.vnnlib").write_text(PROPERTY)
    (folder / "domain.toml").write_text(FROZEN)


def said(capsys, *words):
    """The notes that a command writes to standard error, and whether its file holds a proof."""
    assert main([*map(str, words), "--output", "r.json"]) == 0
    notes = [row for row in capsys.readouterr().err.splitlines() if row.startswith("wdaverify: note:")]
    return notes, "proof" in json.loads(Path("r.json").read_text(encoding="utf-8"))


COMMANDS = {
    "certify": ("certify", "m.onnx", "--data", "d.npz", "--radius", "0.1"),
    "hinge": ("certify", "m.onnx", "--data", "d.npz", "--radius", "0.1", "--loss", "hinge"),
    "constants": ("certify", "m.onnx"),
    "distance": ("distance", "m.onnx", "--data", "d.npz"),
    "lipschitz": ("lipschitz", "m.onnx", "--functional", "logit:0"),
    "verify": ("verify", "m.onnx", "p.vnnlib"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_weights_in_a_second_file(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, outside=True)
    assert (tmp_path / "m.onnx.data").exists()
    notes, proved = said(capsys, *COMMANDS[command])
    assert len(notes) == 1
    assert not proved
    assert "external_data=False" in notes[0]
    assert "r.json holds no proof: m.onnx" in notes[0]
    assert said(capsys, *COMMANDS[command], "--quiet") == ([], False)
    assert said(capsys, *COMMANDS[command], "--no-proof") == ([], False)  # asked for: nothing to explain


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_with_a_proof_says_nothing(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    assert said(capsys, *COMMANDS[command]) == ([], True)


@pytest.mark.parametrize("command", ["certify", "hinge", "distance"])
def test_a_domain_that_is_no_box(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    assert said(capsys, *COMMANDS[command], "--domain", "domain.toml") == ([], True)


def test_an_operator_without_proofs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, [helper.make_node("Mean", ["x"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])])
    notes, proved = said(capsys, *COMMANDS["distance"])
    assert not proved
    assert len(notes) == 1
    assert "Mean" in notes[0]


def test_no_time_left(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    notes, proved = said(capsys, *COMMANDS["distance"], "--time-limit", "1e-9")
    assert not proved
    assert len(notes) == 1
    assert "time limit" in notes[0]


def test_a_comparison_leaves_time_for_the_proof():
    limit = Deadline.after(100.0)
    assert 49.0 < limit.slice(1000.0, 0.5).remaining <= 50.0
    assert 9.0 < limit.slice(10.0, 0.5).remaining <= 10.0
    assert Deadline().slice(10.0, 0.5).remaining <= 10.0
    assert Deadline.after(0.0).slice(10.0, 0.5).passed
