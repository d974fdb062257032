"""Zonotopes hold every gradient of their node, whatever the slopes; norms are bounded for any multipliers."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import random_mlp
from tests.strategies import small_networks
from wdaverify._types import Norm
from wdaverify.gradients import mixing
from wdaverify.gradients.mixing import largest_norms
from wdaverify.gradients.norms import dual_norm_ends
from wdaverify.gradients.zonotope import gradient_zonotopes, lost_in_zonotopes
from wdaverify.ir.exact_piece import exact_gradient


def exact_gradients(network, form, patterns):
    """The gradients of one form on the cells of patterns, as fractions."""
    for pattern in patterns:
        numerators, denominator = exact_gradient(network, pattern, form)
        yield [Fraction(int(v), denominator) for v in numerators[0]]


@settings(max_examples=60, deadline=None)
@given(small_networks(), st.integers(0, 2**32 - 1), st.sampled_from(["half", "random", "extreme"]))
def test_zonotopes_hold_the_gradients_of_every_completion(network, seed, kind):
    rng, neurons = np.random.default_rng(seed), network.compiled.neurons
    phases, form = rng.integers(-1, 2, (1, neurons)).astype(float), rng.normal(size=(1, network.outputs))
    slopes = {"half": None, "random": rng.random((1, neurons)), "extreme": rng.integers(0, 2, (1, neurons)) * 1.0}[kind]
    every = np.arange(network.inputs)
    found = gradient_zonotopes(network.compiled, form, phases, every, slopes)
    lost = lost_in_zonotopes(network.compiled, form, np.zeros(neurons, dtype=bool), every, sloped=slopes is not None)[0]
    assert (lost < 1e-9).all()
    completions = np.where(phases == 0, rng.integers(0, 2, (20, neurons)) * 2 - 1, phases) > 0
    for gradient in exact_gradients(network, form, completions):
        for _ in range(8):
            # a point lies in a zonotope if and only if no direction tells them apart
            direction = [Fraction(float(v)) for v in rng.normal(size=network.inputs)]
            reaches = [sum(d * Fraction(float(v)) for d, v in zip(direction, row, strict=True)) for row in found.generators[0]]
            slack = sum(abs(d) * Fraction(float(v)) for d, v in zip(direction, lost, strict=True))
            value = sum(d * g for d, g in zip(direction, gradient, strict=True))
            assert value <= reaches[0] + sum(abs(r) for r in reaches[1:]) + slack


@settings(max_examples=40, deadline=None)
@given(small_networks(), st.integers(0, 2**32 - 1))
def test_decided_nodes_have_one_gradient(network, seed):
    rng = np.random.default_rng(seed)
    pattern, form = rng.integers(0, 2, network.compiled.neurons) > 0, rng.normal(size=(1, network.outputs))
    found = gradient_zonotopes(network.compiled, form, np.where(pattern, 1.0, -1.0)[None], np.arange(network.inputs))
    (gradient,) = exact_gradients(network, form, [pattern])
    assert found.generators.shape[1] == 1
    np.testing.assert_allclose(found.generators[0, 0], [float(v) for v in gradient], rtol=1e-9, atol=1e-12)


def test_zonotopes_of_a_batch_are_those_of_its_rows():
    network, rng = random_mlp([4, 6, 5, 3], 3), np.random.default_rng(0)
    phases, forms = rng.integers(-1, 2, (7, 11)).astype(float), rng.normal(size=(7, 3))
    batch = gradient_zonotopes(network.compiled, forms, phases, np.arange(4))
    for r in range(7):
        alone = gradient_zonotopes(network.compiled, forms[r : r + 1], phases[r : r + 1], np.arange(4))
        columns = [int(np.flatnonzero(batch.neurons == k)[0]) for k in alone.neurons]
        np.testing.assert_allclose(batch.generators[r, columns], alone.generators[0], rtol=1e-12, atol=1e-14)
        others = np.setdiff1d(np.arange(len(batch.neurons)), columns)
        assert not batch.generators[r, others].any()


def largest_corner(generators, norm):
    """The largest dual norm over all corners of the cube of symbols."""
    corners = np.array(list(product((-1.0, 1.0), repeat=len(generators))))
    return np.linalg.norm(corners @ generators, ord=norm.dual.order, axis=1).max()


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 8), st.integers(1, 6), st.integers(0, 2**32 - 1), st.sampled_from(list(Norm)), st.integers(-300, 300))
def test_norms_are_bounded_from_above(symbols, n, seed, norm, exponent):
    rng = np.random.default_rng(seed)
    generators = rng.normal(size=(1, symbols, n)) * rng.choice([0.0, 1e-8, 1.0], size=(1, symbols, 1), p=[0.2, 0.2, 0.6])
    generators = np.ldexp(generators, exponent)
    bound = largest_norms(generators, norm).ceilings[0]
    truth = largest_corner(generators[0], norm)
    assert bound >= truth * (1 - 1e-13)
    plain = np.linalg.norm(np.abs(generators[0]).sum(axis=0), ord=norm.dual.order)
    assert bound <= plain * (1 + 1e-12) + 1e-300


def test_mixing_beats_sums_over_coordinates():
    generators = np.random.default_rng(1).normal(size=(1, 12, 10))
    truth = largest_corner(generators[0], Norm.LINF)
    bound, plain = largest_norms(generators, Norm.LINF).ceilings[0], np.abs(generators).sum()
    assert truth <= bound < truth + 0.5 * (plain - truth)


def test_rows_without_a_factor_fall_back_alone(monkeypatch):
    """Where the first guess of an eigenvalue is too low the factorisation says so, for that matrix only."""
    generators = np.random.default_rng(2).normal(size=(5, 6, 4))
    honest = largest_norms(generators, Norm.L2).ceilings
    true_eigenvalues = np.linalg.eigvalsh
    factors = np.array([1.0, 0.9, 1.0, 0.1, 1.0])[:, None]
    monkeypatch.setattr(mixing.np.linalg, "eigvalsh", lambda a: true_eigenvalues(a) * factors)
    lied_to = largest_norms(generators, Norm.L2).ceilings
    np.testing.assert_allclose(lied_to[[0, 2, 4]], honest[[0, 2, 4]])
    for k in (1, 3):
        assert lied_to[k] >= largest_corner(generators[k], Norm.L2)


def test_not_a_number_bounds_nothing():
    for norm in Norm:
        bound = largest_norms(np.full((1, 3, 2), np.nan), norm).ceilings[0]
        assert not bound < 1e300


@pytest.mark.parametrize("norm", list(Norm))
@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=6), st.integers(1, 2**80))
def test_exact_norms_lie_between_neighbours(norm, numerators, denominator):
    low, high = dual_norm_ends(numerators, denominator, norm)
    assert high <= np.nextafter(low, np.inf)
    sizes = [abs(Fraction(v, denominator)) for v in numerators]
    if norm is Norm.L2:
        square = sum(v * v for v in sizes)
        assert Fraction(low) ** 2 <= square <= Fraction(high) ** 2
    else:
        value = sum(sizes) if norm is Norm.LINF else max(sizes)
        assert Fraction(low) <= value <= Fraction(high)


@settings(max_examples=30, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 1000))
def test_many_forms_have_the_gradients_that_each_has_alone(network, seed):
    rng = np.random.default_rng(seed)
    forms = rng.integers(-3, 4, (network.outputs + 3, network.outputs)) * 0.375
    phases = rng.random(network.compiled.neurons) < 0.5
    together, denominator = exact_gradient(network, phases, forms)
    for row, numerators in zip(forms, together, strict=True):
        alone, own = exact_gradient(network, phases, row)
        assert [Fraction(int(v), denominator) for v in numerators] == [Fraction(int(v), own) for v in alone[0]]
