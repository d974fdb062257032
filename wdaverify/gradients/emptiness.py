"""Whether a node holds any point at all: one warm linear program, its refusals proved and turned into no-goods."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.search.inputs import InputSet
from wdaverify.search.question import Question
from wdaverify.search.relaxation import PhaseRelaxation

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.domain import Regions
    from wdaverify.gradients.no_goods import NoGoods
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.search.neuron_bounds import NeuronBounds
    from wdaverify.search.relaxation import Path


class EmptinessTest:
    """Tries nodes for emptiness, and learns.

    Parameters
    ----------
    bounds
        Proved on the region; its unstable neurons are those that nodes decide.
    """

    def __init__(
        self, backend: Backend, network: Network, regions: Regions, bounds: NeuronBounds, no_goods: NoGoods, *, seed: int
    ) -> None:
        directions = np.random.default_rng(seed).standard_normal((1, network.outputs))
        question = Question.of(directions, inputs=network.inputs)
        self._relaxation = PhaseRelaxation(backend, network, question, InputSet(regions), bounds)
        self._no_goods = no_goods
        self._neurons = network.compiled.neurons
        self._relaxation.aim(0)  # one objective for good: every program is then warm from the last one

    def try_node(self, path: Path, deadline: Deadline) -> tuple[bool, Vector | None]:
        """Whether the node is proved empty; if not, perhaps a point (n,) that meets its relaxation.

        A node that is proved empty becomes a no-good, with as few decisions as the proof needs.
        """
        needed, point = self._relaxation.refuted(path, deadline)
        if needed is None:
            return False, point
        self._no_goods.learn(_as_row(needed, self._neurons))
        return True, None


def _as_row(path: Path, neurons: int) -> Matrix:
    row = np.zeros(neurons)
    for decision in path:
        row[abs(decision) - 1] = math.copysign(1.0, decision)
    return row
