"""What prices are computed with, by engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wdaverify._errors import InputError
from wdaverify.pricing.constrained import ConstrainedPrices
from wdaverify.pricing.engines import ENGINES
from wdaverify.program.backend import SessionBackend, get_backend

if TYPE_CHECKING:
    from wdaverify.pricing.prices import PriceQuestion, Prices
    from wdaverify.program.backend import Backend
    from wdaverify.risk.loss_table import Pricer


def pricer_for(engine: str, solver: str) -> Pricer:
    """Opens prices that are searched by an engine of `pricing.engines` with a solver's programs.

    Questions with constraints have an engine of their own, which the option ``search`` stands for as well.

    Raises
    ------
    InputError
        When prices are opened: if the engine does not know of their constraints.
    """
    return _Pricer(engine, get_backend(solver))


@dataclass(frozen=True, slots=True)
class _Pricer:
    """A function that can be sent to other processes."""

    engine: str
    backend: Backend

    def __call__(self, question: PriceQuestion) -> Prices:
        if question.constraints is None:
            return ENGINES[self.engine](question, self.backend)
        if self.engine != "search":
            raise InputError(f"engine '{self.engine}' knows of no integers, one-hot groups and rows; give search")
        return ConstrainedPrices(question, self.backend)


def session_backend(solver: str) -> SessionBackend:
    """The solver's backend if it keeps programs between solves; otherwise that of HiGHS."""
    backend = get_backend(solver)
    if not isinstance(backend, SessionBackend):
        backend = get_backend("highs")
    assert isinstance(backend, SessionBackend)
    return backend
