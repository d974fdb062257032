"""``certify --loss`` for the losses that are priced: output, files, exit status, the second opinion, and progress."""

from __future__ import annotations

import io
import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import wdaverify as wv
from wdaverify._deadline import Deadline
from wdaverify.cli.main import main
from wdaverify.report.progress import bracket_line
from wdaverify.risk.exploration import Exploration, Progress

FOLDER = Path(__file__).parent / "data" / "golden"
RISK = {"margin": -0.4478737986893568, "hinge": 0.5521262013106432, "cross-entropy": 0.5363805523799398}
NAMES = ("product of operator norms", "CROWN interval Jacobian", "exact Lipschitz constant", "exact constant of the loss")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("g11_2d_K2.onnx", "g11_2d_K2.npz", "g01_ramp_R.onnx", "g01_ramp_R.npz"):
        shutil.copy(FOLDER / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments):
    status = main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


PLANAR = ("certify", "g11_2d_K2.onnx", "--data", "g11_2d_K2.npz", "--domain", "-1,1")


@pytest.mark.parametrize("loss", sorted(RISK))
def test_the_file_holds_what_the_interface_promises(folder, capsys, loss):
    status, out, err = run(capsys, *PLANAR, "--loss", loss, "--radius", "0.05,0", "--output", "c.json")
    assert (status, err) == (0, "")
    saved = json.loads((folder / "c.json").read_text())
    assert (saved["kind"], saved["loss"], saved["distances"]) == ("risk", loss, [])
    assert [entry["radius"] for entry in saved["curve"]] == [0.05, 0.0]
    first, nominal = saved["curve"]
    assert first["worst_case_risk"]["status"] == "exact"
    assert first["worst_case_risk"]["evidence"] == "proved"
    assert first["worst_case_risk"]["lower"] <= RISK[loss] + 1e-7
    assert first["worst_case_risk"]["upper"] >= RISK[loss] - 1e-7
    assert nominal["worst_case_risk"]["upper"] == pytest.approx(saved["nominal_risk"], abs=1e-12)
    assert first["multiplier"] > 0
    assert sum(atom["mass"] for atom in first["plan"]["atoms"]) == pytest.approx(1.0, abs=1e-12)
    assert sum(atom["mass"] * atom["cost"] for atom in first["plan"]["atoms"]) <= 0.05 + 1e-15
    bounds = {bound["name"]: bound for bound in saved["bounds"]}
    assert set(NAMES) <= set(bounds)
    for bound in saved["bounds"]:
        assert all(v == "inf" or v >= first["worst_case_risk"]["lower"] - 1e-9 for v in bound["worst_case_risk"][:1])
    assert ("sample-wise constants" in bounds) == (loss != "cross-entropy")
    assert f"worst-case {loss} risk at radius 0.05 (order 1, linf): " in out
    assert "distances:" not in out


def test_the_plan_attains_the_lower_end(folder, capsys):
    run(capsys, *PLANAR, "--loss", "hinge", "--radius", "0.3", "--order", "inf", "--norm", "l1", "--output", "c.json")
    saved = json.loads((folder / "c.json").read_text())
    (entry,) = saved["curve"]
    assert entry["multiplier"] is None
    points = np.array([atom["point"] for atom in entry["plan"]["atoms"]])
    labels = np.array([atom["label"] for atom in entry["plan"]["atoms"]])
    data = wv.Dataset.load("g11_2d_K2.npz")
    moved = np.abs(points - data.x[[atom["source"] for atom in entry["plan"]["atoms"]]]).sum(axis=1)
    assert moved.max() <= 0.3 * (1 + 1e-15)
    outputs = wv.load("g11_2d_K2.onnx").compiled.forward(points)
    hinge = np.maximum(0.0, 1.0 + outputs[np.arange(len(labels)), 1 - labels] - outputs[np.arange(len(labels)), labels])
    masses = np.array([atom["mass"] for atom in entry["plan"]["atoms"]])
    assert masses @ hinge == pytest.approx(entry["worst_case_risk"]["lower"], abs=1e-12)
    assert entry["worst_case_risk"]["lower"] == pytest.approx(0.6156934220755345, abs=1e-6)


def test_the_second_opinion_agrees(folder, capsys):
    asked = ("--loss", "margin", "--radius", "0.05", "--engine", "milp", "--no-proof")
    status, _, _ = run(capsys, *PLANAR, *asked, "--output", "m.json")
    risk = json.loads((folder / "m.json").read_text())["curve"][0]["worst_case_risk"]
    assert (status, risk["evidence"], risk["status"]) == (0, "solver", "exact")
    assert risk["lower"] - 1e-7 <= RISK["margin"] <= risk["upper"] + 1e-7


def test_the_whole_space_is_named(folder, capsys):
    arguments = (
        "certify",
        "g01_ramp_R.onnx",
        "--data",
        "g01_ramp_R.npz",
        "--domain",
        "Rn",
        "--loss",
        "hinge",
        "--radius",
        "0.25",
    )
    status, out, _ = run(capsys, *arguments, "--output", "r.json")
    saved = json.loads((folder / "r.json").read_text())
    assert (status, saved["domain"]) == (0, "Rn")
    assert "domain: Rn" in out
    assert saved["curve"][0]["worst_case_risk"]["lower"] == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--loss", "ce"), "loss 'ce' is unknown; give zero-one, margin, hinge, cross-entropy"),
        (("--loss", "margin", "--domain", "half.npz"), "neither bounded nor all of R"),
        (("--loss", "margin", "--radius", "-1"), "radius -1"),
        (("--loss", "margin", "--domain", "0,0.5"), "lies outside the domain"),
    ],
)
def test_errors_are_one_line_for_people(folder, capsys, arguments, words):
    np.savez("half.npz", lower=np.full(2, -1.0), upper=np.array([1.0, np.inf]))
    status, out, err = run(capsys, *PLANAR, *arguments, "--output", "never.json")
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not (folder / "never.json").exists()


def test_a_time_limit_gives_a_valid_bracket(folder, capsys):
    status, out, _ = run(capsys, *PLANAR, "--loss", "margin", "--radius", "0.3", "--time-limit", "1e-3", "--output", "t.json")
    risk = json.loads((folder / "t.json").read_text())["curve"][0]["worst_case_risk"]
    assert status == 0
    assert risk["lower"] - 1e-7 <= -0.33918671332481864 <= risk["upper"] + 1e-7
    assert "LipSDP" not in out


def test_ctrl_c_is_status_130(folder, capsys, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Exploration, "_learn", stopped)
    status, out, _ = run(capsys, *PLANAR, "--loss", "margin", "--radius", "0.3", "--output", "i.json")
    saved = json.loads((folder / "i.json").read_text())
    assert (status, saved["interrupted"]) == (130, True)
    assert "interrupted" in out
    risk = saved["curve"][0]["worst_case_risk"]
    assert risk["lower"] - 1e-7 <= -0.33918671332481864 <= risk["upper"] + 1e-7


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_shows_the_bracket_closing_and_quiet_shows_none(monkeypatch):
    for quiet, expected in ((False, True), (True, False)):
        screen = Terminal()
        monkeypatch.setattr(sys, "stderr", screen)
        with bracket_line(quiet=quiet, gap=1e-6, deadline=Deadline()) as progress:
            progress(Progress(0.05, 0.25, math.inf))
            progress(Progress(0.05, 0.25, 0.5))
        assert ("[0.25, 0.5], width 0.25" in screen.getvalue()) is expected
