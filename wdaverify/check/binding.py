"""What the report says is compared with what was proved: every end of every bracket that is marked ``proved``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .claims import Case, Claim, coefficients, functional
from .losses import members_of, proves_label
from .num import Real, Rejected, exp, number, real, shown
from .risk import Threat

_LOSSES = {"cross-entropy": "ce"}


@dataclass
class Bracket:
    """A bracket of the report: where it is, what it is about, and its ends."""

    pointer: str
    kinds: tuple[str, ...]  # of claims for the lower and the upper end
    entry: dict[str, Any]
    lower: Real
    upper: Real


class Binding:
    """The comparison of a report with the accepted claims."""

    def __init__(self, case: Case, report: dict[str, Any]) -> None:
        self.case, self.report = case, report
        self.bound = 0

    def run(self) -> int:
        """Check the whole report; the number of brackets and verdicts that are proved."""
        if self.report.get("evidence") == "proved":
            self._verdict()
        for name, field, lower, upper in (
            ("constants", "value", "liplow", "lip"),
            ("slopes", "value", "point", "slope"),
            ("distances", "distance", "distance", "adversary"),
            ("curve", "worst_case_risk", "risk_lower", "risk_upper"),
        ):
            entries = self.report.get(name, [])
            for k, entry in enumerate(entries if type(entries) is list else []):
                found = entry.get(field) if type(entry) is dict else None
                if type(found) is dict and found.get("evidence") == "proved":
                    self._bracket(f"/{name}/{k}/{field}", (lower, upper), entry, found)
        marked = _count_proved({k: v for k, v in self.report.items() if k != "proof"})
        if marked != self.bound:
            raise Rejected(f"{marked} entries are marked proved, of which {self.bound} can be")
        if not self.bound:
            raise Rejected("nothing in the report is marked proved")
        if "nominal_risk" in self.report:
            self._nominal()
        return self.bound

    def _claims(self, pointer: str, end: str, kinds: tuple[str, ...]) -> list[Claim]:
        return [c for c in self.case.claims.values() if c.about == (pointer, end) and c.kind in kinds]

    def _verdict(self) -> None:
        verdict = self.report.get("verdict")
        claims = self._claims("/verdict", "verdict", (verdict,)) if verdict in ("sat", "unsat") else []
        if not claims:
            raise Rejected(f"no claim proves the verdict {shown(verdict)}")
        witness = self.report.get("witness")
        if witness is not None and not any(_same_point(witness.get("x"), c) for c in claims if type(witness) is dict):
            raise Rejected("the witness is not the point that is proved")
        self.bound += 1

    def _bracket(self, pointer: str, kinds: tuple[str, str], entry: dict[str, Any], found: dict[str, Any]) -> None:
        lower, upper = real(found.get("lower"), f"{pointer}/lower"), real(found.get("upper"), f"{pointer}/upper")
        bracket = Bracket(pointer, kinds, entry, lower, upper)
        trivial = kinds[1] != "risk_upper" and lower == 0
        if not trivial and not any(self._fits(bracket, c, "lower") for c in self._claims(pointer, "lower", (kinds[0],))):
            raise Rejected(f"{pointer}: no accepted claim implies the lower end {shown(found.get('lower'))}")
        uppers = self._claims(pointer, "upper", (kinds[1], "all"))
        if upper != math.inf and not any(self._fits(bracket, c, "upper") for c in uppers):
            raise Rejected(f"{pointer}: no accepted claim implies the upper end {shown(found.get('upper'))}")
        if lower > upper:
            raise Rejected(f"{pointer}: the lower end is above the upper end")
        self._status(bracket, found.get("status"))
        self.bound += 1

    def _status(self, bracket: Bracket, status: Any) -> None:
        if status == "exact" and bracket.lower != bracket.upper:
            options = self.report.get("options")
            gap = real(options.get("gap", 1e-6) if type(options) is dict else 1e-6, "gap")
            lower, upper = bracket.lower, bracket.upper
            finite = isinstance(lower, Fraction) and isinstance(upper, Fraction)
            if not finite or upper - lower > gap * max(Fraction(1), abs(Fraction(upper))):
                raise Rejected(f"{bracket.pointer}: is called exact")

    def _fits(self, bracket: Bracket, claim: Claim, end: str) -> bool:
        """Whether a claim is about this bracket and implies its end."""
        stated = bracket.lower if end == "lower" else bracket.upper
        value = math.inf if claim.value is None else claim.value
        if (value < stated) if end == "lower" else (value > stated):
            return False
        name = bracket.pointer.split("/")[1]
        return bool(getattr(self, f"_fits_{name}")(bracket, claim, end))

    def _fits_constants(self, bracket: Bracket, claim: Claim, end: str) -> bool:
        name, norm = bracket.entry.get("functional"), self._norm(bracket.entry)
        kind, outputs = functional(self.case, name)
        grows = kind in ("label", "loss:margin", "loss:hinge")
        if end == "upper" and grows and proves_label(self.case, claim, outputs[0], str(norm)):
            return True  # the largest margin, and its hinge, grow no faster than the fastest
        if claim.kind == "all":
            return False
        own = functional(self.case, claim["functional"])
        if claim["norm"] != norm:
            return False
        if end == "lower" and kind == "label" and own[0] == "margin":
            return outputs[0] in own[1]
        return own == (kind, outputs) or (kind == own[0] == "margin" and set(outputs) == set(own[1]))

    def _fits_slopes(self, bracket: Bracket, claim: Claim, end: str) -> bool:
        kind, outputs = functional(self.case, bracket.entry.get("functional"))
        if any(end is not None for end in (*self.case.low, *self.case.high)):
            return False  # a direction of a claim may leave this domain
        one = Fraction(1)
        if kind == "logit":
            wanted = [{outputs[0]: one}]
        elif kind == "margin":
            wanted = [{outputs[0]: one, outputs[1]: -one}]
        else:  # the largest of the margins; of the cross-entropy and the hinge also 0, which is trivial as a lower end
            wanted = [{j: one, outputs[0]: -one} for j in self.case.others(outputs[0])]
            if kind in ("loss:cross-entropy", "loss:hinge") and end == "upper" and bracket.upper < 0:
                return False
        members = members_of(self.case, claim)
        norm = self._norm(bracket.entry)
        if any(m.get("norm") != norm for m in members):
            return False
        found = [coefficients(self.case, m["objective"]) for m in members if m.kind == ("point" if end == "lower" else "slope")]
        if end == "lower":
            return claim.get("recession") is True and any(c in wanted for c in found)
        return all(c in found for c in wanted)

    def _fits_distances(self, bracket: Bracket, claim: Claim, end: str) -> bool:
        sample, point = bracket.entry.get("sample"), bracket.entry.get("point")
        if claim.kind == "all" or type(sample) is not int or self.case.samples is None:
            return False
        if end == "upper" and point is not None and not _same_point(point, claim):
            return False  # what is shown beside a bracket is the point that attains it
        label = bracket.entry.get("label", self.case.samples.labels[claim["sample"]])
        same = claim["sample"] == sample and claim["norm"] == self._norm(bracket.entry)
        return bool(same and label == self.case.samples.labels[sample])

    def _fits_curve(self, bracket: Bracket, claim: Claim, end: str) -> bool:
        del end
        threat = self.report.get("threat")
        if claim.kind == "all" or type(threat) is not dict:
            return False
        own = Threat(self.case, claim)
        order = real(threat.get("order"), "order")
        loss = self.report.get("loss")
        same = own.radius == real(bracket.entry.get("radius"), "radius") and claim["norm"] == self._norm(bracket.entry)
        same = same and claim.get("objective") == self.report.get("objective")
        same = same and (math.inf if own.order is None else own.order) == order
        return bool(same and own.loss == _LOSSES.get(str(loss), loss))

    def _norm(self, entry: dict[str, Any]) -> Any:
        """The norm of an entry, which the entry, the options or the threat state; None if they state none, or several."""
        places = (entry, self._options(), self.report.get("threat"))
        found = [place["norm"] for place in places if type(place) is dict and "norm" in place]
        return found[0] if found and all(norm == found[0] for norm in found) else None

    def _options(self) -> dict[str, Any]:
        options = self.report.get("options")
        return options if type(options) is dict else {}

    def _nominal(self) -> None:
        """The nominal risk is recomputed, to 1e-9."""
        stated, loss = real(self.report["nominal_risk"], "nominal_risk"), self.report.get("loss")
        # The radius is 0: its order and norm do not matter.
        fields = {"radius": 0, "order": 1, "norm": "linf", "loss": _LOSSES.get(str(loss), loss)}
        if "objective" in self.report:
            fields["objective"] = self.report["objective"]
        threat, total = Threat(self.case, Claim("nominal_risk", "risk_upper", fields)), 0.0
        for i, w in enumerate(threat.weights):
            self.case.sample(i)
            if threat.loss == "ce":
                f, y = threat.outputs(i), self.case.label(i)
                # Reported to 1e-9 only; the exponentials are enclosed far more tightly.
                size = sum((exp(v - f[y])[0] for v in f), Fraction(0))
                total += float(w) * (math.log(size.numerator) - math.log(size.denominator))
            else:
                total += float(w * threat.value(threat.outputs(i), self.case.label(i) if threat.loss != "linear" else 0))
        if abs(total - float(stated)) > 1e-9 * max(1.0, abs(total)):
            raise Rejected(f"nominal_risk is {total!r}, not {float(stated)!r}")


def _same_point(stated: Any, claim: Claim) -> bool:
    """Whether a point of the report is that of a claim."""
    x = claim.get("x")
    if type(stated) is not list or type(x) is not list or len(stated) != len(x):
        return False
    return [number(v, "coordinate") if type(v) is str else real(v, "coordinate") for v in stated] == [
        number(v, "coordinate") for v in x
    ]


def _count_proved(report: Any) -> int:
    """How many objects of the report are marked proved."""
    count, stack = 0, [report]
    while stack:
        value = stack.pop()
        if type(value) is dict:
            count += value.get("evidence") == "proved"
            stack += value.values()
        elif type(value) is list:
            stack += value
    return count
