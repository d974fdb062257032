"""The second opinion on the largest gradient: mixed-integer programs, whose bounds are a solver's word.

One program for every form and norm (`encode.jacobian`); nothing of the search is shared but the question. Its patterns have
closed cells, so that its optimum may be the gradient of a face that is no cell (docs/theory.md, "Lipschitz constants"). The
pattern of every optimum is therefore judged in exact arithmetic (`cells.interior`): a full-dimensional cell gives a lower end;
a pattern proved to have no interior is excluded from all programs, with all others that share the part the proof needs, and the
program is solved again; one that stays undecided is excluded too, and its gradient, computed exactly, counts for upper ends.

The l2 norm is not piecewise linear. Its bracket has the lower end of the cells that were found and the upper end of

    ||g||_2 <= sqrt(||g||_1 ||g||_inf),

with both maxima taken separately: it is closed for one input, and otherwise as wide as the two are apart.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify._errors import DomainError
from wdaverify._tolerances import TINY, UNIT_ROUNDOFF
from wdaverify._types import Norm
from wdaverify.bracket import Evidence
from wdaverify.cells.interior import InteriorKind, interior_at, interior_of
from wdaverify.gradients.exclusions import Exclusion, smallest_empty_part
from wdaverify.gradients.milp_program import GradientProgram, Problem
from wdaverify.gradients.norms import dual_norm_ends
from wdaverify.gradients.question import GradientAnswer, GradientLimits
from wdaverify.gradients.targets import Targets
from wdaverify.ir.exact_piece import exact_gradient
from wdaverify.program.result import Status
from wdaverify.search.result import End

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wdaverify._types import BoolArray, Vector
    from wdaverify.domain import Box
    from wdaverify.gradients.question import GradientQuestion
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

_STARTS = 4
"""Random points whose cells are judged before any program is solved."""

_CLOSED = 4.0
"""A bracket is closed when it is as wide as this many times what a dual bound gives away."""


def largest_gradients_by_milp(
    backend: Backend,
    network: Network,
    box: Box,
    questions: Sequence[GradientQuestion],
    *,
    coordinates: BoolArray | None = None,
    limits: GradientLimits | None = None,
    seed: int = 0,
) -> tuple[GradientAnswer, ...]:
    """Bracket the largest dual norm of each question over the full-dimensional cells of a box.

    Parameters
    ----------
    backend
        Solves mixed-integer programs.
    box
        Bounded.
    coordinates
        The input coordinates (n,) whose entries of the gradient count; default those with ``lower < upper``.
    limits
        The deadline is shared out evenly among the programs still open; `nodes` is the sum over them.
    seed
        Of the points tried first.

    Returns
    -------
    tuple of GradientAnswer
        Lower ends are exact. Upper ends have the evidence *solver* unless intervals alone gave them.

    Raises
    ------
    DomainError
        If the box is not bounded.

    Examples
    --------
    ``relu(x) - relu(-x) = x`` has slope 1, although a program of closed patterns finds 2 at the point 0:

    >>> from scipy.sparse import csr_array
    >>> from wdaverify.domain import Box
    >>> from wdaverify.gradients.question import GradientQuestion
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> from wdaverify.program.backend import get_backend
    >>> split, add = (Affine((csr_array(np.array(m)),), np.zeros(len(m))) for m in ([[1.0], [-1.0]], [[1.0, -1.0]]))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> question = GradientQuestion(np.ones((1, 1)), Norm.LINF)
    >>> network = Network.from_nodes(nodes, "y")
    >>> answer, = largest_gradients_by_milp(get_backend("highs"), network, Box(-1, 1), [question])
    >>> answer.lower, round(answer.upper, 6)
    (1.0, 1.0)
    """
    sized = box.sized(network.inputs)
    if not sized.bounded:
        raise DomainError(f"the domain {box} is not bounded: mixed-integer programs need finite bounds of all neurons")
    free = sized.lower < sized.upper
    counted = free if coordinates is None else np.asarray(coordinates, dtype=np.bool_) & free
    targets = Targets.of(questions)
    interrupted = False
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows bounds nothing
        problem = Problem.of(network, sized, counted, targets.forms)
        search = _Search(backend, problem, targets, limits or GradientLimits())
        try:
            search.try_points(seed)
            search.run()
        except KeyboardInterrupt:
            interrupted = True
    return search.answers(interrupted=interrupted)


class _Piece:
    """One norm of one form: what is known of its maximum, and whether its program is still to be solved."""

    def __init__(self, problem: Problem, form: int, dual: Norm) -> None:
        self.form, self.dual = form, dual
        self.intervals = problem.norm_bound(form, dual)
        self.word = math.inf  # the last dual bound of a solver
        self.attained = 0.0
        self.undecided = 0.0  # the largest norm of a pattern that may be a cell, whatever the solver said of it
        self.slack = 0.0  # what its dual bounds give away
        self.done = self.intervals == 0.0 or not math.isfinite(self.intervals)

    @property
    def upper(self) -> float:
        """The upper end."""
        return min(self.intervals, max(self.word, self.undecided))


class _Best(NamedTuple):
    """The largest norm of a pair among the cells found, and an interior point of its cell."""

    lower: float
    point: Vector | None


class _Search:
    """All programs of a call, the patterns judged so far, and the best cells."""

    def __init__(self, backend: Backend, problem: Problem, targets: Targets, limits: GradientLimits) -> None:
        self._backend, self._problem, self._targets, self._limits = backend, problem, targets, limits
        pairs = range(len(targets.norms))
        self._best = [_Best(0.0, None) for _ in pairs]
        self._pieces = {key: _Piece(problem, *key) for pair in pairs for key in self._keys(pair)}
        self._excluded: list[Exclusion] = []
        self._cells = 0  # full-dimensional ones
        self._nodes, self._late = 0, False

    def _keys(self, pair: int) -> list[tuple[int, Norm]]:
        """The pieces whose upper ends bound a pair."""
        form, norm = int(self._targets.form[pair]), self._targets.norms[pair]
        return [(form, dual) for dual in ((Norm.L1, Norm.LINF) if norm is Norm.L2 else (norm.dual,))]

    def _upper(self, pair: int) -> float:
        """The upper end of a pair."""
        ends = [self._pieces[key].upper for key in self._keys(pair)]
        if len(ends) == 1 or min(ends) == 0.0:
            return min(ends)
        mixed = math.sqrt(ends[0]) * math.sqrt(ends[1]) * (1.0 + 8.0 * UNIT_ROUNDOFF)
        return min(ends[0], max(mixed, TINY))

    def try_points(self, seed: int) -> None:
        """Judge the cells of a few random points of the box: a lower end costs nothing."""
        network, box = self._problem.network, self._problem.box
        share = np.random.default_rng(seed).uniform(0.25, 0.75, (_STARTS, network.inputs))
        points = np.clip(box.lower + share * (box.upper - box.lower), box.lower, box.upper)
        trace = network.compiled.trace(points)
        for k, point in enumerate(points):
            phases = np.concatenate([np.zeros(0, dtype=bool), *(trace[r.source][k] >= 0 for r in network.compiled.relus)])
            if interior_at(network, box, phases, point):
                self._offer(phases, point)

    def run(self) -> None:
        """Solve the programs of the largest upper ends first, until no other can change an answer or a limit is reached."""
        while waiting := self._waiting():
            if self._limits.deadline.passed or self._nodes >= self._limits.nodes:
                self._late = True
                return
            share = Deadline.after(self._limits.deadline.remaining / len(waiting))
            self._close(waiting[0], self._limits.deadline if len(waiting) == 1 else share)

    def _waiting(self) -> list[_Piece]:
        """The pieces that can still change an answer, those of the largest upper ends first."""
        found: dict[tuple[int, Norm], float] = {}
        for used in self._targets.uses:
            pairs = np.flatnonzero(used).tolist()
            lower = max(self._best[pair].lower for pair in pairs)
            for pair in pairs:
                upper = self._upper(pair)
                for key in self._keys(pair):
                    if not self._pieces[key].done and not self._is_closed(lower, upper, pair):
                        found[key] = max(upper, found.get(key, 0.0))
        return [self._pieces[key] for key in sorted(found, key=lambda key: -found[key])]

    def _is_closed(self, lower: float, upper: float, pair: int) -> bool:
        """Whether an upper end is close enough to a lower end."""
        slack = max(self._pieces[key].slack for key in self._keys(pair))
        return upper <= max(lower * (1.0 + self._limits.gap), lower + _CLOSED * slack)

    def _close(self, piece: _Piece, deadline: Deadline) -> None:
        """Solve a piece's program until its optimum is a cell, or time is up."""
        piece.done = True
        if not self._problem.finite:  # no program can be built: the intervals have the last word
            return
        program = GradientProgram(self._problem, piece.form, piece.dual)
        piece.slack = program.slack
        while True:
            program.exclude(self._excluded)
            solution = program.solve(self._backend, deadline)
            self._nodes += solution.nodes
            self._late |= solution.status is Status.LIMIT
            phases = solution.phases
            if phases is not None and any(part.covers(phases) for part in self._excluded):
                return  # the solver did not read the program: nothing it says counts
            kind = None if phases is None else self._judge(phases)
            none_left = solution.upper == -math.inf and (self._cells > 0 or piece.undecided == 0.0)
            if none_left or max(solution.upper, piece.undecided) < piece.attained:
                return  # the solver denies a cell that was checked
            # what an earlier program was bounded by holds for this one, but an optimum above it shows the tolerances at work
            piece.word = solution.upper if solution.status is Status.OPTIMAL else min(piece.word, solution.upper)
            spurious = kind in (InteriorKind.EMPTY, InteriorKind.THIN)
            if not spurious or solution.status is not Status.OPTIMAL or solution.upper == math.inf or deadline.passed:
                return

    def _judge(self, phases: BoolArray) -> InteriorKind:
        """Offer a pattern's cell, or exclude the pattern; an undecided one leaves its norms as a floor of upper ends."""
        problem = self._problem
        interior = interior_of(self._backend, problem.network, problem.box, phases, self._limits.deadline)
        if interior.kind is InteriorKind.FULL:
            assert interior.point is not None
            self._offer(phases, interior.point)
            return interior.kind
        if interior.kind is InteriorKind.THIN:
            ends = self._norm_ends(phases)
            for piece in self._pieces.values():
                piece.undecided = max(piece.undecided, ends(piece.form, piece.dual.dual)[1])
            self._excluded.append(Exclusion(phases, np.ones(len(phases), dtype=np.bool_)))
            return interior.kind
        deadline = self._limits.deadline
        self._excluded.append(smallest_empty_part(self._backend, problem.network, problem.box, phases, deadline))
        return interior.kind

    def _offer(self, phases: BoolArray, point: Vector) -> None:
        """Take the gradients of a full-dimensional cell as lower ends, of every form and norm."""
        ends = self._norm_ends(phases)
        self._cells += 1
        for piece in self._pieces.values():
            piece.attained = max(piece.attained, ends(piece.form, piece.dual.dual)[0])
        for pair, norm in enumerate(self._targets.norms):
            value = ends(int(self._targets.form[pair]), norm)[0]
            if value > self._best[pair].lower or self._best[pair].point is None:
                self._best[pair] = _Best(value, point)

    def _norm_ends(self, phases: BoolArray) -> Callable[[int, Norm], tuple[float, float]]:
        """The dual norm of each form's exact gradient, in the coordinates that count, for norms of the inputs."""
        numerators, denominator = exact_gradient(self._problem.network, phases, self._problem.forms)
        counted = numerators[:, self._problem.counted].tolist()
        return lambda form, norm: dual_norm_ends(counted[form], denominator, norm)

    def answers(self, *, interrupted: bool) -> tuple[GradientAnswer, ...]:
        """A bracket for every question, as things stand."""
        return tuple(self._answer(question, interrupted) for question in range(len(self._targets.uses)))

    def _answer(self, question: int, interrupted: bool) -> GradientAnswer:
        pairs = np.flatnonzero(self._targets.uses[question]).tolist()
        best = max(pairs, key=lambda pair: self._best[pair].lower)
        lower, upper = self._best[best].lower, max(self._upper(pair) for pair in pairs)
        end = End.INTERRUPTED if interrupted else End.LIMIT if self._late else End.NUMERICAL
        if all(self._is_closed(lower, self._upper(pair), pair) for pair in pairs):
            end = End.CLOSED
        pieces = [self._pieces[key] for pair in pairs for key in self._keys(pair)]
        return GradientAnswer(
            lower=lower,
            upper=upper,
            point=self._best[best].point,
            row=None if self._best[best].point is None else int(self._targets.rows[question, best]),
            end=end,
            evidence=Evidence.SOLVER if any(piece.upper < piece.intervals for piece in pieces) else Evidence.CHECKED,
            nodes=self._nodes,
        )
