"""Boxes of margins: softmax entries and gradients lie within their bounds, and halving and cutting lose nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wdaverify._types import Norm
from wdaverify.gradients.softmax_box import CellGradients, MarginBoxes, shares


def softmax(margins):
    """Entries of the rivals, the label's logit being 0; in extended precision."""
    powers = np.exp(np.asarray(margins, dtype=np.longdouble))
    return powers / (1 + powers.sum(axis=-1, keepdims=True))


def norms_of(gradients, margins, norm):
    """``||sum_j p_j g_j||`` at margins (M, J)."""
    return np.linalg.norm((softmax(margins) @ gradients).astype(float), ord=norm.dual.order, axis=-1)


def box_of(rng, rivals, width):
    low = rng.normal(size=rivals) * rng.choice([1.0, 30.0])
    return low, low + rng.random(rivals) * width


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([0.0, 1e-9, 1.0, 40.0]))
def test_entries_lie_between_their_bounds(seed, rivals, width):
    rng = np.random.default_rng(seed)
    low, high = box_of(rng, rivals, width)
    found = shares(low[None], high[None])
    points = np.concatenate([low + (high - low) * rng.random((50, rivals)), low[None], high[None]])
    entries = softmax(points)
    assert (entries >= found.low).all()
    assert (entries <= found.high).all()
    assert (entries.sum(axis=1) * (1 - 1e-15) <= found.total).all()  # the sum itself may round to 1 + an ulp
    assert (found.low <= found.high).all()
    if width == 0.0:
        assert (found.high - found.low <= 1e-12 * found.high).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4), st.sampled_from(list(Norm)))
def test_halving_keeps_the_maximum_and_closes_on_it(seed, rivals, n, norm):
    rng = np.random.default_rng(seed)
    gradients = rng.normal(size=(rivals, n))
    norms = np.nextafter(np.linalg.norm(gradients, ord=norm.dual.order, axis=1) * (1 + 1e-15), np.inf)
    low, high = box_of(rng, rivals, 6.0)
    points = np.concatenate([low + (high - low) * rng.random((400, rivals)), low[None], high[None]])
    best = norms_of(gradients, points, norm).max()
    boxes = MarginBoxes(CellGradients(gradients, norms, norm), low, high)
    before = boxes.upper
    for _ in range(40):
        assert boxes.upper >= best * (1 - 1e-12)
        boxes.halve(best * (1 + 1e-3), 64)
        assert boxes.upper <= before * (1 + 1e-12)
        before = boxes.upper
    if rivals == 1:
        assert boxes.upper <= best * (1 + 1e-3) + 1e-9


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_cuts_keep_every_point_that_satisfies_them(seed, rivals):
    rng = np.random.default_rng(seed)
    gradients, low, high = rng.normal(size=(rivals, 3)), -2.0 * np.ones(rivals), 2.0 * np.ones(rivals)
    norms = np.linalg.norm(gradients, axis=1) * (1 + 1e-14)
    boxes = MarginBoxes(CellGradients(gradients, norms, Norm.L2), low, high)
    points = low + (high - low) * rng.random((2000, rivals))
    for _ in range(12):
        direction = rng.normal(size=rivals)
        most = float(rng.normal())
        boxes.cut(direction, most)
        points = points[points @ direction <= most]
        if not len(points):
            return
        assert boxes.upper >= norms_of(gradients, points, Norm.L2).max() * (1 - 1e-12)
        boxes.halve(0.0, 32)
    assert boxes.best() is not None
