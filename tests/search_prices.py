"""Prices by the search, counting what is asked of all instances."""

from __future__ import annotations

from wdaverify.pricing import by_search
from wdaverify.program.backend import get_backend

HIGHS = get_backend("highs")


class SearchPrices(by_search.SearchPrices):
    """`by_search.SearchPrices` with HiGHS."""

    searches = 0

    def __init__(self, question):
        super().__init__(question, HIGHS)

    def work(self, multiplier, *, cut, gap, deadline):
        """Count, and search."""
        SearchPrices.searches += 1
        return super().work(multiplier, cut=cut, gap=gap, deadline=deadline)
