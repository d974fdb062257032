"""Whatever a linear solver says, prices only become weaker; whatever interrupts them, what was proved stays."""

from __future__ import annotations

import numpy as np
import pytest

from tests.lying_sessions import LIES, LyingBackend, LyingSession, Opener
from tests.networks import random_mlp
from tests.test_pricing_search import GRID, UNASKED, question_at, values
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.pricing.by_search import SearchPrices
from wdaverify.transport import GroundCost


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L2])
def test_lies_only_weaken(lie, norm):
    question = question_at(random_mlp([2, 7, 6, 3], 4), (0.1, 0.4), GroundCost(norm))
    prices = SearchPrices(question, LyingBackend(lie))
    before = prices.upper(0.2)
    points = prices.work(0.2, cut=-np.inf, gap=1e-6, deadline=Deadline.after(1.0))
    assert prices.upper(0.2) <= before
    assert question.domain.contains(points).all()
    for multiplier in (*UNASKED, 0.2):
        assert prices.upper(multiplier) >= values(question, GRID, multiplier).max() - 1e-12


class _Interrupting(LyingSession):
    """Ctrl-C at the third solve."""

    solves = 0

    def solve(self, options=None):
        _Interrupting.solves += 1
        if _Interrupting.solves == 3:
            raise KeyboardInterrupt
        return super().solve(options)


def test_an_interrupt_keeps_what_was_proved():
    question = question_at(random_mlp([2, 7, 6, 3], 4), (0.1, 0.4), GroundCost(Norm.LINF))
    prices = SearchPrices(question, Opener(lambda program: _Interrupting(program, "honest")))
    before = prices.upper(0.2)
    with pytest.raises(KeyboardInterrupt):
        prices.work(0.2, cut=-np.inf, gap=1e-9, deadline=Deadline())
    middle = prices.upper(0.2)
    assert middle < before
    prices.work(0.2, cut=-np.inf, gap=1e-6, deadline=Deadline())
    assert prices.upper(0.2) <= min(middle, values(question, prices.candidates.points, 0.2).max() + 1.01e-6)
