"""The search over boxes of inputs for all disjuncts of one input box, and the attack that goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify.bounds.boxes import Boxes, Origin
from wdaverify.property.attack import distinct, thorough_attack
from wdaverify.property.rows import float_rows
from wdaverify.property.work import Outcome
from wdaverify.search.box_leaf import LeafSearch
from wdaverify.search.box_stack import Entry
from wdaverify.search.halving import halving_pays
from wdaverify.search.input_split import InputSplit
from wdaverify.search.row_groups import RowGroups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray
    from wdaverify.property.case import Case
    from wdaverify.property.work import Frame
    from wdaverify.search.neuron_bounds import NeuronBounds

_NEIGHBOURHOODS, _NEIGHBOURHOOD = 8, 0.04
"""Boxes round the best attack points: their number, and their half width relative to the whole box."""

_LEAST_PART = 4
"""Boxes that are worth a part of their own: boxes are bounded many at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class BoxWork:
    """Some boxes of the search for some cases, and how many boxes to bound.

    Attributes
    ----------
    numbers
        Of the cases, which have output rows: the groups of the entry.
    wanted
        Which of them are of interest, shape (G,).
    failures
        Failed confirmations of every case so far.
    """

    frame: Frame
    numbers: tuple[int, ...]
    wanted: BoolArray
    failures: tuple[int, ...]
    entry: Entry
    boxes: int


class BoxRest(NamedTuple):
    """Boxes that stay open, and the groups (G,) that stay open for ever on some box."""

    entry: Entry
    stuck: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class AttackWork:
    """A thorough attack on one case, then the search in small boxes round its best points, `boxes` in each."""

    frame: Frame
    number: int
    failures: tuple[int, ...]
    scale: int
    boxes: int
    seed: int


def groups_of(cases: Sequence[Case], neurons: NeuronBounds) -> RowGroups:
    """The output rows of cases, never below the true ones on the box; each case has rows, and all bounds are finite."""
    magnitude = neurons.charges.magnitudes[cases[0].network.compiled.output]
    return RowGroups.of([float_rows(case.disjunct.output_rows, magnitude) for case in cases])


def root_entry(frame: Frame, groups: int) -> Entry:
    """Where the search begins."""
    return Entry.whole(_root(frame), groups)


def promising(frame: Frame, numbers: Sequence[int]) -> bool:
    """Whether bounds improve quickly as the box is halved."""
    return halving_pays(_origin(frame), _root(frame), groups_of([frame.cases[k] for k in numbers], frame.neurons))


def split_boxes(work: BoxWork) -> Outcome[BoxRest]:
    """Bound so many more boxes."""
    cases = work.frame.fresh(work.failures)
    split = _splitter(work.frame, [cases[k] for k in work.numbers], work.entry)
    for g in np.flatnonzero(~work.wanted).tolist():
        split.drop(g)
    split.run(work.boxes, work.frame.deadline)
    return Outcome.of(cases, work.failures, spent=split.statistics.boxes, rest=BoxRest(split.rest(), split.stuck))


def attack_boxes(work: AttackWork) -> Outcome[None]:
    """Attack one case."""
    frame, cases = work.frame, work.frame.fresh(work.failures)
    case, root = cases[work.number], _root(frame)
    spent = 0
    if not frame.deadline.passed:
        points = thorough_attack(case, seed=work.seed, scale=work.scale)
        widths = (root.upper - root.lower)[0]
        for k in distinct(points, widths, apart=_NEIGHBOURHOOD, most=_NEIGHBOURHOODS):
            if case.witness is not None or frame.deadline.passed:
                break
            lower = np.maximum(root.lower, points[k] - _NEIGHBOURHOOD * widths)
            upper = np.minimum(root.upper, points[k] + _NEIGHBOURHOOD * widths)
            near = _splitter(frame, [case], Entry.whole(Boxes(lower, upper, root.low, root.high), 1))
            near.run(work.boxes, frame.deadline)
            spent += near.statistics.boxes
    return Outcome.of(cases, work.failures, spent=spent, rest=None)


def deal_boxes(parts: Sequence[Entry], most: int) -> list[Entry]:
    """Deal boxes in turn, so that each part gets large ones and small ones; few boxes make few parts."""
    parts = [part for part in parts if part.boxes.count]
    if not parts:
        return []
    whole = Entry.joined(parts)
    count = max(1, min(most, whole.boxes.count // _LEAST_PART))
    return [whole.every(count, start) for start in range(count)]


def _origin(frame: Frame) -> Origin:
    return Origin(frame.network.compiled, frame.neurons.charges)


def _root(frame: Frame) -> Boxes:
    """The whole box."""
    return Boxes(frame.regions.lower, frame.regions.upper, frame.neurons.lower[None], frame.neurons.upper[None])


def _splitter(frame: Frame, cases: list[Case], start: Entry) -> InputSplit:
    """Input splitting of some cases on parts of the box."""
    groups, origin = groups_of(cases, frame.neurons), _origin(frame)
    leaf = LeafSearch(frame.backend, origin, groups)
    return InputSplit(origin, start, groups, lambda g, x: cases[g].accept(x), leaf)
