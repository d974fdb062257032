"""Whether what an accepted certificate says is true: claims and brackets against `judge_line`, for networks with one input."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tests.judge_drafts import PLANE, Layers
from tests.judge_line import FAR, Line, phi, pieces, worst_case
from tests.line_powers import Priced, worst_case_power

TINY = 1e-12
"""Tolerance where a logarithm is involved; everything else is compared exactly."""


def rational(value: Any) -> Any:
    """A number of a certificate or report; infinite ones stay floats."""
    if value in ("inf", "-inf"):
        return float(value)
    if isinstance(value, str) and "x" in value:
        return Fraction(float.fromhex(value))
    return Fraction(value)


class Truth:
    """The truth about one document; `verdict` is the answer of its property, `satisfied` its condition on (x, y)."""

    def __init__(self, document: dict[str, Any], layers: Layers, samples: list[tuple[float, int]], satisfied: Any = None) -> None:
        self.document, self.layers = document, layers
        domain = document.get("domain")
        if not isinstance(domain, dict):
            domain = {"lower": "-inf", "upper": "inf"}
        low, high = (v[0] if isinstance(v, list) else v for v in (domain["lower"], domain["upper"]))
        self.ends = max(rational(low), -FAR), min(rational(high), FAR)
        self.satisfied = satisfied
        self.count = document.get("data", {}).get("samples", 0)
        self.samples = [(Fraction(x), y, Fraction(1, self.count)) for x, y in samples[: self.count]]
        self.line = Line(layers, *map(Fraction, self.ends)) if len(layers[0][0][0]) == 1 else None

    def everything(self) -> list[str]:
        """What is false."""
        wrong = [f"claim {c}" for c in self.document["proof"]["claims"] if not getattr(self, f"_{c['kind']}")(c)]
        for name, judge in (("constants", self._constant), ("slopes", self._steepest), ("distances", self._reach)):
            for entry in self.document.get(name, []):
                found = entry.get("value", entry.get("distance"))
                if found["evidence"] != "proved":
                    continue
                if not rational(found["lower"]) - TINY <= judge(entry) <= rational(found["upper"]) + TINY:
                    wrong.append(f"{name} {entry}: {judge(entry)}")
        if self.document.get("evidence") == "proved" and (self.document["verdict"] == "unsat") != self._unsat({}):
            wrong.append(f"verdict {self.document['verdict']}")
        for entry in self.document.get("curve", []):
            found, threat = entry["worst_case_risk"], self.document["threat"]
            if found["evidence"] != "proved":
                continue
            loss = {"cross-entropy": "ce"}.get(self.document["loss"], self.document["loss"])
            risk = self.risk(loss, rational(entry["radius"]), rational(threat["order"]), self.document.get("objective"))
            tiny = TINY if rational(threat["order"]) in (1, math.inf) else 1e-6
            if not rational(found["lower"]) - tiny <= risk <= rational(found["upper"]) + tiny:
                wrong.append(f"curve {entry}: {risk}")
        return wrong

    def _constant(self, entry: dict[str, Any]) -> Any:
        return self.lipschitz(entry["functional"])

    def _steepest(self, entry: dict[str, Any]) -> Any:
        return self._largest_slope({"objective": [[0, 1]]}) if entry["functional"] == "logit:0" else math.nan

    def _reach(self, entry: dict[str, Any]) -> Any:
        x, y, _ = self.samples[entry["sample"]]
        nearest = self.line.nearest(x, y)
        return math.inf if nearest is None else nearest

    def _combination(self, objective: Any) -> dict[int, Fraction]:
        return {k: rational(w) for k, w in objective}

    def _value(self, objective: Any, x: Fraction) -> Fraction:
        f = self.line.at(x)
        return sum((w * f[k] for k, w in self._combination(objective).items()), Fraction(0))

    def _in_domain(self, x: Fraction) -> bool:
        return bool(self.ends[0] <= x <= self.ends[1])

    def _sat(self, claim: dict[str, Any]) -> bool:
        x = rational(claim["x"][0])
        return bool(self.satisfied(x, Line(self.layers, x - 1, x + 1).at(x)))

    def _unsat(self, claim: dict[str, Any]) -> bool:
        line = Line(self.layers, Fraction(-1), Fraction(1))
        return not any(self.satisfied(x, line.at(x)) for x in line.knots(None))

    def _max(self, claim: dict[str, Any]) -> bool:
        line = self._cut(claim.get("ball"))
        return line is None or max(self._value(claim["objective"], x) for x in line.knots(None)) <= rational(claim["value"])

    def _cut(self, ball: Any) -> Line | None:
        """The line within a ball."""
        if ball is None:
            return self.line
        x, r = self.samples[ball["sample"]][0], rational(ball["radius"])
        low, high = max(self.ends[0], x - r), min(self.ends[1], x + r)
        return Line(self.layers, low, high) if low <= high else None

    def _point(self, claim: dict[str, Any]) -> bool:
        if not claim.get("recession"):
            x = rational(claim["x"][0])
            return self._in_domain(x) and self._value(claim["objective"], x) >= rational(claim["value"])
        return self._largest_slope(claim) >= rational(claim["value"])

    def _slope(self, claim: dict[str, Any]) -> bool:
        return self._largest_slope(claim) <= rational(claim["value"])

    def _largest_slope(self, claim: dict[str, Any]) -> Fraction:
        c = self._combination(claim["objective"])
        if self.layers is PLANE:
            return max(2 * c[0], Fraction(0))
        rays = pieces(self.layers, Fraction(-1), Fraction(1), biases=False)
        values = [sum(w * (f[k][0] * x + f[k][1]) for k, w in c.items()) for a, z, f in rays for x in (a, z)]
        return max(values)

    def _distance(self, claim: dict[str, Any]) -> bool:
        x, y, _ = self.samples[claim["sample"]]
        nearest = self.line.nearest(x, y)
        return nearest is None or nearest >= rational(claim["value"])

    def _adversary(self, claim: dict[str, Any]) -> bool:
        x, y, _ = self.samples[claim["sample"]]
        nearest = self.line.nearest(x, y)
        return nearest is not None and nearest <= rational(claim["value"])

    def lipschitz(self, functional: str) -> Any:
        """The constant of a functional; of the cross-entropy of two classes in floating point."""
        kind, _, rest = functional.rpartition(":")
        if kind == "logit":
            return max(map(abs, self.line.slopes({int(rest): Fraction(1)})))
        if kind == "margin":
            j, y = map(int, rest.split("-"))
            return max(map(abs, self.line.slopes({j: Fraction(1), y: Fraction(-1)})))
        y = int(rest)
        if kind == "label":
            return max(self.lipschitz(f"margin:{j}-{y}") for j in range(self.line.outputs) if j != y)
        knots = self.line.knots(y)
        steps = [(a, b, (self.line.margin(b, y) - self.line.margin(a, y)) / (b - a)) for a, b in pairwise(knots)]
        if kind == "loss:margin":
            return max(abs(s) for _, _, s in steps)
        if kind == "loss:hinge":
            tops = [max(self.line.margin(a, y), self.line.margin(b, y)) for a, b, _ in steps]
            return max((abs(s) for (_, _, s), top in zip(steps, tops, strict=True) if top > -1), default=Fraction(0))
        return max(abs(float(s)) / (1 + math.exp(-float(self.line.margin(x, y)))) for a, b, s in steps for x in (a, b))

    def _lip(self, claim: dict[str, Any]) -> bool:
        return self.lipschitz(claim["functional"]) <= rational(claim["value"]) + (TINY if "cross" in claim["functional"] else 0)

    def _liplow(self, claim: dict[str, Any]) -> bool:
        return self.lipschitz(claim["functional"]) >= rational(claim["value"]) - (TINY if "cross" in claim["functional"] else 0)

    def _all(self, claim: dict[str, Any]) -> bool:
        named = [c for c in self.document["proof"]["claims"] if c["id"] in claim["of"]]
        return all(getattr(self, f"_{c['kind']}")({**c, "value": claim["value"]}) for c in named)

    def loss(self, name: str, objective: Any) -> Callable[[Fraction, int], Any]:
        """A loss as a function of point and label."""
        if name == "linear":
            return lambda x, y: self._value(objective, x)
        if name == "ce":
            return lambda x, y: Fraction(math.log(sum(math.exp(float(v - self.line.at(x)[y])) for v in self.line.at(x))))
        if name == "zero-one":
            return lambda x, y: Fraction(self.line.margin(x, y) >= 0)
        return lambda x, y: self.line.margin(x, y) if name == "margin" else max(Fraction(0), 1 + self.line.margin(x, y))

    def _price(self, claim: dict[str, Any]) -> bool:
        x, y, _ = self.samples[claim["sample"]]
        line, loss = self._cut(claim.get("ball")), self.loss(claim["loss"], claim.get("objective"))
        if line is None:
            return True
        multiplier, p = rational(claim["lambda"]), rational(claim["p"])
        if p == 1 or multiplier == 0:
            best = phi(line, lambda v: loss(v, y), y, x, multiplier)
        elif claim["loss"] != "ce":
            best = Priced(line, lambda v: loss(v, y), y, x).worth(float(multiplier), float(p))
        else:  # a lower bound of the truth, on a grid, is enough to find what is false
            grid = [line.low + (line.high - line.low) * Fraction(k, 512) for k in range(513)]
            best = max(
                float(loss(v, y)) - float(multiplier) * float(abs(v - x)) ** float(p) for v in [*grid, *line.knots(y, [x])]
            )
        return bool(best <= rational(claim["value"]) + (TINY if claim["loss"] == "ce" else 1e-9 if p != 1 else 0))

    def risk(self, name: str, radius: Fraction, order: Any, objective: Any) -> Any:
        """The worst-case risk: orders 1 and inf exactly, others in floating point, but for the cross-entropy."""
        loss = self.loss(name, objective)
        if order == math.inf or radius == 0:  # with no budget no mass moves, whatever the order
            cuts = [
                (Line(self.layers, max(self.ends[0], x - radius), min(self.ends[1], x + radius)), x, y, w)
                for x, y, w in self.samples
            ]
            return sum(w * max(loss(v, y) for v in line.knots(y, [x])) for line, x, y, w in cuts)
        if order == 1:
            return worst_case(self.line, self.samples, loss, radius)
        if name in ("margin", "hinge", "linear"):
            return worst_case_power(self.line, self.samples, loss, radius, float(order))
        raise NotImplementedError

    def _risk_upper(self, claim: dict[str, Any]) -> bool:
        return bool(self._risk(claim) <= rational(claim["value"]) + self._loose(claim))

    def _risk_lower(self, claim: dict[str, Any]) -> bool:
        return bool(self._risk(claim) >= rational(claim["value"]) - self._loose(claim))

    def _loose(self, claim: dict[str, Any]) -> float:
        """What the oracle of this risk may be wrong by."""
        if rational(claim["order"]) not in (1, math.inf):
            return 1e-6
        return TINY if claim["loss"] == "ce" else 0

    def _risk(self, claim: dict[str, Any]) -> Any:
        return self.risk(claim["loss"], rational(claim["radius"]), rational(claim["order"]), claim.get("objective"))
