"""The priced maximum of linear forms over shells, against points, a convex solver, and the columns of programs."""

from fractions import Fraction

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import random_mlp
from tests.strategies import small_networks
from wdaverify._errors import InputError
from wdaverify._types import Norm
from wdaverify.bounds.crown import crown_bounds
from wdaverify.bounds.priced import priced_maximum
from wdaverify.bounds.rooms import Shells
from wdaverify.bounds.tangents import tangent_constant
from wdaverify.domain import Box, Regions
from wdaverify.program.backend import get_backend
from wdaverify.search.cost import CostTerm
from wdaverify.search.inputs import InputSet
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.oracle import maximise
from wdaverify.search.question import Question
from wdaverify.search.result import End, SearchLimits
from wdaverify.transport import GroundCost

HIGHS = get_backend("highs")
CURVED = [(Norm.L2, 1.0), (Norm.L2, 2.0), (Norm.L2, 3.0), (Norm.LINF, 2.0), (Norm.L1, 3.0)]
CVXPY_NORM = {Norm.L1: 1, Norm.L2: 2, Norm.LINF: "inf"}


class Case:
    """A random form, box, center (often on its border), ground cost and shell."""

    def __init__(self, seed, norm, order):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 6))
        self.lower, self.upper = -rng.random(n), rng.random(n)
        inside, corner = rng.uniform(self.lower, self.upper), np.where(rng.random(n) < 0.5, self.lower, self.upper)
        self.center = np.where(rng.random(n) < 0.3, corner, inside)
        self.ground = GroundCost(norm, order, None if rng.random() < 0.5 else np.exp(rng.normal(size=n)))
        self.form = rng.normal(size=n) * rng.choice([0.0, 1.0, 1.0], size=n)
        self.weight = float(rng.exponential(1.5) * rng.choice([0.0, 1.0, 1.0, 1.0]))
        far = float(self.ground.lengths(np.maximum(self.upper - self.center, self.center - self.lower)))
        self.inner = float(rng.choice([0.0, 0.0, 0.9 * rng.random() * far]))
        self.outer = float(rng.choice([np.inf, self.inner + rng.random() * (far - self.inner)]))
        self.rng, self.n = rng, n

    def shells(self):
        return Shells(self.center, self.lower, self.upper, np.array([self.inner]), np.array([self.outer]))

    def points(self, count):
        box = self.rng.uniform(self.lower, self.upper, size=(count, self.n))
        return self.center + (box - self.center) * np.sqrt(self.rng.random((count, 1)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(Norm), st.sampled_from([1.0, 1.0, 1.3, 2.0, 5.0]))
def test_no_point_of_the_shell_exceeds_the_bound_and_a_convex_solver_attains_it(seed, norm, order):
    case = Case(seed, norm, order)
    bound = priced_maximum(case.form[None], case.shells(), case.ground, case.weight)[0]
    points = case.points(2000)
    lengths = case.ground.lengths(points - case.center)
    values = points @ case.form - case.weight * lengths**order
    inside = (lengths >= case.inner) & (lengths <= case.outer)
    assert values[inside].max(initial=-np.inf) <= bound
    x, t = cp.Variable(case.n), cp.Variable()
    scales = np.ones(case.n) if case.ground.scales is None else case.ground.scales
    rows = [
        x >= case.lower,
        x <= case.upper,
        cp.norm(cp.multiply(scales, x - case.center), CVXPY_NORM[norm]) <= t,
        t >= case.inner,
    ]
    rows += [t <= case.outer] if np.isfinite(case.outer) else []
    price = t if order == 1.0 else cp.power(t, order, approx=False)
    problem = cp.Problem(cp.Maximize(case.form @ x - case.weight * price), rows)
    try:
        problem.solve(solver="CLARABEL")
    except cp.SolverError:  # shells of no width
        return
    if problem.status == "optimal":
        assert bound <= problem.value + 1e-5 * (1.0 + abs(problem.value))


def test_many_forms_are_bounded_as_each_alone():
    rng = np.random.default_rng(1)
    forms, inner = rng.normal(size=(40, 4)), rng.random(40)
    for norm in Norm:
        for order in (1.0, 2.5):
            ground = GroundCost(norm, order, rng.random(4) + 0.5)
            box = np.full(4, -0.3), -np.full(4, -0.9), np.full(4, 0.8)
            center, lower, upper = np.zeros(4), box[0], box[2]
            together = priced_maximum(forms, Shells(center, lower, upper, inner, inner + 0.2), ground, 0.7)
            for k in range(0, 40, 7):
                shells = Shells(center, lower, upper, inner[k : k + 1], inner[k : k + 1] + 0.2)
                assert together[k] == pytest.approx(priced_maximum(forms[k : k + 1], shells, ground, 0.7)[0], rel=1e-12)


@pytest.mark.parametrize("ulps", [-3, -1, 0, 1, 3])
@pytest.mark.parametrize("norm", list(Norm))
def test_the_price_of_the_steepest_step_leaves_nothing_to_gain(norm, ulps):
    """There many multipliers are best, and the best length is decided by a rounding."""
    forms = np.random.default_rng(2).normal(size=(200, 3))
    steepest = np.linalg.norm(forms, {Norm.L1: np.inf, Norm.L2: 2, Norm.LINF: 1}[norm], axis=1)
    for form, weight in zip(forms, steepest + ulps * np.spacing(steepest), strict=True):
        for outer in (0.5, np.inf):
            shells = Shells(np.zeros(3), -np.ones(3), np.ones(3), np.zeros(1), np.full(1, outer))
            assert 0 <= priced_maximum(form[None], shells, GroundCost(norm), float(weight))[0] <= 1e-12


@pytest.mark.parametrize("order", [1.3, 2.0, 3.0])
@pytest.mark.parametrize("norm", list(Norm))
def test_powers_are_maximised_in_the_open(norm, order):
    """Without a border ``a . x - w ||x||^p`` is at most ``s t - w t^p`` with s the dual norm of a, ``w p t^(p-1) = s``."""
    forms = np.random.default_rng(3).normal(size=(200, 3))
    steepest = np.linalg.norm(forms, {Norm.L1: np.inf, Norm.L2: 2, Norm.LINF: 1}[norm], axis=1)
    length = (steepest / (0.7 * order)) ** (1.0 / (order - 1.0))
    side = 10.0 * length.max() * np.ones(3)
    shells = Shells(np.zeros(3), -side, side, np.zeros(1), np.full(1, np.inf))
    bounds = priced_maximum(forms, shells, GroundCost(norm, order), 0.7)
    exact = steepest * length - 0.7 * length**order
    assert bounds == pytest.approx(exact, rel=1e-9, abs=1e-13 * side[0])


@settings(max_examples=100, deadline=None)
@given(st.floats(1e-6, 1e6), st.floats(1e-3, 1e3), st.floats(1.01, 60.0), st.floats(1e-3, 10.0))
def test_tangents_lie_below_the_power(slope, weight, order, length):
    constant = float(tangent_constant(np.array([slope]), weight, order)[0])
    assert slope * length - constant <= weight * length**order * (1.0 + 1e-12)


@settings(max_examples=25, deadline=None)
@given(small_networks(), st.integers(0, 1000), st.sampled_from(CURVED))
def test_curved_costs_are_maximised_to_the_gap(network, seed, ground):
    rng = np.random.default_rng(seed)
    regions, center = Regions(-np.ones((1, 2)), np.ones((1, 2))), rng.uniform(-1, 1, 2)
    cost = CostTerm(center, GroundCost(*ground), float(rng.exponential(1.0)) + 0.05)
    row = rng.normal(size=(1, network.outputs))
    bounds = NeuronBounds.of(network, regions, crown_bounds(network, regions))
    limits = SearchLimits(gap=1e-6, nodes=3000)
    result = maximise(HIGHS, network, Question.of(row, inputs=2), InputSet(regions, cost), bounds, limits=limits)
    side = np.linspace(-1, 1, 161)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    values = network.compiled.forward(grid) @ row[0] - cost.weight * cost.ground.values(grid - center)
    assert values.max() <= result.upper + 1e-12
    assert result.end is End.CLOSED
    assert result.upper - result.lower <= 1e-6
    own = network.compiled.forward(result.witness[None])[0] @ row[0] - cost.value(result.witness)
    assert result.lower == pytest.approx(own, abs=1e-9)


@pytest.mark.parametrize("norm", list(Norm))
def test_shells_bound_what_lies_within_them_alone(norm):
    """Seen from the whole box the maximum is elsewhere; programs over the shell find the best point of it."""
    network, center = random_mlp([3, 8, 2], 4), np.array([0.1, -0.2, 0.3])
    box, row = Box(-1, 1), np.array([[1.0, -1.0]])
    regions = Regions.balls(box, center[None], 0.9, norm)
    cost = CostTerm(center, GroundCost(norm, 1.5), 0.4, inner=0.6, outer=0.9)
    bounds = NeuronBounds.of(network, regions, crown_bounds(network, regions))
    result = maximise(HIGHS, network, Question.of(row, inputs=3), InputSet(regions, cost), bounds, limits=SearchLimits(gap=1e-5))
    points = np.random.default_rng(0).uniform(-1, 1, (200_000, 3))
    lengths = cost.ground.lengths(points - center)
    points = points[(lengths >= 0.6) & (lengths <= 0.9)]
    values = network.compiled.forward(points) @ row[0] - cost.weight * cost.ground.values(points - center)
    assert values.max() <= result.upper
    assert result.lower <= result.upper <= max(result.lower, values.max()) + 0.05  # the relaxation may use the ball's inside


def test_costs_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="no length lies between"):
        CostTerm(np.zeros(2), GroundCost(Norm.L1), 1.0, inner=2.0, outer=1.0)
    with pytest.raises(InputError, match="positive finite"):
        GroundCost(Norm.L1, 1.0, np.array([1.0, 0.0]))
    with pytest.raises(InputError, match="finite number >= 1"):
        GroundCost(Norm.L1, np.inf)
    ball = Regions.balls(Box(-1, 1), np.zeros((1, 2)), 0.5, Norm.L1)
    with pytest.raises(InputError, match="another center"):
        InputSet(ball, CostTerm(np.ones(2), GroundCost(Norm.L1), 1.0))


def points_along(case, ground):
    """Points in the shell where the form is large, most of them on its border: greedy steps of several lengths."""
    far = float(ground.lengths(np.maximum(case.upper - case.center, case.center - case.lower)))
    scales = np.ones(case.n) if ground.scales is None else ground.scales
    room = np.where(case.form > 0, case.upper - case.center, case.center - case.lower)
    yield case.center
    for length in [*(case.rng.random(5) * far), far, case.inner, min(case.outer, far)]:
        if ground.norm is Norm.LINF:
            step = np.sign(case.form) * length / scales
        elif ground.norm is Norm.L2:
            direction = case.form / scales / max(np.abs(case.form / scales).max(), 1e-300)
            step = direction / max(np.linalg.norm(direction), 1e-300) * length / scales
        else:
            step, left = np.zeros(case.n), length
            for k in np.argsort(-np.abs(case.form) / scales):
                move = min(room[k], left / scales[k])
                step[k], left = np.sign(case.form[k]) * move, left - move * scales[k]
        yield np.clip(case.center + step, case.lower, case.upper)


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(Norm), st.sampled_from([1.0, 1.3, 2.0, 7.0]), st.integers(-160, 120))
def test_no_point_exceeds_the_bound_in_rational_arithmetic_at_any_scale(seed, norm, order, power):
    case, scale = Case(seed, norm, order), 2.0**power
    case.form = case.form * 2.0 ** case.rng.integers(-30, 30)
    for name in ("lower", "upper", "center", "inner", "outer"):
        setattr(case, name, getattr(case, name) * scale)
    shift = case.rng.choice([0.0, 1.0, 1e6]) * scale * case.rng.normal(size=case.n)
    case.lower, case.upper = case.lower + shift, case.upper + shift
    case.center = np.clip(case.center + shift, case.lower, case.upper)
    weight = float(np.abs(case.form).max() * case.rng.random() * 2.0 ** (-power * (order - 1.0)))
    bound = priced_maximum(case.form[None], case.shells(), case.ground, weight)[0]
    lengths = GroundCost(norm, 1.0, case.ground.scales)
    for point in points_along(case, lengths):
        low, high = lengths.bracket(point, case.center)
        if low < Fraction(case.inner) or (np.isfinite(case.outer) and high > Fraction(case.outer)):
            continue
        gain = sum((Fraction(a) * Fraction(v) for a, v in zip(case.form.tolist(), point.tolist(), strict=True)), Fraction(0))
        assert np.isinf(bound) or gain - Fraction(weight) * case.ground.bracket(point, case.center)[1] <= Fraction(bound)
