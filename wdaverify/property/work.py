"""Work on a property in pieces that any process can do, and what is left of it afterwards.

A piece is a pure function of what it is given: the disjuncts of one input box, some of the boxes or nodes that are open
there, and a budget that is counted, never timed. So who does it, and when, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wdaverify._deadline import Deadline
    from wdaverify._types import Vector
    from wdaverify.domain import Regions
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.property.case import Case
    from wdaverify.search.neuron_bounds import NeuronBounds

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What all pieces of one input box have in common; a worker process gets it once.

    Attributes
    ----------
    neurons
        Certified bounds on the box.
    """

    network: Network
    cases: tuple[Case, ...]
    regions: Regions
    neurons: NeuronBounds
    backend: Backend
    deadline: Deadline

    def fresh(self, failures: Sequence[int]) -> list[Case]:
        """The cases as a piece of work begins with them: all open, with so many failed confirmations each."""
        return [case.fresh(count) for case, count in zip(self.cases, failures, strict=True)]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Outcome(Generic[T]):
    """What came of a piece.

    Attributes
    ----------
    found
        A case, by number, and a point (n,) that satisfies it exactly.
    failures
        Failed confirmations of every case.
    spent
        Boxes and programs.
    rest
        What stays open.
    """

    found: tuple[int, Vector] | None
    failures: tuple[int, ...]
    spent: int
    rest: T

    @staticmethod
    def of(cases: Sequence[Case], before: Sequence[int], *, spent: int, rest: T) -> Outcome[T]:
        """From the cases that `Frame.fresh` gave."""
        points = ((number, case.witness) for number, case in enumerate(cases))
        found = next(((number, point) for number, point in points if point is not None), None)
        failures = tuple(case.failures - count for case, count in zip(cases, before, strict=True))
        return Outcome(found=found, failures=failures, spent=spent, rest=rest)


@dataclass(frozen=True, slots=True, eq=False)
class Piece(Generic[T]):
    """Work to be done somewhere, and what to do here with its outcome, or when the process that did it is lost."""

    work: Callable[[], Outcome[T]]
    absorb: Callable[[Outcome[T]], None]
    lose: Callable[[], None]


class Frontier(Generic[T]):
    """What is open of one search, in parts that can be dealt anew; a part whose process is lost gets one more chance.

    A part that was taken stays open until it is put back or lost: a search whose work was broken off is never over.

    Parameters
    ----------
    first
        Everything.
    size
        How much waits in a part, 0 if it is empty.
    deal
        From parts to at most so many parts of about the same size, none of them empty.
    """

    def __init__(self, first: T, size: Callable[[T], int], deal: Callable[[Sequence[T], int], list[T]]) -> None:
        self._parts, self._size, self._deal = [first], size, deal
        self._again: list[T] = []
        self._out = 0

    @property
    def empty(self) -> bool:
        """Whether nothing is open."""
        return not self._out and not any(self._size(part) for part in self.waiting())

    @property
    def whole(self) -> bool:
        """Whether no part is out."""
        return not self._out

    def waiting(self) -> list[T]:
        """All parts that are not out."""
        return [*self._again, *self._parts]

    def take(self, most: int) -> list[tuple[T, bool]]:
        """Take everything, in `most` parts and those that were lost once, with whether they were."""
        taken = [*((part, True) for part in self._again), *((part, False) for part in self._deal(self._parts, most))]
        self._parts, self._again = [], []
        self._out += len(taken)
        return taken

    def put(self, rest: T) -> None:
        """Put what is left of a part behind what was put before."""
        self._out -= 1
        self._parts.append(rest)

    def lose(self, part: T, *, before: bool) -> bool:
        """Keep a lost part for one more try; false if it was lost before, and is given up."""
        self._out -= 1
        if not before:
            self._again.append(part)
        return not before
