"""What follows from the decisions of a batch of nodes before any gradient is looked at: phases, bounds, emptiness."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.boxes import Boxes, Origin, tightened
from wdaverify.gradients.node import longer_path, phases_of, stacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Matrix
    from wdaverify.gradients.ground import Ground
    from wdaverify.gradients.node import Node


def refreshed(ground: Ground, nodes: Sequence[Node]) -> list[Node]:
    """The nodes that are not proved empty, with the phases that no-goods and linear bounds imply."""
    if not nodes:
        return []
    phases = stacked(nodes, "phases")
    alive = np.flatnonzero(~ground.no_goods.propagate(phases))
    if not len(alive):
        return []
    nodes, phases = [nodes[m] for m in alive.tolist()], phases[alive]
    low, high = _cut(stacked(nodes, "low"), stacked(nodes, "high"), phases)
    box = ground.box
    ends = np.tile(box.lower, (len(nodes), 1)), np.tile(box.upper, (len(nodes), 1))
    boxes = tightened(Origin(ground.network.compiled, ground.bounds.charges), Boxes(*ends, low, high)).boxes
    low, high = boxes.low, boxes.high
    empty = (low > high).any(axis=1)
    phases = np.where(phases != 0, phases, phases_of(low, high))
    empty |= ground.no_goods.propagate(phases)
    low, high = _cut(low, high, phases)
    return [
        replace(node, path=longer_path(node, phases[m], ground.bounds), phases=phases[m], low=low[m], high=high[m])
        for m, node in enumerate(nodes)
        if not empty[m]
    ]


def _cut(low: Matrix, high: Matrix, phases: Matrix) -> tuple[Matrix, Matrix]:
    """The bounds with what decided phases say."""
    return np.where(phases > 0, np.maximum(low, 0.0), low), np.where(phases < 0, np.minimum(high, 0.0), high)
