"""The engines that answer questions of pricing, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from wdaverify.pricing.by_search import SearchPrices
from wdaverify.pricing.whole_domain import WholeDomainPrices
from wdaverify.search.milp import maximise_by_milp

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify.pricing.prices import PriceQuestion, Prices
    from wdaverify.program.backend import Backend

PricesOf: TypeAlias = "Callable[[PriceQuestion, Backend], Prices]"
"""Makes the prices of one question with the programs of a backend."""


def _by_milp(question: PriceQuestion, backend: Backend) -> Prices:
    return WholeDomainPrices(question, backend, maximise_by_milp)


ENGINES: dict[str, PricesOf] = {"search": SearchPrices, "milp": _by_milp}
"""Engine name to what it makes of a question."""
