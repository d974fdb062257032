"""The minimum adversarial distance of a sample, as a record, and the options of its search."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify._option_checks import check_count, check_gap, check_time_limit
from wdaverify._tolerances import DEFAULT_GAP

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.bracket import Bracket


_DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceOptions:
    """How hard to look for minimum distances, and with what.

    Parameters
    ----------
    engine
        ``search`` (branch and bound with rigorous leaves) or ``milp`` (one mixed-integer program per class, the second
        opinion); by default ``search`` if the solver can run it.
    solver
        Name of the backend: ``highs`` for both engines, ``cbc`` for ``milp`` only.
    gap
        Relative width below which a bracket counts as exact.
    time_limit
        Seconds that a call may take; what is not closed by then stays a bracket. The clock starts with the call.
    workers
        Processes that share the samples; 1 runs in this process.
    executor
        ``dask://HOST:PORT``: workers on other machines instead (`parallel.remote`).
    seed
        Seed of the attack's random starts.
    device
        Where the attack runs: ``auto``, ``cpu`` or ``cuda``.
    deadline
        The end of a clock that runs already (the command line's starts when it is read); leave it to `started`.

    Raises
    ------
    InputError
        If a value is out of its range.

    Examples
    --------
    >>> DistanceOptions(time_limit=60, workers=2).workers
    2
    """

    engine: str | None = None
    solver: str = "highs"
    gap: float = DEFAULT_GAP
    time_limit: float | None = None
    workers: int = 1
    executor: str | None = None
    seed: int = 0
    device: str = "auto"
    deadline: Deadline = field(default_factory=Deadline, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_gap(self.gap)
        check_time_limit(self.time_limit)
        check_count("workers", self.workers, least=1)
        check_count("seed", self.seed, least=0)
        if self.device not in _DEVICES:
            raise InputError(f"device '{self.device}' is unknown; give {', '.join(_DEVICES)}")

    def started(self) -> DistanceOptions:
        """The options with their clock running; one that runs already goes on."""
        if self.time_limit is None or not self.deadline.unlimited:
            return self
        return replace(self, deadline=Deadline.after(self.time_limit))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdversarialDistance:
    """How far the nearest point of the domain is that the network does not strictly give its label.

    ``d = min{||x' - x|| : x' in X, max_{j != y} f_j(x') >= f_y(x')}`` (docs/theory.md, Zero-one loss: a tie is an error).

    Attributes
    ----------
    sample, label
        Index into the data, and the label that the network should give.
    distance
        The bracket of d; both ends are ``inf`` when no such point exists.
    target
        The class that the network gives at `point` (or ties with); ``None`` when no point is known.
    point
        A point of the domain, checked in exact arithmetic, whose distance is at most ``distance.upper``;
        shape (n,), ``None`` when none is known.
    float_replay
        The original model's own float output at `point`, shape (K,); ``None`` without a model file.
    """

    sample: int
    label: int
    distance: Bracket
    target: int | None = None
    point: Vector | None = None
    float_replay: Vector | None = None

    def record(self) -> dict[str, float | str | None]:
        """The sample, the bracket and the class at the nearest error as plain scalars; ``pandas.DataFrame`` takes a list of them.

        Examples
        --------
        >>> from wdaverify.bracket import Bracket
        >>> AdversarialDistance(sample=0, label=3, distance=Bracket(lower=0.5, upper=0.5), target=8).record()
        {'sample': 0, 'label': 3, 'lower': 0.5, 'upper': 0.5, 'status': 'exact', 'evidence': 'checked', 'target': 8}
        """
        return {"sample": self.sample, "label": self.label, **self.distance.record(), "target": self.target}

    def __str__(self) -> str:
        aim = "" if self.target is None else f", class {self.target}"
        return f"sample {self.sample} (label {self.label}{aim}): distance {self.distance}"


class Interrupted(Exception):  # noqa: N818 - not an error: a search that was told to stop
    """Ctrl-C during a search over samples; what was found until then is valid.

    Attributes
    ----------
    distances
        One record per sample, with the brackets as they stood.
    """

    def __init__(self, distances: tuple[AdversarialDistance, ...]) -> None:
        super().__init__("interrupted")
        self.distances = distances
