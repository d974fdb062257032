"""``wdaverify lipschitz`` and ``wdaverify certify`` without data: lines, files, refusals, interruption."""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.networks import mlp
from wdaverify.cli import growth as growth_module
from wdaverify.cli.main import main
from wdaverify.growth import methods
from wdaverify.ir.to_onnx import to_onnx
from wdaverify.report import records

RAMP = mlp([[[1.0]], [[0.0], [3.0], [1.0]]], [np.zeros(1), np.zeros(3)])
"""f = (0, 3 relu(x), relu(x))."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    to_onnx(RAMP, "ramp.onnx")
    to_onnx(mlp([[[2.0, -1.0]]], [np.zeros(1)]), "single.onnx")
    return tmp_path


def run(capsys, *arguments: str) -> tuple[int, list[str], str]:
    status = main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err


def saved(name: str) -> dict:
    return json.loads(Path(name).read_text())


def test_the_default_is_the_constant_of_every_label(folder, capsys):
    status, lines, err = run(capsys, "lipschitz", "ramp.onnx", "--output", "l.json")
    assert (status, err) == (0, "")
    assert lines[1:] == [
        "domain: [0, 1]^n",
        "label:0               linf  3 (exact)",
        "label:1               linf  3 (exact)",
        "label:2               linf  2 (exact)",
        "constants: 3 of 3 exact",
    ]
    document = saved("l.json")
    assert document["schema"] == "wdaverify/1"
    assert (document["kind"], document["semantics"], document["interrupted"]) == ("lipschitz", "real", False)
    assert document["domain"] == {"lower": 0.0, "upper": 1.0}
    assert document["options"] == {
        "norm": "linf", "time_limit": None, "gap": 1e-6, "engine": "search", "solver": "highs", "seed": 0, "workers": 1,
    }  # fmt: skip
    assert "slopes" not in document
    assert [c["functional"] for c in document["constants"]] == ["label:0", "label:1", "label:2"]
    for constant, value in zip(document["constants"], [3.0, 3.0, 2.0], strict=True):
        assert constant.keys() == {"functional", "norm", "value", "point", "float_replay"}
        assert constant["norm"] == "linf"
        assert constant["value"]["lower"] == value
        assert (constant["value"]["status"], constant["value"]["evidence"]) == ("exact", "proved")
        (x,) = constant["point"]
        assert 0.0 < x < 1.0
        assert constant["float_replay"] == pytest.approx([0.0, 3.0 * x, x])
    assert msgspec.json.decode(Path("l.json").read_bytes(), type=records.LipschitzDocument).constants[0].functional == "label:0"


def test_functionals_are_repeated_and_all_means_pairs(folder, capsys):
    chosen = [
        "--functional",
        "loss:margin:0",
        "--functional",
        "all",
        "--functional",
        "logit:2",
        "--norm",
        "l2",
        "--domain",
        "-1,1",
    ]
    status, lines, _ = run(capsys, "lipschitz", "ramp.onnx", *chosen)
    assert status == 0
    assert [line.split()[0] for line in lines[2:7]] == ["loss:margin:0", "margin:0-1", "margin:0-2", "margin:1-2", "logit:2"]
    assert [line.split()[2] for line in lines[2:7]] == ["3", "3", "1", "2", "1"]


def test_the_whole_space_has_slopes_and_says_what_they_mean(folder, capsys):
    status, lines, err = run(capsys, "lipschitz", "ramp.onnx", "--domain", "Rn", "--output", "l.json")
    assert (status, err) == (0, "")
    document = saved("l.json")
    assert document["domain"] == "Rn"
    assert [s["functional"] for s in document["slopes"]] == ["label:0", "label:1", "label:2"]
    assert all(s.keys() == {"functional", "norm", "value", "direction"} for s in document["slopes"])
    assert [s["value"]["lower"] for s in document["slopes"]] == [3.0, 0.0, 2.0]
    assert [s["direction"] for s in document["slopes"]][::2] == [[1.0], [1.0]]
    assert [c["value"]["upper"] for c in document["constants"]] == pytest.approx([3.0, 3.0, 2.0])
    assert all(c["point"][0] > 0 for c in document["constants"])
    text = "\n".join(lines)
    assert "label:0               linf  3 (exact), slope 3 (exact)" in lines
    assert "label:0, label:2: slope and constant coincide" in text
    assert "label:1: the slope is smaller than the constant" in text


def test_engine_milp_says_whose_word_it_is(folder, capsys):
    to_onnx(mlp([[[1.0], [-1.0]], [[2.0, -2.0]]], [np.zeros(2), np.zeros(1)]), "identity.onnx")
    for solver in ("highs", "cbc"):
        chosen = ["--engine", "milp", "--solver", solver, "--domain", "-1,1", "--output", "l.json", "--no-proof"]
        status, lines, _ = run(capsys, "lipschitz", "identity.onnx", *chosen)
        assert status == 0
        assert lines[-1] == "constants: 1 of 1 exact, upper ends by a solver's word"
        (constant,) = saved("l.json")["constants"]
        assert (constant["value"]["lower"], constant["value"]["evidence"]) == (2.0, "solver")  # closed patterns say 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--functional", "lable:0"], "--functional: functional 'lable:0' is unknown"),
        (["--functional", "label:3"], "functional 'label:3' needs two different outputs among 0 to 2"),
        (["--functional", "margin:1-1"], "margin:1-1"),
        (["--functional", "label:0", "--functional", "logit:-1"], "logit:-1"),
        (["--domain", "0,inf"], "--domain: the domain is neither bounded nor all of R^n"),
        (["--domain", "two.npz"], "--domain: the domain has 2 coordinates, the network has 1 inputs"),
        (["--norm", "l3"], "--norm: norm 'l3' is unknown"),
        (["--time-limit", "0"], "--time-limit"),
        (["--gap", "nan"], "--gap: gap nan"),
        (["--seed", "-1"], "--seed: seed -1"),
        (["--engine", "oracle"], "engine 'oracle' is unknown"),
        (["--engine", "search", "--solver", "cbc"], "'cbc' does not keep programs"),
        (["--output", "ramp.onnx"], "ramp.onnx: is an input of this command"),
        (["--output", "missing/l.json"], "missing/l.json: cannot write there"),
        (["--nope"], "--nope"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(folder, capsys, arguments, words):
    np.savez("two.npz", lower=np.zeros(2), upper=np.ones(2))
    before = sorted(Path().iterdir())
    status, lines, err = run(capsys, "lipschitz", "ramp.onnx", *arguments)
    assert (status, lines) == (2, [])
    assert err.startswith("wdaverify: error: ")
    assert err.count("\n") == 1
    assert words in err
    assert sorted(Path().iterdir()) == before


def interrupted(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize("command", ["lipschitz", "certify"])
def test_ctrl_c_saves_brackets(folder, capsys, monkeypatch, command):
    monkeypatch.setitem(methods.ORACLES, "search", interrupted)
    status, lines, _ = run(capsys, command, "ramp.onnx", "--output", "l.json")
    assert status == 130
    assert "label:2               linf  [0, 2] (bracket)" in lines
    assert any("interrupted" in line for line in lines)
    document = saved("l.json")
    assert document["interrupted"] is True
    assert [c["value"]["upper"] for c in document["constants"]] == pytest.approx([3.0, 3.0, 2.0])  # the product of norms


def test_bare_certify_says_how_fast_any_risk_can_grow(folder, capsys):
    status, lines, err = run(capsys, "certify", "ramp.onnx", "--domain", "-1,1", "--output", "c.json")
    assert (status, err) == (0, "")
    assert "unstable ReLUs over [-1, 1]^n: at most 1 of 1" in lines
    assert "label:0               linf  3 (exact)" in lines
    (sentence,) = [line for line in lines if line.startswith("no distribution")]
    assert "raises the expected loss by more than 3" in sentence
    assert "margin, hinge or cross-entropy loss" in sentence
    assert sentence.endswith("linf ground cost, domain [-1, 1]^n)")
    rate = float(sentence.split(" by more than ")[1].split()[0])
    document = saved("c.json")
    assert rate >= max(c["value"]["upper"] for c in document["constants"]) >= 3.0
    (bound,) = document["bounds"]
    assert bound["name"] == "product of operator norms"
    assert bound["constants"] == {f"label:{y}": pytest.approx(v, rel=1e-9) for y, v in enumerate([3.0, 3.0, 2.0])}
    assert document["options"]["time_limit"] == growth_module.DEFAULT_TIME_LIMIT == 60.0


def test_bare_certify_of_one_output_and_of_the_whole_space(folder, capsys):
    status, lines, _ = run(capsys, "certify", "single.onnx", "--norm", "l1")
    assert status == 0
    assert "logit:0               l1    2 (exact)" in lines
    assert any(
        line.startswith("no distribution within W_p distance r moves the expected output by more than 2") for line in lines
    )
    status, lines, _ = run(capsys, "certify", "ramp.onnx", "--domain", "Rn", "--time-limit", "50", "--output", "c.json")
    assert status == 0
    assert any("slope and constant coincide" in line for line in lines)
    document = saved("c.json")
    assert document["options"]["time_limit"] == 50.0
    assert len(document["slopes"]) == 3


def test_a_short_time_limit_still_answers(folder, capsys):
    rng = np.random.default_rng(0)
    wide = mlp(
        [rng.normal(size=(40, 6)), rng.normal(size=(40, 40)), rng.normal(size=(3, 40))], [np.zeros(40), np.zeros(40), np.zeros(3)]
    )
    to_onnx(wide, "wide.onnx")
    status, lines, _ = run(capsys, "certify", "wide.onnx", "--domain", "-1,1", "--time-limit", "0.5", "--output", "c.json")
    assert status == 0
    assert any(line.startswith("no distribution") for line in lines)
    for constant in saved("c.json")["constants"]:
        assert 0.0 <= constant["value"]["lower"] <= constant["value"]["upper"] < math.inf
