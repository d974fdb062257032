"""Proofs of risks of orders above 1 on R^n: judged, and against the pieces of networks on the line."""

from __future__ import annotations

import json
import random
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.judge_line import FAR, Line
from tests.line_powers import worst_case_power
from tests.networks import mlp, random_mlp
from tests.test_proof import stored
from wdaverify._types import Norm
from wdaverify.check.report import check
from wdaverify.proof.area import Area
from wdaverify.proof.cost import along_vector, euclidean_vector, largest_power
from wdaverify.proof.cubes import Cubes

SPACE = wv.Box.whole_space()


def certified(folder, network, x, norm, order, loss, domain=SPACE):
    """The data, the report of the risk at radius 1/4, judged, and its bracket."""
    network, data = stored(network, folder, np.asarray(x, dtype=float))
    ball = wv.WassersteinBall(0.25, order=order, norm=norm)
    certificate = wv.certify(network, data, ball, loss=loss, domain=domain, comparison_time=0.0)
    certificate.save(folder / "r.json")
    report = json.loads((folder / "r.json").read_text())
    assert "proof" not in report or check(folder / "r.json").accepted
    return data, report, report["curve"][0]["worst_case_risk"]


@pytest.mark.slow
@given(st.integers(0, 2**32), st.sampled_from([1.5, 2.0, 3.0]), st.sampled_from(["margin", "hinge"]))
@settings(max_examples=4, deadline=None)
def test_risks_on_the_line_are_judged_and_true(seed, order, loss):
    rng = random.Random(seed)
    first = [[rng.choice((-2.0, -1.0, 1.0, 2.0))] for _ in range(4)], [rng.uniform(-2.0, 2.0) for _ in range(4)]
    layers = [first, ([[rng.choice((-1.0, 0.5, 1.0)) for _ in range(4)] for _ in range(2)], [0.5, 0.0])]
    x = [[rng.uniform(-1.0, 1.0)] for _ in range(2)]
    with tempfile.TemporaryDirectory() as name:
        network = mlp([w for w, _ in layers], [b for _, b in layers])
        data, _, bracket = certified(Path(name), network, x, rng.choice(["l1", "l2", "linf"]), order, loss)
    line = Line(layers, -FAR, FAR)
    samples = [(Fraction(v), y, Fraction(1, 2)) for (v,), y in zip(x, data.y.tolist(), strict=True)]
    cut = {"margin": lambda m: m, "hinge": lambda m: max(Fraction(0), 1 + m)}[loss]
    truth = worst_case_power(line, samples, lambda v, y: cut(line.margin(v, y)), Fraction(1, 4), order)
    assert float(bracket["lower"]) - 1e-6 <= truth <= float(bracket["upper"]) + 1e-6


SIZES = [("linf", 3.0, "margin", [2, 4, 3]), ("l1", 1.5, "hinge", [2, 4, 3]), ("linf", 2.0, "cross-entropy", [1, 4, 2])]


@pytest.mark.parametrize(("norm", "order", "loss", "sizes"), SIZES)
def test_prices_within_cubes_prove_risks(norm, order, loss, sizes, tmp_path):
    x = np.random.default_rng(1).uniform(-1, 1, (2, sizes[0]))
    _, report, bracket = certified(tmp_path, random_mlp(sizes, 1), x, norm, order, loss)
    assert bracket["evidence"] == "proved"
    assert any("within" in claim for claim in report["proof"]["claims"])


@pytest.mark.parametrize("order", [1.5, 3.0])
def test_powers_of_euclidean_lengths_are_proved_on_boxes(order, tmp_path):
    x = np.random.default_rng(2).uniform(-1, 1, (2, 2))
    _, _, bracket = certified(tmp_path, random_mlp([2, 4, 3], 2), x, "l2", order, "margin", wv.Box(-2.0, 2.0))
    assert bracket["evidence"] == "proved" or bracket["status"] != "exact"


def test_cubes_that_are_too_small_are_refused(tmp_path, monkeypatch):
    honest = Cubes.about

    def small(self, *question):
        found = honest(self, *question)
        return None if found is None else (found[0], found[1] / 1024)

    monkeypatch.setattr(Cubes, "about", small)
    x = np.random.default_rng(1).uniform(-1, 1, (2, 2))
    _, report, bracket = certified(tmp_path, random_mlp([2, 4, 3], 1), x, "linf", 3.0, "margin")
    assert bracket["evidence"] == "checked"
    assert "proof" not in report


def test_cubes_shrink_with_the_price_and_have_no_size_for_order_1(tmp_path):
    network, _ = stored(random_mlp([2, 4, 3], 1), tmp_path, np.zeros((1, 2)))

    class Book:
        """A ledger that writes nothing."""

        def prove(self, work, kind, **fields):
            assert kind == "lip"
            assert work(lambda record: None)
            return fields["functional"]

        def claim(self, kind, **fields):
            assert kind == "all"
            return sorted(fields["of"])

    about = Cubes(Book(), network, wv.Norm.LINF).about
    sizes = [about(0, price, Fraction(3, 2)) for price in (0.5, 1.0, 4.0)]
    assert [claim for claim, _ in sizes] == [["margin:1-0", "margin:2-0"]] * 3
    assert sizes[0][1] > sizes[1][1] > sizes[2][1] > 0
    assert about(1, 1.0, Fraction(2))[0] == ["margin:1-0", "margin:2-1"]
    assert about(0, 1.0, Fraction(1)) is None
    assert about(0, 0.0, Fraction(2)) is None
    assert about(0, 2.0**-60, Fraction(17, 16)) is None


@given(st.integers(0, 2**32), st.sampled_from(list(wv.Norm)), st.sampled_from([1.25, 2.0, 3.0]))
@settings(max_examples=60, deadline=None)
def test_lines_below_powers_give_the_largest_form(seed, norm, order):
    rng = np.random.default_rng(seed)
    form, center, price = rng.normal(size=(1, 2)), rng.normal(size=2), rng.uniform(0.1, 3.0, 1)
    low, high = center - rng.uniform(0.0, 3.0, 2), center + rng.uniform(0.0, 3.0, 2)
    area = Area(tuple(map(Fraction, low)), tuple(map(Fraction, high)), center, norm)
    value, alpha, beta = largest_power(form, area, price, order)
    grid = np.stack(np.meshgrid(*np.linspace(low, high, 401).T), axis=-1).reshape(-1, 2)
    lengths = np.linalg.norm(grid - center, ord=norm.order, axis=1)
    assert (lengths**order >= alpha * lengths - beta - 1e-12).all()
    best = float((grid @ form[0] - price * lengths**order).max())
    if norm is Norm.L2:  # the vector of a leaf is chosen with the line, and better than that along the form
        vector = euclidean_vector(form[0], area, float(price[0] * alpha[0]), 50)
        value = np.minimum(value, along_vector(form, area, vector) + price * beta)
    assert best - 1e-9 <= value[0] <= best + 0.02 * (1.0 + abs(best))
