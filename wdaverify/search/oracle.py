"""Maximise a piecewise-linear function of inputs, logits and ground cost over a region: best first, with dives.

The objective is ``min_r g_r(x) - cost(x)`` of a `Question` and an `InputSet`. Nodes wait in order of their proved ceilings.
The best one is taken and followed downwards, its worse child put back, until its ceiling falls halfway from the best
waiting ceiling to the incumbent: on the way down the program stays warm, and points are found. The answer is a bracket at
every moment: the lower end is the value of a point in rational arithmetic, the upper end the largest proved ceiling of
what is closed or still open.
"""

from __future__ import annotations

import heapq
import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY
from wdaverify.bracket import Evidence
from wdaverify.ir.exact import exact_forward
from wdaverify.search.relaxation import PhaseRelaxation
from wdaverify.search.result import End, SearchLeaf, SearchLimits, SearchResult
from wdaverify.search.tree import branch
from wdaverify.transport import distance_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._types import Vector
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.search.ceiling import Multipliers
    from wdaverify.search.inputs import InputSet
    from wdaverify.search.neuron_bounds import NeuronBounds
    from wdaverify.search.node_answer import NodeAnswer
    from wdaverify.search.question import Question
    from wdaverify.search.relaxation import Path


def maximise(
    backend: Backend,
    network: Network,
    question: Question,
    inputs: InputSet,
    bounds: NeuronBounds,
    *,
    limits: SearchLimits,
    start: Vector | None = None,
    repair: Callable[[Vector], Vector] | None = None,
) -> SearchResult:
    """Bracket ``max min_r g_r(x) - cost(x)`` over a region.

    Parameters
    ----------
    bounds
        Proved bounds of the pre-activations on the region.
    start
        A point of the region to begin with.
    repair
        Called with every solver's point (n,); what it returns is tried as incumbent. By default `repaired`.

    Examples
    --------
    The largest ``|x| - 2 |x - 1/2|`` on [-1, 1] is 1/2, at 1/2.

    >>> from scipy.sparse import csr_array
    >>> from wdaverify._types import Norm
    >>> from wdaverify.bounds.crown import crown_bounds
    >>> from wdaverify.domain import Regions
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> from wdaverify.program.backend import get_backend
    >>> from wdaverify.search.cost import CostTerm
    >>> from wdaverify.search.inputs import InputSet
    >>> from wdaverify.search.neuron_bounds import NeuronBounds
    >>> from wdaverify.search.question import Question
    >>> from wdaverify.transport import GroundCost
    >>> split, add = (Affine((csr_array(np.array(m)),), np.zeros(len(m))) for m in ([[1.0], [-1.0]], [[1.0, 1.0]]))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> network, regions = Network.from_nodes(nodes, "y"), Regions(-np.ones((1, 1)), np.ones((1, 1)))
    >>> inputs = InputSet(regions, CostTerm(np.array([0.5]), GroundCost(Norm.LINF), 2.0))
    >>> bounds = NeuronBounds.of(network, regions, crown_bounds(network, regions))
    >>> question = Question.of(np.ones((1, 1)), inputs=1)
    >>> result = maximise(get_backend("highs"), network, question, inputs, bounds, limits=SearchLimits())
    >>> result.lower, round(result.upper, 5), result.witness.tolist()
    (0.5, 0.5, [0.5])
    """
    search = _BestFirst(PhaseRelaxation(backend, network, question, inputs, bounds), network, limits, repair)
    if start is not None:
        search.try_point(start)
    try:
        end = search.run()
    except KeyboardInterrupt:
        end = End.INTERRUPTED
    return search.result(end)


class _BestFirst:
    """One maximisation in progress."""

    def __init__(
        self,
        relaxation: PhaseRelaxation,
        network: Network,
        limits: SearchLimits,
        repair: Callable[[Vector], Vector] | None = None,
    ) -> None:
        self._repair = repair
        self._relaxation, self._limits = relaxation, limits
        self._value = exact_value(network, relaxation.question, relaxation.inputs)
        self._compiled = network.compiled
        relaxation.aim(0 if len(relaxation.question.rows) == 1 else None)
        self._heap: list[tuple[float, int, Path]] = [(-math.inf, 0, ())]
        self._flight: tuple[Path, float] | None = None
        self._serial = 0
        self._closed = -math.inf  # the largest ceiling of a closed node
        self._stuck = -math.inf  # the largest ceiling of a node that cannot be closed
        self._lower = -math.inf
        self._witness: Vector | None = None
        self._leaves: list[SearchLeaf] = []
        self._inherited: dict[Path, Multipliers] = {}  # what proves the ceiling that a waiting node has from its parent
        self._nodes = 0

    def run(self) -> End:
        """Search until the bracket is closed or a limit is reached."""
        while self._heap:
            ceiling, _, path = self._heap[0]
            if -ceiling <= self._enough:
                break
            if self._out_of_budget():
                return End.LIMIT
            self._flight = path, -ceiling
            heapq.heappop(self._heap)
            self._dive()
        return End.CLOSED if self._stuck <= self._enough else End.NUMERICAL

    def _dive(self) -> None:
        """Follow the node in flight downwards. An interrupt at any moment leaves it, or what it was split into, on record."""
        while self._flight is not None:
            path, inherited = self._flight
            answer = self._answer(path)
            ceiling = min(answer.ceiling, inherited)
            if answer.point is not None:
                self.try_point(answer.point)
            if ceiling <= self._enough:
                self._close(path, ceiling, answer)
                self._flight = None
                return
            if answer.failed and self._limits.deadline.passed:
                self._land(path, ceiling)
                return
            decision = 0 if answer.failed else branch(answer, self._relaxation.free, path)
            if decision == 0:
                self._stuck = max(self._stuck, ceiling)
                self._flight = None
                return
            child = (*path, decision)
            if self._limits.proof and answer.multipliers is not None:
                self._inherited[child] = self._inherited[(*path, -decision)] = answer.multipliers
            self._push((*path, -decision), ceiling)
            self._flight = child, ceiling
            best = -self._heap[0][0]
            halfway = self._lower + 0.5 * (best - self._lower)
            if self._out_of_budget() or (math.isfinite(self._lower) and ceiling < halfway):
                self._land(child, ceiling)

    @property
    def _enough(self) -> float:
        """Nodes with a ceiling up to this one are closed."""
        return max(self._lower, self._limits.floor) + self._limits.gap

    def _out_of_budget(self) -> bool:
        return self._nodes >= self._limits.nodes or self._limits.deadline.passed

    def _land(self, path: Path, ceiling: float) -> None:
        """Put the node in flight back among the waiting."""
        self._push(path, ceiling)
        self._flight = None

    def _answer(self, path: Path) -> NodeAnswer:
        self._relaxation.move(path)
        self._nodes += 1
        return self._relaxation.answer(self._enough, self._limits.deadline)

    def _push(self, path: Path, ceiling: float) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (-ceiling, -self._serial, path))

    def _close(self, path: Path, ceiling: float, answer: NodeAnswer) -> None:
        self._closed = max(self._closed, ceiling)
        multipliers = answer.multipliers if answer.ceiling <= ceiling else self._inherited.get(path)
        if self._limits.proof and multipliers is not None:
            self._leaves.append(SearchLeaf(path, multipliers, empty=answer.ceiling == -math.inf))

    def try_point(self, point: Vector) -> None:
        """Make a point the incumbent if its exact value is higher."""
        inputs = self._relaxation.inputs
        question = self._relaxation.question
        inside = repaired(question, inputs, point) if self._repair is None else self._repair(point)
        rough = float(np.min(question.rows @ self._compiled.forward(inside[None])[0] + question.offsets))
        rough -= 0.0 if inputs.cost is None else inputs.cost.value(inside)
        if not rough > self._lower:
            return
        value = self._value(inside)
        if value is not None and value > self._lower:
            self._witness = inside  # first: an interrupt between the two leaves a witness that is better than said
            self._lower = value

    def result(self, end: End) -> SearchResult:
        """The bracket as it stands."""
        frontier = tuple((path, -ceiling) for ceiling, _, path in sorted(self._heap))
        if self._flight is not None:
            frontier = (self._flight, *frontier)
        upper = max(self._lower, self._closed, self._stuck, *(ceiling for _, ceiling in frontier))
        leaves = tuple(self._leaves)
        if end is End.CLOSED:  # what waits has a ceiling low enough
            leaves += tuple(SearchLeaf(path, self._inherited[path]) for path, _ in frontier if path in self._inherited)
            frontier = ()
        return SearchResult(
            lower=self._lower, upper=upper, witness=self._witness, end=end, evidence=Evidence.CHECKED, nodes=self._nodes,
            leaves=leaves, frontier=frontier,
        )  # fmt: skip


def repaired(question: Question, inputs: InputSet, point: Vector) -> Vector:
    """A point of the region near a solver's, which may miss facts about inputs by a rounding error: steps across those rows."""
    inside = inputs.nearest_inside(point)
    for _ in range(_REPAIRS):
        missing = -(question.side_rows @ inside + question.side_offsets)
        broken = np.flatnonzero(missing > -_ROUNDING * (1.0 + np.abs(question.side_offsets)))
        if not len(broken):
            break
        k = broken[np.argmax(missing[broken])]
        row = question.side_rows[k]
        step = max(float(missing[k]), 0.0) + 4.0 * _ROUNDING * (1.0 + abs(float(question.side_offsets[k])))
        inside = inputs.nearest_inside(inside + row * (step / max(float(row @ row), TINY)))
    return inside


_REPAIRS = 8

_ROUNDING = 1e-13
"""Facts about inputs are to hold by this much, so that they hold in rational arithmetic."""


def exact_value(network: Network, question: Question, inputs: InputSet) -> Callable[[Vector], float | None]:
    """The objective at a point in rational arithmetic, rounded down; ``None`` for points outside the region.

    A question's rows are upper approximations of the true ones by rounding alone; the value speaks about the rows as given.
    """
    rows = [[Fraction(v) for v in row] for row in question.rows.tolist()]
    side = [[(int(k), Fraction(float(row[k]))) for k in np.flatnonzero(row)] for row in question.side_rows]
    regions, cost = inputs.regions, inputs.cost

    def value(point: Vector) -> float | None:
        x = [Fraction(v) for v in point.tolist()]
        for row, offset in zip(side, question.side_offsets.tolist(), strict=True):
            if sum((a * x[k] for k, a in row), Fraction(offset)) < 0:
                return None
        ball = None if regions.center is None or regions.radius is None else (regions.center[0], regions.radius[0])
        if regions.norm is not None and ball is not None and distance_up(ball[0], point, regions.norm) > ball[1]:
            return None
        logits = exact_forward(network, x)
        goals = zip(rows, question.offsets.tolist(), strict=True)
        least = min(sum((a * v for a, v in zip(row, logits, strict=True)), Fraction(offset)) for row, offset in goals)
        if cost is not None:
            paid = cost.least(point.tolist())
            if paid is None:
                return None
            least -= paid
        nearest = float(least)
        return nearest if Fraction(nearest) <= least else math.nextafter(nearest, -math.inf)

    return value
