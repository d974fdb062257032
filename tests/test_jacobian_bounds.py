"""Bounds of gradients without a search: interval Jacobians and LipSDP, against cells, exact gradients and lying proposals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tests.networks import mlp, random_mlp, random_residual
from tests.oracles import enumerate_cells
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.bounds import lipsdp
from wdaverify.bounds.crown import crown_bounds
from wdaverify.bounds.difference_forms import difference_forms
from wdaverify.bounds.jacobian_crown import dual_norms, gradient_bounds, jacobian_balls
from wdaverify.bounds.lipsdp import MAX_VARIABLES, lipsdp_bounds
from wdaverify.bounds.operator_norms import lipschitz_bound
from wdaverify.bounds.positive import is_positive_semidefinite
from wdaverify.domain import Box, Regions
from wdaverify.functionals import parse_functional
from wdaverify.ir.exact import exact_trace
from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Affine, Input, Relu

NEVER = Deadline()
UNIT = Box(-1, 1)


def largest_gradients(network, box, rows, norm):
    """By enumeration of cells, (R,)."""
    best = np.zeros(len(rows))
    for cell in enumerate_cells(network, box):
        best = np.maximum(best, np.linalg.norm(rows @ cell.slope, ord=norm.dual.order, axis=1))
    return best


def thirds() -> Network:
    """Coefficients that no float holds."""
    first = Affine.from_fractions(
        [csr_array(np.ones((2, 2)))], [[Fraction(1, 3), Fraction(1, 7), Fraction(-1, 9), Fraction(2)]], [0, 0]
    )
    nodes = {"x": Node(Input(2)), "z": Node(first, ("x",)), "a": Node(Relu(2), ("z",))}
    last = Affine.from_fractions(
        [csr_array(np.ones((2, 2)))], [[Fraction(1, 3), Fraction(1, 11), Fraction(-5, 9), Fraction(2)]], [0, 0]
    )
    return Network.from_nodes(nodes | {"y": Node(last, ("a",))}, "y")


def exact_gradient(network, row, phases):
    """``row J`` for given phases, in fractions, forward through dense arrays of fractions."""
    slopes = {}
    for name in network.order:
        op, sources = network.op(name), network.sources(name)
        if isinstance(op, Input):
            slopes[name] = np.array([[Fraction(int(i == j)) for j in range(op.size)] for i in range(op.size)], dtype=object)
        elif isinstance(op, Affine):
            total = np.full((op.size, network.inputs), Fraction(0), dtype=object)
            for matrix, data, source in zip(op.matrices, op.rational.data, sources, strict=True):
                coo = csr_array((np.arange(len(data)), matrix.indices, matrix.indptr), shape=matrix.shape).tocoo()
                for i, j, k in zip(coo.row, coo.col, coo.data, strict=True):
                    total[i] = total[i] + Fraction(int(data[k]), op.rational.denominator) * slopes[source][j]
            slopes[name] = total
        else:
            slopes[name] = np.where(phases[name][:, None], slopes[sources[0]], Fraction(0))
    return sum(Fraction(c) * slopes[network.output][k] for k, c in enumerate(row.tolist()))


@settings(deadline=None, max_examples=40)
@given(st.one_of(small_networks(), st.just(thirds())), st.integers(0, 2**32 - 1), st.floats(0.01, 2))
def test_every_gradient_lies_in_the_ball_exactly(network, seed, width):
    rng = np.random.default_rng(seed)
    center, row = rng.normal(size=2), rng.normal(size=network.outputs)
    bounds = crown_bounds(network, Regions.of_box(Box(center - width, center + width), 2))
    middle, radius = (part[0].tolist() for part in jacobian_balls(network, bounds, row[None]))
    phases = {}
    for name in network.relu_nodes:
        low, high = (ends[network.sources(name)[0]][0] for ends in (bounds.lower, bounds.upper))
        phases[name] = np.where((low < 0) & (high > 0), rng.random(len(low)) < 0.5, low >= 0)
    for value, m, r in zip(exact_gradient(network, row, phases), middle, radius, strict=True):
        assert abs(value - Fraction(m)) <= Fraction(r)


@settings(deadline=None, max_examples=25)
@given(small_networks(), st.sampled_from(Norm), st.sampled_from([("margin:1-0", "margin:2-0"), ("logit:2",)]))
def test_both_bound_the_gradients_of_all_cells(network, norm, pairs):
    rows = np.concatenate([parse_functional(pair, network.outputs).rows(network.outputs) for pair in pairs])
    true = largest_gradients(network, UNIT, rows, norm)
    assert (gradient_bounds(network, UNIT, rows, norm=norm) >= true * (1 - 1e-12)).all()
    semidefinite = lipsdp_bounds(network, UNIT, rows, norm=norm, deadline=NEVER)
    assert semidefinite.reason == ""
    assert (semidefinite.values >= true * (1 - 1e-12)).all()
    # Equal multipliers in every layer are feasible and give the product of the spectral norms. A network may be constant on
    # the box and steep outside, or within the open phases: no multiple of the true constant is a ceiling.
    product = np.array([lipschitz_bound(network, pair, norm=Norm.L2) for pair in pairs])
    assert (semidefinite.values <= 1.001 * np.sqrt(network.inputs) * product + 1e-6).all()


@pytest.mark.parametrize("norm", Norm)
def test_without_open_neurons_both_are_exact(norm):
    network = random_mlp((3, 5, 4, 2), 2)
    box = Box(np.full(3, 0.3), np.array([0.301, 0.301, 0.3]))
    rows = parse_functional("margin:0-1", 2).rows(2)
    phases = {name: exact_trace(network, [0.3] * 3)[network.sources(name)[0]][0] > 0 for name in network.relu_nodes}
    gradient = exact_gradient(network, rows[0], phases)
    own = float(np.linalg.norm([float(v) for v in gradient[:2]], ord=norm.dual.order))  # the third input does not vary
    assert gradient_bounds(network, box, rows, norm=norm)[0] == pytest.approx(own, rel=1e-13)
    shape = {Norm.L2: 1.0, Norm.L1: np.linalg.norm([float(v) for v in gradient[:2]]) / own, Norm.LINF: 1.0}[norm]
    assert lipsdp_bounds(network, box, rows, norm=norm, deadline=NEVER).values[0] == pytest.approx(own * shape, rel=1e-5)


def test_residual_graphs_and_the_whole_space():
    network, rows = random_residual(3, 2, 5, 3), np.eye(3)
    for norm in Norm:
        wide = gradient_bounds(network, Box.whole_space(), rows, norm=norm)
        assert np.isfinite(wide).all()
        assert (wide >= gradient_bounds(network, UNIT, rows, norm=norm)).all()
        everywhere = lipsdp_bounds(network, Box.whole_space(), rows, norm=norm, deadline=NEVER).values
        assert (everywhere >= largest_gradients(network, Box(-8, 8), rows, norm) * (1 - 1e-12)).all()


def test_lipsdp_beats_the_product_of_norms():
    """Neurons of both signs in the output cannot all be active for the same direction."""
    network = mlp([[[1.0, 1.0], [1.0, -1.0], [0.0, 3.0]], [[1.0, -1.0, 0.5]]], [[0.0] * 3, [0.0]])
    values = lipsdp_bounds(network, UNIT, np.ones((1, 1)), norm=Norm.L2, deadline=NEVER).values
    assert largest_gradients(network, UNIT, np.ones((1, 1)), Norm.L2)[0] <= values[0]
    assert values[0] < lipschitz_bound(network, "logit:0", norm=Norm.L2)


def test_what_lipsdp_does_not_do_it_says():
    network = random_mlp((40, 30, 2), 0)
    found = lipsdp_bounds(network, UNIT, np.eye(2), norm=Norm.L2, deadline=NEVER)
    assert np.isinf(found.values).all()
    assert f"more than {MAX_VARIABLES}" in found.reason
    hasty = lipsdp_bounds(random_mlp((3, 4, 2), 0), UNIT, np.eye(2), norm=Norm.L2, deadline=Deadline.after(0.0))
    assert np.isinf(hasty.values).all()
    assert hasty.reason == "no proof in time"


@pytest.mark.parametrize("lie", [0.0, 0.5, 0.99, 1e-300, -1.0, np.nan, 1e300, None])
def test_a_lying_solver_proves_nothing_false(lie, monkeypatch):
    network, rows = random_mlp((2, 5, 4, 2), 3), parse_functional("margin:0-1", 2).rows(2)
    honest = lipsdp._proposal

    def false(task, deadline):
        mu, t = honest(task, deadline)
        return None if lie is None else (mu * lie, t) if lie != -1.0 else (mu, t * 0.0)

    monkeypatch.setattr(lipsdp, "_proposal", false)
    found = lipsdp_bounds(network, UNIT, rows, norm=Norm.L2, deadline=NEVER)
    assert found.values[0] >= largest_gradients(network, UNIT, rows, Norm.L2)[0] * (1 - 1e-12)
    assert np.isfinite(found.values[0]) == (found.reason == "")


@settings(deadline=None, max_examples=40)
@given(st.one_of(small_networks(), st.just(thirds())), st.integers(0, 2**32 - 1), st.floats(0.01, 1))
def test_differences_of_two_points_satisfy_the_forms(network, seed, width):
    rng = np.random.default_rng(seed)
    box = Box(np.full(2, -width), np.full(2, width))
    bounds = crown_bounds(network, Regions.of_box(box, 2))
    forms = difference_forms(network, bounds)
    points = [[Fraction(v) for v in rng.uniform(-width, width, 2)] for _ in range(2)]
    traces = [exact_trace(network, point) for point in points]

    def change(name):
        (a, p), (b, q) = (trace[name] for trace in traces)
        return [Fraction(int(u), p) - Fraction(int(v), q) for u, v in zip(a, b, strict=True)]

    v, dz = [a - b for a, b in zip(*points, strict=True)], []
    for name in network.relu_nodes:
        is_open = bounds.unstable(network.sources(name)[0])[0]
        v += [d for d, o in zip(change(name), is_open, strict=True) if o]
        dz += [d for d, o in zip(change(network.sources(name)[0]), is_open, strict=True) if o]
    for part, expected in ((forms.open, dz), (forms.outputs, change(network.output))):
        for center, radius, value in zip(part.center.tolist(), part.radius.tolist(), expected, strict=True):
            middle = sum(Fraction(c) * d for c, d in zip(center, v, strict=True))
            assert abs(value - middle) <= sum(Fraction(r) * abs(d) for r, d in zip(radius, v, strict=True))


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(-14, -1), st.sampled_from([1.0, 1e-200, 1e200]))
def test_only_semidefinite_matrices_pass(n, seed, exponent, scale):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(n, n)))[0]
    low = 10.0**exponent
    for sign in (1.0, -1.0):
        matrix = (basis * np.r_[sign * low, rng.uniform(0.5, 1.0, n - 1)]) @ basis.T * scale
        matrix = np.tril(matrix) + np.tril(matrix, -1).T
        direction = [Fraction(v) for v in basis[:, 0]]
        value = sum(
            a * b * Fraction(m) for a, row in zip(direction, matrix, strict=True) for b, m in zip(direction, row, strict=True)
        )
        if is_positive_semidefinite(matrix):
            assert value >= 0
        else:
            assert sign < 0 or low < 1e-11
    # an error as large as the smallest eigenvalue may make the matrix indefinite
    assert not is_positive_semidefinite(low * np.eye(n), np.full((n, n), 1.01 * low / n))


def test_matrices_that_are_none():
    assert is_positive_semidefinite(np.zeros((0, 0)))
    assert not is_positive_semidefinite(np.array([[np.nan]]))
    assert not is_positive_semidefinite(np.array([[np.inf]]))
    assert not is_positive_semidefinite(np.eye(2), np.array([[0.0, np.nan], [np.nan, 0.0]]))
    assert not is_positive_semidefinite(np.array([[1.0, 0.0], [1.0 + 2**-52, 1.0]]))


def test_dual_norms_are_rounded_up():
    rng = np.random.default_rng(0)
    for scale in (1.0, 2.0**-1060, 2.0**1000):
        for row in rng.uniform(size=(20, 7)) * scale:
            exact = [Fraction(v) for v in row.tolist()]
            assert Fraction(dual_norms(row[None], Norm.LINF)[0]) >= sum(exact)
            assert Fraction(dual_norms(row[None], Norm.L2)[0]) ** 2 >= sum(v * v for v in exact)
            assert dual_norms(row[None], Norm.L1)[0] == row.max()
    assert dual_norms(np.zeros((1, 3)), Norm.L2)[0] == 0.0
    assert np.isinf(dual_norms(np.array([[np.inf, 1.0]]), Norm.L2))
