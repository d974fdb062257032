"""The oracle: brackets that hold the truth at every limit, against enumeration of cells and a second engine."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from tests.lying_sessions import LIES, LyingBackend, LyingSession, Opener
from tests.networks import random_mlp, random_residual
from tests.oracles import enumerate_cells
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify._errors import InputError, SolverError
from wdaverify._types import Norm
from wdaverify.bounds.crown import crown_bounds
from wdaverify.bracket import Evidence
from wdaverify.domain import Box, Regions
from wdaverify.ir.exact import exact_forward
from wdaverify.program.backend import get_backend
from wdaverify.search.cost import CostTerm
from wdaverify.search.inputs import InputSet
from wdaverify.search.milp import maximise_by_milp
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.oracle import maximise
from wdaverify.search.question import Question
from wdaverify.search.result import End, SearchLimits
from wdaverify.transport import GroundCost

HIGHS = get_backend("highs")
UNIT = Box(-1, 1)


def setting(network, question, regions, cost=None):
    """The arguments that both engines take."""
    return network, question, InputSet(regions, cost), NeuronBounds.of(network, regions, crown_bounds(network, regions))


def question_of(rng, outputs, rows, sides=0):
    """Random rows of logits, and facts about two inputs that the origin satisfies."""
    return Question(rng.normal(size=(rows, outputs)), rng.normal(size=rows), rng.normal(size=(sides, 2)), rng.random(sides))


def truth(network, question, regions, cost=None):
    """The maximum by one linear program per cell with SciPy: x, t <= every row, and c >= |x - center| by parts."""
    best = -np.inf
    n = network.inputs
    for cell in enumerate_cells(network, Box(regions.lower[0], regions.upper[0])):
        slopes, offsets = question.rows @ cell.slope, question.rows @ cell.offset + question.offsets
        # columns: x, p, q (x - center = p - q), c, t
        center = np.zeros(n) if cost is None else cost.center
        if regions.center is not None:
            center = regions.center[0]
        blocks = [
            np.c_[cell.rows, np.zeros((len(cell.rows), 2 * n + 2))],
            np.c_[-slopes, np.zeros((len(slopes), 2 * n + 1)), np.ones(len(slopes))],
            np.c_[-question.side_rows, np.zeros((len(question.side_rows), 2 * n + 2))],
        ]
        sides = [cell.sides, offsets, question.side_offsets]
        if cost is not None and cost.ground.norm is Norm.LINF:
            for k in (n, 2 * n):
                blocks.append(np.c_[np.zeros((n, n)), np.eye(n, 2 * n, k - n), -np.ones(n), np.zeros(n)])
                sides.append(np.zeros(n))
        else:
            blocks.append(np.r_[np.zeros(n), np.ones(2 * n), -1.0, 0.0][None])
            sides.append(np.zeros(1))
        if regions.norm is Norm.L1:
            blocks.append(np.r_[np.zeros(n), np.ones(2 * n), 0.0, 0.0][None])
            sides.append(regions.radius)
        result = linprog(
            np.r_[np.zeros(3 * n), 0.0 if cost is None else cost.weight, -1.0],
            A_ub=np.vstack(blocks), b_ub=np.concatenate(sides),
            A_eq=np.c_[np.eye(n), -np.eye(n), np.eye(n), np.zeros((n, 2))], b_eq=center,
            bounds=[(None, None)] * n + [(0, None)] * (2 * n + 1) + [(None, None)], method="highs",
        )  # fmt: skip
        best = max(best, -result.fun) if result.status == 0 else best
    return best


def regions_of(kind, center, radius):
    """A box about the center, or an l1 ball cut with it."""
    return Regions.balls(UNIT, center[None], radius, Norm.L1 if kind == "l1" else Norm.LINF)


@settings(max_examples=40, deadline=None)
@given(
    network=small_networks(), seed=st.integers(0, 10_000), rows=st.integers(1, 3), sides=st.integers(0, 2),
    kind=st.sampled_from(["linf", "l1"]), priced=st.sampled_from([None, "linf", "l1"]),
)  # fmt: skip
def test_both_engines_agree_with_enumeration(network, seed, rows, sides, kind, priced):
    rng = np.random.default_rng(seed)
    center = rng.uniform(-0.5, 0.5, 2)
    question = question_of(rng, network.outputs, rows, sides)
    question = Question(question.rows, question.offsets, question.side_rows, question.side_offsets - question.side_rows @ center)
    if (kind, priced) == ("l1", "linf"):
        kind = "linf"
    regions = regions_of(kind, center, rng.uniform(0.1, 1.0))
    cost = None if priced is None else CostTerm(center, GroundCost(Norm(priced)), float(rng.exponential(3.0)))
    expected = truth(network, question, regions, cost)
    given_ = setting(network, question, regions, cost)
    result = maximise(HIGHS, *given_, limits=SearchLimits(gap=1e-7))
    assert result.end is End.CLOSED
    assert result.lower <= expected + 1e-9
    assert expected - 1e-9 <= result.upper <= result.lower + 1e-7
    second = maximise_by_milp(HIGHS, *given_, limits=SearchLimits(gap=1e-7))
    assert second.evidence is Evidence.SOLVER
    assert second.lower - 1e-9 <= expected <= second.upper + 1e-6
    assert second.upper - second.lower < 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_brackets_hold_and_close_in_at_every_limit(seed):
    rng = np.random.default_rng(seed)
    network = random_mlp([2, 7, 5, 3], seed) if seed % 2 else random_residual(seed, 2, 6, 3)
    question, regions = question_of(rng, 3, 2), Regions(-np.ones((1, 2)), np.ones((1, 2)))
    given_ = setting(network, question, regions)
    expected = truth(network, question, regions)
    last = (-np.inf, np.inf)
    for nodes in (0, 1, 2, 3, 5, 8, 13, 21, 34, 10_000):
        result = maximise(HIGHS, *given_, limits=SearchLimits(nodes=nodes))
        assert result.lower <= expected + 1e-9
        assert result.upper >= expected - 1e-9
        assert result.lower >= last[0]
        assert result.upper <= last[1] + 1e-9
        last = result.lower, result.upper
    assert result.end is End.CLOSED
    assert result.frontier == ()


def test_the_witness_attains_the_lower_end_exactly():
    rng = np.random.default_rng(5)
    network, question = random_mlp([2, 6, 4, 3], 5), question_of(rng, 3, 2)
    cost = CostTerm(np.array([0.25, -0.5]), GroundCost(Norm.L1), 0.75)
    result = maximise(HIGHS, *setting(network, question, Regions(-np.ones((1, 2)), np.ones((1, 2))), cost), limits=SearchLimits())
    logits = exact_forward(network, result.witness.tolist())
    rows = [sum(Fraction(a) * v for a, v in zip(r, logits, strict=True)) for r in question.rows.tolist()]
    value = min(v + Fraction(b) for v, b in zip(rows, question.offsets.tolist(), strict=True))
    value -= Fraction(0.75) * sum(
        abs(Fraction(a) - Fraction(b)) for a, b in zip(result.witness.tolist(), [0.25, -0.5], strict=True)
    )
    assert Fraction(result.lower) <= value <= Fraction(result.lower) + Fraction(1, 10**12)


def test_leaves_cover_the_tree():
    """Every decision occurs with both signs: halves of equal depth add up to the whole."""
    network = random_mlp([2, 8, 6, 3], 3)
    rng = np.random.default_rng(3)
    given_ = setting(network, question_of(rng, 3, 1), Regions(-np.ones((1, 2)), np.ones((1, 2))))
    result = maximise(HIGHS, *given_, limits=SearchLimits(proof=True, gap=1e-4))
    assert result.end is End.CLOSED
    assert len(result.leaves) > 1
    assert sum(Fraction(1, 2 ** len(leaf.path)) for leaf in result.leaves) == 1


def test_nothing_is_found_where_the_facts_exclude_everything():
    network, regions = random_mlp([2, 5, 2], 0), Regions(-np.ones((1, 2)), np.ones((1, 2)))
    question = Question(np.array([[1.0, 0.0]]), np.zeros(1), np.array([[1.0, 1.0]]), np.array([-3.0]))
    result = maximise(HIGHS, *setting(network, question, regions), limits=SearchLimits())
    assert (result.lower, result.upper, result.witness) == (-np.inf, -np.inf, None)


def test_a_passed_deadline_gives_a_valid_bracket():
    network, regions = random_mlp([2, 5, 2], 0), Regions(-np.ones((1, 2)), np.ones((1, 2)))
    given_ = setting(network, Question.of(np.array([[1.0, -1.0]]), inputs=2), regions)
    result = maximise(HIGHS, *given_, limits=SearchLimits(deadline=Deadline.after(0.0)), start=np.zeros(2))
    assert result.end is End.LIMIT
    assert np.isfinite(result.lower)
    assert result.upper == np.inf


def test_an_interrupt_gives_a_valid_bracket():
    network, regions = random_mlp([2, 7, 5, 3], 1), Regions(-np.ones((1, 2)), np.ones((1, 2)))
    question = Question.of(np.array([[1.0, -1.0, 0.5]]), inputs=2)
    expected = truth(network, question, regions)
    for solves in range(1, 12):
        backend = Opener(lambda program, solves=solves: Interrupted(program, solves))
        result = maximise(backend, *setting(network, question, regions), limits=SearchLimits())
        assert result.lower <= expected + 1e-9 <= result.upper + 2e-9


class Interrupted(LyingSession):
    """HiGHS until the user has enough."""

    def __init__(self, program, solves):
        super().__init__(program, "honest")
        self.left = solves

    def solve(self, options=None):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return self._honest.solve(options)


@pytest.mark.parametrize("kind", LIES)
@pytest.mark.parametrize(("seed", "rows"), [(1, 1), (3, 2)])
def test_a_lying_solver_only_widens_the_bracket(kind, seed, rows):
    """Also where the maximum is negative, and a weight that is too large would push the ceiling below it."""
    rng = np.random.default_rng(seed)
    network, question = random_mlp([2, 5, 3, 3], seed), question_of(rng, 3, rows)
    question = Question(question.rows, question.offsets - 10.0 * (seed % 2), question.side_rows, question.side_offsets)
    regions = regions_of(["linf", "l1"][seed // 2], np.zeros(2), 0.8)
    expected = truth(network, question, regions)
    backend = LyingBackend(kind)
    result = maximise(backend, *setting(network, question, regions), limits=SearchLimits(nodes=50))
    assert result.lower <= expected + 1e-9
    assert result.upper >= expected - 1e-9


def test_a_curved_cost_and_a_curved_ball_are_refused_where_they_do_not_fit():
    with pytest.raises(InputError, match="does not fit a ball"):
        InputSet(regions_of("l1", np.zeros(2), 0.5), CostTerm(np.zeros(2), GroundCost(Norm.LINF), 1.0))
    with pytest.raises(InputError, match="not a finite number"):
        CostTerm(np.zeros(2), GroundCost(Norm.L1), -1.0)
    network, regions = random_mlp([2, 5, 2], 0), Regions.balls(UNIT, np.zeros((1, 2)), 0.5, Norm.L2)
    with pytest.raises(SolverError, match="l2"):
        maximise_by_milp(HIGHS, *setting(network, Question.of(np.eye(2)[:1], inputs=2), regions), limits=SearchLimits())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), norm=st.sampled_from([Norm.LINF, Norm.L1]), ball=st.sampled_from([None, Norm.L1]))
def test_priced_forms_are_bounded_and_the_bound_is_attained(seed, norm, ball):
    """Against random points of the region, and against a linear program."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    center = rng.uniform(-0.5, 0.5, n)
    if ball is not None and norm is Norm.LINF:
        return
    regions = Regions.balls(UNIT, center[None], 0.7, ball) if ball else Regions(-np.ones((1, n)), np.ones((1, n)))
    cost = CostTerm(center, GroundCost(norm), float(rng.exponential()))
    inputs = InputSet(regions, cost)
    form = rng.normal(size=(1, n)) * rng.choice([0.0, 1.0], size=n)
    bound = inputs.maximum(form)[0]
    points = center + rng.uniform(-1, 1, (400, n)) * rng.random((400, 1))
    points = np.clip(points, -1, 1)
    if ball:
        points = points[np.abs(points - center).sum(axis=1) <= 0.7]
    values = points @ form[0] - [cost.value(p) for p in points]
    assert values.max() <= bound
    columns = inputs.columns()
    result = linprog(
        -(columns.matrix.T @ form[0]) - columns.prices,
        A_ub=np.vstack([columns.rows.toarray(), -columns.rows.toarray()]),
        b_ub=np.nan_to_num(np.r_[columns.row_upper, -columns.row_lower], posinf=1e9),
        bounds=list(zip(columns.lower, columns.upper, strict=True)), method="highs",
    )  # fmt: skip
    assert bound == pytest.approx(-result.fun + form[0] @ columns.origin, abs=1e-7)
