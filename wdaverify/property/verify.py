"""Decide a VNN-LIB property: whether an input of the network has an output in the unsafe set.

Each disjunct (a box of inputs and a conjunction of linear rows) is a question of its own:

1. *Elimination*: rigorous linear bounds show that some row fails on the whole box.
2. *Attack*: candidates from ascent are confirmed in exact arithmetic, so ``sat`` is always true.
3. *Search*: branch and bound over boxes of inputs where they are few, and over activation phases; a box or a node is closed
   only by a rigorous bound, so ``unsat`` is always true.

What neither finds nor closes is ``timeout`` when time ran out, else ``unknown``. A strict row counts as non-strict for the
search; where every row is strict, a maximum of exactly 0 closes too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.replay import float_replay
from wdaverify.program.backend import get_backend
from wdaverify.property.attack import quick_attack
from wdaverify.property.case import Case
from wdaverify.property.close import BoxQuestion
from wdaverify.property.property import Property
from wdaverify.property.vnnlib import load_property

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    from wdaverify._types import Vector
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.property.property import Disjunct


class PropertyVerdict(StrEnum):
    """The words of VNN-COMP."""

    SAT = "sat"
    UNSAT = "unsat"
    TIMEOUT = "timeout"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PropertyAnswer:
    """The verdict on a property.

    Attributes
    ----------
    verdict
        ``sat`` and ``unsat`` are rigorous; see the module.
    witness
        For ``sat`` the input (n,), which satisfies the property in exact arithmetic.
    outputs
        The exact outputs there, rounded to float64.
    float_replay
        The original model's own outputs there; ``None`` without a model file.
    replay_holds
        Whether the property also holds of those float outputs.
    nodes, seconds
        Boxes and linear programs of the searches, and wall time.
    """

    property: Property
    verdict: PropertyVerdict
    witness: Vector | None = None
    outputs: Vector | None = None
    float_replay: Vector | None = None
    replay_holds: bool | None = None
    nodes: int = 0
    seconds: float = field(default=0.0, compare=False)

    def __str__(self) -> str:
        return str(self.verdict)


def verify(
    network: Network,
    property: str | Path | Property,  # noqa: A002 - the word of the field
    *,
    time_limit: float | None = None,
    seed: int = 0,
    solver: str = "highs",
) -> PropertyAnswer:
    """Decide whether some input satisfies a VNN-LIB property, which describes the unsafe behaviour.

    Parameters
    ----------
    property
        A ``.vnnlib`` or ``.vnnlib.gz`` file, or a loaded `Property`.
    time_limit
        Wall seconds after which the verdict is ``timeout``.

    Raises
    ------
    InputError
        If the file cannot be used, or does not fit the network.
    """
    started, deadline = time.monotonic(), Deadline.after(time_limit)
    question = (
        property if isinstance(property, Property) else load_property(property, inputs=network.inputs, outputs=network.outputs)
    )
    if (question.inputs, question.outputs) != (network.inputs, network.outputs):
        raise InputError(
            f"the property has {question.inputs} inputs and {question.outputs} outputs, "
            f"the network {network.inputs} and {network.outputs}"
        )
    run = _Run(network, deadline, get_backend(solver), seed)
    verdict = run.decide([d for d in question.disjuncts if not d.empty])
    answer = PropertyAnswer(property=question, verdict=verdict, nodes=run.nodes, seconds=time.monotonic() - started)
    if run.witness is None:
        return answer
    replay, holds = _replayed(network, question, run.witness)
    outputs = np.array([float(v) for v in exact_forward(network, run.witness.tolist())])
    return replace(answer, witness=run.witness, outputs=outputs, float_replay=replay, replay_holds=holds)


def _replayed(network: Network, question: Property, witness: Vector) -> tuple[Vector | None, bool | None]:
    """What the stored model itself says at a witness, and whether the property holds of that."""
    replay = float_replay(network, witness[None])
    if replay is None or not np.isfinite(replay).all():
        return None, None
    return replay[0], question.holds(witness.tolist(), replay[0].tolist())


class _Run:
    """One verification in progress."""

    def __init__(self, network: Network, deadline: Deadline, backend: Backend, seed: int) -> None:
        self.network, self.deadline, self.backend, self.seed = network, deadline, backend, seed
        self.witness: Vector | None = None
        self.nodes = 0

    def decide(self, disjuncts: list[Disjunct]) -> PropertyVerdict:
        """Box by box, eliminate disjuncts and attack the others; then let the open boxes take turns."""
        cases = [Case(self.network, disjunct, self.backend, self.deadline) for disjunct in disjuncts]
        questions: list[BoxQuestion] = []
        for group in _by_box(cases):
            if self.deadline.passed:
                return PropertyVerdict.TIMEOUT
            question = BoxQuestion(self.network, group, self.backend, self.deadline, seed=self.seed)
            for case in group:
                if not case.closed and not self.deadline.passed and quick_attack(case, seed=self.seed):
                    return self._found(case)
            if not question.closed:
                questions.append(question)
        return self._close(questions, cases)

    def _close(self, questions: list[BoxQuestion], cases: list[Case]) -> PropertyVerdict:
        """Go round the open questions until all are closed or one has a witness."""
        pending = questions
        while pending:
            for question in pending:
                if self.deadline.passed:
                    return PropertyVerdict.TIMEOUT
                question.take_turn()
                self.nodes = sum(q.nodes for q in questions)
                for case in cases:
                    if case.witness is not None:
                        return self._found(case)
            pending = [q for q in pending if not q.closed and not q.exhausted]
        if all(case.closed for case in cases):
            return PropertyVerdict.UNSAT
        return PropertyVerdict.TIMEOUT if self.deadline.passed else PropertyVerdict.UNKNOWN

    def _found(self, case: Case) -> PropertyVerdict:
        self.witness = case.witness
        return PropertyVerdict.SAT


def _by_box(cases: list[Case]) -> list[list[Case]]:
    """The cases with the same input box, in the order of the file."""
    groups: dict[tuple[tuple[Fraction, ...], tuple[Fraction, ...]], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.disjunct.lower, case.disjunct.upper), []).append(case)
    return list(groups.values())
