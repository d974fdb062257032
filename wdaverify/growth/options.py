"""The options of a search for Lipschitz constants."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from wdaverify._deadline import Deadline
from wdaverify._option_checks import check_count, check_gap, check_time_limit
from wdaverify._tolerances import DEFAULT_GAP


@dataclass(frozen=True, slots=True, kw_only=True)
class LipschitzOptions:
    """How hard to look for Lipschitz constants, and with what.

    Parameters
    ----------
    engine
        ``search`` (branch and bound over activation cells, rigorous) or ``milp`` (one mixed-integer program per form, the
        second opinion); by default ``search`` if the solver can run it.
    solver
        Name of the backend: ``highs`` for both engines, ``cbc`` for ``milp`` only.
    gap
        Relative width below which a bracket counts as exact; the search goes on to a much smaller one.
    time_limit
        Seconds that a call may take; what is not closed by then stays a bracket. The clock starts with the call.
    seed
        Seed of random points.
    workers
        Processes that share the functionals (and norms); they share no discoveries.
    deadline
        The end of a clock that runs already (the command line's starts when it is read); leave it to `started`.

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    engine: str | None = None
    solver: str = "highs"
    gap: float = DEFAULT_GAP
    time_limit: float | None = None
    seed: int = 0
    workers: int = 1
    deadline: Deadline = field(default_factory=Deadline, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_gap(self.gap)
        check_time_limit(self.time_limit)
        check_count("seed", self.seed, least=0)
        check_count("workers", self.workers, least=1)

    def started(self) -> LipschitzOptions:
        """The options with their clock running; one that runs already goes on."""
        if self.time_limit is None or not self.deadline.unlimited:
            return self
        return replace(self, deadline=Deadline.after(self.time_limit))
