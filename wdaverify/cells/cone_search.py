"""All full-dimensional cells of a network without biases: cones, which are enumerated where they leave the box.

Without biases every pre-activation is positively homogeneous, and all cells meet in 0: then every side of a region that is left
out touches it there, and no proof is strict. But every ray from 0 into the box leaves it through a face that does not contain
0, so that the cones correspond to their sections with these faces, in one dimension less: an interior point of a section is one
of its cone (a linear function that vanishes on a face vanishes everywhere), and the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.cells.careful import Prefix
from wdaverify.cells.interior import interior_at
from wdaverify.cells.layer_search import FoundCells, LayerSearch
from wdaverify.cells.pieces import Frame, Propagation
from wdaverify.domain import Box
from wdaverify.ir.ops import Affine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, Matrix
    from wdaverify.cells.guide import Guide
    from wdaverify.cells.pieces import Pieces
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend


class ConeSearch:
    """The search on one network without biases and a bounded box that contains 0."""

    def __init__(self, backend: Backend, network: Network, box: Box, deadline: Deadline, *, guide: Guide | None = None) -> None:
        self._network, self._box, self._deadline = network, box, deadline
        self.frame = Frame.of(box)
        self._propagation = Propagation(network.compiled, self.frame)
        self._sections = [LayerSearch(backend, network, face, deadline, guide=guide) for face in self._faces()]
        self._seen: set[bytes] = set()

    @staticmethod
    def fits(network: Network, box: Box) -> bool:
        """Whether all cells are cones and the box contains their apex."""
        ops = (network.op(name) for name in network.order)
        no_biases = not any((op.rational.bias != 0).any() for op in ops if isinstance(op, Affine))
        return no_biases and bool(((box.lower <= 0.0) & (box.upper >= 0.0)).all()) and bool((box.lower < box.upper).any())

    def cells(self) -> Iterator[FoundCells | Prefix]:
        """Every cell once, and the prefixes that could not be decided; past the deadline all that is left."""
        while self.open:
            if self._deadline.passed:
                yield from self.prefixes()
                return
            yield from self.step()

    @property
    def open(self) -> bool:
        """Whether there is more to do."""
        return any(section.open for section in self._sections)

    def step(self) -> Iterator[FoundCells | Prefix]:
        """Work on one batch of nodes of the first face that has any."""
        for part in next(section for section in self._sections if section.open).step():
            if isinstance(part, Prefix):
                yield part
                continue
            keys = [phases.tobytes() for phases in part.phases]
            fresh = np.array([k for k, key in enumerate(keys) if key not in self._seen], dtype=np.int64)
            yield from self._inside(part.phases[fresh], part.points[fresh])
            self._seen.update(keys)

    def prefixes(self) -> list[Prefix]:
        """What is left to do on all faces."""
        return [prefix for section in self._sections for prefix in section.prefixes()]

    def _faces(self) -> Iterator[Box]:
        """The faces of the box that do not contain 0."""
        for j in range(len(self._box.lower)):
            for end in {float(self._box.lower[j]), float(self._box.upper[j])} - {0.0}:
                lower, upper = self._box.lower.copy(), self._box.upper.copy()
                lower[j] = upper[j] = end
                yield Box(lower, upper)

    def _inside(self, phases: BoolArray, points: Matrix) -> Iterator[FoundCells | Prefix]:
        """Cells with points of faces, moved half of the way to 0: the signs there are the same."""
        halves = 0.5 * points
        sure = np.asarray((2.0 * halves == points).all(axis=1))
        for b in np.flatnonzero(~sure):  # subnormal numbers
            sure[b] = interior_at(self._network, self._box, phases[b], halves[b])
            if not sure[b]:
                yield Prefix(phases[b], np.ones(phases.shape[1], dtype=bool))
        if sure.any():
            yield FoundCells(phases[sure], halves[sure], self._output(phases[sure]))

    def _output(self, phases: BoolArray) -> Pieces:
        """The logits on cells."""
        slots = self._propagation.start()
        for layer in range(len(self._network.compiled.relus)):
            slots = self._propagation.passed(slots, layer, phases)
        output = slots[self._network.compiled.output]
        assert output is not None
        return output.broadcast(len(phases))
