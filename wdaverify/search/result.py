"""What a maximisation is told and what it answers: limits, and a bracket with its witness, leaves and frontier."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from wdaverify._deadline import Deadline

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.bracket import Evidence
    from wdaverify.search.ceiling import Multipliers
    from wdaverify.search.relaxation import Path


class End(StrEnum):
    """How a maximisation ended; every end comes with a valid bracket."""

    CLOSED = "closed"
    """The ends are as close as was asked."""
    LIMIT = "limit"
    """Time or nodes ran out."""
    NUMERICAL = "numerical"
    """Some node could not be closed in float64 arithmetic."""
    INTERRUPTED = "interrupted"
    """Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLimits:
    """When to stop.

    Parameters
    ----------
    gap
        Width of the bracket that is close enough, in the unit of the objective.
    nodes
        Most programs to solve.
    proof
        Whether to keep every leaf with its multipliers.
    floor
        Values up to this one are of no interest: nodes whose ceiling is at most `gap` above it are closed.
    """

    deadline: Deadline = field(default_factory=Deadline)
    gap: float = 1e-6
    nodes: int = 2**60
    proof: bool = False
    floor: float = -math.inf


@dataclass(frozen=True, slots=True, eq=False)
class SearchLeaf:
    """A closed node, and the multipliers that prove its ceiling, or that it holds no point (`search.ceiling`)."""

    path: Path
    multipliers: Multipliers
    empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchResult:
    """A bracket of the maximum.

    Attributes
    ----------
    lower
        At most the exact value at `witness`; ``-inf`` without one.
    upper
        Proved, unless `evidence` is *solver*; ``-inf`` if no point satisfies the question's rows about inputs.
    frontier
        The nodes still open, with their proved ceilings.
    nodes
        Programs solved.
    """

    lower: float
    upper: float
    witness: Vector | None
    end: End
    evidence: Evidence
    nodes: int
    leaves: tuple[SearchLeaf, ...] = ()
    frontier: tuple[tuple[Path, float], ...] = ()
