"""One disjunct of a property as a search sees it: float rows, and the exact confirmation of points."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bracket import Evidence
from wdaverify.property.witness import confirm, holds

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Vector
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.property.property import Disjunct

_NEAR = 1e-6
"""Points whose rows fail by at most this are confirmed too: a cell program may repair them."""

_REPAIRS = 16
"""After so many failed confirmations no point is repaired any more: it holds as it is or not at all."""


class Case:
    """A disjunct with what is known of it.

    Attributes
    ----------
    rows, offsets
        Coefficients (R, K) and offsets (R,) of the output rows, rounded to nearest.
    strict
        Whether every output row is strict: then a maximum of exactly 0 closes.
    inner
        The float64 box of points that keep the bounds; ``None`` if there is none.
    witness
        A point (n,) that satisfies the disjunct exactly, once one is found.
    closed
        Whether it is known that there is none.
    evidence
        What that rests on: *checked*, or *solver* if a solver said so.
    failures
        Confirmations that failed so far.
    """

    def __init__(self, network: Network, disjunct: Disjunct, backend: Backend, deadline: Deadline) -> None:
        self.network, self.disjunct = network, disjunct
        self._backend, self._deadline = backend, deadline
        self.rows = np.zeros((len(disjunct.output_rows), network.outputs))
        for r, row in enumerate(disjunct.output_rows):
            for k, c in row.coefficients:
                self.rows[r, k] = float(c)
        self.offsets = np.array([float(row.offset) for row in disjunct.output_rows])
        self.strict = bool(disjunct.output_rows) and all(row.strict for row in disjunct.output_rows)
        self.inner = disjunct.inner_box()
        self.witness: Vector | None = None
        self.closed = False
        self.evidence = Evidence.CHECKED
        self.failures = 0

    @property
    def decided(self) -> bool:
        """Whether there is nothing left to do."""
        return self.closed or self.witness is not None

    def fresh(self, failures: int) -> Case:
        """The same disjunct, of which nothing is known but the failed confirmations."""
        other = copy.copy(self)
        other.witness, other.closed, other.evidence, other.failures = None, False, Evidence.CHECKED, failures
        return other

    def accept(self, point: Vector) -> bool:
        """Confirm a candidate exactly if floats say that it nearly holds, and remember it as witness if it does."""
        return self.near(point) and self.confirmed(point)

    def near(self, point: Vector) -> bool:
        """Whether a point satisfies the output rows up to a small relative error in float64."""
        if self.inner is None or not np.isfinite(point).all():
            return False
        if not len(self.rows):
            return True
        outputs = self.network.compiled.forward(np.clip(point, *self.inner)[None])[0]
        values = self.rows @ outputs + self.offsets
        return bool((values >= -_NEAR * (1.0 + np.abs(self.rows) @ np.abs(outputs))).all())

    def confirmed(self, point: Vector) -> bool:
        """Check a point exactly, after a cell program if need be."""
        if self.failures < _REPAIRS:
            self.witness = confirm(self.network, self.disjunct, point, backend=self._backend, deadline=self._deadline)
        elif self.inner is not None:
            clipped = np.clip(point, *self.inner)
            self.witness = clipped if holds(self.network, self.disjunct, clipped) else None
        self.failures += self.witness is None
        return self.witness is not None
