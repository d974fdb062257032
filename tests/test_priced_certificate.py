"""Certificates of margin and hinge on a line, where a grid knows the answer; prices that lie, are silent, or are not numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.networks import mlp
from tests.simple_prices import LyingPrices, NanPrices, PointPrices, SilentPrices
from tests.test_envelope import by_program
from wdaverify._errors import AuditError, DomainError
from wdaverify.dataset import Dataset
from wdaverify.domain import Box
from wdaverify.ir.load import load
from wdaverify.risk.adversarial import DistanceOptions
from wdaverify.risk.certify import certify
from wdaverify.risk.exploration import Exploration
from wdaverify.risk.loss_table import LOSSES
from wdaverify.risk.priced_certificate import certify_by_prices
from wdaverify.risk.pricers import pricer_for
from wdaverify.transport import WassersteinBall

# f = (0, 2 relu(x - 1/4) - 3 relu(x - 1/2) + 2 relu(x - 3/4) - 1/4): up, down, up again
HILLS = mlp([[[1.0]] * 3, [[0.0] * 3, [2.0, -3.0, 2.0]]], [[-0.25, -0.5, -0.75], [0.0, -0.25]])
KINKS = np.array([[0.0], [0.25], [0.5], [0.75], [1.0]])
DATA = Dataset([[0.125], [0.625], [0.5], [0.625], [1.0]], [0, 0, 0, 0, 1], weights=[2.0, 1.0, 1.0, 1.0, 0.0])
UNIT = Box(0, 1)
QUESTIONS = [*(("margin", p) for p in (1.0, 1.5, 3.0, 50.0, math.inf)), *(("hinge", p) for p in (1.0, 2.0, math.inf))]


def loss_of(loss, x, label):
    margin = 2 * np.maximum(x - 0.25, 0) - 3 * np.maximum(x - 0.5, 0) + 2 * np.maximum(x - 0.75, 0) - 0.25
    margin = margin if label == 0 else -margin
    return margin if loss == "margin" else np.maximum(0.0, 1.0 + margin)


def on_grid(loss, radius, order, data=DATA):
    """The best distribution on a grid that holds all kinks and samples."""
    grid = np.linspace(0.0, 1.0, 801)
    weights = [float(w) for w in data.fractions]
    if math.isinf(order) or radius == 0:
        worst = [
            loss_of(loss, grid[np.abs(grid - x[0]) <= radius * (1 + 1e-12)], y).max() for x, y in zip(data.x, data.y, strict=True)
        ]
        return float(np.dot(weights, worst))
    points = []
    for x, y in zip(data.x, data.y, strict=True):
        points.append(list(zip((np.abs(grid - x[0]) / radius) ** order, loss_of(loss, grid, y), strict=True)))
    points = [[(c, v) for c, v in own if c <= 1e6] for own in points]
    return -by_program(points, weights, 1.0).fun


@pytest.mark.parametrize(("loss", "order"), QUESTIONS)
def test_every_order_agrees_with_the_grid(loss, order):
    radii = [0.0, 0.2, 5.0]
    certificate = certify(HILLS, DATA, WassersteinBall(0.2, order=order), loss=loss, radii=radii, comparison_time=0)
    assert [point.radius for point in certificate.curve] == radii
    assert certificate.distances == ()
    previous = None
    for point in certificate.curve:
        known = on_grid(loss, point.radius, order)
        assert point.risk.exact or (order == 50.0 and point.risk.width < 1e-4)  # where lambda c is decided by rounding
        assert point.risk.upper >= known - 1e-9
        assert point.risk.lower <= known + (1e-9 if order in (1.0, math.inf) else 2e-3)
        assert len(point.plan.atoms) <= DATA.count + 1
        assert previous is None or point.risk.upper >= previous.lower
        previous = point.risk
        if math.isinf(order):
            assert point.multiplier is None
        else:
            assert point.multiplier >= 0.0
    top = sum(float(w) * loss_of(loss, KINKS[:, 0], y).max() for w, y in zip(DATA.fractions, DATA.y, strict=True))
    assert certificate.curve[-1].risk.upper == pytest.approx(top, abs=2e-6)
    assert certificate.curve[-1].multiplier in (0.0, None)


@pytest.mark.parametrize("order", [1.0, 3.0])
@pytest.mark.parametrize("loss", ["margin", "hinge"])
def test_the_line_of_every_multiplier_lies_above_the_whole_curve(loss, order):
    radii = [0.02, 0.1, 0.2, 0.25, 0.4, 1.0]
    curve = certify(HILLS, DATA, WassersteinBall(1.0, order=order), loss=loss, radii=radii, comparison_time=0).curve
    for one in curve:
        for other in curve:
            line = one.risk.upper + one.multiplier * (other.radius**order - one.radius**order)
            assert other.risk.lower <= line + 1e-9


def test_the_multiplier_is_that_of_the_least_upper_end():
    """At radius 1/2 the duals are 1 and 7/10, at radius 1/10 they are 6/10 and 7/10."""
    duals = [(Fraction(1), Fraction(1, 2)), (Fraction(0), Fraction(7, 10))]
    exploration = Exploration(loss=LOSSES["margin"], samples=[], order=1.0, gap=1e-6, _duals=duals)
    assert [exploration.multiplier(radius) for radius in (0.5, 0.1)] == [0, 1]


def test_the_multiplier_is_the_price_of_the_radius():
    radii = [0.03, 0.031]
    certificate = certify(HILLS, DATA, WassersteinBall(0.03), loss="margin", radii=radii, comparison_time=0)
    low, high = certificate.curve
    assert (high.risk.lower - low.risk.lower) / 0.001 == pytest.approx(low.multiplier, rel=1e-6)


def test_equal_samples_are_one():
    """Twice the same sample with half the weight changes nothing, and one source at most is split."""
    single = Dataset([[0.625], [0.125]], [0, 0], weights=[1, 1])
    double = Dataset([[0.625], [0.125], [0.625], [0.625]], [0, 0, 0, 0], weights=[1, 3, 1, 1])
    found = [certify(HILLS, d, WassersteinBall(0.05), loss="margin", comparison_time=0) for d in (single, double)]
    assert found[0].risk.lower == pytest.approx(found[1].risk.lower, abs=1e-12)
    assert len(found[1].plan.atoms) <= 5


def test_a_sample_at_the_maximum_stays():
    certificate = certify(HILLS, Dataset([[1.0]], [0]), WassersteinBall(0.25), loss="hinge", comparison_time=0)
    assert certificate.risk.lower == certificate.nominal_risk
    assert certificate.risk.exact
    assert certificate.plan.moved == ()


def priced(prices, order=1.0, **options):
    def pricer(question):
        return prices(question, np.vstack([KINKS, DATA.x]))

    return certify_by_prices(
        HILLS, DATA, WassersteinBall(0.0625, order=order), loss=LOSSES["margin"], domain=UNIT, radii=[0.0625, 0.0, 0.3],
        options=DistanceOptions(engine="search", **options), comparison_time=0.0, pricer=pricer,
    )  # fmt: skip


def test_prices_of_points_suffice():
    certificate = priced(PointPrices)
    for point in certificate.curve:
        assert point.risk.exact
        assert point.risk.lower == pytest.approx(on_grid("margin", point.radius, 1.0), abs=1e-9)


@pytest.mark.parametrize(("prices", "words"), [(LyingPrices, "but one is worth"), (NanPrices, "bounded by nan")])
@pytest.mark.parametrize("order", [1.0, math.inf])
def test_prices_that_contradict_a_point_are_caught(prices, words, order):
    with pytest.raises(AuditError, match=words if order == 1.0 or prices is NanPrices else "but one is"):
        priced(prices, order)


@pytest.mark.parametrize("order", [1.0, math.inf])
def test_silent_prices_leave_a_valid_bracket(order):
    certificate = priced(SilentPrices, order)
    for point in certificate.curve:
        known = on_grid("margin", point.radius, order)
        assert point.risk.lower - 1e-9 <= known <= point.risk.upper + 1e-9
    assert not certificate.curve[2].risk.exact
    assert certificate.curve[1].risk.exact


def test_an_interrupted_exploration_still_gives_a_valid_certificate():
    class Interrupted(PointPrices):
        def work(self, multiplier, **limits):
            if self.works >= 1:
                raise KeyboardInterrupt
            return super().work(multiplier, **limits)

    certificate = priced(Interrupted)
    assert certificate.interrupted
    for point in certificate.curve:
        assert point.risk.lower - 1e-9 <= on_grid("margin", point.radius, 1.0) <= point.risk.upper + 1e-9


def test_no_time_is_a_valid_bracket():
    certificate = certify(
        HILLS, DATA, WassersteinBall(0.0625), loss="hinge", options=DistanceOptions(time_limit=1e-6), comparison_time=5.0
    )
    assert certificate.risk.lower - 1e-9 <= on_grid("hinge", 0.0625, 1.0) <= certificate.risk.upper + 1e-9


def test_a_half_bounded_domain_is_refused():
    with pytest.raises(DomainError, match="neither bounded nor all of R"):
        certify(HILLS, DATA, WassersteinBall(0.1), loss="margin", domain=Box(0, np.inf))


IRIS = [
    ("margin", "linf", {0.05: -0.593443, 0.2: 6.697004}),
    ("hinge", "linf", {0.05: 3.452445}),
    ("margin", "l1", {0.05: -3.120248, 0.2: 2.202970}),
    ("hinge", "l1", {0.05: 1.902666}),
]


@pytest.mark.parametrize(("loss", "norm", "values"), IRIS)
def test_iris_has_the_risks_of_the_theory_within_few_searches(loss, norm, values):
    """The table of docs/theory.md; the first row with at most 15 searches after the attack."""
    folder = Path(__file__).parent / "data" / "golden"
    network, data = load(folder / "g14_iris.onnx"), Dataset.load(folder / "g14_iris.npz")
    works = []

    def pricer(question):
        prices = pricer_for("search", "highs")(question)
        plain = prices.work

        class Counted:
            upper, offer = staticmethod(prices.upper), staticmethod(prices.offer)

            def work(self, multiplier, **limits):
                works.append(multiplier)
                return plain(multiplier, **limits)

        return Counted()

    found = certify_by_prices(
        network, data, WassersteinBall(0.05, norm=norm), loss=LOSSES[loss], domain=UNIT, radii=list(values),
        options=DistanceOptions(engine="search"), comparison_time=0.0, pricer=pricer,
    )  # fmt: skip
    for point, value in zip(found.curve, values.values(), strict=True):
        assert point.risk.exact
        assert point.risk.lower == pytest.approx(value, abs=1e-5)
    assert len(works) <= 15 * len(values) + 5 * (len(values) - 1)
