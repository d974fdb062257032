"""What prices are computed with, by engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.pricing.whole_domain import WholeDomainPrices
from wdaverify.program.backend import get_backend
from wdaverify.search.milp import maximise_by_milp
from wdaverify.search.oracle import maximise

if TYPE_CHECKING:
    from wdaverify.pricing.prices import PriceQuestion, Prices
    from wdaverify.risk.loss_table import Pricer


def pricer_for(engine: str, solver: str) -> Pricer:
    """Opens prices that are searched by an engine: ``search`` or ``milp``, whose bounds are a solver's word."""
    backend = get_backend(solver)
    maximiser = {"search": maximise, "milp": maximise_by_milp}[engine]

    def open_prices(question: PriceQuestion) -> Prices:
        return WholeDomainPrices(backend, question, maximiser)

    return open_prices
