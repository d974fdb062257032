"""Leaves for the constant of the cross-entropy of two classes: the gradient of ``log(1 + e^g)`` is ``p = 1 / (1 + e^-g)`` of g's.

A node whose gradients of g are no longer than U holds none of the loss beyond L if ``g <= log(L / (U - L))`` there: leaf *soft*.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from wdaverify.proof.gradients import adjoint_ranges, branching_scores, norm_bound
from wdaverify.proof.leaves import BoundLeaves, node_slopes
from wdaverify.proof.thin import thin_leaf
from wdaverify.search.inputs import InputSet
from wdaverify.search.question import Question
from wdaverify.search.relaxation import PhaseRelaxation

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._types import BoolArray, Norm, Vector
    from wdaverify.proof.context import Context
    from wdaverify.proof.leaves import Record
    from wdaverify.proof.ledger import Ledger
    from wdaverify.search.relaxation import Path

_FAR = -1e30
"""No goal is that small: every program is solved to its end."""

_TIE = 1.0 + 2.0**-46
"""As in `constants`: a float bound may be the value itself."""

_INWARD = 2.0**-36
"""Part by which the bound of g is lowered, for what floats lose."""


class HasPath(Protocol):
    """A node of the tree."""

    @property
    def path(self) -> Path:
        """Its decisions."""
        ...


class LogisticTree:
    """The leaves of one proof.

    Parameters
    ----------
    row, value, norm
        ``g = row . f``, row (2,); the constant of the loss that is claimed, and its norm.
    free
        The coordinates that count, a mask (n,).
    child
        Makes a node of a path.
    """

    def __init__(
        self,
        ledger: Ledger,
        context: Context,
        row: Vector,
        value: float,
        norm: Norm,
        free: BoolArray,
        child: Callable[[Path], Any],
    ) -> None:
        self._ledger, self._context, self._row, self._value, self._norm, self._free = ledger, context, row, value, norm, free
        self._child, network = child, context.network
        question = Question.of(row[None], inputs=network.inputs)
        self._relaxation = PhaseRelaxation(ledger.backend, network, question, InputSet(context.area.regions), context.bounds)
        self._relaxation.aim(0)

    def leaf(self, node: HasPath) -> Record | list[Any] | None:
        """The record that closes a node, or its children, active first; ``None`` where neither is left."""
        compiled, path = self._context.network.compiled, node.path
        slopes, decided = node_slopes(self._context, path)
        modes = np.where(decided != 0, decided, slopes.modes())
        found = adjoint_ranges(compiled, self._row, modes)
        size = norm_bound(compiled, self._row, modes, found, self._norm, self._free)
        if size <= self._value * _TIE:
            return {"t": "leaf", "k": "jac"}
        record = self._soft(path, size)
        if record is not None:
            return record
        scores = branching_scores(compiled, modes, found)
        if not np.isfinite(scores).any():
            return thin_leaf(self._context, path, self._ledger.backend)
        k = int(np.argmax(scores))
        return [self._child((*path, s * (k + 1))) for s in (1, -1)]

    def _soft(self, path: Path, size: float) -> Record | None:
        """The leaf that bounds g, or *empty*."""
        self._relaxation.move(path)
        answer = self._relaxation.answer(_FAR, self._ledger.deadline)
        if answer.multipliers is None or self._value <= 0.0:
            return None
        most = math.log(self._value / (size - self._value))
        most -= _INWARD * (1.0 + abs(most))
        question = Question.of(self._row[None], inputs=self._context.network.inputs, offsets=np.array([-most]))
        record = BoundLeaves(self._context, question, 0.0, 1.0).close(path, answer.multipliers)
        if record is None or record["k"] == "empty":
            return record
        return {"t": "leaf", "k": "soft", "up": {key: v for key, v in record.items() if key not in ("t", "k")}}
