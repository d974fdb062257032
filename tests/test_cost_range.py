"""Costs that float64 cannot hold are refused in one line; those that it can are answered without a numpy warning."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

import wdaverify as wv
from tests.networks import mlp
from wdaverify._errors import DomainError
from wdaverify.risk.adversarial import DistanceOptions


def _certify(order: float, domain: wv.Box, loss: str, norm: str) -> wv.RiskCertificate:
    rng = np.random.default_rng(0)
    network = mlp([rng.normal(size=(4, 2)), rng.normal(size=(3, 4))], [0.3 * rng.normal(size=4), 0.3 * rng.normal(size=3)])
    data = wv.Dataset(np.array([[0.25, 0.5], [1.0, 0.0]]), np.array([0, 2]), [1, 2])
    options = dataclasses.replace(DistanceOptions(), time_limit=1.0)
    ball = wv.WassersteinBall(0.2, order=order, norm=norm)
    return wv.certify(network, data, ball, loss=loss, gap=1e-3, domain=domain, comparison_time=0.0, options=options)


@pytest.mark.parametrize(("order", "width"), [(64.0, 1e6), (300.0, 1e4), (2.0, 1e200), (1.0, 1e101)])
@pytest.mark.parametrize("norm", ["linf", "l1", "l2"])
def test_a_domain_whose_costs_overflow_is_refused(order: float, width: float, norm: str) -> None:
    with pytest.raises(DomainError, match=f"its cost of order {order:g} is more than the 1e100 that prices"):
        _certify(order, wv.Box(-width, width), "margin", norm)


@pytest.mark.parametrize("loss", ["margin", "cross-entropy"])
def test_high_orders_that_fit_are_answered_without_warnings(loss: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = _certify(64.0, wv.Box(0, 1), loss, "l2")
    assert found.nominal_risk <= found.risk.lower <= found.risk.upper < np.inf
