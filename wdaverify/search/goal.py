"""Decide whether a goal can be nonnegative on a region: short dives, and tightening of bounds where dives do not end.

A *box* is a node together with bounds that hold below it for points of interest. Each box is searched depth first up to a
cap. Where that does not close it, and Knuth's estimate says that it will not soon, the neurons that cost most are tightened
with the goal as a fact (`search.tightening`), a new relaxation is built from what is now known, and the dive begins
again; that is done while it pays, and otherwise the box is split at the dive's first decision. All effort is counted in
linear programs, never in seconds, so that a run can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wdaverify._tolerances import TINY
from wdaverify.search.relaxation import PhaseRelaxation
from wdaverify.search.tightening import tighten
from wdaverify.search.tree import DepthFirst, Dive, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wdaverify._deadline import Deadline
    from wdaverify._types import Vector
    from wdaverify.search.neuron_bounds import NeuronBounds
    from wdaverify.search.relaxation import Path
    from wdaverify.search.tree import Leaf

_CAP = 50
"""Nodes of a dive before anything else is considered."""

_MOST_CAPS = 20
"""A dive goes on for so many caps while it is expected to end soon."""

_ROUNDS = 4
"""Dives on one box, with a tightening between each two."""

_NEURONS = 40
"""Neurons that one tightening looks at."""

_PAYS = 0.15
"""Part of the ceiling that a tightening must take off to be worth another."""

_POOR = 0.05
"""A tightening that takes off less makes the next dives longer."""

_GROWTH = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """A node, bounds proved below it for points of interest, and the factor on its dives' caps."""

    path: Path
    bounds: NeuronBounds
    effort: float


class GoalSearch:
    """The search for a point where one goal is nonnegative; it can be continued: `run` goes on where it stopped.

    Parameters
    ----------
    start
        A relaxation of the region, which is aimed again at each use and left as it is otherwise; or the boxes that another
        search left.
    build
        Makes a relaxation of the same question and region from tighter bounds.
    goal
        A row of the question, or ``None`` for the least of all.
    accept
        Called with candidate inputs (n,); true ends the search.
    """

    def __init__(
        self,
        start: PhaseRelaxation | Sequence[Box],
        build: Callable[[NeuronBounds], PhaseRelaxation],
        goal: int | None,
        accept: Callable[[Vector], bool],
        leaf: Leaf | None = None,
    ) -> None:
        self._build, self._goal, self._accept, self._leaf = build, goal, accept, leaf
        self._root = start if isinstance(start, PhaseRelaxation) else None
        self._boxes = [Box((), start.bounds, 1.0)] if isinstance(start, PhaseRelaxation) else list(start)
        self._stuck = False
        self.programs = 0

    def run(self, programs: int, deadline: Deadline) -> Verdict:
        """Solve about so many more linear programs: limits are looked at between rounds."""
        limit = self.programs + programs
        while self._boxes:
            if self.programs >= limit or deadline.passed:
                return Verdict.OPEN
            box = self._boxes.pop()
            try:
                verdict = self._work(box, deadline)
            except BaseException:  # whatever it is, the box stays open
                self._boxes.append(box)
                raise
            if verdict is Verdict.FOUND:
                return Verdict.FOUND
        return Verdict.OPEN if self._stuck else Verdict.CLOSED

    @property
    def rest(self) -> tuple[Box, ...]:
        """The boxes that wait; nothing else is open unless a box was given up (`gave_up`)."""
        return tuple(self._boxes)

    @property
    def gave_up(self) -> bool:
        """Whether some part of the region stays open for ever."""
        return self._stuck

    @property
    def stuck(self) -> bool:
        """Whether more work cannot close the goal."""
        return self._stuck and not self._boxes

    def _work(self, box: Box, deadline: Deadline) -> Verdict:
        """Close a box, or put its two halves on the stack."""
        bounds, effort, before = box.bounds, box.effort, float("inf")
        relaxation = self._root if self._root is not None and bounds is self._root.bounds else self._build(bounds)
        cost = 2 * _NEURONS
        for turn in range(_ROUNDS):
            relaxation.aim(self._goal)
            dive = self._dive(relaxation, box.path, effort, cost, deadline)
            if dive.verdict is Verdict.FOUND or dive.verdict is Verdict.CLOSED:
                return dive.verdict
            if dive.stuck or dive.root is None or deadline.passed:
                self._stuck = self._stuck or dive.stuck
                if not dive.stuck:
                    self._boxes.append(Box(box.path, bounds, effort))
                return Verdict.OPEN
            gain = 1.0 - dive.root.ceiling / max(before, TINY)
            if turn > 0:
                effort = _GROWTH * effort if gain < _POOR else 1.0
                if gain < _PAYS:
                    break
            if turn == _ROUNDS - 1:
                break
            before = dive.root.ceiling
            if relaxation is self._root:
                relaxation = self._build(bounds)
                relaxation.aim(self._goal)
            tightened = tighten(relaxation, box.path, dive.root.scores, _NEURONS, deadline)
            self.programs += tightened.programs
            cost = max(tightened.programs, 1)
            if tightened.empty:
                return Verdict.CLOSED
            bounds = tightened.bounds
            relaxation = self._build(bounds)
        self._boxes.extend(Box((*box.path, d), bounds, effort) for d in (-dive.first, dive.first))
        return Verdict.OPEN

    def _dive(self, relaxation: PhaseRelaxation, path: Path, effort: float, cost: int, deadline: Deadline) -> Dive:
        """Search below a node as long as it is expected to end before a tightening would."""
        search = DepthFirst(relaxation, path, self._accept, self._leaf)
        dive = search.run(int(_CAP * effort), deadline)
        for _ in range(_MOST_CAPS - 1):
            if dive.verdict is not Verdict.OPEN or dive.stuck or search.remaining > cost or deadline.passed:
                break
            dive = search.run(int(_CAP * effort), deadline)
        self.programs += dive.nodes
        return dive
