"""Enumerate the cells of a part of a pattern neuron by neuron, each step decided in rational arithmetic.

Slow and without tolerances: for the slivers that a search in float64 cannot tell from nothing.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify.cells.interior import InteriorKind, interior_at, interior_of
from wdaverify.ir.exact_piece import exact_forms_of_neurons

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, Vector
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend


class Prefix(NamedTuple):
    """A part of a pattern, with an interior point (n,) if one was found.

    Attributes
    ----------
    phases
        Shape (neurons,); true where active, of no meaning where not decided.
    decided
        Shape (neurons,).
    """

    phases: BoolArray
    decided: BoolArray
    point: Vector | None = None

    def extended(self, neuron: int, phase: bool, point: Vector | None = None) -> Prefix:
        """With one more phase."""
        phases, decided = self.phases.copy(), self.decided.copy()
        phases[neuron], decided[neuron] = phase, True
        return Prefix(phases, decided, point)


class CarefulSearch:
    """Exact decisions on one network and box."""

    def __init__(self, backend: Backend, network: Network, box: Box, deadline: Deadline) -> None:
        self._backend, self._network, self._box, self._deadline = backend, network, box, deadline
        self._free = box.lower < box.upper

    def cells(self, prefix: Prefix) -> Iterator[Prefix]:
        """All complete patterns with an interior (they have a point), and the prefixes that stay undecided (they have none).

        Of a neuron that is 0 on a whole cell only the active phase is listed.
        """
        pending = [prefix]
        while pending:
            prefix = pending.pop()
            if prefix.point is None:
                kind, point = self._interior(prefix)
                if kind is InteriorKind.EMPTY:
                    continue
                prefix = prefix._replace(point=point)
            if prefix.point is None or prefix.decided.all():
                yield prefix
            else:
                pending.extend(self._children(prefix, int(np.argmin(prefix.decided))))

    def _interior(self, prefix: Prefix) -> tuple[InteriorKind, Vector | None]:
        if self._deadline.passed:
            return InteriorKind.THIN, None
        network, box, deadline = self._network, self._box, self._deadline
        answer = interior_of(self._backend, network, box, prefix.phases, deadline, decided=prefix.decided)
        return answer.kind, answer.point

    def _children(self, prefix: Prefix, neuron: int) -> list[Prefix]:
        """Both phases of a neuron; the side that holds the point keeps it."""
        form = exact_forms_of_neurons(self._network, prefix.phases, np.array([neuron]))
        assert prefix.point is not None
        if not (form.coefficients[0][self._free] != 0).any():
            fixed = sum(int(a) * Fraction(x) for a, x in zip(form.coefficients[0], prefix.point, strict=True) if a)
            return [prefix.extended(neuron, fixed + int(form.constants[0]) >= 0, prefix.point)]
        children = []
        for phase in (False, True):
            child = prefix.extended(neuron, phase)
            if interior_at(self._network, self._box, child.phases, prefix.point, decided=child.decided):
                child = child._replace(point=prefix.point)
            children.append(child)
        return children
