"""Close a sample by branch and bound: show that no class is reachable inside the ball of the incumbent.

On the ball of radius ``R = (1 - gap) * incumbent`` every class that linear bounds leave is searched depth first, all of
them from one linear program whose objective ``f_j - f_y`` changes. A class is closed by proved ceilings only, so every
lower end found here is checked. Budgets go round robin, so that a nearer point in any class is met before much is
spent on closing another; a nearer point becomes the incumbent and the caller starts again on its ball.

When the ball of the incumbent does not close within its budget, smaller balls come first: they are cheaper and give the
lower end of a search that is stopped. When it cannot be closed for lack of accuracy, slightly smaller ones follow.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import SEARCH_GAP
from wdaverify.bracket import Evidence
from wdaverify.search.goal import GoalSearch
from wdaverify.search.inputs import InputSet
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.question import Question
from wdaverify.search.relaxation import PhaseRelaxation
from wdaverify.search.tree import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._deadline import Deadline
    from wdaverify._types import Vector
    from wdaverify.risk.closing import Closer, SampleSearch

_log = logging.getLogger(__name__)

_FULL = 1.0 - SEARCH_GAP

_RUNGS = (
    (_FULL, 1024),
    (0.8, 2**60),
    (0.95, 2**60),
    (_FULL, 2**60),
    (1.0 - 10 * SEARCH_GAP, 2**60),
    (1.0 - 100 * SEARCH_GAP, 2**60),
)
"""Parts of the incumbent's distance, each with the programs that a class may cost."""

_WORTH_POLISHING = 1.02
"""Points farther than this factor times the incumbent's distance are not polished."""

_FIRST_BUDGET = 64
"""Programs of a class in the first round; each round has four times as many."""


def close_by_search(closer: Closer, search: SampleSearch, radius: float, deadline: Deadline) -> None:
    """Raise the lower end of a sample towards `radius`, until that ball is closed or a nearer error is found."""
    for part, budget in _RUNGS if radius == search.reach < math.inf else ((1.0, 2**60),):
        if deadline.passed:
            return
        if part * radius > search.safe:
            verdict = _search_ball(closer, search, part * radius, budget, deadline)
            if verdict is Verdict.FOUND:
                return
            if verdict is Verdict.CLOSED:
                search.safe = part * radius
        if search.safe >= _FULL * radius:
            return


def _search_ball(closer: Closer, search: SampleSearch, radius: float, budget: int, deadline: Deadline) -> Verdict:
    """Search all classes on one ball."""
    regions, bounds, rest = closer.eliminate(search, radius)
    open_targets = [j for j in rest if search.proved.get(j, (0.0, Evidence.CHECKED))[0] < radius]
    neurons = NeuronBounds.of(closer.network, regions, bounds)
    if open_targets and not neurons.finite:  # bounds beyond float64 on a huge ball: it stays open, smaller ones may close
        _log.info("radius %g: a bound is infinite", radius)
        return Verdict.OPEN
    searches = _goal_searches(closer, search, open_targets, InputSet(regions), neurons, deadline) if open_targets else {}
    programs = min(_FIRST_BUDGET, budget)
    while searches:
        for target, goal in list(searches.items()):
            verdict = goal.run(programs, deadline)
            if verdict is Verdict.FOUND:
                return Verdict.FOUND
            if verdict is Verdict.CLOSED:
                search.prove(target, radius, Evidence.CHECKED)
            if verdict is Verdict.CLOSED or goal.stuck:
                del searches[target]
        if programs >= budget or deadline.passed:
            break
        programs = min(4 * programs, budget)
    return _verdict(closer, search, radius)


def _goal_searches(
    closer: Closer, search: SampleSearch, targets: list[int], inputs: InputSet, bounds: NeuronBounds, deadline: Deadline
) -> dict[int, GoalSearch]:
    """One search per class on a ball, all starting from the same relaxation."""
    compiled, box = closer.network.compiled, closer.region(search)
    rows = np.zeros((len(targets), closer.network.outputs))
    rows[np.arange(len(targets)), targets] = 1.0
    rows[:, search.label] = -1.0
    question = Question.of(rows, inputs=closer.network.inputs)

    def build(tighter: NeuronBounds) -> PhaseRelaxation:
        return PhaseRelaxation(closer.backend, closer.network, question, inputs, tighter)

    def accepting(target: int) -> Callable[[Vector], bool]:
        def accept(point: Vector) -> bool:
            inside = box.clip(point)
            if np.linalg.norm(inside - search.center, ord=closer.norm.order) > _WORTH_POLISHING * search.reach:
                return False  # the program of an l2 ball reaches far beyond it
            logits = compiled.forward(inside[None])[0]
            return bool(logits[target] >= logits[search.label]) and closer.improve(search, target, inside, deadline)

        return accept

    # tangents of an l2 ball pile up in a relaxation: there every class has its own
    roots = [build(bounds) for _ in targets] if inputs.curved else [build(bounds)] * len(targets)
    return {
        target: GoalSearch(root, build, goal, accepting(target))
        for goal, (root, target) in enumerate(zip(roots, targets, strict=True))
    }


def _verdict(closer: Closer, search: SampleSearch, radius: float) -> Verdict:
    """Closed only if every class, without exception, is proved out to the radius by rigorous bounds."""
    proofs = (search.proved.get(j, (0.0, Evidence.SOLVER)) for j in closer.targets(search.label))
    closed = all(bound >= radius and evidence is Evidence.CHECKED for bound, evidence in proofs)
    return Verdict.CLOSED if closed else Verdict.OPEN
