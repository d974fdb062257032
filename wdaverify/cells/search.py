"""The enumeration that fits a network and a box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.cells.cone_search import ConeSearch
from wdaverify.cells.layer_search import LayerSearch

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify.cells.guide import Guide
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend


def cell_search(
    backend: Backend, network: Network, box: Box, deadline: Deadline, *, guide: Guide | None = None
) -> LayerSearch | ConeSearch:
    """The search for all full-dimensional cells of a bounded box.

    Raises
    ------
    DomainError
        If the box has an infinite end.
    """
    kind = ConeSearch if ConeSearch.fits(network, box) else LayerSearch
    return kind(backend, network, box, deadline, guide=guide)
