"""Lines above linear forms, and what they prove of a form less its price: against points, in rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wdaverify._types import Norm
from wdaverify.domain import Box
from wdaverify.pricing.growth import Ground, Lines, priced_ends
from wdaverify.pricing.line_store import LineStore
from wdaverify.transport import GroundCost

SCALES = [None, np.array([0.5, 3.0, 1.0])]
SETTINGS = st.tuples(
    st.sampled_from(list(Norm)), st.sampled_from([1.0, 1.5, 2.0, 7.0]), st.sampled_from([0, 1]), st.integers(0, 2**32 - 1)
)


def _ground(norm, order, scaled, generator):
    lower = generator.uniform(-2, 0, 3) * (generator.uniform(size=3) < 0.8)
    upper = lower + generator.uniform(0, 2, 3) * (generator.uniform(size=3) < 0.8)
    center = np.where(generator.uniform(size=3) < 0.3, lower, lower + generator.uniform(size=3) * (upper - lower))
    return Ground.of(Box(lower, upper), np.clip(center, lower, upper), GroundCost(norm, order, SCALES[scaled]))


def _points(ground, generator, count=60):
    box = ground.box
    corners = np.round(generator.uniform(size=(count, 3)))
    inner = generator.uniform(size=(count, 3)) ** 4
    fractions = np.concatenate([corners, generator.uniform(size=(count, 3))])
    points = box.lower + fractions * (box.upper - box.lower)
    near = ground.center + inner * (points[:count] - ground.center)
    return np.concatenate([box.clip(points), box.clip(near), ground.center[None]])


@settings(max_examples=40, deadline=None)
@given(SETTINGS, st.floats(-300, 300))
def test_lines_lie_above_the_form(setting, exponent):
    norm, order, scaled, seed = setting
    generator = np.random.default_rng(seed)
    ground = _ground(norm, order, scaled, generator)
    forms, constants = generator.normal(size=(4, 3)) * 10.0 ** (exponent / 4), generator.normal(size=4)
    forms[3] = np.round(forms[3])
    touch = ground.farthest * generator.uniform(0.01, 1, size=(4, 3)) + 1e-300
    lines = ground.lines(forms, constants, touch)
    for point in _points(ground, generator):
        least, cost = ground.cost.bracket(point.tolist(), ground.center)
        assert least >= 0
        for form, constant, slopes, heights in zip(forms, constants, *lines, strict=True):
            value = sum((Fraction(a) * Fraction(x) for a, x in zip(form, point, strict=True)), Fraction(constant))
            for slope, height in zip(slopes, heights, strict=True):
                if np.isfinite(height) and cost is not None:
                    assert value <= Fraction(slope) * cost + Fraction(height)


@pytest.mark.parametrize("norm", list(Norm))
def test_lines_touch(norm):
    """The sup of the form over a ball, by an independent sampling of its boundary, is met at the distance asked for."""
    ground = Ground.of(Box(-1, 1).sized(2), np.array([0.2, -0.3]), GroundCost(norm))
    form, radius = np.array([[1.0, -2.0]]), 0.5
    angles = np.linspace(0, 2 * np.pi, 20001)
    steps = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    steps *= radius / np.linalg.norm(steps, ord=norm.order, axis=1, keepdims=True)
    best = ((ground.center + steps) @ form[0]).max()
    lines = ground.lines(form, np.zeros(1), np.array([[radius]]))
    assert lines.slopes[0, 0] * radius + lines.heights[0, 0] == pytest.approx(best, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 2.0, 1e3, 1e308]), st.integers(1, 5))
def test_priced_ends_bound_everything_below_the_lines(seed, price, count):
    generator = np.random.default_rng(seed)
    slopes, heights = generator.exponential(2.0, (1, count)), generator.normal(size=(1, count))
    low, high = np.sort(generator.exponential(1.0, 2))
    low *= generator.uniform() < 0.7
    end = Fraction(float(priced_ends(Lines(slopes, heights), np.full(1, price), np.array([low]), np.array([high]))[0]))
    crossings = [Fraction(low), Fraction(high)]
    pairs = [(Fraction(s), Fraction(h)) for s, h in zip(slopes[0], heights[0], strict=True)]
    crossings += [(h - g) / (r - s) for s, h in pairs for r, g in pairs if r != s]
    inside = [c for c in crossings if Fraction(low) <= c <= Fraction(high)]
    values = [min(s * c + h for s, h in pairs) - Fraction(price) * c for c in inside]
    assert end >= max(values)
    if price < 1e300:
        assert float(end) == pytest.approx(float(max(values)), rel=1e-9, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_store_only_becomes_sharper_and_keeps_every_bound(seed):
    """Random concave gains on shells: bounds that hold for them are added, and none at any multiplier is ever below the truth."""
    generator = np.random.default_rng(seed)
    low = np.sort(generator.exponential(1.0, 6))
    high = low + generator.exponential(0.5, 6)
    costs = np.linspace(low, high, 41, axis=1)
    gains = (
        generator.normal(size=(6, 1)) + generator.exponential(2.0, (6, 1)) * np.sqrt(costs) + generator.normal(size=(6, 41)) * 0.1
    )
    store = LineStore(Lines(np.zeros((6, 1)), gains.max(axis=1, keepdims=True) + 1.0), low, high)
    prices = [0.0, 0.3, 1.0, 4.0]
    before = np.array([store.ends(price).max() for price in prices])
    for _ in range(12):
        price = generator.choice([0.0, 0.2, 0.7, 1.5, 3.0])
        pairs = np.flatnonzero(generator.uniform(size=6) < 0.5)
        truth = (gains - price * costs).max(axis=1)
        store.add(pairs, price, truth[pairs] + generator.exponential(0.3, len(pairs)) * generator.integers(0, 2))
        after = np.array([store.ends(price).max() for price in prices])
        assert (after <= before + 1e-12).all()
        for price in prices:
            assert (store.ends(price) >= (gains - price * costs).max(axis=1) - 1e-12).all()
            assert (store.sharpened(price, np.arange(6)) >= (gains - price * costs).max(axis=1) - 1e-12).all()
        before = after
