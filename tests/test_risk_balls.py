"""Order inf: the worst points lie on spheres, where float64 is as often outside as inside; and searches that cannot close end."""

from __future__ import annotations

import math

import numpy as np
import pytest

import wdaverify as wv
from tests.networks import mlp
from wdaverify._deadline import Deadline
from wdaverify.domain import Box
from wdaverify.program.backend import get_backend
from wdaverify.risk.dual import Growth
from wdaverify.risk.loss_table import LOSSES
from wdaverify.risk.question import RiskQuestion
from wdaverify.risk.seekers import PointwiseSeeker

LINEAR = mlp([[[0.0, 0.0], [-1.0, -0.7]]], [[0.0, 0.0]])
"""The margin of label 0 is -x - 0.7 y: over a ball of radius r it rises by r times the dual norm."""
RISE = {"linf": 1.7, "l1": 1.0, "l2": math.hypot(1.0, 0.7)}


@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.parametrize(("scale", "radius"), [(1.0, 0.5), (1.0, 0.3), (2.0**10, 0.3), (1.0, 1e-6)])
def test_the_points_on_spheres_are_found(norm, scale, radius):
    """A step of float64 points may round to the radius and be longer: 0.88 - 0.38 with the last digit of 0.38 off."""
    generator = np.random.default_rng(0)
    data = wv.Dataset((0.5 + generator.random((12, 2)) / 2) * scale, [0] * 12)
    ball = wv.WassersteinBall(radius, order=math.inf, norm=norm)
    certificate = wv.certify(LINEAR, data, ball, loss="margin", domain=Box(0, scale), gap=1e-10, comparison_time=0.0)
    truth = float((data.x @ [-1.0, -0.7]).mean()) + radius * RISE[norm]
    assert certificate.risk.exact
    assert certificate.risk.lower == pytest.approx(truth, rel=1e-10)
    for atom in certificate.plan.atoms:
        assert np.linalg.norm(atom.point - data.x[atom.source], ord={"linf": np.inf, "l1": 1}[norm]) <= radius


class Stubborn:
    """Prices that prove something and never more."""

    def __init__(self, bound):
        self.bound, self.asked = bound, 0

    def upper(self, multiplier):
        return self.bound

    def offer(self, points):
        pass

    def work(self, multiplier, *, cut, gap, deadline):
        self.asked += 1
        return np.zeros((0, 2))


def test_a_search_that_cannot_close_is_not_asked_for_ever():
    data = wv.Dataset([[0.25, 0.5], [0.5, 0.5]], [0, 0])
    # One sample is nearly closed from the beginning, the other never: the sum stays wide.
    prices = {0.25: Stubborn(100.0), 0.5: Stubborn(-0.5 - 0.35 + 0.17 + 1e-9)}
    question = RiskQuestion(
        network=LINEAR,
        data=data,
        ball=wv.WassersteinBall(0.1, order=math.inf),
        loss=LOSSES["margin"],
        domain=Box(0, 1).sized(2),
        gap=1e-6,
        growth=[Growth(), Growth()],
        pricer=lambda question: prices[float(question.center[0])],
        session_backend=get_backend("highs"),
        ray=None,
        seed=0,
        progress=lambda _: None,
    )
    PointwiseSeeker(question).close([0.1, 0.05], Deadline.after(20))
    assert all(1 <= each.asked <= 4 for each in prices.values())
