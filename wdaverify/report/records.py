"""The JSON objects, field by field (a file is one of the `Document` kinds)."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec

from wdaverify._types import Norm
from wdaverify.bracket import Evidence

SCHEMA = "wdaverify/1"


def _one_of(*values: str) -> msgspec.Meta:
    """What the published schema says of a field that has few values."""
    return msgspec.Meta(extra_json_schema={"enum": list(values)})


Real: TypeAlias = float | Annotated[str, _one_of("inf", "-inf", "nan")]
"""A float64, or ``"inf"`` / ``"-inf"``; only float outputs of a model may be ``"nan"``."""


DECIDED = frozenset({"sat", "unsat", "exact"})
"""Verdicts of instances that leave nothing open."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON object with fixed fields."""


class ModelRecord(Record, frozen=True, kw_only=True):
    """The model file and what was read from it."""

    file: str | None
    sha256: str | None
    inputs: int
    outputs: int
    relus: int


class DataRecord(Record, frozen=True, kw_only=True):
    """The data file and how many of its samples were used."""

    file: str | None
    sha256: str | None
    samples: int


class BracketRecord(Record, frozen=True, kw_only=True):
    """An interval that holds the truth."""

    lower: Real
    upper: Real
    status: Annotated[str, _one_of("exact", "bracket")]
    evidence: Annotated[str, _one_of(*Evidence)]


class DistanceRecord(Record, frozen=True, kw_only=True):
    """The minimum adversarial distance of a sample."""

    sample: int
    label: int
    distance: BracketRecord
    target: int | None
    point: list[float] | None
    float_replay: list[Real] | None


class AtomRecord(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of mass; its point is left out where an `.npz` holds it."""

    source: int
    label: int
    mass: float
    cost: Real
    point: list[float] | None = None


class PlanRecord(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A transport plan; `points` names the `.npz` that holds the points, row k for atom k."""

    atoms: list[AtomRecord]
    points: str | None = None


class CurveRecord(Record, frozen=True, kw_only=True):
    """The worst-case risk at one radius."""

    radius: float
    worst_case_risk: BracketRecord
    multiplier: Real | None
    plan: PlanRecord


class ThreatRecord(Record, frozen=True, kw_only=True):
    """Ground norm and order of the Wasserstein distance."""

    norm: Annotated[str, _one_of(*Norm)]
    order: Real


class BoundRecord(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Upper bounds by another certificate, for comparison: one per radius, from constants per functional or sample.

    `note` says why there are no constants, or what they left open.
    """

    name: str
    constants: dict[str, Real]
    worst_case_risk: list[Real]
    note: str = ""


class ConstantRecord(Record, frozen=True, kw_only=True):
    """A Lipschitz constant; `point` is where it is attained, if known."""

    functional: str
    norm: str
    value: BracketRecord
    point: list[float] | None = None
    float_replay: list[Real] | None = None


class SlopeRecord(Record, frozen=True, kw_only=True):
    """How fast a functional grows at infinity, and in which direction."""

    functional: str
    norm: str
    value: BracketRecord
    direction: list[float] | None


class ConstantBoundRecord(Record, frozen=True, kw_only=True):
    """Upper bounds of constants by another method, for comparison."""

    name: str
    constants: dict[str, Real]


class LayerRecord(Record, frozen=True, kw_only=True):
    """A node of the graph; `unstable` counts ReLUs of either sign over the domain (``null``: domain not bounded)."""

    name: str
    op: str
    size: int
    sources: list[str]
    unstable: int | None


class Document(Record, frozen=True, kw_only=True):
    """What every file has. `interrupted` tells that the search was stopped; the brackets hold all the same."""

    schema: str = SCHEMA
    kind: str
    semantics: str = "real"
    model: ModelRecord
    domain: dict[str, Any] | str
    options: dict[str, Any]
    versions: dict[str, str]
    seconds: float
    interrupted: bool = False


class RiskDocument(Document, frozen=True, kw_only=True):
    """kind ``risk``."""

    data: DataRecord
    threat: ThreatRecord
    loss: str
    nominal_risk: float
    curve: list[CurveRecord]
    bounds: list[BoundRecord]
    distances: list[DistanceRecord]
    kind: str = "risk"


class DistanceDocument(Document, frozen=True, kw_only=True):
    """kind ``distance``."""

    data: DataRecord
    distances: list[DistanceRecord]
    kind: str = "distance"


class FoundRecord(Record, frozen=True, kw_only=True):
    """The adversarial point that an attack knows of a sample: `part` of the attack found it."""

    sample: int
    label: int
    distance: Real
    target: int | None
    point: list[float] | None
    part: str | None


class AttackCurveRecord(Record, frozen=True, kw_only=True):
    """Accuracies at a radius: pointwise, of the distribution of the given order, and of WDA's mixture."""

    radius: float
    robust_accuracy: float
    worst_case_accuracy: float
    mixture_accuracy: float
    plan: PlanRecord


class AttackDocument(Document, frozen=True, kw_only=True):
    """kind ``attack``."""

    data: DataRecord
    threat: ThreatRecord
    method: str
    clean_accuracy: float
    distances: list[FoundRecord]
    curve: list[AttackCurveRecord]
    forward: int
    backward: int
    attacked: int
    kind: str = "attack"


class LipschitzDocument(Document, frozen=True, kw_only=True):
    """kind ``lipschitz``; `slopes` only on R^n, `bounds` only from ``certify``."""

    constants: list[ConstantRecord]
    slopes: list[SlopeRecord] | msgspec.UnsetType = msgspec.UNSET
    bounds: list[ConstantBoundRecord] | msgspec.UnsetType = msgspec.UNSET
    kind: str = "lipschitz"


class InspectDocument(Document, frozen=True, kw_only=True):
    """kind ``inspect``."""

    input_shape: list[int]
    notes: list[str]
    layers: list[LayerRecord]
    kind: str = "inspect"


class PropertyRecord(Record, frozen=True, kw_only=True):
    """The property file."""

    file: str | None
    sha256: str | None


class WitnessRecord(Record, frozen=True, kw_only=True):
    """A counterexample: the input and the exact outputs rounded to float64."""

    x: list[float]
    y: list[Real]


class PropertyDocument(Document, frozen=True, kw_only=True):
    """kind ``property``. The domain is that of the property."""

    property: PropertyRecord
    verdict: Annotated[str, _one_of("sat", "unsat", "timeout", "unknown")]
    evidence: Annotated[str, _one_of(*Evidence)] | None
    witness: WitnessRecord | None
    float_replay: list[Real] | None
    float_replay_holds: bool | None
    kind: str = "property"


class InstanceRecord(Record, frozen=True, kw_only=True):
    """A finished row of a list; `lower` and `upper` are the ends of all its brackets."""

    instance: int
    command: str
    model: str
    subject: str
    options: dict[str, str]
    timeout: float | None
    verdict: str
    lower: list[Real]
    upper: list[Real]
    seconds: float
    error: str


class BenchDocument(Record, frozen=True, kw_only=True):
    """kind ``bench``: a list of instances, `file`, and what they came to."""

    schema: str = SCHEMA
    kind: str = "bench"
    file: str
    sha256: str
    options: dict[str, Any]
    versions: dict[str, str]
    seconds: float
    instances: list[InstanceRecord]
