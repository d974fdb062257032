"""Decide a VNN-LIB property: whether an input of the network has an output in the unsafe set.

Each disjunct (a box of inputs and a conjunction of linear rows) is a question of its own:

1. *Elimination*: rigorous linear bounds show that some row fails on the whole box.
2. *Attack*: candidates from ascent are confirmed in exact arithmetic, so ``sat`` is always true.
3. *Search*: branch and bound over boxes of inputs where they are few, and over activation phases; a box or a node is closed
   only by a rigorous bound, so ``unsat`` is always true. Or, as second opinion, one mixed-integer program per disjunct; then
   ``unsat`` is a solver's word, and marked so.

What neither finds nor closes is ``timeout`` when time ran out, else ``unknown``. A strict row counts as non-strict for the
search; where every row is strict, a maximum of exactly 0 closes too.
"""

from __future__ import annotations

import numbers
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify._errors import AuditError, InputError
from wdaverify.bracket import Evidence
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.replay import float_replay
from wdaverify.program.backend import get_backend
from wdaverify.property.property import Property
from wdaverify.property.run import PropertyVerdict, Run
from wdaverify.property.vnnlib import load_property
from wdaverify.search.engine_names import engine_for

if TYPE_CHECKING:
    from pathlib import Path

    from wdaverify._types import Vector
    from wdaverify.ir.network import Network


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PropertyAnswer:
    """The verdict on a property.

    Attributes
    ----------
    verdict
        ``sat`` is rigorous, and ``unsat`` is where its evidence is *checked*; see the module.
    evidence
        What ``sat`` and ``unsat`` rest on: *checked*, or *solver*; ``None`` for the other verdicts.
    witness
        For ``sat`` the input (n,), which satisfies the property in exact arithmetic.
    outputs
        The exact outputs there, rounded to float64.
    float_replay
        The original model's own outputs there; ``None`` without a model file.
    replay_holds
        Whether the property also holds of those float outputs.
    nodes, seconds
        Boxes and linear programs of the searches, and wall time.
    """

    property: Property
    verdict: PropertyVerdict
    evidence: Evidence | None = None
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
    engine: str | None = None,
    solver: str = "highs",
    workers: int = 1,
) -> PropertyAnswer:
    """Decide whether some input satisfies a VNN-LIB property, which describes the unsafe behaviour.

    Parameters
    ----------
    property
        A ``.vnnlib`` or ``.vnnlib.gz`` file, or a loaded `Property`.
    time_limit
        Wall seconds after which the verdict is ``timeout``.
    engine
        ``search`` (rigorous) or ``milp`` (mixed-integer programs, the second opinion); by default ``search`` if the solver can
        run it.
    solver
        Name of the backend: ``highs`` for both engines, ``cbc`` for ``milp`` only.
    workers
        Processes that share what the cheap start leaves open; 1 does it all in this process. The answer does not depend on it
        unless time runs out. A script that uses more needs ``if __name__ == "__main__":``.

    Raises
    ------
    InputError
        If the file cannot be used, or does not fit the network, or an option is out of its range.

    Examples
    --------
    No other class is possible near the first flower, but one is near the eighth:

    >>> import wdaverify as wv
    >>> network = wv.load("instances/iris/iris-16-16.onnx")
    >>> print(verify(network, "instances/properties/iris-0-0.02.vnnlib"))
    unsat
    >>> print(verify(network, "instances/properties/iris-7-0.1.vnnlib"))
    sat
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
    chosen = engine_for(engine, solver)
    run = Run(network, get_backend(solver), deadline, seed=seed, engine=chosen, workers=_at_least_one(workers))
    verdict = run.decide([d for d in question.disjuncts if not d.empty])
    answer = PropertyAnswer(property=question, verdict=verdict, nodes=run.nodes, seconds=time.monotonic() - started)
    if run.sat is None or run.sat.witness is None:
        return replace(answer, evidence=run.evidence) if verdict is PropertyVerdict.UNSAT else answer
    return _with_witness(answer, network, run.sat.witness)


def _at_least_one(workers: object) -> int:
    """A number of worker processes."""
    if isinstance(workers, bool) or not isinstance(workers, numbers.Integral) or workers < 1:
        raise InputError(f"workers {workers} is not a whole number >= 1")
    return int(workers)


def _with_witness(answer: PropertyAnswer, network: Network, witness: Vector) -> PropertyAnswer:
    """The answer ``sat``, after one more look at its witness, which may come from another process."""
    outputs = exact_forward(network, witness.tolist())
    if not answer.property.holds(witness.tolist(), outputs):
        raise AuditError("the counterexample that was found does not satisfy the property in exact arithmetic")
    replay, holds = _replayed(network, answer.property, witness)
    return replace(
        answer,
        evidence=Evidence.CHECKED,
        witness=witness,
        outputs=np.array([float(v) for v in outputs]),
        float_replay=replay,
        replay_holds=holds,
    )


def _replayed(network: Network, question: Property, witness: Vector) -> tuple[Vector | None, bool | None]:
    """What the stored model itself says at a witness, and whether the property holds of that."""
    replay = float_replay(network, witness[None])
    if replay is None or not np.isfinite(replay).all():
        return None, None
    return replay[0], question.holds(witness.tolist(), replay[0].tolist())
