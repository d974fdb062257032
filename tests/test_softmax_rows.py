"""Linear forms above log-sum-exp: checked in rational arithmetic at points of their regions, whatever proposed their slopes."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from wdaverify.log_sum_exp import cross_entropy_bracket
from wdaverify.pricing.softmax_rows import LogitRegion, softmax_row


@st.composite
def regions(draw):
    """Regions of 2 to 10 classes: open and closed sides, wide, narrow and of no width."""
    classes = draw(st.sampled_from([2, 3, 5, 10]))
    region = LogitRegion.led_by(draw(st.integers(0, classes - 1)), classes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    for side in range(classes):
        if side != region.leader and rng.random() < 0.8:
            at = -float(rng.choice([0.0, 1e-9, 0.1, 1.0, 10.0, 1e3, 1e6])) * rng.random()
            region = region.halves(side, at)[int(rng.random() < 0.7)]
            if rng.random() < 0.6:
                low = region.lower[side] if np.isfinite(region.lower[side]) else region.upper[side] - 3.0
                region = region.halves(side, float(low + rng.random() * (region.upper[side] - low)))[int(rng.random() < 0.5)]
    return region, rng


def samples(region, rng, count):
    """Logits of the region, among them corners, with any leader's logit."""
    lower = np.where(np.isfinite(region.lower), region.lower, region.upper - rng.exponential(20.0, len(region.lower)))
    for _ in range(count):
        part = rng.choice([0.0, 1.0, rng.random()], size=len(lower))
        steps = np.clip(lower + part * (region.upper - lower), lower, region.upper)
        base = Fraction(float(rng.normal() * 10.0))
        yield [base + Fraction(s) for s in steps.tolist()]


def assert_above(row, region, logits):
    """The form is not below log-sum-exp: the loss of any label differs from it by that label's logit on both sides."""
    form = sum(Fraction(w) * f for w, f in zip(row.weights.tolist(), logits, strict=True)) + Fraction(row.offset)
    assert cross_entropy_bracket(logits, region.leader)[0] <= form - logits[region.leader]


@settings(max_examples=60, deadline=None)
@given(regions(), st.integers(0, 3))
def test_a_row_lies_above_the_loss_on_its_region(drawn, met):
    region, rng = drawn
    steps = np.array([[float(v) for v in logits] for logits in samples(region, rng, met)]).reshape(met, len(region.lower))
    row = softmax_row(region, steps, rng.normal(size=met) * 10.0)
    assert sum(Fraction(w) for w in row.weights.tolist()) == 1
    assert (row.weights >= 0).all()
    assert not row.weights[np.isneginf(region.lower)].any()
    for logits in samples(region, rng, 20):
        assert_above(row, region, logits)


@settings(max_examples=30, deadline=None)
@given(regions(), st.sampled_from(["nothing", "nan", "huge", "negative"]))
def test_bad_slopes_give_high_rows(drawn, lie):
    region, rng = drawn

    class Answer:
        x = {"nothing": None, "nan": np.full(9, np.nan), "huge": np.full(9, 1e300), "negative": np.full(9, -3.0)}[lie]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scipy.optimize, "linprog", lambda *_, **__: Answer)
        row = softmax_row(region, np.zeros((0, len(region.lower))), np.zeros(0))
    assert sum(Fraction(w) for w in row.weights.tolist()) == 1
    for logits in samples(region, rng, 10):
        assert_above(row, region, logits)


def test_the_regions_of_all_leaders_hold_everything():
    rng = np.random.default_rng(0)
    for logits in rng.normal(size=(50, 4)).round(0):
        holding = [c for c in range(4) if (LogitRegion.led_by(c, 4).steps(logits[None]) <= 0.0).all()]
        assert holding == np.flatnonzero(logits == logits.max()).tolist()


def test_the_row_of_one_side_is_the_chord():
    region = LogitRegion.led_by(1, 2).halves(0, -4.0)[1].halves(0, -2.0)[0]
    row = softmax_row(region, np.zeros((0, 2)), np.zeros(0))
    low, high = (np.log1p(np.exp(s)) for s in (-4.0, -2.0))
    assert row.weights[0] == pytest.approx((high - low) / 2.0, abs=1e-12)
    assert row.excess(region, np.array([-4.0, 0.0])) == pytest.approx(0.0, abs=1e-12)
    assert row.excess(region, np.array([-2.0, 0.0])) == pytest.approx(0.0, abs=1e-12)
    assert row.excess(region, np.array([-3.0, 0.0])) > 0.01


def test_halving_shrinks_the_excess():
    region, worst = LogitRegion.led_by(0, 4), []
    for _ in range(4):
        for side in range(1, 4):
            low = region.lower[side] if np.isfinite(region.lower[side]) else -4.0
            region = region.halves(side, 0.5 * low)[1]
        row = softmax_row(region, np.zeros((0, 4)), np.zeros(0))
        worst.append(row.excess(region, 0.5 * (region.lower + region.upper)))
    assert all(b < a / 2.5 for a, b in itertools.pairwise(worst))
