"""Order 1 on R^n: certificates against the oracle of corners and rays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.networks import mlp
from tests.risk_whole_space import whole_space_risk
from tests.strategies import degenerate_networks, small_networks

SPACE = wv.Box.whole_space()
RADII = (0.01, 0.5)


def held(network, data, norm, loss):
    """The certificate, after a comparison of its curve with the oracle."""
    options = wv.DistanceOptions(time_limit=3)
    ball = wv.WassersteinBall(RADII[-1], norm=norm)
    certificate = wv.certify(network, data, ball, loss=loss, domain=SPACE, radii=RADII, options=options, comparison_time=0.0)
    for point in certificate.curve:
        truth = whole_space_risk(network, data.x, data.y.tolist(), point.radius, weights=data.weights, norm=norm, loss=loss)
        assert point.risk.lower <= truth + 1e-9 * max(1.0, abs(truth))
        assert point.risk.upper >= truth - 1e-9 * max(1.0, abs(truth))
    return certificate


@pytest.mark.parametrize("loss", ["margin", "hinge", "cross-entropy"])
@settings(deadline=None, max_examples=3, phases=[Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.one_of(small_networks(), degenerate_networks()), st.sampled_from(["l1", "linf"]), st.integers(0, 2**32 - 1))
def test_brackets_hold_the_value_on_the_whole_space(loss, network, norm, seed):
    generator = np.random.default_rng(seed)
    held(network, wv.Dataset(generator.integers(0, 5, (2, 2)) / 4, generator.integers(0, 3, 2), [1, 2]), norm, loss)


@pytest.mark.parametrize("weights", [[1e-9, 2.0], [2.0, 1e-9], [1.0, 1.0]])
def test_the_ray_starts_at_a_group_of_equal_samples_whichever_is_heaviest(weights):
    """f = (0, x): every unit of radius gains 1, by a vanishing mass of either of two equal samples."""
    network = mlp([[[0.0, 0.0], [1.0, 0.0]]], [[0.0, 0.0]])
    certificate = held(network, wv.Dataset([[0.25, 0.5], [0.25, 0.5]], [0, 0], weights), "l1", "margin")
    assert [point.risk.exact for point in certificate.curve] == [True, True]
    assert certificate.risk.lower == pytest.approx(0.75, abs=1e-6)
