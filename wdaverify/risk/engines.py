"""The engines that raise lower ends of distances, by name, and which one an option means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify._errors import InputError
from wdaverify.program.backend import Capability, SessionBackend, get_backend
from wdaverify.risk.milp_engine import close_by_milp
from wdaverify.risk.search_engine import close_by_search

if TYPE_CHECKING:
    from wdaverify.risk.closing import Engine

ENGINES: dict[str, Engine] = {"search": close_by_search, "milp": close_by_milp}


def engine_for(name: str | None, solver: str) -> str:
    """The engine of that name, or the best one that the solver can run when none is named.

    Raises
    ------
    InputError
        If there is no such engine, or the solver cannot run it.

    Examples
    --------
    >>> engine_for(None, "highs"), engine_for(None, "cbc")
    ('search', 'milp')
    """
    backend = get_backend(solver)
    able = {"search": isinstance(backend, SessionBackend), "milp": Capability.MILP in backend.capabilities}
    if name is None:
        name = "search" if able["search"] else "milp"
    if name not in ENGINES:
        raise InputError(f"engine '{name}' is unknown; give {' or '.join(ENGINES)}")
    if not able[name]:
        lack = "keep programs between solves" if name == "search" else "solve mixed-integer programs"
        raise InputError(
            f"solver '{solver}' does not {lack}, which engine '{name}' needs; give highs{'' if name == 'search' else ' or cbc'}"
        )
    return name
