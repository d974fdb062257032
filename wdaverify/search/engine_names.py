"""The engines by name, and which one the options of a command mean."""

from __future__ import annotations

from wdaverify._errors import InputError
from wdaverify.program.backend import Capability, SessionBackend, get_backend

ENGINES = ("search", "milp")
"""Branch and bound with rigorous leaves; mixed-integer programs, the second opinion."""


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
