"""The engines that answer questions of pricing, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from wdaverify.pricing.by_milp import MilpPrices
from wdaverify.pricing.by_search import SearchPrices

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify.pricing.prices import PriceQuestion, Prices
    from wdaverify.program.backend import Backend

PricesOf: TypeAlias = "Callable[[PriceQuestion, Backend], Prices]"
"""Makes the prices of one question with the programs of a backend."""

ENGINES: dict[str, PricesOf] = {"search": SearchPrices, "milp": MilpPrices}
"""Engine name to what it makes of a question."""
