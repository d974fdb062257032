"""Prices within a cube: what is accepted holds at every point outside the cube, and anything less is refused by name."""

from __future__ import annotations

import copy
import random
import tempfile
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import judge_drafts as dr
from tests import judge_examples as ex
from tests.judge_line import FAR, Line
from tests.line_powers import Priced
from tests.networks import random_mlp
from tests.rational_cells import output_forms
from tests.test_judge_risk import World
from wdaverify.check.claims import Case, Claim
from wdaverify.check.data import Samples
from wdaverify.check.domain import Region
from wdaverify.check.far import half_width
from wdaverify.check.model import program_of
from wdaverify.check.num import Rejected
from wdaverify.check.report import check
from wdaverify.ir.to_onnx import to_onnx

SEEDS = st.integers(0, 2**48)
ORDERS = (Fraction(5, 4), Fraction(3, 2), Fraction(2), Fraction(3))


def far_price(rng: random.Random, steepest: Fraction, **more: Any) -> tuple[Claim, Fraction]:
    """A random claim, and the half width of its cube: near what is enough for a random multiplier."""
    order, multiplier = rng.choice(ORDERS), Fraction(rng.randrange(0, 9), 4)
    enough = (float(steepest) / max(float(order * multiplier), 1e-3)) ** (1 / (float(order) - 1))
    radius = Fraction(max(rng.uniform(0.5, 2.0) * min(enough, 2.0**30), 0.125))
    fields = {"p": str(order), "lambda": str(multiplier), "loss": "margin", "within": {"radius": str(radius), "lip": "k"}, **more}
    return Claim("p", "price", fields), radius


@given(SEEDS)
@settings(max_examples=150, deadline=None)
def test_nothing_outside_a_cube_on_the_line_is_worth_more(seed: int) -> None:
    rng = random.Random(seed)
    world = World(rng)
    x, y, _ = world.samples[0]
    far = Line(world.layers, -FAR, FAR)
    loss = lambda v: far.margin(v, y)  # noqa: E731
    knots = far.knots(y)
    steepest = max(abs((loss(b) - loss(a)) / (b - a)) for a, b in pairwise(knots))
    case = Case(world.case.program, Region([None], [None]), world.case.samples)
    case.claims["k"] = Claim("k", "lip", {"functional": f"loss:margin:{y}", "norm": "l2"}, value=steepest)
    claim, radius = far_price(rng, steepest, norm="l2", sample=0)
    order, multiplier = float(claim.number("p")), float(claim.number("lambda"))
    claim.value = loss(x) + Fraction(rng.randrange(-2, 9), 4)
    try:
        assert half_width(case, claim) == radius
    except Rejected:
        # The bound itself, h(R), is then above the value, or not yet decreasing.
        rise, paid = steepest * radius, Fraction(multiplier) * Fraction(float(radius) ** order)
        assert float(rise) * 1.000001 >= order * float(paid) or float(loss(x) + rise - paid) >= float(claim.value) - 1e-6
        return
    assert Priced(far, loss, y, x).worth(multiplier, order, float(radius)) <= float(claim.value) + 1e-6


@given(SEEDS, st.sampled_from(["l1", "l2", "linf"]))
@settings(max_examples=25, deadline=None)
def test_nothing_outside_a_cube_in_the_plane_is_worth_more(seed: int, norm: str) -> None:
    rng, generator = random.Random(seed), np.random.default_rng(seed)
    network = random_mlp([2, rng.choice((2, 4)), 2], seed % 2**32)
    dual = {"l1": np.inf, "l2": 2, "linf": 1}[norm]
    gradients = [[float(f[1][k] - f[0][k]) for k in (0, 1)] for f in output_forms(network, -(2.0**40), 2.0**40)]
    steepest = Fraction(max(float(np.linalg.norm(g, ord=dual)) for g in gradients)) * (1 + Fraction(1, 2**40))
    center = generator.uniform(-1, 1, 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        to_onnx(network, path)
        program = program_of(path.read_bytes(), path.name)
    case = Case(program, Region([None] * 2, [None] * 2), Samples([[Fraction(v) for v in center]], [0], [Fraction(1)], 2))
    case.claims["k"] = Claim("k", "lip", {"functional": "margin:1-0", "norm": norm}, value=steepest)
    claim, radius = far_price(rng, steepest, norm=norm, sample=0)
    margin = lambda points: network.compiled.forward(points) @ [-1.0, 1.0]  # noqa: E731
    claim.value = Fraction(float(margin(center[None])[0])) + Fraction(rng.randrange(0, 9), 4)
    try:
        assert half_width(case, claim) == radius
    except Rejected as error:
        assert "outside the cube" in str(error)  # noqa: PT017
        return
    steps = generator.normal(size=(3000, 2))
    steps *= (float(radius) * generator.uniform(1.0, 8.0, 3000) / np.abs(steps).max(axis=1))[:, None]
    lengths = np.linalg.norm(steps, ord={"l1": 1, "l2": 2, "linf": np.inf}[norm], axis=1)
    worth = margin(center + steps) - float(claim.number("lambda")) * lengths ** float(claim.number("p"))
    assert worth.max() <= float(claim.value) + 1e-9


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "too small": ({"within": {"radius": "15/32", "lip": "k"}}, "may still grow"),
    "zero": ({"within": {"radius": 0, "lip": "k"}}, "no positive"),
    "negative": ({"within": {"radius": -2, "lip": "k"}}, "no positive"),
    "cheaper": ({"lambda": "1/4"}, "may still grow"),
    "cheap": ({"lambda": "5/8"}, "outside the cube: -0.125"),
    "free": ({"lambda": 0}, "may still grow"),
    "order 1": ({"p": 1, "lambda": "31/32"}, "may still grow"),
    "order 3": ({"p": 3, "within": {"radius": "1/2", "lip": "k"}}, "may still grow"),
    "too large": ({"p": 1025}, "order p"),
    "value": ({"value": "-13/48", "within": {"radius": "1/2", "lip": "k"}}, "outside the cube"),
    "norm": ({"norm": "linf"}, "does not bound the growth"),
    "no claim": ({"within": {"radius": 1, "lip": "u"}}, "no earlier claim"),
    "no constant": ({"within": {"radius": 1, "lip": "s"}}, "no earlier claim"),
    "slopes": ({"within": {"radius": 1, "lip": "slopes"}}, "does not bound the growth"),
    "functional": ({"within": {"radius": 1, "lip": "logit"}}, "does not bound the growth"),
    "label": ({"within": {"radius": 1, "lip": "other"}}, "does not bound the growth"),
    "itself": ({"within": {"radius": 1, "lip": "p"}}, "no earlier claim"),
    "no field": ({"within": {"radius": 1}}, "within has the fields"),
    "more fields": ({"within": {"radius": 1, "lip": "k", "norm": "l1"}}, "within has the fields"),
    "no object": ({"within": 1}, "within has the fields"),
    "no number": ({"within": {"radius": 1.0, "lip": "k"}}, "radius"),
    "stated": ({"within": {"radius": 1, "lip": "k", "at_sample": -1}}, "within has the fields"),
    "a ball": ({"ball": {"sample": 0, "norm": "l1", "radius": 1}}, "not both"),
    "linear": ({"loss": "linear", "objective": [[1, 1]]}, "does not bound the growth"),
}
"""Fields of the price that change, and what the refusal says."""


def rich(tmp_path: Any) -> dict[str, Any]:
    """The example, with further true claims that bound something else."""
    document = ex.cube(tmp_path)
    more: list[dict[str, Any]] = [
        {"id": "s", "kind": "slope", "norm": "l1", "objective": [[1, 1]], "value": 1},
        {"id": "slopes", "kind": "all", "of": ["s"], "value": 1},
        {"id": "logit", "kind": "lip", "functional": "logit:0", "norm": "l1", "value": 0},
        {"id": "other", "kind": "lip", "functional": "loss:margin:1", "norm": "l1", "value": 1},
    ]
    document["proof"]["claims"] = [*more, *document["proof"]["claims"]]
    slope = dr.stream("s", dr.split(0), dr.leaf("bound"), dr.leaf("bound"))
    jac = [dr.stream(name, dr.leaf("jac")) for name in ("logit", "other")]
    document["proof"]["streams"] += [slope, *jac]
    return document


@pytest.mark.parametrize("name", CHANGES)
def test_a_cube_that_proves_less_is_refused(name: str, tmp_path: Any) -> None:
    document = rich(tmp_path)
    assert check(dr.write(tmp_path, document)).accepted
    changes, words = CHANGES[name]
    mutant = copy.deepcopy(document)
    next(c for c in mutant["proof"]["claims"] if c["id"] == "p").update(changes)
    verdict = check(dr.write(tmp_path, mutant, "mutant.json"))
    assert not verdict.accepted
    assert "claim p" in verdict.message
    assert words in verdict.message, verdict.message


def test_half_the_unit_is_just_enough(tmp_path: Any) -> None:
    """h(1/2) = -1/2 + 1/2 - 1/4 is the value itself, and 2 lambda R^2 = L R."""
    document = rich(tmp_path)
    price = next(c for c in document["proof"]["claims"] if c["id"] == "p")
    price["within"]["radius"] = "1/2"
    assert check(dr.write(tmp_path, document)).accepted


def test_constants_have_no_smaller_domain(tmp_path: Any) -> None:
    """A constant in a ball would say nothing outside it; there is no such claim."""
    document = rich(tmp_path)
    lip = next(c for c in document["proof"]["claims"] if c["id"] == "k")
    lip["ball"] = {"sample": 0, "norm": "l1", "radius": 1}
    verdict = check(dr.write(tmp_path, document))
    assert not verdict.accepted
    assert "wrong fields" in verdict.message


def test_a_price_within_a_cube_is_no_price_in_a_ball(tmp_path: Any) -> None:
    document = rich(tmp_path)
    for name in ("u", "l"):
        next(c for c in document["proof"]["claims"] if c["id"] == name)["order"] = "inf"
    next(c for c in document["proof"]["claims"] if c["id"] == "u").pop("lambda")
    document["threat"]["order"] = "inf"
    verdict = check(dr.write(tmp_path, document))
    assert not verdict.accepted
    assert "no price on the ball" in verdict.message


@pytest.mark.parametrize(
    ("at_sample", "said"), [("4742/10000", ""), ("474/1000", "below the loss"), (None, "within has the fields")]
)
def test_the_cross_entropy_states_its_loss_at_the_sample(at_sample: str | None, said: str, tmp_path: Any) -> None:
    """log(1 + e^-1/2) = 0.47407...; the loss grows by at most 1."""
    document = ex.cross_entropy(tmp_path)
    document["domain"], document["threat"]["order"] = {"lower": 0.0, "upper": 2.0}, 2.0
    lip = {"id": "k", "kind": "lip", "functional": "margin:1-0", "norm": "l1", "value": 1}
    claims = document["proof"]["claims"]
    within = {"radius": 1, "lip": "k"} | ({} if at_sample is None else {"at_sample": at_sample})
    claims[0].update({"p": 2, "lambda": 1, "within": within})
    for claim in claims[1:]:
        claim.update({"order": 2, **({"lambda": 1, "value": "12242/10000"} if claim["id"] == "u" else {})})
    document["curve"][0]["worst_case_risk"] = dr.bracket(0.6931, 1.2243)
    document["proof"]["claims"] = [lip, *claims]
    for record in document["proof"]["streams"][0]["records"]:
        if record.get("k") == "bound":
            record["young"] = [0, 0]
    document["proof"]["streams"].append(dr.stream("k", dr.leaf("jac")))
    verdict = check(dr.write(tmp_path, document))
    assert verdict.accepted == (said == ""), verdict.message
    assert said in verdict.message
