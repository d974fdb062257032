"""The identities that every worst-case risk satisfies (docs/theory.md, "Setting"), and the oracle's value in every bracket.

An incomplete search can return brackets that close and are wrong; these relations between answers to different questions, and
values by enumeration, do not depend on it.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.risk_cells import box_corners
from tests.risk_checks import check_against, check_plans
from tests.risk_oracle import RiskOracle
from tests.strategies import degenerate_networks, small_networks
from wdaverify.risk.certify import LOSSES

ORDERS = (1.0, 1.5, 2.0, 5.0, math.inf)
NORMS = ("l1", "l2", "linf")
GAP = 1e-6
SECONDS = 1.5
"""For one certificate: a bracket that is still open when time is up obeys the identities all the same."""

BOX = wv.Box(0, 1)
GRID = (0.0, 0.05, 0.2, 1.5)


@st.composite
def threats(draw):
    """A network and two weighted samples on a grid, which is where corners, ties and kinks are; one may lie off it."""
    network = draw(st.one_of(small_networks(), degenerate_networks()))
    seed = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = seed.integers(0, 5, (2, 2)) / 4
    if draw(st.booleans()):
        x[1] = seed.random(2)
    return network, wv.Dataset(x, seed.integers(0, 3, 2), seed.integers(1, 4, 2))


def certified(threat, loss, norm="linf", order=1.0, radii=GRID, domain=BOX, seconds=SECONDS):
    network, data = threat
    ball = wv.WassersteinBall(radii[-1], order=order, norm=norm)
    options = wv.DistanceOptions(time_limit=seconds)
    return wv.certify(network, data, ball, loss=loss, domain=domain, radii=radii, gap=GAP, options=options, comparison_time=0.0)


def oracle_of(threat, loss, norm):
    network, data = threat
    corners = box_corners([0, 0], [1, 1])
    return RiskOracle(network, corners, data.x, data.y.tolist(), data.weights, norm=norm, loss=loss)


def at_most(one, other):
    """Whether a lower end says nothing against ``one <= other``, for two curves of brackets."""
    return all(a.risk.lower <= b.risk.upper for a, b in zip(one.curve, other.curve, strict=True))


@pytest.mark.parametrize("loss", LOSSES)
@settings(deadline=None, max_examples=6)
@given(threats(), st.sampled_from(NORMS), st.sampled_from(ORDERS))
def test_brackets_hold_the_value_of_the_oracle_and_are_exact(loss, threat, norm, order):
    closes = loss != "cross-entropy" and order < 5.0  # else it may take long: then the bracket is held to the oracle as it stands
    certificate = certified(threat, loss, norm, order, seconds=60.0 if closes else SECONDS)
    check_against(certificate, oracle_of(threat, loss, norm), exact=closes)
    check_plans(certificate, BOX)


@pytest.mark.parametrize("loss", LOSSES)
@settings(deadline=None, max_examples=2)
@given(threats(), st.sampled_from(NORMS), st.sampled_from(ORDERS))
def test_radius_zero_is_the_nominal_risk_and_risks_rise_with_the_radius(loss, threat, norm, order):
    curve = certified(threat, loss, norm, order).curve
    oracle = oracle_of(threat, loss, norm)
    assert curve[0].risk.lower - 1e-12 <= oracle.nominal() <= curve[0].risk.upper + 1e-12
    assert curve[0].risk.width <= 1e-12
    assert all(a.risk.lower <= b.risk.upper for a, b in itertools.pairwise(curve))
    if math.isfinite(order):
        powers = [point.radius**order for point in curve]
        for k in range(1, len(curve) - 1):
            share = (powers[k] - powers[k - 1]) / (powers[k + 1] - powers[k - 1])
            chord = (1 - share) * curve[k - 1].risk.lower + share * curve[k + 1].risk.lower
            assert curve[k].risk.upper >= chord - 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
@settings(deadline=None, max_examples=2)
@given(threats(), st.sampled_from(NORMS))
def test_risks_fall_with_the_order_and_tend_to_that_of_order_inf(loss, threat, norm):
    chain = [certified(threat, loss, norm, order) for order in (1.0, 1.5, 4.0, 64.0, math.inf)]
    assert all(at_most(low, high) for high, low in itertools.pairwise(chain))
    oracle = oracle_of(threat, loss, norm)
    for huge, last in zip(chain[-2].curve, chain[-1].curve, strict=True):
        # How far apart the two truly are is the oracle's to say.
        apart = oracle.risk(huge.radius, 64.0)[1] - oracle.risk(huge.radius, math.inf)[0]
        open_ = huge.risk.width + last.risk.width
        assert huge.risk.upper - last.risk.lower <= apart + open_ + 4 * GAP * max(1.0, abs(huge.risk.upper))


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
@settings(deadline=None, max_examples=2)
@given(threats(), st.sampled_from(ORDERS))
def test_risks_rise_from_l1_over_l2_to_linf_and_with_the_domain(loss, threat, order):
    chain = [certified(threat, loss, norm, order) for norm in NORMS]
    assert all(at_most(low, high) for low, high in itertools.pairwise(chain))
    assert at_most(chain[2], certified(threat, loss, "linf", order, domain=wv.Box(-0.5, 1.25)))


@settings(deadline=None, max_examples=2)
@given(threats(), st.sampled_from(NORMS), st.sampled_from(ORDERS))
def test_risks_are_ordered_as_their_losses(threat, norm, order):
    curves = {loss: certified(threat, loss, norm, order).curve for loss in LOSSES}
    bounds = {("zero-one", "hinge"): 0.0, ("margin", "hinge"): -1.0, ("margin", "cross-entropy"): 0.0}
    for (small, large), shift in bounds.items():
        if small in curves and large in curves:
            for one, other in zip(curves[small], curves[large], strict=True):
                assert one.risk.lower <= other.risk.upper + shift
