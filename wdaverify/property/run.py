"""One verification: the cheap start in this process, then generations of pieces of work that any process can do.

Generations do not depend on who works: a piece gets a counted budget, and pieces of one generation know nothing of each other.
Of several points that one generation finds, that of the first piece counts. So the number of worker processes changes
nothing, unless time runs out or a process is lost. What a lost process worked on stays open and is tried once more; lost
again, it stays open for ever, and the answer is at best ``unknown``.
"""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from wdaverify._errors import WorkerLostError
from wdaverify.bracket import Evidence
from wdaverify.parallel.executors import InlineExecutor, Limited, open_executor
from wdaverify.parallel.fanout import first_success
from wdaverify.property.attack import quick_attack
from wdaverify.property.case import Case
from wdaverify.property.close import BoxQuestion
from wdaverify.property.second_opinion import MilpWork, solve_case
from wdaverify.property.work import Outcome, Piece

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor
    from fractions import Fraction
    from typing import Any

    from wdaverify._deadline import Deadline
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.property.property import Disjunct

_PARTS = 16
"""Pieces of a generation: enough for some processes to end at about the same time."""

_ALONE = 2.0
"""Estimated seconds of turns that this process takes alone, because starting others takes as long."""


class PropertyVerdict(StrEnum):
    """The words of VNN-COMP."""

    SAT = "sat"
    UNSAT = "unsat"
    TIMEOUT = "timeout"
    UNKNOWN = "unknown"


class Run:
    """One verification in progress.

    Parameters
    ----------
    engine
        ``search`` or ``milp``, which the backend can run.
    """

    def __init__(self, network: Network, backend: Backend, deadline: Deadline, *, seed: int, engine: str, workers: int) -> None:
        self._network, self._backend, self._deadline, self._seed = network, backend, deadline, seed
        self._engine, self._workers = engine, workers
        self._cases: list[Case] = []
        self._questions: list[BoxQuestion] = []

    @property
    def nodes(self) -> int:
        """Boxes and programs so far."""
        return sum(question.nodes for question in self._questions)

    @property
    def sat(self) -> Case | None:
        """The first case with a witness."""
        return next((case for case in self._cases if case.witness is not None), None)

    @property
    def evidence(self) -> Evidence:
        """What it rests on that there is no witness, if there is none."""
        by_solver = any(case.evidence is Evidence.SOLVER for case in self._cases)
        return Evidence.SOLVER if by_solver else Evidence.CHECKED

    def decide(self, disjuncts: Sequence[Disjunct]) -> PropertyVerdict:
        """Box by box, eliminate disjuncts and attack the others; then work on what is open."""
        self._cases = [Case(self._network, disjunct, self._backend, self._deadline) for disjunct in disjuncts]
        for group in _by_box(self._cases):
            if self._deadline.passed:
                return PropertyVerdict.TIMEOUT
            question = BoxQuestion(self._network, group, self._backend, self._deadline, seed=self._seed)
            for case in group:
                if not case.closed and not self._deadline.passed and quick_attack(case, seed=self._seed):
                    return PropertyVerdict.SAT
            if not question.closed:
                self._questions.append(question)
        with ExitStack() as stack:
            (self._search if self._engine == "search" else self._solve)(stack)
        if self.sat is not None:
            return PropertyVerdict.SAT
        if all(case.closed for case in self._cases):
            return PropertyVerdict.UNSAT
        return PropertyVerdict.TIMEOUT if self._deadline.passed else PropertyVerdict.UNKNOWN

    def _search(self, stack: ExitStack) -> None:
        """Let the open questions take turns, first one after the other, then together."""
        pending, spent, shared = self._questions, 0.0, None
        here = InlineExecutor()
        while pending and not self._over:
            waiting = list(pending)
            while waiting and not self._over:
                alone = spent + waiting[0].seconds <= _ALONE
                group, waiting = (waiting[:1], waiting[1:]) if alone else (waiting, [])
                spent += sum(question.seconds for question in group)
                if not alone and shared is None:
                    shared = self._open(stack, pending)
                parts = 1 if alone else max(1, _PARTS // len(group))
                self._take_turn(group, parts, here if alone or shared is None else shared)
            pending = [question for question in pending if not question.closed and not question.exhausted]

    def _take_turn(self, group: Sequence[BoxQuestion], parts: int, executor: Executor) -> None:
        """One turn of every question of a group, stage by stage."""
        for stage in (BoxQuestion.split, BoxQuestion.search):
            self._work(executor, [piece for question in group if not question.closed for piece in stage(question, parts)])
            for question in group:
                question.settle()
            if self._over:
                return

    def _solve(self, stack: ExitStack) -> None:
        """Ask for a second opinion on every open case; a case whose process is lost is asked about once more."""
        executor = self._open(stack, self._questions)
        waiting = [
            (question, k) for question in self._questions for k, case in enumerate(question.frame.cases) if not case.closed
        ]
        for _ in range(2):
            lost: list[tuple[BoxQuestion, int]] = []
            self._work(executor, [_opinion(question, k, lost) for question, k in waiting])
            waiting = lost

    def _work(self, executor: Executor, pieces: Sequence[Piece[Any]]) -> None:
        """Have pieces worked on, up to the first that finds a point, and take in what comes of them."""
        calls = (Limited(piece.work, self._deadline) for piece in pieces)
        futures = first_success(executor, calls, lambda outcome: outcome.found is not None)
        for piece, future in zip(pieces, futures, strict=False):
            try:
                outcome = future.result()
            except WorkerLostError as error:
                warnings.warn(f"a part of the search stays open: {error}", RuntimeWarning, stacklevel=2)
                piece.lose()
            else:
                piece.absorb(outcome)

    def _open(self, stack: ExitStack, questions: Sequence[BoxQuestion]) -> Executor:
        """The executor of all further work; what the questions have in common travels once."""
        frames = [question.frame for question in questions]
        return stack.enter_context(open_executor(self._workers, shared=[*frames, *(f.neurons.charges for f in frames)]))

    @property
    def _over(self) -> bool:
        return self._deadline.passed or self.sat is not None


def _opinion(question: BoxQuestion, number: int, lost: list[tuple[BoxQuestion, int]]) -> Piece[bool]:
    """The program of one case as a piece of work."""
    case = question.frame.cases[number]

    def absorb(outcome: Outcome[bool]) -> None:
        if question.note(outcome) and outcome.rest:
            case.closed, case.evidence = True, Evidence.SOLVER

    work = MilpWork(question.frame, number, question.failures)
    return Piece(partial(solve_case, work), absorb, lambda: lost.append((question, number)))


def _by_box(cases: Sequence[Case]) -> list[list[Case]]:
    """The cases with the same input box, in the order of the file."""
    groups: dict[tuple[tuple[Fraction, ...], tuple[Fraction, ...]], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.disjunct.lower, case.disjunct.upper), []).append(case)
    return list(groups.values())
