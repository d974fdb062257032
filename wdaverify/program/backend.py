"""The protocol of solver backends, and the registry through which they are found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from wdaverify._deadline import Deadline
from wdaverify._errors import InputError, SolverError
from wdaverify._tolerances import MIP_FEASIBILITY, SOLVER_FEASIBILITY

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from wdaverify._types import SparseMatrix, Vector
    from wdaverify.program.program import Program
    from wdaverify.program.result import SolveResult

GROUP = "wdaverify.backends"
"""The entry-point group in which backends register."""


class Capability(StrEnum):
    """What a backend can do.

    LP and MILP name classes of programs; DUALS says that linear programs come with row and column duals; QUADRATIC
    adds a convex diagonal quadratic objective; EXPORT offers ``write_lp`` and ``write_mps``; WARM_START honours
    `SolveOptions.start`.
    """

    LP = "lp"
    MILP = "milp"
    DUALS = "duals"
    QUADRATIC = "quadratic"
    EXPORT = "export"
    WARM_START = "warm-start"


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveOptions:
    """How to solve.

    Parameters
    ----------
    deadline
        When to stop with status LIMIT.
    feasibility
        Primal and dual feasibility asked of linear programs.
    mip_feasibility
        Feasibility and integrality asked of mixed-integer programs.
    relative_gap, absolute_gap
        A mixed-integer solve may stop when bound and point are this close.
    start
        A point (v,) to start a mixed-integer solve from, NaN where unknown. It is a hint and never changes what
        is true; linear programs have no use for it.
    presolve
        Whether the solver may simplify the program first.
    cutoff
        A linear program whose optimum turns out to be worse than this (above it when minimising, below it when maximising)
        need not be solved further: status LIMIT, with the duals that show it. A wish, which a solver may ignore.
    seed
        For the solver's random choices.
    """

    deadline: Deadline = field(default_factory=Deadline)
    feasibility: float = SOLVER_FEASIBILITY
    mip_feasibility: float = MIP_FEASIBILITY
    relative_gap: float = 0.0
    absolute_gap: float = 0.0
    start: Vector | None = None
    presolve: bool = True
    cutoff: float | None = None
    seed: int = 0


DEFAULT_OPTIONS = SolveOptions()
"""No limit, tight tolerances, no gap."""


class Backend(Protocol):
    """A solver behind the one array form."""

    @property
    def name(self) -> str:
        """The name under which it is registered."""
        ...

    @property
    def version(self) -> str:
        """The version of the solver, for the report."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""
        ...

    def solve(self, program: Program, options: SolveOptions = DEFAULT_OPTIONS) -> SolveResult:
        """Solve a program; every end other than a missing capability is a status, never an exception.

        Raises
        ------
        SolverError
            If the program needs a capability that the backend lacks.
        """
        ...


class Session(Protocol):
    """A linear program kept in a solver and solved again and again with other costs and bounds."""

    @property
    def program(self) -> Program:
        """The program with all changes made so far."""
        ...

    def set_objective(self, columns: ArrayLike, coefficients: ArrayLike) -> None:
        """Give the chosen columns these objective coefficients; the others keep theirs."""
        ...

    def set_column_bounds(self, columns: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> None:
        """Replace the bounds of the chosen columns."""
        ...

    def set_row_bounds(self, rows: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> None:
        """Replace the bounds of the chosen rows."""
        ...

    def add_rows(self, matrix: SparseMatrix, lower: ArrayLike, upper: ArrayLike) -> None:
        """Add rows (q, v) after those there are."""
        ...

    def solve(self, options: SolveOptions = DEFAULT_OPTIONS) -> SolveResult:
        """Solve the program as it now is, from the last basis."""
        ...


@runtime_checkable
class SessionBackend(Backend, Protocol):
    """A backend that keeps programs between solves."""

    def open(self, program: Program) -> Session:
        """A session that starts with this program."""
        ...


def open_session(backend: Backend, program: Program) -> Session:
    """Keep `program` in the solver for a sequence of warm solves.

    Raises
    ------
    SolverError
        If the backend offers no sessions.

    Examples
    --------
    >>> from wdaverify.program.builder import ProgramBuilder
    >>> from wdaverify.program.program import Sense
    >>> builder = ProgramBuilder()
    >>> x = builder.add_columns(2, 0.0, 1.0)
    >>> session = open_session(get_backend("highs"), builder.build(Sense.MAXIMISE))
    >>> session.set_objective(x, [1.0, -1.0])
    >>> session.solve().objective
    1.0
    """
    if not isinstance(backend, SessionBackend):
        raise SolverError(f"backend '{backend.name}' keeps no programs between solves: choose 'highs'")
    return backend.open(program)


def require(backend: Backend, *needed: Capability) -> None:
    """Make sure that a backend can do what is needed.

    Raises
    ------
    SolverError
        If a capability is missing; the message names backend and capability.
    """
    for capability in needed:
        if capability not in backend.capabilities:
            others = ", ".join(installed_backends())
            raise SolverError(f"backend '{backend.name}' cannot do {capability}: choose another of {others}")


def require_for(backend: Backend, program: Program, options: SolveOptions) -> None:
    """Make sure that a backend can solve this program with these options.

    Raises
    ------
    SolverError
        As `require`.
    """
    require(backend, Capability.MILP if program.is_mixed_integer else Capability.LP)
    if program.quadratic is not None:
        require(backend, Capability.QUADRATIC)
    if options.start is not None and program.is_mixed_integer:
        require(backend, Capability.WARM_START)
        if options.start.shape != (program.columns,):
            raise InputError(f"the start has shape {options.start.shape}, the program has {program.columns} columns")


def installed_backends() -> tuple[str, ...]:
    """The names of all registered backends, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def get_backend(name: str) -> Backend:
    """The backend registered under `name`; only its own solver library is imported.

    Raises
    ------
    InputError
        If no backend of that name is registered.
    SolverError
        If it is registered but its library cannot be imported.

    Examples
    --------
    >>> get_backend("highs").name
    'highs'
    """
    for point in entry_points(group=GROUP):
        if point.name == name:
            try:
                return cast("Backend", point.load()())
            except ImportError as error:
                raise SolverError(f"backend '{name}' cannot be loaded: {error}; install its library") from error
    names = ", ".join(installed_backends()) or "none: install the package wdaverify, a bare checkout registers nothing"
    raise InputError(f"unknown solver '{name}'; installed: {names}")
