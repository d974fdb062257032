"""Bounds hold in exact arithmetic, and do not depend on batching."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bounds_networks import NETWORKS, affine, chain, convolutional, mlp, residual, two_neurons
from wdaverify._errors import DomainError
from wdaverify._types import Norm
from wdaverify.bounds import crown as crown_module
from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.bounds.interval import interval_bounds, node_intervals
from wdaverify.bounds.layer_bounds import LayerBounds
from wdaverify.domain import Box, Regions
from wdaverify.ir import compiled
from wdaverify.ir.exact import exact_trace

NORMS = [Norm.LINF, Norm.L1, Norm.L2]


def assert_between(lower, value, upper):
    for lo, v, hi in zip(lower, value, upper, strict=True):
        assert np.isneginf(lo) or Fraction(float(lo)) <= v
        assert np.isposinf(hi) or v <= Fraction(float(hi))


def moves(rng, n, norm, radius, count):
    """Rational displacements of norm at most `radius`: zero, vertices of the ball, points on its sphere and inside."""
    yield [Fraction(0)] * n
    for k in range(count):
        if norm is Norm.LINF:
            raw = rng.choice([-1.0, 0.0, 1.0], size=n) if k % 2 else rng.uniform(-1, 1, size=n)
        elif norm is Norm.L1 and k % 2:
            raw = np.eye(n)[rng.integers(n)] * rng.choice([-1.0, 1.0])
        else:
            raw = rng.normal(size=n) * (rng.uniform(size=n) < 0.7)
        direction = [Fraction(float(v)) for v in raw]
        if norm is Norm.L1:
            length = sum((abs(v) for v in direction), Fraction(0))
        elif norm is Norm.L2:
            square = sum((v * v for v in direction), Fraction(0))
            length = Fraction(np.nextafter(np.sqrt(float(square)), np.inf)) + (Fraction(1, 2**50) if square else 0)
            assert length * length >= square
        else:
            length = max(abs(v) for v in direction)
        yield [v / length * Fraction(radius) for v in direction] if length else direction


def points_in(rng, center, norm, radius, count):
    """Exact points of a ball in the unit box: displacements of the centre, cut with the box (which only shortens them)."""
    start = [Fraction(float(v)) for v in center]
    for move in moves(rng, len(start), norm, radius, count):
        yield [min(max(c + m, Fraction(0)), Fraction(1)) for c, m in zip(start, move, strict=True)]


def check_network(network, rng, norm, radius, count=6):
    """Interval, CROWN and objective bounds of two balls in the unit box, against exact evaluation."""
    centers = rng.uniform(size=(2, network.inputs))
    centers[:, 0] = [0.0, 1.0]
    regions = Regions.balls(Box(0, 1), centers, radius, norm)
    forms = rng.normal(size=(3, network.outputs))
    found = [interval_bounds(network, regions), crown_bounds(network, regions)]
    ends = crown_objectives(network, regions, found[1], forms)
    for index in range(2):
        for point in points_in(rng, centers[index], norm, radius, count):
            values = {k: [Fraction(int(v), d) for v in n] for k, (n, d) in exact_trace(network, point).items()}
            for bounds in found:
                for name in bounds.lower:
                    assert_between(bounds.lower[name][index], values[name], bounds.upper[name][index])
            for form, end in zip(forms, ends[index], strict=True):
                value = sum(Fraction(float(c)) * v for c, v in zip(form, values[network.output], strict=True))
                assert value <= Fraction(float(end))
    return found


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", NETWORKS)
def test_no_point_escapes(kind, norm):
    rng = np.random.default_rng([sorted(NETWORKS).index(kind), NORMS.index(norm)])
    for radius in (0.0, 1e-9, 1e-3, 0.3, 1e3):
        interval, crown = check_network(NETWORKS[kind](rng), rng, norm, radius)
        for name in crown.lower:
            assert np.isfinite(crown.lower[name]).all()
            assert (crown.lower[name] >= interval.lower[name]).all()
            assert (crown.upper[name] <= interval.upper[name]).all()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    radius=st.sampled_from([0.0, 1e-12, 1e-5, 0.1, 1.0]),
    norm=st.sampled_from(NORMS),
    exponent=st.integers(-30, 30),
)
def test_no_point_escapes_random_shapes(seed, sizes, radius, norm, exponent):
    rng = np.random.default_rng(seed)
    check_network(mlp(rng, sizes, 2.0**exponent), rng, norm, radius, count=4)


def test_zero_radius_needs_the_outward_rounding():
    """At a point the bounds are a few ulps wide, and the plain float64 forward pass would not have been a bound."""
    rng = np.random.default_rng(3)
    network = mlp(rng, (6, 8, 8, 4))
    regions = Regions(*(np.full((1, 6), 0.1),) * 2)
    bounds = crown_bounds(network, regions)
    numerators, denominator = exact_trace(network, [0.1] * 6)[network.output]
    exact = [Fraction(int(v), denominator) for v in numerators]
    assert_between(bounds.lower["z2"][0], exact, bounds.upper["z2"][0])
    assert (bounds.upper["z2"] - bounds.lower["z2"]).max() < 1e-12
    value = regions.lower[0]
    for k in range(3):
        op = network.op(f"z{k}")
        value = op.matrices[0] @ value + op.bias
        value = np.maximum(value, 0) if k < 2 else value
    missed = sum(Fraction(float(v)) != e for v, e in zip(value, exact, strict=True))
    assert missed > 0


@pytest.mark.parametrize("norm", NORMS)
def test_smaller_radius_gives_smaller_bounds(norm):
    """Interval bounds shrink by themselves, CROWN bounds when they start from those of the larger ball."""
    rng = np.random.default_rng(7)
    network, centers = mlp(rng, (4, 8, 8, 3)), rng.uniform(size=(3, 4))
    before = None
    for radius in (1.0, 0.3, 0.1, 0.01, 0.0):
        regions = Regions.balls(Box(0, 1), centers, radius, norm)
        interval = interval_bounds(network, regions)
        crown = crown_bounds(network, regions, start=None if before is None else before[1])
        for name in crown.lower if before else ():
            for now, then in zip((interval, crown), before, strict=True):
                assert (now.lower[name] >= then.lower[name]).all()
                assert (now.upper[name] <= then.upper[name]).all()
        before = interval, crown


@pytest.mark.parametrize("norm", NORMS)
def test_batches_and_chunks_change_nothing_but_rounding(norm, monkeypatch):
    rng = np.random.default_rng(8)
    network = residual(rng)
    regions = Regions.balls(Box(0, 1), rng.uniform(size=(5, 4)), rng.uniform(0.01, 0.3, size=5), norm)
    together, forms = crown_bounds(network, regions), rng.normal(size=(5, 2, 3))
    ends = crown_objectives(network, regions, together, forms)
    parts = [crown_bounds(network, regions[k : k + 1]) for k in range(5)]
    monkeypatch.setattr(crown_module, "_CHUNK", 1)
    monkeypatch.setattr(crown_module, "_LEAST", 3)  # three rows at a time
    chunked = crown_bounds(network, regions)
    for name in together.lower:
        for other in (
            chunked,
            LayerBounds(*({name: np.vstack([getattr(p, e)[name] for p in parts])} for e in ("lower", "upper"))),
        ):
            np.testing.assert_allclose(other.lower[name], together.lower[name], rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(other.upper[name], together.upper[name], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(crown_objectives(network, regions, together, forms), ends, rtol=1e-12, atol=1e-12)
    for k in range(5):
        alone = crown_objectives(network, regions[k : k + 1], together[k : k + 1], forms[k])
        np.testing.assert_allclose(alone[0], ends[k], rtol=1e-12, atol=1e-12)


def test_sparse_and_dense_products_agree(monkeypatch):
    network = convolutional(np.random.default_rng(9))
    regions = Regions.balls(Box(0, 1), np.full((2, 66), 0.5), 0.1, Norm.LINF)
    sparse = crown_bounds(network, regions)
    monkeypatch.setattr(compiled, "_SMALL", 10**9)
    dense = crown_bounds(replace(network), regions)  # a copy, compiled anew
    for name in sparse.lower:
        np.testing.assert_allclose(sparse.lower[name], dense.lower[name], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(sparse.upper[name], dense.upper[name], rtol=1e-12, atol=1e-12)


def test_infinite_ends_give_infinities_only_where_they_matter():
    network = chain(affine([[1, 0], [0, 1], [0, -1]], [0.5, 0, 0]), affine([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, -1]]))
    regions = Regions(np.array([[-1.0, -np.inf], [-1.0, 0.0]]), np.array([[1.0, np.inf], [1.0, np.inf]]))
    for bounds in (interval_bounds(network, regions), crown_bounds(network, regions)):
        np.testing.assert_allclose(bounds.lower["z0"], [[-0.5, -np.inf, -np.inf], [-0.5, 0, -np.inf]], atol=1e-12)
        np.testing.assert_allclose(bounds.upper["z0"], [[1.5, np.inf, np.inf], [1.5, np.inf, 0]], atol=1e-12)
        np.testing.assert_allclose(bounds.upper["z1"], [[1.5, *[np.inf] * 3], [1.5, np.inf, 0, np.inf]], atol=1e-12)
        np.testing.assert_allclose(bounds.lower["z1"], [[0, 0, 0, -np.inf], [0, 0, 0, 0]], atol=1e-12)
        ends = crown_objectives(network, regions, bounds, np.eye(4))
        assert not np.isnan(ends).any()
        assert ends[1, 2] == pytest.approx(0, abs=1e-12)
    nowhere = crown_bounds(mlp(np.random.default_rng(0), (3, 4, 2)), Regions.of_box(Box.whole_space(), 3))
    assert np.isneginf(nowhere.lower["z1"]).all()
    assert np.isposinf(nowhere.upper["z1"]).all()


def test_overflow_gives_infinite_bounds():
    network = chain(affine([[1e200, -1e200]]), affine([[1e200], [0]]))
    regions = Regions.of_box(Box(-1, 1), 2)
    for bounds in (interval_bounds(network, regions), crown_bounds(network, regions)):
        assert bounds.upper["z0"][0, 0] >= 2e200
        assert np.isposinf(bounds.upper["z1"][0, 0])
        assert not np.isnan(bounds.lower["z1"]).any()
        assert bounds.lower["z1"][0, 0] <= 0


def test_fixed_coordinates_and_stable_networks_are_tight():
    """With one free coordinate and no open ReLU the network is a line: its bounds are its end values."""
    network = two_neurons()
    regions = Regions(np.array([[1.0, 0.25]]), np.array([[2.0, 0.25]]))
    bounds = crown_bounds(network, regions)
    np.testing.assert_allclose(bounds.lower["z1"], [[2.25 + 0.75, 2.25]], atol=1e-12)
    np.testing.assert_allclose(bounds.upper["z1"], [[3.25 + 1.75, 3.25]], atol=1e-12)
    assert not bounds.unstable("z0").any()


def test_every_node_has_an_interval():
    network = residual(np.random.default_rng(1))
    intervals = node_intervals(network, Regions.of_box(Box(0, 1), 4))
    assert set(intervals) == set(network.order)
    point = [Fraction(1, 3)] * 4
    for name, (numerators, denominator) in exact_trace(network, point).items():
        assert_between(intervals[name].lower[0], [Fraction(int(v), denominator) for v in numerators], intervals[name].upper[0])


def test_wrong_shapes_are_refused():
    network, regions = two_neurons(), Regions.of_box(Box(0, 1), 2)
    bounds = crown_bounds(network, regions)
    for call in (interval_bounds, crown_bounds):
        with pytest.raises(DomainError, match="2 inputs"):
            call(network, Regions.of_box(Box(0, 1), 3))
    with pytest.raises(DomainError, match="objectives of shape"):
        crown_objectives(network, regions, bounds, np.eye(3))
    with pytest.raises(DomainError, match="lacking nodes"):
        crown_objectives(network, regions, LayerBounds({"z1": np.zeros((1, 2))}, {"z1": np.ones((1, 2))}), np.eye(2))
