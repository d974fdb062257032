"""No-goods say what plain logic says."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wdaverify.gradients.no_goods import NoGoods

NEURONS = 5


def completions(phases, rules):
    """All complete patterns that agree with a node and hold no rule."""
    for pattern in product((-1.0, 1.0), repeat=NEURONS):
        values = np.array(pattern)
        if ((phases != 0) & (phases != values)).any():
            continue
        if any((values[rule != 0] == rule[rule != 0]).all() for rule in rules):
            continue
        yield values


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6))
def test_propagation_loses_no_pattern(seed, count):
    rng = np.random.default_rng(seed)
    rules = [rule for rule in rng.integers(-1, 2, (count, NEURONS)).astype(float) if rule.any()]
    known = NoGoods(NEURONS)
    for rule in rules:
        known.learn(rule)
    phases = rng.integers(-1, 2, (4, NEURONS)).astype(float)
    before = phases.copy()
    empty = known.propagate(phases)
    for node in range(4):
        left = list(completions(before[node], rules))
        assert not (empty[node] and left), "a node with patterns was called empty"
        assert (phases[node][before[node] != 0] == before[node][before[node] != 0]).all()
        if not empty[node]:
            for values in left:
                assert (phases[node][phases[node] != 0] == values[phases[node] != 0]).all(), "an implied phase is wrong"


def test_a_node_that_holds_a_no_good_is_empty():
    known = NoGoods(3)
    assert not len(known)
    known.learn(np.array([0.0, 1.0, -1.0]))
    assert known.propagate(np.array([[1.0, 1.0, -1.0], [0.0, -1.0, -1.0]])).tolist() == [True, False]


def test_chains_of_implications_are_followed():
    known = NoGoods(4)
    for k in range(3):  # k active implies k + 1 active
        rule = np.zeros(4)
        rule[k], rule[k + 1] = 1.0, -1.0
        known.learn(rule)
    phases = np.array([[1.0, 0.0, 0.0, 0.0]])
    assert not known.propagate(phases).any()
    assert phases.tolist() == [[1.0, 1.0, 1.0, 1.0]]
