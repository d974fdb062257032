"""The attacks against measurements of published ones on a digits classifier (`tests/data/attack/README.md`)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import wdaverify as wv

FOLDER = Path(__file__).parent / "data" / "attack"
REFERENCE = json.loads((FOLDER / "reference.json").read_text(encoding="utf-8"))
SLACK = 1e-6  # the reference counts points in float32


@pytest.fixture(scope="module")
def question():
    with np.load(FOLDER / "digits_test300.npz") as data, np.load(FOLDER / "mlp_best_known.npz") as best:
        return wv.load(FOLDER / "mlp.onnx"), wv.Dataset(data["x"], data["y"]), dict(best)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_wda_plus_plus_is_nowhere_weaker_than_its_reference(question, norm):
    network, data, best = question
    entries = [entry for entry in REFERENCE["radii"] if entry["norm"] == norm]
    radii = [entry["radius"] for entry in entries]
    found = wv.attack(network, data, wv.WassersteinBall(radii[0], norm=norm), radii=radii, device="cpu")
    clean = best["clean"]
    assert found.clean_accuracy == pytest.approx(REFERENCE["clean_accuracy"])
    assert found.distances[clean].mean() <= 1.005 * best[norm][clean].mean()
    gains = []
    for entry in entries:
        for order in ("1", "2", "inf"):
            ball = wv.WassersteinBall(entry["radius"], order=float(order), norm=norm)
            ours = _accuracy(data, found.distances, ball)
            theirs = min(method[order]["worst_case_accuracy"] for method in entry["wasserstein"].values())
            assert ours <= theirs + SLACK
            gains.append(theirs - ours)
    assert np.mean(gains) > 0.005
    if norm == "linf":
        for sample, exact in REFERENCE["exact_linf"].items():
            assert found.distances[int(sample)] == pytest.approx(exact, rel=5e-3)
            assert found.distances[int(sample)] >= exact - 1e-5


def _accuracy(data, distances, ball):
    """1 less the worst zero-one risk that points at these distances allow, written out for equal weights."""
    if np.isinf(ball.order):
        return float((distances > ball.radius).mean())
    costs = np.sort(distances[np.isfinite(distances)] ** ball.order) / data.count
    budget, moved = ball.radius**ball.order, 0.0
    for cost in costs:
        share = 1.0 if cost <= budget else budget / cost
        moved, budget = moved + share / data.count, budget - share * cost
        if share < 1:
            break
    return 1 - moved


@pytest.mark.parametrize("entry", REFERENCE["radii"], ids=lambda e: f"{e['norm']}-{e['radius']}")
@pytest.mark.parametrize("method", ["wda", "a3-wda", "apgd"])
def test_attacks_in_the_ball_are_within_a_point_of_the_ensemble(question, entry, method):
    network, data, _ = question
    found = wv.attack(network, data, wv.WassersteinBall(entry["radius"], norm=entry["norm"]), method=method, device="cpu")
    assert found.robust_accuracy <= entry["pointwise"]["autoattack_standard"]["robust_accuracy"] + 0.01
