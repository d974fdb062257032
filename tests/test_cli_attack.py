"""The command `attack`: what it prints and writes is what `wv.attack` found, and never better than the exact answers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import wdaverify as wv
from wdaverify.cli.main import main
from wdaverify.report import json as report

INSTANCES = Path(__file__).parents[1] / "instances"
IRIS, DATA = INSTANCES / "iris" / "iris-16-16.onnx", INSTANCES / "iris" / "iris-test.npz"
DIGITS, IMAGES = INSTANCES / "digits" / "digits-64-32-16.onnx", INSTANCES / "digits" / "digits-test.npz"


def _run(*arguments: object) -> int:
    return main(["attack", *map(str, arguments), "--quiet"])


def test_the_file_says_what_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "attack.json"
    assert _run(IRIS, "--data", DATA, "--samples", 15, "--radius", "0.1,0", "--order", 2, "--norm", "l1", "--output", out) == 0
    document = json.loads(out.read_text())
    network, data = wv.load(IRIS), wv.Dataset.load(DATA).first(15)
    found = wv.attack(network, data, wv.WassersteinBall(0.1, order=2, norm="l1"), radii=[0.1, 0], device="cpu")
    assert document["kind"] == "attack"
    assert document["method"] == "wda++"
    assert document["clean_accuracy"] == found.clean_accuracy
    assert [c["radius"] for c in document["curve"]] == [0.1, 0.0]
    assert document["curve"][1]["worst_case_accuracy"] == found.clean_accuracy
    np.testing.assert_allclose([float(d["distance"]) for d in document["distances"]], found.distances, atol=1e-9)
    for row, label in zip(document["distances"], data.y, strict=True):
        assert row["label"] == label
        logits = network.compiled.forward(np.array([row["point"]]))[0]
        assert logits[row["target"]] >= logits[label]
    masses = [atom["mass"] for atom in document["curve"][0]["plan"]["atoms"]]
    assert math.isclose(sum(masses), 1.0, rel_tol=1e-12)
    assert f"{found.worst_case_accuracy:.6g}" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["wda", "wda++", "a3-wda", "pgd", "apgd", "nearest"])
def test_every_method_has_its_name(tmp_path: Path, method: str) -> None:
    out = tmp_path / "attack.json"
    assert _run(IRIS, "--data", DATA, "--samples", 6, "--method", method, "--order", "inf", "--radius", 0.2, "--output", out) == 0
    document = json.loads(out.read_text())
    assert document["method"] == method
    assert {d["distance"] for d in document["distances"] if d["point"] is None} <= {"inf"}


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("order", [1.0, 2.0, math.inf])
def test_the_attack_stays_below_the_certificate(norm: str, order: float) -> None:
    network, data = wv.load(IRIS), wv.Dataset.load(DATA).first(20)
    ball = wv.WassersteinBall(0.1, order=order, norm=norm)
    radii = [0.01, 0.05, 0.1, 0.3]
    certificate = wv.certify(network, data, ball, radii=radii, comparison_time=0.0)
    found = wv.attack(network, data, ball, radii=radii, device="cpu")
    for proved, attacked in zip(certificate.curve, found.curve, strict=False):
        assert 1.0 - attacked.worst_case_accuracy <= proved.risk.upper + 1e-12


def test_large_plans_keep_their_points_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "INLINE_COORDINATES", 100)
    out = tmp_path / "attack.json"
    assert _run(DIGITS, "--data", IMAGES, "--samples", 5, "--steps", 3, "--restarts", 1, "--output", out) == 0
    plan = json.loads(out.read_text())["curve"][0]["plan"]
    points = np.load(tmp_path / plan["points"])["points"]
    assert points.shape == (len(plan["atoms"]), 64)


def test_a_journal_is_taken_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (IRIS, "--data", DATA, "--method", "nearest", "--batch-size", 15, "--journal", tmp_path / "kept")
    assert _run(*arguments, "--time-limit", 1e-9) == 0
    assert "stopped after 0 of 45 samples" in capsys.readouterr().out
    assert _run(*arguments) == 0
    first = capsys.readouterr().out
    assert _run(*arguments) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == first.splitlines()[:-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--method", "guess"), "method 'guess' is unknown"),
        (("--steps", 0), "steps is 0"),
        (("--kappa", 0.5), "kappa is 0.5"),
        (("--order", "many"), "--order 'many'"),
        (("--radius", -1), "--radius"),
        (("--workers", 0), "--workers 0"),
        (("--device", "abacus"), "abacus"),
    ],
)
def test_bad_values_are_named(arguments: tuple[object, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(IRIS, "--data", DATA, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
