"""Decide a VNN-LIB property: whether an input of the network has an output in the unsafe set.

Each disjunct (a box of inputs and a conjunction of linear rows) is a question of its own:

1. *Attack*: candidates from ascent are confirmed in exact arithmetic, so ``sat`` is always true.
2. *Elimination*: rigorous linear bounds show that some row fails on the whole box.
3. *Search*: branch and bound on ``max min_k g_k``; a node is closed only by a rigorous bound, so ``unsat`` is always true.

What neither finds nor closes is ``timeout`` when time ran out, else ``unknown``. A strict row counts as non-strict for the
search; where every row is strict, a maximum of exactly 0 closes too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify.attack.ascent import ascend
from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.domain import Box, Regions
from wdaverify.ir.evaluate import forward
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.replay import float_replay
from wdaverify.program.backend import get_backend
from wdaverify.property.property import Property
from wdaverify.property.rows import float_rows
from wdaverify.property.vnnlib import load_property
from wdaverify.property.witness import confirm
from wdaverify.search.goal import GoalSearch
from wdaverify.search.inputs import InputSet
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.question import Question
from wdaverify.search.relaxation import PhaseRelaxation
from wdaverify.search.tree import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wdaverify._types import Matrix, Vector
    from wdaverify.bounds.layer_bounds import LayerBounds
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.property.property import Disjunct

_CANDIDATES = 16
"""Attack points of a disjunct that are confirmed exactly."""

_NEAR = 1e-6
"""Search points whose rows fail by at most this are confirmed too: a cell program may repair them."""


class PropertyVerdict(StrEnum):
    """The words of VNN-COMP."""

    SAT = "sat"
    UNSAT = "unsat"
    TIMEOUT = "timeout"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PropertyAnswer:
    """The verdict on a property.

    Attributes
    ----------
    verdict
        ``sat`` and ``unsat`` are rigorous; see the module.
    witness
        For ``sat`` the input (n,), which satisfies the property in exact arithmetic.
    outputs
        The exact outputs there, rounded to float64.
    float_replay
        The original model's own outputs there; ``None`` without a model file.
    replay_holds
        Whether the property also holds of those float outputs.
    nodes, seconds
        Linear programs of the search, and wall time.
    """

    property: Property
    verdict: PropertyVerdict
    witness: Vector | None = None
    outputs: Vector | None = None
    float_replay: Vector | None = None
    replay_holds: bool | None = None
    nodes: int = 0
    seconds: float = field(default=0.0, compare=False)

    def __str__(self) -> str:
        return str(self.verdict)


def verify(
    network: Network,
    property: str | Path | Property,  # noqa: A002 - the word of the field
    *,
    time_limit: float | None = None,
    seed: int = 0,
    solver: str = "highs",
) -> PropertyAnswer:
    """Decide whether some input satisfies a VNN-LIB property, which describes the unsafe behaviour.

    Parameters
    ----------
    property
        A ``.vnnlib`` or ``.vnnlib.gz`` file, or a loaded `Property`.
    time_limit
        Wall seconds after which the verdict is ``timeout``.

    Raises
    ------
    InputError
        If the file cannot be used, or does not fit the network.
    """
    started, deadline = time.monotonic(), Deadline.after(time_limit)
    question = (
        property if isinstance(property, Property) else load_property(property, inputs=network.inputs, outputs=network.outputs)
    )
    if (question.inputs, question.outputs) != (network.inputs, network.outputs):
        raise InputError(
            f"the property has {question.inputs} inputs and {question.outputs} outputs, "
            f"the network {network.inputs} and {network.outputs}"
        )
    run = _Run(network, deadline, get_backend(solver), seed)
    verdict = run.decide([d for d in question.disjuncts if not d.empty])
    answer = PropertyAnswer(property=question, verdict=verdict, nodes=run.nodes, seconds=time.monotonic() - started)
    if run.witness is None:
        return answer
    replay, holds = _replayed(network, question, run.witness)
    outputs = np.array([float(v) for v in exact_forward(network, run.witness.tolist())])
    return replace(answer, witness=run.witness, outputs=outputs, float_replay=replay, replay_holds=holds)


def _replayed(network: Network, question: Property, witness: Vector) -> tuple[Vector | None, bool | None]:
    """What the stored model itself says at a witness, and whether the property holds of that."""
    replay = float_replay(network, witness[None])
    if replay is None or not np.isfinite(replay).all():
        return None, None
    return replay[0], question.holds(witness.tolist(), replay[0].tolist())


class _Run:
    """One verification in progress."""

    def __init__(self, network: Network, deadline: Deadline, backend: Backend, seed: int) -> None:
        self.network, self.deadline, self.backend, self.seed = network, deadline, backend, seed
        self.witness: Vector | None = None
        self.nodes = 0
        self._bounds: dict[bytes, tuple[Regions, LayerBounds]] = {}

    def decide(self, disjuncts: list[Disjunct]) -> PropertyVerdict:
        """Attack every disjunct, then close every one."""
        for disjunct in disjuncts:
            if self.deadline.passed:
                return PropertyVerdict.TIMEOUT
            if self._attack(disjunct):
                return PropertyVerdict.SAT
        stuck = False
        for disjunct in disjuncts:
            end = self._close(disjunct)
            if end is Verdict.FOUND:
                return PropertyVerdict.SAT
            stuck = stuck or end is Verdict.OPEN
            if self.deadline.passed:
                return PropertyVerdict.TIMEOUT
        return PropertyVerdict.UNKNOWN if stuck else PropertyVerdict.UNSAT

    def _attack(self, disjunct: Disjunct) -> bool:
        inner = disjunct.inner_box()
        if inner is None:
            return False
        rows, offsets = self._float_rows(disjunct)
        candidates = ascend(self.network, rows, offsets, Box(*inner), seed=self.seed) if len(rows) else np.array([inner[0]])
        return any(self._confirm(disjunct, point) for point in candidates[:_CANDIDATES] if self._near(disjunct, point))

    def _close(self, disjunct: Disjunct) -> Verdict:
        """Eliminate a disjunct by linear bounds, or search it."""
        regions, bounds = self._bounded(disjunct)
        if self._eliminated(disjunct, regions, bounds):
            return Verdict.CLOSED
        neurons = NeuronBounds.of(self.network, regions, bounds)
        if not neurons.finite:  # bounds beyond float64: nothing can be proved here
            return Verdict.OPEN

        def accept(point: Vector) -> bool:
            return self._near(disjunct, point) and self._confirm(disjunct, point)

        search = self._search(disjunct, InputSet(regions), neurons, accept)
        verdict = search.run(2**60, self.deadline)
        self.nodes += search.programs
        return verdict

    def _bounded(self, disjunct: Disjunct) -> tuple[Regions, LayerBounds]:
        """Bounds on the disjunct's box, computed once for all disjuncts that share it."""
        lower, upper = disjunct.outer_box()
        key = lower.tobytes() + upper.tobytes()
        if key not in self._bounds:
            regions = Regions(lower[None], upper[None])
            self._bounds[key] = (regions, crown_bounds(self.network, regions))
        return self._bounds[key]

    def _eliminated(self, disjunct: Disjunct, regions: Regions, bounds: LayerBounds) -> bool:
        """Whether some row is negative on the whole box, by a bound with the rounding of its coefficients charged."""
        rows, offsets = self._float_rows(disjunct)
        if not len(rows):
            return False
        ceilings = crown_objectives(self.network, regions, bounds, rows)[0]
        output = self.network.output
        magnitude = np.maximum(np.abs(bounds.lower[output][0]), np.abs(bounds.upper[output][0]))
        rounding = 2.0**-50 * (np.abs(rows) @ magnitude + np.abs(offsets) + np.abs(ceilings)) + 1e-300
        return bool((ceilings + offsets + rounding < 0.0).any())

    def _search(self, disjunct: Disjunct, inputs: InputSet, bounds: NeuronBounds, accept: Callable[[Vector], bool]) -> GoalSearch:
        """The search for a point where the least of the output rows is not negative, under the rows of the inputs."""
        strict = bool(disjunct.output_rows) and all(row.strict for row in disjunct.output_rows)
        if strict:  # a maximum of exactly 0 must follow from cells, not from bounds that end an ulp beyond it
            bounds = bounds.loosened()
        magnitudes = bounds.charges.magnitudes
        rows = float_rows(disjunct.output_rows, magnitudes[self.network.compiled.output])
        side = float_rows(disjunct.input_rows, magnitudes[self.network.compiled.input])
        question = Question(*rows, *side)

        def build(tighter: NeuronBounds) -> PhaseRelaxation:
            return PhaseRelaxation(self.backend, self.network, question, inputs, tighter, zero_closes=strict)

        return GoalSearch(build(bounds), build, None, accept)

    def _float_rows(self, disjunct: Disjunct) -> tuple[Matrix, Vector]:
        """Coefficients (R, K) and offsets (R,) of the output rows, rounded to nearest."""
        rows = np.zeros((len(disjunct.output_rows), self.network.outputs))
        for r, row in enumerate(disjunct.output_rows):
            for k, c in row.coefficients:
                rows[r, k] = float(c)
        return rows, np.array([float(row.offset) for row in disjunct.output_rows])

    def _near(self, disjunct: Disjunct, point: Vector) -> bool:
        """Whether a point satisfies the output rows up to a small relative error in float64."""
        rows, offsets = self._float_rows(disjunct)
        if not len(rows):
            return True
        inner = disjunct.inner_box()
        if inner is None:
            return False
        outputs = forward(self.network, np.clip(point, *inner)[None])[0]
        values = rows @ outputs + offsets
        return bool((values >= -_NEAR * (1.0 + np.abs(rows) @ np.abs(outputs))).all())

    def _confirm(self, disjunct: Disjunct, point: Vector) -> bool:
        """Check a point exactly, after a cell program if need be; remember it as witness if it holds."""
        found = confirm(self.network, disjunct, point, backend=self.backend, deadline=self.deadline)
        if found is not None:
            self.witness = found
        return found is not None
