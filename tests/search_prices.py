"""Prices by the plainest of engines, which counts what is asked of all its instances."""

from __future__ import annotations

from tests.whole_domain_prices import WholeDomainPrices
from wdaverify.program.backend import get_backend

HIGHS = get_backend("highs")


class SearchPrices(WholeDomainPrices):
    """`WholeDomainPrices` with HiGHS."""

    searches = 0

    def __init__(self, question):
        super().__init__(question, HIGHS)

    def work(self, multiplier, *, cut, gap, deadline):
        """Count, and search."""
        SearchPrices.searches += 1
        return super().work(multiplier, cut=cut, gap=gap, deadline=deadline)
