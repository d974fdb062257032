"""Leaves for the constant of the cross-entropy of two classes: the gradient of ``log(1 + e^g)`` is ``p = 1 / (1 + e^-g)`` of g's.

A node whose gradients of g are no longer than U holds none of the loss beyond L if ``g <= log(L / (U - L))`` there: leaf *soft*.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.proof.leaves import BoundLeaves, node_slopes
from wdaverify.proof.thin import thin_leaf
from wdaverify.search.inputs import InputSet
from wdaverify.search.question import Question
from wdaverify.search.relaxation import PhaseRelaxation

if TYPE_CHECKING:
    from wdaverify.proof.context import Context
    from wdaverify.proof.gradients import GradientBounds
    from wdaverify.proof.leaves import Record
    from wdaverify.proof.ledger import Ledger
    from wdaverify.search.relaxation import Path

_FAR = -1e30
"""No goal is that small: every program is solved to its end."""

_TIE = 1.0 + 2.0**-46
"""As in `gradient_tree`: a float bound may be the value itself."""

_INWARD = 2.0**-36
"""Part by which the bound of g is lowered, for what floats lose."""


class LogisticTree:
    """The tree of one proof; a node is the tuple of its decisions.

    Parameters
    ----------
    bounds, value
        Of the gradients of ``g = row . f``; the constant of the loss that is claimed.
    """

    def __init__(self, ledger: Ledger, context: Context, bounds: GradientBounds, value: float) -> None:
        self._ledger, self._context, self._bounds, self._row, self._value = ledger, context, bounds, bounds.form, value
        self.root: Path = ()
        network = context.network
        question = Question.of(self._row[None], inputs=network.inputs)
        self._relaxation = PhaseRelaxation(ledger.backend, network, question, InputSet(context.area.regions), context.bounds)
        self._relaxation.aim(0)

    def step(self, path: Path) -> tuple[Record, list[Path]] | None:
        """The record that closes or splits a node, and its children, active first; ``None`` where neither is left."""
        slopes, decided = node_slopes(self._context, path)
        modes = np.where(decided != 0, decided, slopes.modes())
        size = float(self._bounds.largest(modes[None])[0])
        if size <= self._value * _TIE:
            return {"t": "leaf", "k": "jac"}, []
        record = self._soft(path, size)
        if record is not None:
            return record, []
        k = self._bounds.branching(modes, self._value)
        if k is None:
            record = thin_leaf(self._context, path, self._ledger.backend)
            return None if record is None else (record, [])
        return {"t": "split", "n": k}, [(*path, s * (k + 1)) for s in (1, -1)]

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
