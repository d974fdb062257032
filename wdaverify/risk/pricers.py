"""What prices are computed with, by engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.pricing.engines import ENGINES
from wdaverify.program.backend import SessionBackend, get_backend

if TYPE_CHECKING:
    from wdaverify.pricing.prices import PriceQuestion, Prices
    from wdaverify.risk.loss_table import Pricer


def pricer_for(engine: str, solver: str) -> Pricer:
    """Opens prices that are searched by an engine of `pricing.engines` with a solver's programs."""
    backend, make = get_backend(solver), ENGINES[engine]

    def open_prices(question: PriceQuestion) -> Prices:
        return make(question, backend)

    return open_prices


def session_backend(solver: str) -> SessionBackend:
    """The solver's backend if it keeps programs between solves; otherwise that of HiGHS."""
    backend = get_backend(solver)
    if not isinstance(backend, SessionBackend):
        backend = get_backend("highs")
    assert isinstance(backend, SessionBackend)
    return backend
