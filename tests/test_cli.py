"""The command line: answers on stdout, one line for every failure, nothing half-written."""

from __future__ import annotations

import json
import math
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

import wdaverify
from wdaverify._errors import AuditError
from wdaverify.bracket import Bracket
from wdaverify.cli.main import main
from wdaverify.report import text
from wdaverify.risk import distance as distance_module
from wdaverify.risk.adversarial import AdversarialDistance, Interrupted

LONG = "n" * 300
HOSTILE = Path(__file__).parent / "data" / "hostile"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the hostile files as working directory."""
    shutil.copytree(HOSTILE, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    status = main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def refused(capsys, *arguments: str) -> str:
    """The line that a refusal prints; nothing may be written."""
    before = sorted(Path().iterdir())
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("wdaverify: error: ")
    assert err.count("\n") == 1
    assert sorted(Path().iterdir()) == before
    return err


def test_version_and_help(capsys):
    assert run(capsys, "--version") == (0, f"wdaverify {wdaverify.__version__}\n", "")
    for arguments in ([], ["--help"], ["certify", "--help"]):
        status, out, err = run(capsys, *arguments)
        assert (status, err) == (0, "")
        assert "certify" in out
    options = {
        "certify": "--data --samples --order --radius --loss --gap --norm --domain --time-limit --workers --seed --device "
        "--engine --solver --output --no-proof --quiet",
        "lipschitz": "--functional --norm --domain --time-limit --gap --seed --engine --solver --output --no-proof --quiet",
        "distance": "--data --samples --norm --domain --time-limit --workers --seed --device --engine --solver --output "
        "--no-proof --quiet",
        "inspect": "--domain --output --quiet",
    }
    for command, names in options.items():
        _, out, _ = run(capsys, command, "--help")
        assert [name for name in names.split() if name not in out] == []


def test_certify_prints_and_saves_the_curve(folder, capsys):
    arguments = ["certify", "two_class.onnx", "--data", "d00_good.npz", "--radius", "0,0.05,0.2", "--output", "c.json"]
    status, out, err = run(capsys, *arguments)
    assert (status, err) == (0, "")
    assert "nominal zero-one risk: 0.2" in out
    saved = json.loads((folder / "c.json").read_text())
    assert [entry["radius"] for entry in saved["curve"]] == [0.0, 0.05, 0.2]
    assert all(entry["worst_case_risk"]["status"] == "exact" for entry in saved["curve"])
    assert saved["model"]["file"].endswith("two_class.onnx")
    assert saved["data"]["file"] == "d00_good.npz"
    # f = (relu(x0 + x1), relu(x0 - x1) + 1/4): where both are active the labels meet on x1 = 1/8, wherever x0 is.
    x = np.load("d00_good.npz")["x"]
    assert saved["distances"][0]["distance"]["upper"] == pytest.approx(x[0, 1] - 0.125, abs=1e-9)
    assert saved["distances"][1]["distance"]["upper"] == pytest.approx(0.125 - x[1, 1], abs=1e-9)
    assert saved["distances"][3]["distance"] == {"lower": 0.0, "upper": 0.0, "status": "exact", "evidence": "proved"}
    # Radius 0.05 of 1/5 mass per sample: sample 1 wholly, the rest of the budget on sample 0.
    near, next_ = 0.125 - x[1, 1], x[0, 1] - 0.125
    value = 0.2 + 0.2 + (0.05 - 0.2 * near) / next_
    assert saved["curve"][1]["worst_case_risk"]["upper"] == pytest.approx(value, abs=1e-6)
    assert {p.name for p in folder.iterdir()} == {p.name for p in HOSTILE.iterdir()} | {"c.json"}


def test_samples_domain_norm_and_default_radius(folder, capsys):
    status, out, err = run(
        capsys, "certify", "two_class.onnx", "--data", "d00_good.npz", "--samples", "2", "--domain", "-1,2", "--norm", "l1",
        "--order", "inf", "--quiet", "--output", "c.json",
    )  # fmt: skip
    assert (status, err) == (0, "")
    saved = json.loads((folder / "c.json").read_text())
    assert saved["domain"] == {"lower": -1.0, "upper": 2.0}
    assert saved["threat"] == {"norm": "l1", "order": "inf"}
    assert saved["data"]["samples"] == 2
    assert saved["curve"][0]["radius"] == 0.05
    assert "radius 0.05" in out


def test_distance(folder, capsys):
    status, out, _ = run(capsys, "distance", "two_class.onnx", "--data", "d00_good.npz", "--output", "d.json")
    assert status == 0
    assert out.count("distance ") == 5
    saved = json.loads((folder / "d.json").read_text())
    assert saved["kind"] == "distance"
    assert [d["sample"] for d in saved["distances"]] == [0, 1, 2, 3, 4]
    for record in saved["distances"]:
        x0, x1 = record["point"]
        outputs = max(0.0, x0 + x1), max(0.0, x0 - x1) + 0.25
        assert outputs[1 - record["label"]] >= outputs[record["label"]] - 1e-12


def test_inspect(folder, capsys):
    status, out, err = run(capsys, "inspect", "two_class.onnx", "--domain", "-1,1", "--output", "i.json")
    assert (status, err) == (0, "")
    assert "unstable ReLUs over [-1, 1]^n: at most 2 of 2" in out
    saved = json.loads((folder / "i.json").read_text())
    assert saved["kind"] == "inspect"
    assert [layer["unstable"] for layer in saved["layers"] if layer["op"] == "relu"] == [2]
    assert run(capsys, "inspect", "two_class.onnx", "--domain", "Rn")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["certify", "two_class.onnx", "--data", "d01_pickle.npz", "--output", "c.json"],
            "d01_pickle.npz: array 'x' holds Python obj",
        ),
        (["certify", "two_class.onnx", "--data", "d02_nan.npz"], "d02_nan.npz: x[3, 1] is NaN"),
        (["certify", "two_class.onnx", "--data", "d05_rows_mismatch.npz"], "d05_rows_mismatch.npz: x has 5 rows but y has 4"),
        (["distance", "two_class.onnx", "--data", "d10_weights.npz"], "d10_weights.npz: weights[3] = -0.5 is negative"),
        (["certify", "two_class.onnx", "--data", "none.npz"], "none.npz: no such file"),
        (["certify", "two_class.onnx", "--data", "d00_good.npz", "--domain", "0,0.5"], "d00_good.npz: sample 0 lies out"),
        (["certify", "two_class.onnx", "--data", "d00_good.npz", "--samples", "9"], "d00_good.npz: 9 samples"),
        (["certify", "two_class.onnx", "--data", "d00_good.npz", "--radius", "-1"], "radius -1"),
        (["certify", "two_class.onnx", "--data", "d00_good.npz", "--radius", "0.1,x"], "--radius '0.1,x'"),
        (["certify", "two_class.onnx", "--data", "d00_good.npz", "--radius", "nan"], "radius nan"),
        (["certify", "two_class.onnx", "--data", "d00_good.npz", "--order", "0.5"], "order 0.5"),
        (["certify", "two_class.onnx", "--data", "d00_good.npz", "--order", "two"], "--order 'two'"),
        (["certify", "two_class.onnx", "--data", "d00_good.npz", "--loss", "squared"], "give zero-one, margin, hinge"),
        (["certify", "two_class.onnx", "--data", "d00_good.npz", "--gap", "-1"], "gap"),
        (["certify", "two_class.onnx", "--output", "missing/c.json"], "missing/c.json: cannot write there"),
        # The same options are checked where they are not used.
        (["certify", "two_class.onnx", "--radius", "-1"], "--radius: radius -1"),
        (["certify", "two_class.onnx", "--radius", "0.1,x"], "--radius '0.1,x'"),
        (["certify", "two_class.onnx", "--radius", "1_0"], "--radius '1_0'"),
        (["certify", "two_class.onnx", "--order", "0.5"], "--order: order 0.5"),
        (["certify", "two_class.onnx", "--order", "two"], "--order 'two'"),
        (["certify", "two_class.onnx", "--loss", "squared"], "--loss: loss 'squared'"),
        (["certify", "two_class.onnx", "--gap", "-1"], "--gap: gap -1"),
        (["certify", "two_class.onnx", "--gap", "nan"], "--gap: gap nan"),
        (["certify", "two_class.onnx", "--domain", "three.npz"], "--domain: the domain has 3 coordinates, the network has 2"),
        (
            ["distance", "two_class.onnx", "--data", "d00_good.npz", "--domain", "three.npz"],
            "error: --domain: the domain has 3 coordinates",
        ),
        (["inspect", "two_class.onnx", "--domain", "three.npz"], "--domain: the domain has 3 coordinates"),
        (
            ["distance", "two_class.onnx", "--data", "d00_good.npz", "--domain", "0,0.5"],
            "x[0, 0] = 0.6369616873214543 is not in [0, 0.5]",
        ),
        (["certify", "two_class.onnx", "--output", "two_class.onnx"], "two_class.onnx: is an input of this command"),
        (["inspect", "two_class.onnx", "--output", "./link.onnx"], "link.onnx: is an input of this command"),
        (
            ["distance", "two_class.onnx", "--data", "d00_good.npz", "--output", "d00_good.npz"],
            "d00_good.npz: is an input of this command",
        ),
        (
            ["certify", "two_class.onnx", "--domain", "three.npz", "--output", "three.npz"],
            "three.npz: is an input of this command",
        ),
        (["certify", "two_class.onnx", "--output", "pipe"], "pipe: is no regular file"),
        (["certify", "two_class.onnx", "--output", LONG], "cannot write there: File name too long"),
        (["inspect", f"{LONG}.onnx"], "cannot be read: File name too long"),
        (["certify", "two_class.onnx", "--data", LONG], "cannot be read: File name too long"),
        (["certify", "two_class.onnx", "--norm", "l3"], "--norm"),
        (["certify", "two_class.onnx", "--domain", "1,0"], "--domain"),
        (["certify", "two_class.onnx", "--domain", "none.npz"], "none.npz"),
        (["certify", "two_class.onnx", "--time-limit", "0"], "--time-limit"),
        (["certify", "two_class.onnx", "--workers", "0"], "--workers"),
        (["certify", "two_class.onnx", "--seed", "-1"], "--seed"),
        (["certify", "two_class.onnx", "--device", "abacus"], "--device"),
        (["certify", "two_class.onnx", "--engine", "oracle"], "engine 'oracle' is unknown; give search or milp"),
        (["certify", "two_class.onnx", "--engine", "search", "--solver", "cbc"], "'cbc' does not keep programs"),
        (["certify", "two_class.onnx", "--solver", "abacus"], "abacus"),
        (["certify", "two_class.onnx", "--solver", "cvxpy"], "'cvxpy' does not solve mixed-integer"),
        (["certify", "does_not_exist.onnx"], "does_not_exist.onnx"),
        (["inspect", "d07_evil.pt"], "d07_evil.pt"),
        (["inspect", "d00_good.npz"], "d00_good.npz"),
        (["inspect", "."], "."),
        (["certify"], "MODEL"),
        (["distance", "two_class.onnx"], "--data"),
        (["certify", "two_class.onnx", "--nope"], "--nope"),
        (["certify", "two_class.onnx", "--samples", "few"], "--samples"),
        (["solve"], "solve"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(folder, capsys, arguments, words):
    np.savez(folder / "three.npz", lower=np.zeros(3), upper=np.ones(3))
    (folder / "link.onnx").symlink_to(folder / "two_class.onnx")
    os.mkfifo(folder / "pipe")
    assert words in refused(capsys, *arguments)
    assert not (folder / "PICKLE_WAS_LOADED").exists()


def interrupt(network, data, **_):
    raise Interrupted(
        tuple(
            AdversarialDistance(
                sample=i, label=int(y), distance=Bracket(lower=0.0, upper=0.0 if i == 3 else math.inf), point=None
            )
            for i, y in enumerate(data.y)
        )
    )


@pytest.mark.parametrize("command", ["certify", "distance"])
def test_ctrl_c_saves_what_is_known(folder, capsys, monkeypatch, command):
    monkeypatch.setattr(distance_module, "distances", interrupt)
    status, out, _ = run(capsys, command, "two_class.onnx", "--data", "d00_good.npz", "--output", "c.json")
    assert status == 130
    assert out
    saved = json.loads((folder / "c.json").read_text())
    assert saved["interrupted"] is True
    assert len(saved["distances"]) == 5


def test_ctrl_c_elsewhere_and_lies_of_our_own(folder, capsys, monkeypatch):
    def raising(error):
        def search(*_, **__):
            raise error

        return search

    arguments = ["certify", "two_class.onnx", "--data", "d00_good.npz", "--output", "c.json"]
    monkeypatch.setattr(distance_module, "distances", raising(KeyboardInterrupt()))
    assert run(capsys, *arguments)[0] == 130
    monkeypatch.setattr(distance_module, "distances", raising(AuditError("the plan spends too much")))
    status, out, err = run(capsys, *arguments)
    assert (status, out, err) == (1, "", "wdaverify: error: the plan spends too much\n")
    assert not (folder / "c.json").exists()


def test_every_command_records_the_same_options(folder, capsys):
    common = ["--norm", "l1", "--time-limit", "99", "--seed", "3", "--quiet", "--output", "o.json"]
    data = ["--data", "d00_good.npz", "--samples", "1"]
    found = {}
    for name, arguments in {"risk": ["certify", *data], "distance": ["distance", *data], "lipschitz": ["certify"]}.items():
        assert run(capsys, arguments[0], "two_class.onnx", *arguments[1:], *common)[0] == 0
        saved = json.loads((folder / "o.json").read_text())
        assert saved["kind"] == name
        found[name] = saved["options"]
    assert found["risk"] == found["distance"]
    assert found["lipschitz"] == found["risk"]
    assert found["risk"] == {
        "norm": "l1", "time_limit": 99, "gap": 1e-6, "engine": "search", "solver": "highs", "workers": 1, "seed": 3,
        "device": "auto",
    }  # fmt: skip


@pytest.mark.parametrize("quiet", [False, True])
def test_warnings_of_a_search_are_lines(capsys, quiet):
    with text.shown_warnings(quiet=quiet):
        warnings.warn("the worker process of sample 1 died", RuntimeWarning, stacklevel=1)
    line = "wdaverify: warning: the worker process of sample 1 died\n"
    assert capsys.readouterr() == ("", "" if quiet else line)
