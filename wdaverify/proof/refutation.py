"""Prove a claim on one target: depth first over activation phases, one record per step, leaves checked before they are written.

The linear program of `search.relaxation` stands on the bounds that the judge has certified, so that its dual values are
values of the judge's rule; its multipliers become evidence (`sweep.Collector`). A node that does not close is split, down to
where every neuron is decided; what does not close even there ends the proof.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from wdaverify.search.relaxation import PhaseRelaxation
from wdaverify.search.tree import branch

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._deadline import Deadline
    from wdaverify.program.backend import Backend
    from wdaverify.proof.context import Context
    from wdaverify.proof.leaves import BoundLeaves, EmptyLeaves
    from wdaverify.proof.ledger import Emit
    from wdaverify.search.ceiling import Multipliers
    from wdaverify.search.cost import CostTerm
    from wdaverify.search.relaxation import Path

NODES = 1 << 16
"""Programs that one target may cost."""


def refuted(
    context: Context,
    leaves: EmptyLeaves | BoundLeaves,
    backend: Backend,
    emit: Emit,
    deadline: Deadline,
    *,
    cost: CostTerm | None = None,
    nodes: int = NODES,
) -> bool:
    """Whether a proof is complete, with its records to `emit` in pre-order.

    Parameters
    ----------
    leaves
        What is to be closed, and how.
    cost
        What the leaves' form pays for leaving the sample.
    nodes
        Programs that may be solved.
    """
    record = leaves.by_default()
    if record is not None:
        emit(record)
        return True
    walk = PhaseWalk(context, leaves, backend, cost)
    return walk.run(emit, deadline, lambda: walk.programs >= nodes)


class PhaseWalk:
    """The search over phases below one context.

    Parameters
    ----------
    hope
        Nodes whose ceiling is above this are not tried: the judge's rule proves nothing better than a program's optimum.
    keep
        Whether `closings` are kept, which take memory for every leaf.

    Attributes
    ----------
    programs, closed
        Programs solved, and leaves closed.
    share
        Of the tree that is closed: a leaf below d splits counts ``2^-d``.
    first
        The multipliers of the first program, ``None`` before it and where the solver gave none.
    closings
        The paths of the leaves and the multipliers that close them.
    """

    def __init__(
        self,
        context: Context,
        leaves: EmptyLeaves | BoundLeaves,
        backend: Backend,
        cost: CostTerm | None = None,
        *,
        hope: float = math.inf,
        keep: bool = False,
    ) -> None:
        inputs = context.area.inputs(cost)
        self._relaxation = PhaseRelaxation(backend, context.network, leaves.question, inputs, context.bounds)
        self._relaxation.aim(leaves.goal)
        self._leaves, self._hope, self._keep = leaves, hope, keep
        self.programs, self.closed, self.share = 0, 0, 0.0
        self.first: Multipliers | None = None
        self.closings: list[tuple[Path, Multipliers]] = []

    def run(self, emit: Callable[[dict[str, Any]], None], deadline: Deadline, enough: Callable[[], bool]) -> bool:
        """Whether every node is closed before `enough` says that the search is to end; it is asked before every program."""
        stack: list[Path] = [()]
        while stack:
            if enough() or deadline.passed:
                return False
            path = stack.pop()
            self._relaxation.move(path)
            answer = self._relaxation.answer(0.0, deadline)
            self.programs += 1
            if self.programs == 1:
                self.first = answer.multipliers
            record = None
            if answer.multipliers is not None and answer.ceiling <= self._hope:
                record = self._leaves.close(path, answer.multipliers)
            if record is not None and answer.multipliers is not None:
                emit(record)
                if self._keep:
                    self.closings.append((path, answer.multipliers))
                self.closed += 1
                self.share += 2.0 ** -len(path)
                continue
            decision = 0 if answer.failed else branch(answer, self._relaxation.free, path)
            if decision == 0:
                self._leaves.missed, self._leaves.point = answer.ceiling, answer.point
                return False
            neuron = abs(decision)
            emit({"t": "split", "n": neuron - 1})
            stack += [(*path, -neuron), (*path, neuron)]
        return True
