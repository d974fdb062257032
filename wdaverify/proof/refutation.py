"""Prove a claim on one target: depth first over activation phases, one record per step, leaves checked before they are written.

The linear program of `search.relaxation` stands on the bounds that the judge has certified, so that its dual values are
values of the judge's rule; its multipliers become evidence (`sweep.Collector`). A node that does not close is split, down to
where every neuron is decided; what does not close even there ends the proof.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.search.relaxation import PhaseRelaxation
from wdaverify.search.tree import branch

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify.program.backend import Backend
    from wdaverify.proof.context import Context
    from wdaverify.proof.leaves import BoundLeaves, EmptyLeaves
    from wdaverify.proof.ledger import Emit
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
    inputs = context.area.inputs(cost)
    relaxation = PhaseRelaxation(backend, context.network, leaves.question, inputs, context.bounds)
    relaxation.aim(leaves.goal)
    stack: list[Path] = [()]
    while stack:
        nodes -= 1
        if nodes < 0 or deadline.passed:
            return False
        path = stack.pop()
        relaxation.move(path)
        answer = relaxation.answer(0.0, deadline)
        record = None if answer.multipliers is None else leaves.close(path, answer.multipliers)
        if record is not None:
            emit(record)
            continue
        decision = 0 if answer.failed else branch(answer, relaxation.free, path)
        if decision == 0:
            leaves.missed, leaves.point = answer.ceiling, answer.point
            return False
        neuron = abs(decision)
        emit({"t": "split", "n": neuron - 1})
        stack += [(*path, -neuron), (*path, neuron)]
    return True
