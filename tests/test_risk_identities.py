"""The identities that every worst-case risk satisfies (docs/theory.md, "Setting"), and the oracle's value in every bracket.

An incomplete search can return brackets that close and are wrong; these relations between answers to different questions, and
values by enumeration, do not depend on it. A certificate that ran out of its few seconds is wide, and must be right all the same.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.networks import mlp
from tests.risk_cells import box_corners
from tests.risk_checks import check_against, check_plans
from tests.risk_oracle import LOSSES, RiskOracle
from tests.strategies import degenerate_networks, small_networks
from wdaverify.risk.certify import LOSSES as OFFERED

ORDERS = (1.0, 1.5, 2.0, 3.0, math.inf)
NORMS = ("l1", "l2", "linf")
GAPS = {"zero-one": 1e-6, "margin": 1e-6, "hinge": 1e-6, "cross-entropy": 0.02}
BOX = wv.Box(0, 1)
RADII = (0.0, 0.05, 0.2, 1.5)
SECONDS = 3.0

few = settings(deadline=None, max_examples=3, phases=[Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True)
"""Certificates take a part of a second each, and shrinking would take hundreds of them."""


@st.composite
def threats(draw):
    """A network and two weighted samples, most of them on a grid: there are corners, ties and kinks."""
    network = draw(st.one_of(small_networks(), degenerate_networks()))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = generator.integers(0, 5, (2, 2)) / 4
    if draw(st.booleans()):
        x[1] = generator.random(2)
    return network, wv.Dataset(x, generator.integers(0, 3, 2), generator.integers(1, 4, 2))


def certified(threat, loss, norm="linf", order=1.0, *, domain=BOX, radii=RADII):
    network, data = threat
    ball = wv.WassersteinBall(radii[-1], order=order, norm=norm)
    options = wv.DistanceOptions(gap=GAPS[loss], time_limit=SECONDS)
    return wv.certify(network, data, ball, loss=loss, domain=domain, radii=radii, options=options, comparison_time=0.0)


def oracle_of(threat, loss, norm):
    network, data = threat
    return RiskOracle(network, box_corners([0, 0], [1, 1]), data.x, data.y.tolist(), data.weights, norm=norm, loss=loss, gap=1e-6)


def at_most(one, other, shift=0.0):
    """Whether nothing in two curves of brackets contradicts ``one <= other + shift``."""
    return all(a.risk.lower <= b.risk.upper + shift + 1e-12 for a, b in zip(one.curve, other.curve, strict=True))


def test_every_loss_is_offered():
    assert set(OFFERED) == set(LOSSES) == set(GAPS)


@pytest.mark.parametrize("loss", LOSSES)
@few
@given(threats(), st.sampled_from(NORMS), st.sampled_from(ORDERS))
def test_one_curve_holds_the_values_starts_at_the_nominal_risk_rises_and_is_concave(loss, threat, norm, order):
    certificate = certified(threat, loss, norm, order)
    hurried = certificate.seconds > 0.8 * SECONDS
    check_against(certificate, oracle_of(threat, loss, norm), exact=not hurried and loss != "cross-entropy")
    check_plans(certificate, BOX)
    curve = certificate.curve
    assert curve[0].risk.width <= 1e-12
    assert all(a.risk.lower <= b.risk.upper for a, b in itertools.pairwise(curve))
    if math.isfinite(order):
        powers = [point.radius**order for point in curve]
        for k in range(1, len(curve) - 1):
            share = (powers[k] - powers[k - 1]) / (powers[k + 1] - powers[k - 1])
            chord = (1 - share) * curve[k - 1].risk.lower + share * curve[k + 1].risk.lower
            assert curve[k].risk.upper >= chord - 1e-12


@pytest.mark.parametrize("loss", LOSSES)
@settings(few, max_examples=1)
@given(threats(), st.sampled_from([1.0, 2.0]))
def test_risks_fall_with_the_order_and_rise_with_the_norm_and_the_domain(loss, threat, order):
    radii = (0.1, 0.5)
    least = certified(threat, loss, "l1", order, radii=radii)
    middle = certified(threat, loss, "l2", order, radii=radii)
    largest = certified(threat, loss, "linf", order, radii=radii)
    assert at_most(least, middle)
    assert at_most(middle, largest)
    assert at_most(largest, certified(threat, loss, "linf", order, radii=radii, domain=wv.Box(-0.5, 1.25)))
    higher = [certified(threat, loss, "linf", p, radii=radii) for p in (order + 0.5, 16.0, math.inf)]
    assert all(at_most(low, high) for high, low in itertools.pairwise([largest, *higher]))


@few
@given(threats(), st.sampled_from(NORMS), st.sampled_from([1.0, math.inf]))
def test_risks_are_ordered_as_their_losses(threat, norm, order):
    found = {loss: certified(threat, loss, norm, order) for loss in LOSSES}
    assert at_most(found["margin"], found["hinge"], shift=-1.0)
    assert at_most(found["margin"], found["cross-entropy"])
    assert at_most(found["zero-one"], found["hinge"])


@pytest.mark.parametrize("loss", ["margin", "hinge", "cross-entropy"])
@pytest.mark.parametrize("norm", NORMS)
def test_huge_orders_tend_to_order_inf(loss, norm):
    """f = (0, 4 max(0, x - 1/2) - 1): within 0.2 nothing is gained; the mass that can go farther vanishes with the order."""
    network = mlp([[[1.0, 0.0]], [[0.0], [4.0]]], [[-0.5], [0.0, -1.0]])
    threat = network, wv.Dataset([[0.25, 0.5]], [0])
    oracle = oracle_of(threat, loss, norm)
    values = [oracle.risk(0.2, order)[0] for order in (1.0, 2.0, 8.0, 32.0, math.inf)]
    assert values[0] - values[1] > 0.1
    assert all(a > b - 1e-6 for a, b in itertools.pairwise(values))
    assert abs(values[3] - values[4]) <= 1e-4
    for order in (8.0, math.inf):
        check_against(
            certified(threat, loss, norm, order, radii=(0.2,)), oracle, exact=math.isinf(order) and loss != "cross-entropy"
        )
