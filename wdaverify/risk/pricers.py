"""What prices are computed with, by engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify._errors import InputError
from wdaverify.pricing.constrained import ConstrainedPrices
from wdaverify.pricing.engines import ENGINES
from wdaverify.program.backend import SessionBackend, get_backend

if TYPE_CHECKING:
    from wdaverify.pricing.prices import PriceQuestion, Prices
    from wdaverify.risk.loss_table import Pricer


def pricer_for(engine: str, solver: str) -> Pricer:
    """Opens prices that are searched by an engine of `pricing.engines` with a solver's programs.

    Questions with constraints have an engine of their own, which the option ``search`` stands for as well.

    Raises
    ------
    InputError
        When prices are opened: if the engine does not know of their constraints.
    """
    backend, make = get_backend(solver), ENGINES[engine]

    def open_prices(question: PriceQuestion) -> Prices:
        if question.constraints is not None:
            if engine != "search":
                raise InputError(f"engine '{engine}' knows of no integers, one-hot groups and rows; give search")
            return ConstrainedPrices(question, backend)
        return make(question, backend)

    return open_prices


def session_backend(solver: str) -> SessionBackend:
    """The solver's backend if it keeps programs between solves; otherwise that of HiGHS."""
    backend = get_backend(solver)
    if not isinstance(backend, SessionBackend):
        backend = get_backend("highs")
    assert isinstance(backend, SessionBackend)
    return backend
