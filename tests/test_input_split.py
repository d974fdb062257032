"""Splitting boxes of inputs: verdicts against brute force, clipping and leaves against exact values, lying solvers."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from tests.lying_sessions import LyingBackend
from tests.networks import mlp, random_mlp, random_residual
from tests.oracles import enumerate_cells
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify.bounds.boxes import Boxes, Origin, tightened
from wdaverify.bounds.crown import crown_bounds
from wdaverify.domain import Box, Regions
from wdaverify.ir.exact import exact_forward, exact_trace
from wdaverify.program.backend import get_backend
from wdaverify.search.box_leaf import LeafSearch
from wdaverify.search.box_stack import BoxStack, Entry
from wdaverify.search.clipping import clip
from wdaverify.search.input_split import InputSplit, output_forms
from wdaverify.search.leaf_check import Proposal, refuted
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.row_groups import RowGroups
from wdaverify.search.tree import Verdict

if TYPE_CHECKING:
    from wdaverify.ir.network import Network

NEVER = Deadline.after(None)
MARGIN = 1e-5
"""How far thresholds stay from the maximum that SciPy computes with tolerance 1e-9."""


def start(network: Network, lower: np.ndarray, upper: np.ndarray) -> tuple[Origin, Boxes]:
    regions = Regions(lower[None], upper[None])
    neurons = NeuronBounds.of(network, regions, crown_bounds(network, regions))
    return Origin(network.compiled, neurons.charges), Boxes(
        regions.lower, regions.upper, neurons.lower[None], neurons.upper[None]
    )


def exact_least(network: Network, rows: np.ndarray, offsets: np.ndarray, x: np.ndarray) -> Fraction:
    y = exact_forward(network, x.tolist())
    return min(
        sum((Fraction(float(c)) * v for c, v in zip(row, y, strict=True)), Fraction(float(b)))
        for row, b in zip(rows, offsets, strict=True)
    )


def search(network, groups, lower, upper, *, leaf=True, backend=None, boxes=20_000):
    """The verdict, and the accepted points; accepting is exact."""
    origin, root = start(network, np.asarray(lower, float), np.asarray(upper, float))
    found = []

    def accept(g, x):
        own = groups.group == g
        assert (x >= lower).all()
        assert (x <= upper).all()
        if exact_least(network, groups.rows[own], groups.offsets[own], x) >= 0:
            found.append((g, x))
        return bool(found)

    leaves = LeafSearch(backend or get_backend("highs"), origin, groups) if leaf else None
    split = InputSplit(origin, Entry.whole(root, groups.groups), groups, accept, leaves)
    return split.run(boxes, NEVER), found, split


def largest_least(network: Network, rows: np.ndarray, offsets: np.ndarray, box: Box) -> float:
    """``max min_r g_r`` by one linear program per cell."""
    best, n = -np.inf, network.inputs
    for cell in enumerate_cells(network, box):
        slope, offset = rows @ cell.slope, rows @ cell.offset + offsets
        sides = np.vstack([np.c_[cell.rows, np.zeros(len(cell.rows))], np.c_[-slope, np.ones(len(slope))]])
        result = linprog(
            np.r_[np.zeros(n), -1.0], A_ub=sides, b_ub=np.r_[cell.sides, offset], bounds=[(None, None)] * (n + 1), method="highs"
        )
        if result.status == 0:
            best = max(best, -result.fun)
    return float(best)


@settings(max_examples=25, deadline=None)
@given(network=small_networks(inputs=2, outputs=3), seed=st.integers(0, 2**32 - 1), count=st.integers(1, 3), leaf=st.booleans())
def test_thresholds_agree_with_enumeration(network, seed, count, leaf):
    """Just below the largest value there is a point, just above there is none, whatever the number of rows."""
    rng = np.random.default_rng(seed)
    rows, offsets = rng.normal(size=(count, 3)), 0.1 * rng.normal(size=count)
    best = largest_least(network, rows, offsets, Box(-1, 1).sized(2))
    for shift, expected in ((MARGIN, Verdict.CLOSED), (-MARGIN, Verdict.FOUND)):
        groups = RowGroups.of([(rows, offsets - best - shift)])
        verdict, found, _ = search(network, groups, -np.ones(2), np.ones(2), leaf=leaf)
        assert verdict is expected or (not leaf and verdict is Verdict.OPEN)
        assert bool(found) == (verdict is Verdict.FOUND)


@pytest.mark.parametrize("seed", range(6))
def test_groups_are_decided_together_and_none_is_lost(seed):
    """With one group of three that can hold the search finds it, with none it closes."""
    network = random_residual(seed, 2, 5, 2) if seed % 2 else random_mlp([2, 8, 6, 2], seed)
    rng, box = np.random.default_rng(seed), Box(-1, 1).sized(2)
    parts = [(rng.normal(size=(k, 2)), np.zeros(k)) for k in (1, 2, 1)]
    tops = [largest_least(network, rows, offsets, box) for rows, offsets in parts]
    closed = [(rows, offsets - top - 1e-3) for (rows, offsets), top in zip(parts, tops, strict=True)]
    assert search(network, RowGroups.of(closed), -np.ones(2), np.ones(2))[0] is Verdict.CLOSED
    for k in range(3):
        mixed = list(closed)
        mixed[k] = parts[k][0], parts[k][1] - tops[k] + 1e-3
        verdict, found, _ = search(network, RowGroups.of(mixed), -np.ones(2), np.ones(2))
        assert verdict is Verdict.FOUND
        assert found[0][0] == k


@settings(max_examples=20, deadline=None)
@given(network=small_networks(inputs=2, outputs=2), seed=st.integers(0, 2**32 - 1))
def test_bounds_forms_and_clipping_contain_exact_values(network, seed):
    """At random rational points of parts of the box: bounds hold, forms lie above rows, and clipping keeps what holds."""
    rng = np.random.default_rng(seed)
    origin, root = start(network, -np.ones(2), np.ones(2))
    ends = np.sort(rng.uniform(-1, 1, size=(2, 6, 2)), axis=0)
    ends[:, 0] = ends[0, 0]  # a point
    ends[1, 1, 0] = np.nextafter(ends[0, 1, 0], 2)  # one ulp
    boxes = Boxes(ends[0], ends[1], np.repeat(root.low, 6, axis=0), np.repeat(root.high, 6, axis=0))
    groups = RowGroups.of([(rng.normal(size=(2, 2)), 0.3 * rng.normal(size=2)), (rng.normal(size=(1, 2)), np.zeros(1))])
    tight = tightened(origin, boxes)
    out = output_forms(tight.relaxation, groups, tight.boxes)
    lower, upper, is_open = clip(boxes.lower, boxes.upper, out.forms, groups, np.ones((6, 2), dtype=bool))
    assert (tight.boxes.low >= boxes.low).all()
    assert (tight.boxes.high <= boxes.high).all()
    for b in range(6):
        for _ in range(5):
            t = [Fraction(int(v), 64) for v in rng.integers(0, 65, size=2)]
            x = [Fraction(u) * s + Fraction(v) * (1 - s) for u, v, s in zip(ends[0, b], ends[1, b], t, strict=True)]
            values = {k: [Fraction(int(v), d) for v in n] for k, (n, d) in exact_trace(network, x).items()}
            for step in network.compiled.relus:
                for k, v in enumerate(values[network.compiled.names[step.source]]):
                    assert Fraction(tight.boxes.low[b, step.first + k]) <= v <= Fraction(tight.boxes.high[b, step.first + k])
            rows = [
                sum((Fraction(c) * v for c, v in zip(row.tolist(), values[network.output], strict=True)), Fraction(o))
                for row, o in zip(groups.rows, groups.offsets.tolist(), strict=True)
            ]
            for r, value in enumerate(rows):
                slope, k = out.forms.coefficients[b * 3 + r].tolist(), b * 3 + r
                form = sum((Fraction(c) * v for c, v in zip(slope, x, strict=True)), Fraction(out.forms.constant[k]))
                assert value <= form + Fraction(out.forms.error[k])
                assert value <= Fraction(out.ends[b, r])
            for g in range(2):
                if all(v >= 0 for v, own in zip(rows, groups.group == g, strict=True) if own):
                    assert is_open[b, g]
                    assert all(Fraction(lo) <= v <= Fraction(hi) for lo, v, hi in zip(lower[b], x, upper[b], strict=True))


@settings(max_examples=30, deadline=None)
@given(network=small_networks(inputs=2, outputs=2), seed=st.integers(0, 2**32 - 1))
def test_no_multipliers_refute_a_point_that_holds(network, seed):
    """Whatever is proposed, and whichever phases: a box with a point of those phases that satisfies all rows stays open."""
    rng = np.random.default_rng(seed)
    origin, root = start(network, -np.ones(2), np.ones(2))
    x = rng.uniform(-1, 1, size=2)
    trace = network.compiled.trace(x[None])
    rows = rng.normal(size=(2, 2))
    groups = RowGroups.of([(rows, -(rows @ trace[network.compiled.output][0]) + 1e-9)])
    z = np.concatenate([trace[step.source][0] for step in network.compiled.relus])
    neurons = np.flatnonzero(root.unstable[0])
    proposals = []
    for scale in (0.0, 1e-6, 1.0, 1e6, np.inf, np.nan):
        with np.errstate(invalid="ignore"):
            pi = scale * rng.normal(size=len(neurons))
        phases = np.where(rng.uniform(size=len(neurons)) < 0.5, np.sign(z[neurons]), 0.0)
        proposals += [Proposal(0, neurons, pi, phases, w) for w in (rng.uniform(size=2), np.zeros(2), np.array([1.0, np.nan]))]
    assert not refuted(origin, root, groups, proposals).any()
    assert not refuted(origin, root, groups, [Proposal(0, neurons, 0 * z[neurons], 0 * z[neurons], -np.ones(2))]).any()


KINDS = ["random duals", "nan", "infinite", "shape", "negative", "empty", "no ray", "failed", "points", "raises"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_lying_solver_never_makes_a_verdict_wrong(kind):
    for seed in range(4):
        network = random_mlp([2, 6, 5, 2], seed)
        rows = np.array([[1.0, -1.0]])
        best = largest_least(network, rows, np.zeros(1), Box(-1, 1).sized(2))
        above, below = (RowGroups.of([(rows, np.full(1, -best - shift))]) for shift in (1e-3, -1e-3))
        closed, found, _ = search(network, above, -np.ones(2), np.ones(2), backend=LyingBackend(kind), boxes=4000)
        assert closed is not Verdict.FOUND
        assert not found
        assert search(network, below, -np.ones(2), np.ones(2), backend=LyingBackend(kind), boxes=4000)[0] is not Verdict.CLOSED


def test_ties_and_boxes_that_cannot_be_halved_stay_open():
    """``relu(x) - relu(x) = 0`` holds everywhere as a tie; with an accept that refuses, nothing may be called closed."""
    network = mlp([[[1.0], [1.0]], [[1.0, -1.0]]], [np.zeros(2), np.zeros(1)])
    groups = RowGroups.of([(np.ones((1, 1)), np.zeros(1))])
    narrow = np.array([1.0]), np.array([np.nextafter(np.nextafter(1.0, 2), 2)])
    for lower, upper in (narrow, (np.array([0.25]), np.array([0.25])), (np.array([1.0]), np.nextafter(np.array([1.0]), 2))):
        origin, root = start(network, lower, upper)
        split = InputSplit(origin, Entry.whole(root, groups.groups), groups, lambda g, x: False, None)
        assert split.run(1000, NEVER) is Verdict.OPEN
        assert split.pending == 0
        assert split.stuck.all()
        assert split.statistics.unsplittable > 0
        split.drop(0)
        assert split.run(1000, NEVER) is Verdict.CLOSED


@pytest.mark.parametrize("offset", [-1.0, 0.0, 1.0])
def test_dead_layers_and_constant_outputs(offset):
    dead = mlp([np.ones((3, 2)), np.ones((1, 3))], [np.full(3, -100.0), np.full(1, offset)])
    flat = mlp([np.zeros((2, 2)), np.ones((1, 2))], [np.array([1.0, -1.0]), np.full(1, offset - 1.0)])
    for network in (dead, flat):
        verdict, found, _ = search(network, RowGroups.of([(np.ones((1, 1)), np.zeros(1))]), -np.ones(2), np.ones(2))
        assert verdict is (Verdict.CLOSED if offset < 0 else Verdict.FOUND)
        assert bool(found) == (offset >= 0)


def test_a_search_can_be_continued_and_repeats_itself():
    network = random_mlp([3, 12, 12, 2], 4)
    top = max(
        float(network.compiled.forward(np.array([x]))[0] @ [1.0, -1.0])
        for x in itertools.product(np.linspace(-1, 1, 9), repeat=3)
    )
    groups = RowGroups.of([(np.array([[1.0, -1.0]]), np.array([-top - 0.3]))])
    whole = search(network, groups, -np.ones(3), np.ones(3))
    again = search(network, groups, -np.ones(3), np.ones(3))
    assert whole[0] is again[0] is Verdict.CLOSED
    assert whole[2].statistics == again[2].statistics
    first, _, split = search(network, groups, -np.ones(3), np.ones(3), boxes=1)
    while first is Verdict.OPEN:
        first = split.run(1, NEVER)
    assert first is Verdict.CLOSED
    assert split.statistics.boxes == whole[2].statistics.boxes
    assert search(network, groups, -np.ones(3), np.ones(3))[2].run(5, Deadline.after(0.0)) is Verdict.CLOSED


def test_the_stack_is_last_in_first_out_across_its_growth():
    def boxes(values):
        column = np.array(values, dtype=float)[:, None]
        return Boxes(column, column + 1, np.tile(column, 2), np.tile(column, 2))

    stack = BoxStack(boxes([0]), np.ones((1, 1), dtype=bool))
    for k in range(1, 40, 3):
        stack.push(boxes([k, k + 1, k + 2]), np.ones((3, 1), dtype=bool))
    seen = []
    while stack.count:
        seen += [stack.pop(7).boxes.lower[:, 0].tolist()[::-1]]
    assert list(itertools.chain(*seen)) == [float(k) for k in reversed(range(40))]
