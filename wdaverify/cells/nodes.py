"""A batch of prefixes of patterns, with what is known of the network on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.cells.pieces import Pieces

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Vector
    from wdaverify.cells.pieces import Slots
    from wdaverify.cells.regions import Regions


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """B prefixes that end in one layer.

    Attributes
    ----------
    layer
        The ReLU step whose neurons are being decided; behind the last one nothing is open.
    open
        Its neurons that are not decided yet, shape (B, size).
    phases
        Shape (B, neurons).
    slots
        All slots up to their pre-activations.
    worth
        How promising they are, shape (B,); 0 where nobody said.
    """

    layer: int
    open: BoolArray
    phases: BoolArray
    slots: Slots
    regions: Regions
    worth: Vector

    @property
    def count(self) -> int:
        """Number B of prefixes."""
        return len(self.phases)

    def __getitem__(self, chosen: IntArray | BoolArray | slice) -> Nodes:
        slots = tuple(pieces if pieces is None or pieces.shared else pieces[chosen] for pieces in self.slots)
        return Nodes(self.layer, self.open[chosen], self.phases[chosen], slots, self.regions[chosen], self.worth[chosen])

    @staticmethod
    def joined(parts: list[Nodes]) -> Nodes:
        """All nodes of several batches of one layer."""
        if len(parts) == 1:
            return parts[0]
        counts = [part.count for part in parts]
        slots = tuple(Pieces.joined(list(slot), counts) for slot in zip(*(part.slots for part in parts), strict=True))
        open_, phases, worth = (np.concatenate([getattr(part, name) for part in parts]) for name in ("open", "phases", "worth"))
        regions = parts[0].regions.joined([part.regions for part in parts[1:]])
        return Nodes(parts[0].layer, open_, phases, slots, regions, worth)
