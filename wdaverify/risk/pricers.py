"""What prices are computed with, by engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.pricing.engines import ENGINES
from wdaverify.pricing.whole_space import WholeSpacePrices
from wdaverify.program.backend import get_backend

if TYPE_CHECKING:
    from wdaverify.pricing.prices import PriceQuestion, Prices
    from wdaverify.risk.loss_table import Pricer


def pricer_for(engine: str, solver: str) -> Pricer:
    """Opens prices that are searched by an engine of `pricing.engines` with a solver's programs, on a bounded domain or R^n."""
    backend, make = get_backend(solver), ENGINES[engine]

    def open_prices(question: PriceQuestion) -> Prices:
        if question.domain.bounded:
            return make(question, backend)
        return WholeSpacePrices(question, backend, make)

    return open_prices
