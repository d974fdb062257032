"""Prices in other processes: the same brackets as in this one, and a process that dies costs its own price only."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

import wdaverify as wv
from tests.networks import mlp
from wdaverify.parallel.executors import SpawnExecutor
from wdaverify.parallel.hands import Hands
from wdaverify.risk.adversarial import DistanceOptions
from wdaverify.risk.loss_table import LOSSES
from wdaverify.risk.priced_certificate import certify_by_prices
from wdaverify.risk.pricers import pricer_for

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix
    from wdaverify.pricing.prices import PriceQuestion, Prices


def _case(seed: int = 0) -> tuple[wv.Network, wv.Dataset]:
    rng = np.random.default_rng(seed)
    network = mlp([rng.normal(size=(5, 2)), rng.normal(size=(3, 5))], [0.3 * rng.normal(size=5), 0.3 * rng.normal(size=3)])
    return network, wv.Dataset(rng.integers(0, 9, (5, 2)) / 8, rng.integers(0, 3, 5))


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "order"), [("margin", 1.0), ("hinge", math.inf), ("cross-entropy", 1.0)])
def test_two_processes_find_what_one_finds(loss: str, order: float) -> None:
    network, data = _case()
    ball, radii = wv.WassersteinBall(0.1, order=order), [0.1, 0.3]
    found = [
        wv.certify(
            network, data, ball, loss=loss, radii=radii, gap=1e-3, comparison_time=0.0, options=DistanceOptions(workers=workers)
        )
        for workers in (1, 2)
    ]
    for one, two in zip(found[0].curve, found[1].curve, strict=True):
        assert two.risk.exact
        assert max(one.risk.lower, two.risk.lower) <= min(one.risk.upper, two.risk.upper)


def test_the_whole_space_travels() -> None:
    network, data = _case(3)
    options = DistanceOptions(workers=2)
    found = wv.certify(
        network, data, wv.WassersteinBall(0.1), loss="margin", domain=wv.Box.whole_space(), gap=1e-3, comparison_time=0.0,
        options=options,
    )  # fmt: skip
    alone = wv.certify(
        network, data, wv.WassersteinBall(0.1), loss="margin", domain=wv.Box.whole_space(), gap=1e-3, comparison_time=0.0
    )
    assert max(found.risk.lower, alone.risk.lower) <= min(found.risk.upper, alone.risk.upper)


@dataclass(frozen=True)
class _Deadly:
    """Prices of one sample end the process that works on them."""

    first: float
    parent: int

    def __call__(self, question: PriceQuestion) -> Prices:
        prices = pricer_for("search", "highs")(question)
        return _DeadlyPrices(prices, self.parent) if question.center[0] == self.first else prices


@dataclass
class _DeadlyPrices:
    prices: Prices
    parent: int

    def upper(self, multiplier: float) -> float:
        return self.prices.upper(multiplier)

    def offer(self, points: Matrix) -> None:
        self.prices.offer(points)

    def work(self, multiplier: float, *, cut: float, gap: float, deadline: Deadline) -> Matrix:
        if os.getpid() != self.parent:
            os._exit(3)
        return self.prices.work(multiplier, cut=cut, gap=gap, deadline=deadline)


@pytest.mark.slow
@pytest.mark.parametrize("order", [1.0, math.inf])
def test_a_process_that_dies_costs_its_own_price(order: float) -> None:
    network, data = _case(1)
    ball, pricer = wv.WassersteinBall(0.2, order=order), _Deadly(float(data.x[0, 0]), os.getpid())
    options = DistanceOptions(engine="search", workers=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = certify_by_prices(
            network, data, ball, loss=LOSSES["margin"], domain=wv.Box(0, 1), radii=[0.2], options=options, comparison_time=0.0,
            pricer=pricer,
        )  # fmt: skip
    truth = wv.certify(network, data, wv.WassersteinBall(0.2, order=order), loss="margin", comparison_time=0.0)
    assert found.risk.lower <= truth.risk.upper
    assert truth.risk.lower <= found.risk.upper
    assert any("keeps the" in str(w.message) for w in caught)


def test_hands_are_an_executor_and_a_count() -> None:
    with SpawnExecutor(1) as executor:
        hands = Hands(executor, 1)
        assert hands.executor.submit(abs, -2).result() == 2
