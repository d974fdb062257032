"""Risks of random networks on the line: bounds from true prices and distances contain the exact worst case, plans stay below."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.judge_drafts import Layers
from tests.judge_line import Line, phi, worst_case
from wdaverify.check.claims import Case, Claim
from wdaverify.check.data import Samples
from wdaverify.check.domain import Region
from wdaverify.check.num import Rejected
from wdaverify.check.program import Form, Program
from wdaverify.check.risk import risk_lower, risk_upper

SEEDS = st.integers(0, 2**48)
CASES = settings(max_examples=80, deadline=None)
LOSSES = ("zero-one", "margin", "hinge", "linear")


class World:
    """A random network with one input and two or three outputs, samples with weights, and true claims about them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        outputs = rng.choice((2, 3))
        widths = [1, *(rng.choice((2, 3)) for _ in range(rng.choice((1, 2)))), outputs]
        draw = lambda: float(rng.choice((-2, -1, -1, 0, 1, 1, 2)))  # noqa: E731
        self.layers: Layers = [
            ([[draw() for _ in range(a)] for _ in range(b)], [draw() / 2 for _ in range(b)]) for a, b in pairwise(widths)
        ]
        program = Program(1)
        elements: list[Any] = [0]
        for k, (w, b) in enumerate(self.layers):
            forms = [Form.of(elements, [Fraction(v) for v in row], Fraction(c)) for row, c in zip(w, b, strict=True)]
            elements = program.affine(forms)
            elements = program.relu(elements) if k < len(self.layers) - 1 else elements
        program.outputs = elements
        self.line = Line(self.layers, Fraction(-2), Fraction(2))
        points = [Fraction(rng.randrange(-8, 9), 4) for _ in range(rng.choice((1, 2, 3)))]
        masses = [rng.choice((1, 2, 3)) for _ in points]
        labels = [rng.randrange(outputs) for _ in points]
        weights = [Fraction(m, sum(masses)) for m in masses]
        self.samples = list(zip(points, labels, weights, strict=True))
        data = Samples([[x] for x in points], labels, weights, 1)
        self.case = Case(program, Region([Fraction(-2)], [Fraction(2)]), data)
        self.loss = rng.choice(LOSSES)
        self.objective = [[0, 1]] if self.loss == "linear" else None
        self.radius = Fraction(rng.randrange(0, 9), 8)

    def value(self, x: Fraction, y: int) -> Fraction:
        """The loss."""
        if self.loss == "linear":
            return self.line.at(x)[0]
        m = self.line.margin(x, y)
        return {"zero-one": Fraction(m >= 0), "margin": m, "hinge": max(Fraction(0), 1 + m)}[self.loss]

    def fields(self, **more: Any) -> dict[str, Any]:
        """The threat of a risk claim."""
        own = {"radius": str(self.radius), "order": 1, "norm": "linf", "loss": self.loss}
        return own | ({"objective": self.objective} if self.objective else {}) | more

    def price(self, i: int, multiplier: Fraction) -> str:
        """A true price of the loss (of the margin for the hinge), as an accepted claim."""
        x, y, _ = self.samples[i]
        loss = (lambda v: self.line.margin(v, y)) if self.loss == "hinge" else (lambda v: self.value(v, y))
        name, value = f"p{len(self.case.claims)}", phi(self.line, loss, y, x, multiplier)
        fields = {
            "sample": i,
            "norm": "linf",
            "p": 1,
            "lambda": str(multiplier),
            "loss": "margin" if self.loss == "hinge" else self.loss,
        }
        if self.objective:
            fields["objective"] = self.objective
        self.case.claims[name] = Claim(name, "price", fields, value=value)
        return name

    def risk(self, radius: Fraction | None = None) -> Fraction:
        """The exact worst case."""
        return worst_case(self.line, self.samples, self.value, self.radius if radius is None else radius)


def accepted(world: World, fields: dict[str, Any], value: Fraction) -> bool:
    """Whether the claim with this value is accepted."""
    try:
        risk_upper(world.case, Claim("u", "risk_upper", {**fields, "value": str(value)}, value=value))
    except Rejected as error:
        assert "not proved" in str(error)  # noqa: PT017
        return False
    return True


@given(SEEDS)
@CASES
def test_prices_at_any_multiplier_bound_the_risk(seed: int) -> None:
    rng = random.Random(seed)
    world = World(rng)
    if world.loss == "zero-one":
        world.loss = "margin"
    truth = world.risk()
    for _ in range(4):
        multiplier = Fraction(rng.randrange(0, 17), 4)
        terms = []
        for i in range(len(world.samples)):
            parts = [Fraction(rng.randrange(0, int(4 * multiplier) + 1), 4) if multiplier else Fraction(0) for _ in range(2)]
            if multiplier and rng.random() < 0.5:  # a mixture of a smaller and a larger multiplier
                below, above = parts[0], multiplier + 1
                theta = (above - multiplier) / (above - below)
                terms.append({"price": [[world.price(i, below), str(theta)], [world.price(i, above), str(1 - theta)]]})
            else:
                terms.append({"price": [[world.price(i, multiplier), 1]]})
        fields = world.fields(terms=terms) | {"lambda": str(multiplier)}
        assert not accepted(world, fields, truth - Fraction(1, 1 << 70))
        if all(len(t["price"]) == 1 for t in terms):
            dual = multiplier * world.radius
            for x, y, w in world.samples:
                dual += w * phi(world.line, lambda v, y=y: world.value(v, y), y, x, multiplier)
            assert accepted(world, fields, dual)


@given(SEEDS)
@CASES
def test_the_knapsack_is_the_zero_one_risk(seed: int) -> None:
    world = World(random.Random(seed))
    world.loss, world.objective = "zero-one", None
    terms: list[str | None] = []
    for i, (x, y, _) in enumerate(world.samples):
        distance = world.line.nearest(x, y)
        world.case.claims[f"d{i}"] = Claim(f"d{i}", "distance", {"sample": i, "norm": "linf"}, value=distance)
        terms.append(None if distance == 0 else f"d{i}")
    # The loss jumps, so that the piecewise-affine oracle is not enough: order by distance, exactly.
    left, truth = world.radius, Fraction(0)
    for distance, w in sorted((world.line.nearest(x, y), w) for x, y, w in world.samples if world.line.nearest(x, y) is not None):
        share = min(w, left / distance) if distance else w
        truth, left = truth + share, left - share * distance
    fields = world.fields(terms=terms)
    assert accepted(world, fields, truth)
    if truth:
        assert not accepted(world, fields, truth - Fraction(1, 1 << 80))
    reached = [(world.line.nearest(x, y), w) for x, y, w in world.samples]
    within = sum((w for d, w in reached if d is not None and d <= world.radius), Fraction(0))
    fields["order"] = "inf"
    assert accepted(world, fields, within)
    if within:
        assert not accepted(world, fields, within - Fraction(1, 1 << 80))


@given(SEEDS)
@CASES
def test_no_plan_is_accepted_above_the_risk(seed: int) -> None:
    rng = random.Random(seed)
    world = World(rng)
    if world.loss == "zero-one":
        world.loss = "hinge"
    truth, atoms, gained, cost = world.risk(), [], Fraction(0), Fraction(0)
    for i, (x, y, w) in enumerate(world.samples):
        share = Fraction(rng.randrange(0, 5), 4)
        target = rng.choice(world.line.knots(y, [x]))
        cost += share * w * abs(target - x)
        gained += w * (share * world.value(target, y) + (1 - share) * world.value(x, y))
        atoms += [[i, [str(target)], str(share * w)], [i, [str(x)], str((1 - share) * w)]]
    claim = Claim("l", "risk_lower", world.fields(atoms=atoms, value=str(gained)), value=gained)
    if cost <= world.radius:
        assert gained <= truth
        risk_lower(world.case, claim, None)
        claim.value = gained + Fraction(1, 1 << 80)
        with pytest.raises(Rejected, match="gains only"):
            risk_lower(world.case, claim, None)
        claim.value = gained
        claim.fields["atoms"] = atoms[1:]
        if Fraction(atoms[0][2]):
            with pytest.raises(Rejected, match="add up"):
                risk_lower(world.case, claim, None)
    else:
        with pytest.raises(Rejected, match="costs more"):
            risk_lower(world.case, claim, None)


def test_terms_of_another_question_are_refused() -> None:
    """A price of another sample, norm, order, loss or multiplier, or on a ball, proves nothing about this risk."""
    world = World(random.Random(5))
    world.loss, world.objective, one = "margin", None, Fraction(1)
    names = [world.price(i, one) for i in range(len(world.samples))]
    terms = [{"price": [[name, 1]]} for name in names]
    fields = world.fields(terms=terms) | {"lambda": 1}
    high = Fraction(10**6)
    assert accepted(world, fields, high)
    first = world.case.claims[names[0]]
    changes = ({"norm": "l2"}, {"p": 2}, {"loss": "linear"}, {"lambda": "5/4"}, {"sample": 99})
    for change in (*changes, {"ball": {"sample": 0, "norm": "linf", "radius": 1}}):
        kept = dict(first.fields)
        first.fields.update(change)
        with pytest.raises(Rejected):
            risk_upper(world.case, Claim("u", "risk_upper", {**fields, "value": "1000000"}, value=high))
        first.fields.clear()
        first.fields.update(kept)
    for theta in ("1/2", "-1", 2):
        bad = [{"price": [[names[0], theta]]}, *terms[1:]]
        with pytest.raises(Rejected):
            risk_upper(world.case, Claim("u", "risk_upper", {**fields, "terms": bad, "value": "1000000"}, value=high))
