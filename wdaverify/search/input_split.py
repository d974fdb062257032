"""Branch and bound over boxes of inputs, for networks with few of them.

A box is bounded with what is known of the box that it was cut from, then loses the groups of rows that some row refutes, then
shrinks to where all rows of an open group can hold, then, with few unstable neurons left, goes to `search.box_leaf`, and is
halved across the input that the relaxation loses most by. A box leaves the stack only when every group is closed on it by a
bound with all roundings charged, or when it is replaced by two halves that cover it; a box without a float between its ends
cannot be halved: it stays open, and with it the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.backward import Relaxation, upper_ends
from wdaverify.bounds.boxes import Boxes, Tightened, tightened
from wdaverify.bounds.lagrangian import Prices, Pulled, pull_back_priced
from wdaverify.search.blame import blame, split_dimension
from wdaverify.search.box_stack import BoxStack
from wdaverify.search.clipping import clip
from wdaverify.search.tree import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.bounds.boxes import Origin
    from wdaverify.ir.compiled import ReluStep
    from wdaverify.search.box_leaf import LeafSearch
    from wdaverify.search.box_stack import Entry
    from wdaverify.search.row_groups import RowGroups

    Accept = Callable[[int, Vector], bool]
    """Whether a point (n,) confirms a group; true ends the search."""

BATCH = 64
"""Boxes that are bounded together."""

_PROGRAM_NEURONS, _MOST_PROGRAM_BOXES = 500, 20.0
"""A leaf program takes as long as a box of a network with so many neurons, and at most as so many boxes."""


@dataclass(frozen=True, slots=True, eq=False)
class OutputForms:
    """Linear forms above the rows of all groups on a batch of boxes: entry ``b R + r`` is row r on box b.

    Attributes
    ----------
    ends
        Their largest values, shape (B, R).
    adjoints
        Shape (B, R, N): how much each neuron's output counts.
    """

    forms: Pulled
    ends: Matrix
    adjoints: Matrix


def output_forms(relaxation: Relaxation, goals: RowGroups, boxes: Boxes) -> OutputForms:
    """Bound every row on every box."""
    compiled, rows = relaxation.compiled, len(goals.group)
    owner = np.repeat(np.arange(boxes.count), rows)
    adjoints = np.zeros((len(owner), compiled.neurons))

    def price(step: ReluStep, r: Matrix) -> Prices:
        adjoints[:, step.neurons] = r
        return relaxation.chords[step.slot].price(r, owner)

    seeds = {compiled.output: np.tile(goals.rows, (boxes.count, 1))}
    with np.errstate(over="ignore", invalid="ignore"):
        pulled = pull_back_priced(compiled, relaxation.charges, seeds, price)
        constant = pulled.constant + np.tile(goals.offsets, boxes.count)
        error = pulled.error + 2.0**-51 * np.abs(constant)
    forms = Pulled(pulled.coefficients, constant, error)
    ends = upper_ends(forms, boxes.regions, owner).reshape(-1, rows)
    return OutputForms(forms, ends, adjoints.reshape(boxes.count, rows, -1))


@dataclass(slots=True)
class SplitStatistics:
    """What a search has done so far."""

    boxes: int = 0
    programs: int = 0
    leaves: int = 0
    unsplittable: int = 0


class InputSplit:
    """A search that can be continued.

    Parameters
    ----------
    origin
        The network, and the box that all others were cut from.
    start
        The first boxes with their bounds, and the groups that are open on them.
    goals
        What is looked for.
    accept
        Called with the number of a group and a point of its box.
    leaf
        Closes boxes with few unstable neurons; ``None`` to go without.
    """

    def __init__(self, origin: Origin, start: Entry, goals: RowGroups, accept: Accept, leaf: LeafSearch | None) -> None:
        self._origin, self._goals, self._accept, self._leaf = origin, goals, accept, leaf
        self._stack = BoxStack(*start)
        self.statistics = SplitStatistics()
        self.found = False
        self._stuck, self._wanted = np.zeros(goals.groups, dtype=bool), np.ones(goals.groups, dtype=bool)

    def run(self, boxes: int, deadline: Deadline) -> Verdict:
        """Search on for so many boxes, or the time that they would take: closed, found, or open."""
        end = self._spent + boxes
        while self._stack.count:
            if self.found or self._spent >= end or deadline.passed:
                break
            batch, is_open = self._stack.pop(BATCH)
            self.statistics.boxes += batch.count
            is_open &= self._wanted
            self._step(batch, is_open, deadline)
        if self.found:
            return Verdict.FOUND
        return Verdict.OPEN if self._stack.count or self.stuck.any() else Verdict.CLOSED

    @property
    def _spent(self) -> float:
        """Boxes so far, with every leaf program counted as the boxes that could be bounded in its time."""
        each = min(_MOST_PROGRAM_BOXES, max(1.0, _PROGRAM_NEURONS / max(1, self._origin.compiled.neurons)))
        return self.statistics.boxes + each * self.statistics.programs

    def drop(self, group: int) -> None:
        """Look for a group no longer: the caller knows about it from elsewhere."""
        self._wanted[group] = False

    def rest(self) -> Entry:
        """Take the boxes that wait; what is open on them and not `stuck` is all that is left of the search."""
        return self._stack.pop(self._stack.count)

    @property
    def pending(self) -> int:
        """Boxes that wait; with none of them going on is of no use."""
        return self._stack.count

    @property
    def stuck(self) -> BoolArray:
        """The groups (G,) that stay open on a box that cannot be halved."""
        return self._stuck & self._wanted

    def _step(self, batch: Boxes, is_open: BoolArray, deadline: Deadline) -> None:
        """Bound a batch of boxes and put the halves of what stays open on the stack."""
        goals = self._goals
        tight = tightened(self._origin, batch)
        out = output_forms(tight.relaxation, goals, tight.boxes)
        is_open = is_open & ~goals.any_row(out.ends < 0)
        lower, upper, is_open = clip(batch.lower, batch.upper, out.forms, goals, is_open)
        left = np.flatnonzero(is_open.any(axis=1))
        if not len(left):
            return
        boxes = Boxes(lower[left], upper[left], tight.boxes.low[left], tight.boxes.high[left])
        is_open = is_open[left]
        worst = _chosen_rows(goals, out.ends[left], is_open)
        slopes = out.forms.coefficients.reshape(batch.count, -1, lower.shape[1])[left, worst]
        if self._probe(boxes, is_open, slopes):
            return
        if self._leaf is not None:
            is_open = self._leaves(boxes, is_open, deadline)
            if self.found:
                return
        rest = np.flatnonzero(is_open.any(axis=1))
        if len(rest):
            shares = _blamed(tight, out, left[rest], worst[rest], boxes[rest])
            self._halve(boxes[rest], is_open[rest], shares, slopes[rest])

    def _probe(self, boxes: Boxes, is_open: BoolArray, slopes: Matrix) -> bool:
        """Try the corner that is best for the chosen row, and the centre."""
        corner = np.where(slopes > 0, boxes.upper, boxes.lower)
        centre = boxes.lower + 0.5 * (boxes.upper - boxes.lower)
        return self._try(np.concatenate([corner, centre]), np.concatenate([is_open, is_open]))

    def _try(self, points: Matrix, is_open: BoolArray) -> bool:
        """Hand the best point of each group to the caller if floats say that it holds there."""
        goals = self._goals
        values = goals.least(self._origin.compiled.forward(points) @ goals.rows.T + goals.offsets)
        values = np.where(is_open, values, -np.inf)
        for g in np.flatnonzero((values >= 0).any(axis=0)):
            if self._accept(int(g), points[int(np.argmax(values[:, g]))]):
                self.found = True
                return True
        return False

    def _leaves(self, boxes: Boxes, is_open: BoolArray, deadline: Deadline) -> BoolArray:
        """Which groups stay open where few neurons are unstable."""
        assert self._leaf is not None
        answer = self._leaf.close(boxes, is_open, deadline)
        self.statistics.programs += answer.programs
        self.statistics.leaves += answer.closed
        if answer.points:
            groups = np.array([g for g, _ in answer.points])
            self._try(np.array([x for _, x in answer.points]), groups[:, None] == np.arange(self._goals.groups))
        return answer.is_open

    def _halve(self, boxes: Boxes, is_open: BoolArray, shares: Matrix, slopes: Matrix) -> None:
        """Replace boxes by their halves."""
        chosen, middle = split_dimension(shares, slopes, boxes.lower, boxes.upper)
        stuck = chosen < 0
        if stuck.any():
            self.statistics.unsplittable += int(stuck.sum())
            self._stuck |= is_open[stuck].any(axis=0)
        keep = np.flatnonzero(~stuck)
        d, middle = chosen[keep], middle[keep]
        below, above = boxes[keep], boxes[keep]
        at = np.arange(len(keep))
        below.upper[at, d] = middle[at, d]
        above.lower[at, d] = middle[at, d]
        # the half towards which the chosen row grows comes last: it is looked at first
        grows = (slopes[keep][at, d] > 0)[:, None]
        first, last = _picked(~grows, below, above), _picked(grows, below, above)
        order = np.arange(2 * len(keep)).reshape(2, -1).T.ravel()
        pairs = Boxes.joined([first, last])[order]
        self._stack.push(pairs, np.repeat(is_open[keep], 2, axis=0))


def _picked(upper_half: BoolArray, below: Boxes, above: Boxes) -> Boxes:
    """One half of each box."""
    return Boxes(
        np.where(upper_half, above.lower, below.lower), np.where(upper_half, above.upper, below.upper), below.low, below.high
    )


def _chosen_rows(goals: RowGroups, ends: Matrix, is_open: BoolArray) -> IntArray:
    """The row of each box (B,) that is nearest to being refuted, of its open groups."""
    return np.asarray(np.argmin(np.where(is_open[:, goals.group], ends, np.inf), axis=1))


def _blamed(tight: Tightened, out: OutputForms, index: IntArray, rows: IntArray, boxes: Boxes) -> Matrix:
    """The share of each input in what the chosen rows lose."""
    chords = tight.relaxation.chords
    intercepts = np.concatenate([chords[step.slot].intercept[index] for step in tight.relaxation.compiled.relus], axis=1)
    return blame(out.adjoints[index, rows], intercepts, tight.reach[index], boxes.upper - boxes.lower)
