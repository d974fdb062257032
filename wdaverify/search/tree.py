"""Depth-first branch and bound over activation phases: decide whether ``f_j >= f_y`` is possible on a region.

A node is closed only by a rigorous bound. A node that is not closed gives a candidate point, which the caller
checks, and is split at the neuron whose triangle contributes most to the bound (dual times intercept). A node without
free neurons that still does not close stays open: the answer is then `Verdict.OPEN`, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._deadline import Deadline
    from wdaverify._types import Vector
    from wdaverify.search.relaxation import NodeAnswer, Path, PhaseRelaxation


class Verdict(StrEnum):
    """How a depth-first search ended."""

    CLOSED = "closed"
    """Rigorous: the objective is negative on the whole region."""
    FOUND = "found"
    """The caller accepted a point."""
    OPEN = "open"
    """Neither: limits were reached, or a node without free neurons did not close."""


@dataclass(frozen=True, slots=True)
class SearchEnd:
    """The verdict and the number of nodes solved."""

    verdict: Verdict
    nodes: int


def search_depth(relaxation: PhaseRelaxation, accept: Callable[[Vector], bool], *, deadline: Deadline, nodes: int) -> SearchEnd:
    """Search the tree of a relaxation that has been aimed at a target.

    Parameters
    ----------
    accept
        Called with candidate inputs (n,); true ends the search.
    nodes
        Largest number of nodes to solve.
    """
    stack: list[Path] = [()]
    solved, stuck = 0, False
    while stack:
        if solved >= nodes or deadline.passed:
            return SearchEnd(Verdict.OPEN, solved)
        path = stack.pop()
        relaxation.move(path)
        answer = relaxation.answer(deadline)
        solved += 1
        if answer.closed:
            continue
        if answer.failed:  # splitting a program that the solver cannot work on only makes more of them
            return SearchEnd(Verdict.OPEN, solved)
        if answer.point is not None and accept(answer.point):
            return SearchEnd(Verdict.FOUND, solved)
        decision = _branch(answer, path)
        if decision == 0:
            stuck = True
            continue
        stack.extend([(*path, -decision), (*path, decision)])
    return SearchEnd(Verdict.OPEN if stuck else Verdict.CLOSED, solved)


def _branch(answer: NodeAnswer, path: Path) -> int:
    """The decision to explore first, 0 when no neuron is free."""
    free = np.ones(len(answer.scores), dtype=bool)
    free[[abs(d) - 1 for d in path]] = False
    if not free.any():
        return 0
    k = int(np.argmax(np.where(free, answer.scores, -np.inf)))
    return k + 1 if answer.active_first[k] else -(k + 1)
