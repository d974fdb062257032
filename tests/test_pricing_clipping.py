"""Clipping keeps every point of interest; shells that it calls empty hold none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import random_mlp
from tests.strategies import degenerate_networks, small_networks
from tests.test_pricing_search import question_at
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.ir.evaluate import trace
from wdaverify.pricing.clipping import clip
from wdaverify.pricing.interest import Interest
from wdaverify.pricing.shells import ShellTable
from wdaverify.pricing.warm_points import warm_points
from wdaverify.transport import GroundCost

FINE = np.stack(np.meshgrid(*[np.linspace(-1, 1, 101)] * 2), axis=-1).reshape(-1, 2)
SCALES = (None, np.array([0.5, 3.0]))


def _pre_activations(network, points):
    values, compiled = trace(network, points), network.compiled
    return np.hstack([values[compiled.names[step.source]] for step in compiled.relus])


@settings(max_examples=25, deadline=None)
@given(
    st.one_of(small_networks(), degenerate_networks()),
    st.sampled_from(list(Norm)),
    st.sampled_from([1.0, 2.0]),
    st.sampled_from([0, 1]),
    st.sampled_from([0.0, 0.3, 2.0]),
    st.floats(0.5, 1.0),
)
def test_points_of_interest_stay(network, norm, order, scaled, multiplier, quantile):
    question = question_at(network, (0.25, -0.5), GroundCost(norm, order, SCALES[scaled]))
    table = ShellTable.of(question)
    pairs = np.arange(len(table.forms))
    shell = table.shells(pairs)
    lengths = question.cost.lengths(FINE - question.center)
    gains = (trace(network, FINE)[network.output] @ question.rows.T) - multiplier * (lengths**order)[:, None]
    target = float(np.quantile(gains, quantile))
    rows = question.rows[pairs % table.rivals]
    interest = Interest(table.ground, rows, table.edges[shell], table.edges[shell + 1], multiplier, target)
    clipped = clip(interest, table.balls[shell], Deadline())
    z = _pre_activations(network, FINE)
    for pair in pairs:
        here = (lengths >= table.edges[shell[pair]]) & (lengths <= table.edges[shell[pair] + 1])
        value = gains[:, pair % table.rivals]
        chosen = here & (value >= target + 1e-12)
        assert not (chosen.any() and clipped.empty[pair])
        if chosen.any():
            assert clipped.tops[pair] >= value[chosen].max() - 1e-12
            assert (z[chosen] >= clipped.bounds.low[pair] - 1e-12).all()
            assert (z[chosen] <= clipped.bounds.high[pair] + 1e-12).all()
        assert clipped.tops[pair] >= target


@pytest.mark.parametrize("norm", list(Norm))
def test_clipping_does_close_shells(norm):
    """On a network whose bounds are loose, most shells are found empty, and the ranges of the others shrink."""
    question = question_at(random_mlp([2, 10, 10, 3], 8), (0.25, -0.5), GroundCost(norm))
    table = ShellTable.of(question)
    gains = (trace(question.network, FINE)[question.network.output] @ question.rows.T).max(axis=1)
    target = float((gains - 0.5 * question.cost.lengths(FINE - question.center)).max())
    pairs = np.flatnonzero(table.store.ends(0.5) > target)
    shell, rows = table.shells(pairs), question.rows[pairs % table.rivals]
    assert len(pairs) > 10
    clipped = clip(
        Interest(table.ground, rows, table.edges[shell], table.edges[shell + 1], 0.5, target), table.balls[shell], Deadline()
    )
    assert clipped.empty.mean() > 0.2
    assert (clipped.tops <= table.store.sharpened(0.5, pairs) + 1e-9).mean() > 0.9


@settings(max_examples=15, deadline=None)
@given(small_networks(), st.sampled_from(list(Norm)), st.sampled_from([0, 1]), st.integers(0, 100))
def test_warm_points_are_points_of_the_domain(network, norm, scaled, seed):
    samples = np.array([[0.25, -0.5], [-1.0, 1.0]])
    labels = np.argmax(trace(network, samples)[network.output], axis=1)
    cost, box = GroundCost(norm, 1.0, SCALES[scaled]), question_at(network, (0.0, 0.0), GroundCost(norm)).domain
    found = warm_points(network, samples, labels, cost, box, seed)
    again = warm_points(network, samples, labels, cost, box, seed)
    assert len(found) == 2
    for points, same, sample, label in zip(found, again, samples, labels, strict=True):
        assert np.array_equal(points, same)
        assert box.contains(points).all()
        lengths, logits = cost.lengths(points - sample), trace(network, points)[network.output]
        margins = np.delete(logits, label, axis=1).max(axis=1) - logits[:, label]
        assert (np.diff(lengths) >= 0).all()
        assert (np.diff(margins) > -1e-12).all()  # in another order of summation than theirs
