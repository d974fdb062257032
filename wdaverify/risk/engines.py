"""The engines that raise lower ends of distances, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.risk.milp_engine import close_by_milp
from wdaverify.risk.search_engine import close_by_search

if TYPE_CHECKING:
    from wdaverify.risk.closing import Engine

ENGINES: dict[str, Engine] = {"search": close_by_search, "milp": close_by_milp}
