"""Claims: their fields, and what a stream must prove for those that have one.

A claim is checked from its own fields, the model, the data and the property alone. What the report says is compared later
(`binding`). A claim may name only earlier ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .context import End
from .data import Samples
from .domain import Region
from .num import Rejected, end_number, number, shown, whole
from .program import Form, Program
from .tree import Outcome, float_text
from .vnnlib import Disjunct

NORMS = ("l1", "l2", "linf")
_FIELDS: dict[str, tuple[str, str]] = {
    "sat": ("x", ""),
    "unsat": ("", "round"),
    "max": ("objective value", "ball cutoff round"),
    "point": ("objective x value", "recession norm"),
    "distance": ("sample norm radius value", "round"),
    "adversary": ("sample norm x value", ""),
    "lip": ("functional norm value", "round of k price"),
    "liplow": ("functional norm value", "pair at"),
    "slope": ("objective norm value", "cutoff round"),
    "price": ("sample norm p lambda loss value", "objective ce ball within cutoff round"),
    "risk_upper": ("radius order norm loss value", "objective lambda terms constants at_sample"),
    "risk_lower": ("radius order norm loss atoms value", "objective points"),
    "all": ("of value", ""),
}
OF_SAMPLES = ("distance", "adversary", "price", "risk_upper", "risk_lower")
"""Claims that have rules on domains that are more than a box: those that speak about samples."""
STREAMED = ("unsat", "max", "distance", "lip", "slope", "price")
_FUNCTIONAL = re.compile(
    r"(logit|label|loss:(?:margin|hinge|cross-entropy)):([0-9]{1,9})|margin:([0-9]{1,9})-([0-9]{1,9})", re.ASCII
)


@dataclass
class Claim:
    """A claim: its fields as written, its value (None: infinite), and how it is worded once it is proved."""

    id: str
    kind: str
    fields: dict[str, Any]
    about: tuple[str, str] | None = None
    value: Fraction | None = None
    outcome: Outcome | None = None

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def get(self, name: str) -> Any:
        """A field that may be absent."""
        return self.fields.get(name)

    def number(self, name: str) -> Fraction:
        """A field that is a number."""
        return number(self.fields[name], name)

    @property
    def streamed(self) -> bool:
        """Whether a stream proves it; a constant of the cross-entropy is derived from other claims."""
        return self.kind in STREAMED and "of" not in self.fields

    def text(self) -> str:
        """The statement in one line."""
        names = ("functional", "objective", "sample", "loss", "lambda", "radius", "order", "norm")
        words = [f"{n} {_plain(self.fields[n])}" for n in names if n in self.fields]
        if "value" not in self.fields:
            return " ".join((self.kind, *words))
        sign = ">=" if self.kind in ("point", "distance", "liplow", "risk_lower") else "<="
        return " ".join((self.kind, *words, sign, "inf" if self.value is None else float_text(self.value)))


def _plain(value: Any) -> str:
    return shown(value).strip("'") if not isinstance(value, list) else "".join(c for c in str(value)[:80] if c.isprintable())


@dataclass
class Case:
    """Everything that claims speak about."""

    program: Program
    region: Region = field(default_factory=Region)
    samples: Samples | None = None
    disjuncts: list[Disjunct] | None = None
    claims: dict[str, Claim] = field(default_factory=dict)

    @property
    def low(self) -> list[End]:
        """Lower ends of the domain."""
        return self.region.low

    @property
    def high(self) -> list[End]:
        """Upper ends of the domain."""
        return self.region.high

    def sample(self, value: Any) -> int:
        """The index of a sample, which must lie in the domain."""
        if self.samples is None:
            raise Rejected("speaks about samples, but the report names no data")
        i = whole(value, "sample", len(self.samples.labels))
        if self.samples.width != self.program.inputs:
            raise Rejected(f"samples have {self.samples.width} coordinates, the model {self.program.inputs} inputs")
        self.inside(list(self.center(i)), f"sample {i}")
        return i

    def center(self, i: int) -> tuple[Fraction, ...]:
        """The coordinates of sample i."""
        assert self.samples is not None
        return self.samples.point(i)

    def label(self, i: int) -> int:
        """The label of sample i, an output of the model."""
        assert self.samples is not None
        return self.output(self.samples.labels[i])

    def output(self, k: Any) -> int:
        """The index of an output."""
        return whole(k, "output", len(self.program.outputs))

    def point(self, value: Any) -> list[Fraction]:
        """A point with a number for every input."""
        if type(value) is not list or len(value) != self.program.inputs:
            raise Rejected(f"a point is no list of {self.program.inputs} numbers")
        return [number(v, "coordinate") for v in value]

    def inside(self, x: list[Fraction], what: str, sample: int | None = None) -> list[Fraction]:
        """The point, which must lie in the domain, where the sample's frozen coordinates do not move."""
        broken = self.region.broken(x, None if sample is None else self.center(sample))
        if broken is not None:
            raise Rejected(f"{what} {broken}")
        return x

    def step(self, x: list[Fraction], i: int) -> list[Fraction]:
        """The weighted step of a point from sample i, whose norm is the distance."""
        return self.region.step(x, self.center(i))

    def objective(self, claim: Claim, *, homogeneous: bool = False) -> Form:
        """``sum c_k f_k``."""
        return self.program.objective(coefficients(self, claim["objective"]), homogeneous=homogeneous)

    def others(self, label: int) -> list[int]:
        """All outputs but one, of which there must be one."""
        found = [j for j in range(len(self.program.outputs)) if j != label]
        if not found:
            raise Rejected("a model with one output has no classes")
        return found

    def difference(self, j: int, k: int) -> Form:
        """``f_j - f_k``."""
        return self.program.objective({j: Fraction(1), k: Fraction(-1)})

    def earlier(self, value: Any, kinds: tuple[str, ...]) -> Claim:
        """A claim that was proved before."""
        claim = self.claims.get(value) if type(value) is str else None
        if claim is None or claim.kind not in kinds:
            raise Rejected(f"{shown(value)} is no earlier claim of kind {' or '.join(kinds)}")
        return claim


def parse(raw: Any) -> Claim:
    """A claim with exactly the fields of its kind."""
    if type(raw) is not dict or type(raw.get("kind")) is not str or type(raw.get("id")) is not str:
        raise Rejected("a claim has no kind or no id")
    kind = raw["kind"]
    required, optional = (set(names.split()) for names in _FIELDS.get(kind, ("", "")))
    given = set(raw) - {"id", "kind", "about"}
    if kind not in _FIELDS or given - required - optional or required - given:
        raise Rejected(f"claim {shown(raw['id'])}: unknown kind {shown(kind)}, or wrong fields {sorted(given ^ required)[:4]}")
    if "norm" in raw and raw["norm"] not in NORMS:
        raise Rejected(f"claim {shown(raw['id'])}: norm {shown(raw['norm'])}")
    about = raw.get("about")
    if about is not None and not (type(about) is list and len(about) == 2 and all(type(v) is str for v in about)):
        raise Rejected(f"claim {shown(raw['id'])}: about is no [pointer, end]")
    claim = Claim(raw["id"], kind, raw, (about[0], about[1]) if about else None)
    if "value" in raw:
        claim.value = end_number(raw["value"], "value")
        if claim.value is None and kind not in ("distance", "adversary"):
            raise Rejected(f"claim {shown(claim.id)}: an infinite value")
    return claim


def coefficients(case: Case, value: Any) -> dict[int, Fraction]:
    """An objective ``[[output, coefficient], ...]``."""
    if type(value) is not list or not all(type(pair) is list and len(pair) == 2 for pair in value):
        raise Rejected("an objective is no list of [output, coefficient]")
    found = {case.output(k): number(w, "coefficient") for k, w in value}
    if len(found) < len(value) or not found:
        raise Rejected("an objective is empty or repeats an output")
    return found


def functional(case: Case, name: Any) -> tuple[str, tuple[int, ...]]:
    """A functional as its kind and outputs: ``logit``, ``margin`` (two outputs), ``label``, ``loss:margin``, ...."""
    match = _FUNCTIONAL.fullmatch(name) if type(name) is str else None
    if match is None:
        raise Rejected(f"functional {shown(name)}")
    kind = match[1] or "margin"
    outputs = tuple(case.output(int(v)) for v in (match[2], match[3], match[4]) if v is not None)
    if len(set(outputs)) < len(outputs):
        raise Rejected(f"functional {shown(name)}")
    return kind, outputs
