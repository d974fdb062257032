"""Rows above log-sum-exp: what the judge accepts holds at all logits tried, to 60 digits; mutants are true or refused."""

from __future__ import annotations

import json
import os
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.judge_drafts import Layers, write
from tests.judge_mutations import mutate
from tests.judge_truth import Truth
from wdaverify.check import softmax
from wdaverify.check.claims import Case
from wdaverify.check.domain import Region
from wdaverify.check.losses import at_least, at_most
from wdaverify.check.num import Rejected
from wdaverify.check.program import Program
from wdaverify.check.report import check
from wdaverify.check.softmax import targets

SEEDS = st.integers(0, 2**48)
FOLDER = Path(__file__).parent / "data" / "golden"
COUNT = int(os.environ.get("JUDGE_MUTATIONS", "80"))


def identity(classes: int) -> Case:
    """A model whose logits are its inputs."""
    program = Program(classes)
    program.outputs = list(range(classes))
    return Case(program, Region([None] * classes, [None] * classes))


def number(value: Fraction) -> Any:
    return mpmath.mpf(value.numerator) / value.denominator


def cross_entropy(logits: list[Fraction], label: int) -> Any:
    return mpmath.log(mpmath.fsum(mpmath.exp(number(v - logits[label])) for v in logits))


class Cover:
    """A random tree with random weights; offsets are `off` above what the corners ask for."""

    def __init__(self, rng: random.Random, classes: int, off: Fraction) -> None:
        self.rng, self.classes, self.off = rng, classes, off
        self.entries: list[Any] = []
        self.boxes: list[tuple[int, list[Fraction | None], list[Fraction]]] = []
        for leader in range(classes):
            self.node(leader, [None] * classes, [Fraction(0)] * classes, rng.choice((0, 1, 3)))

    def node(self, leader: int, low: list[Fraction | None], high: list[Fraction], depth: int) -> None:
        others = [c for c in range(self.classes) if c != leader]
        if depth == 0:
            self.leaf(leader, low, high, others)
            return
        c = self.rng.choice(others)
        ends = low[c], high[c]
        at = ends[1] - Fraction(self.rng.randrange(1, 40), 8) if ends[0] is None else (ends[0] + ends[1]) / 2
        self.entries.append([c, str(at)])
        self.node(leader, low, [at if k == c else v for k, v in enumerate(high)], depth - 1)
        self.node(leader, [at if k == c else v for k, v in enumerate(low)], high, depth - 1)

    def leaf(self, leader: int, low: list[Fraction | None], high: list[Fraction], others: list[int]) -> None:
        weights = {c: Fraction(self.rng.randrange(-2, 9), 8) for c in others if low[c] is not None and self.rng.random() < 0.8}
        best, corners = None, [{}]
        for c in others:
            ends = {high[c], low[c]} if c in weights else {high[c]}
            corners = [{**corner, c: end} for corner in corners for end in ends]
        for corner in corners:
            linear = sum((w * corner[c] for c, w in weights.items()), Fraction(0))
            value = mpmath.log(1 + mpmath.fsum(mpmath.exp(number(s)) for s in corner.values())) - number(linear)
            best = value if best is None else max(best, value)
        with mpmath.workdps(40):
            text = mpmath.nstr(best, 38, strip_zeros=False)
        flat = [v for c in sorted(weights) for v in (c, str(weights[c]))]
        offset = Fraction(text) + self.off
        self.entries.append({"a": [0, flat], "b": f"{offset.numerator}/{offset.denominator}"})
        self.boxes.append((leader, low, high))


def drawn(rng: random.Random, box: tuple[int, list[Fraction | None], list[Fraction]]) -> list[Fraction]:
    """Logits of a region, its corners among them."""
    leader, low, high = box
    top = Fraction(rng.randrange(-16, 17), 4)
    found = []
    for c, (a, b) in enumerate(zip(low, high, strict=True)):
        start = b - 5 if a is None else a
        found.append(top if c == leader else top + start + (b - start) * rng.choice((0, 1, Fraction(rng.randrange(0, 9), 8))))
    return found


@given(SEEDS, st.sampled_from((2, 3, 4)))
@settings(max_examples=60, deadline=None)
def test_rows_lie_above_and_regions_hold_all_logits(seed, classes):
    rng, case = random.Random(seed), identity(classes)
    label = rng.randrange(classes)
    with mpmath.workdps(60):
        cover = Cover(rng, classes, Fraction(1, 10**30))
        found = targets(case, label, cover.entries)
        for target, box in zip(found, cover.boxes, strict=True):
            for _ in range(6):
                f = drawn(rng, box)
                at = lambda form, f=f: sum((w * f[v] for v, w in form.terms.items()), form.constant)  # noqa: E731
                assert all(at(row) >= 0 for row in target.rows)
                assert number(at(target.objective)) >= cross_entropy(f, label) - mpmath.mpf(10) ** -50
        for _ in range(12):
            f = [Fraction(rng.randrange(-40, 41), rng.choice((1, 4))) for _ in range(classes)]
            inside = [t for t in found if all(sum((w * f[v] for v, w in r.terms.items()), r.constant) >= 0 for r in t.rows)]
            assert inside
        low = Cover(random.Random(seed), classes, Fraction(-1, 10**30))
        with pytest.raises(Rejected, match="below log-sum-exp"):
            targets(case, label, low.entries)


ROW = {"a": [0, []], "b": 2}
WEIGHTED = {"a": [1, [1, 1]], "b": 2}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (None, "no list"),
        ([], "2 regions are left open"),
        ([ROW], "1 regions are left open"),
        ([ROW, ROW, ROW], "no region is open"),
        ([[1, -1], ROW, ROW], "1 regions are left open"),
        ([[0, -1], ROW, ROW, ROW], "not divided inside"),
        ([[1, 0], ROW, ROW, ROW], "not divided inside"),
        ([[1, 1], ROW, ROW, ROW], "not divided inside"),
        ([[1, -1], [1, "-1/2"], ROW, ROW, ROW, ROW], "not divided inside"),
        ([[1, -1], ROW, [1, -1], ROW, ROW, ROW], "not divided inside"),
        ([[1, -1], ROW, [1, -2], ROW, ROW, ROW], "not divided inside"),
        ([[2, -1], ROW, ROW, ROW], "no whole number"),
        ([[1, -1, 0], ROW, ROW, ROW], "no \\[class, number\\]"),
        ([[1, "nan"], ROW, ROW, ROW], "no number"),
        ([[1, -1.5], ROW, ROW, ROW], "no number"),
        ([WEIGHTED, ROW], "unbounded"),
        ([ROW, WEIGHTED], "weight of the leader"),
        ([ROW, {**ROW, "c": 0}], "neither"),
        ([ROW, {"a": [0, []]}], "neither"),
        ([ROW, {"a": [0, [2, 1]], "b": 2}], "between"),
        ([ROW, "row"], "neither"),
        ([ROW, {"a": [0, []], "b": "693/1000"}], "below log-sum-exp"),
        ([ROW, {"a": [0, []], "b": -1}], "below log-sum-exp"),
        ([ROW, {"a": [0, []], "b": 5000}], "limit"),
    ],
)
def test_bad_covers_are_refused(entries, message):
    with pytest.raises(Rejected, match=message):
        targets(identity(2), 0, entries)


def test_far_steps_and_many_weights():
    case, far = identity(2), [[1, -(10**9)], {"a": [0, []], "b": "1/1000"}, ROW, ROW]
    assert len(targets(case, 1, far)) == 3
    with pytest.raises(Rejected, match="limit"):
        targets(identity(12), 0, [{"a": [0, [v for c in range(1, 12) for v in (c, 0)]], "b": 9}, *[{"a": [0, []], "b": 9}] * 11])


def test_mutants_of_a_risk_of_three_classes_are_true_or_refused(tmp_path):
    """The certificate of three classes on the line, as it is written; the truth is that of exact pieces."""
    network = wv.load(FOLDER / "g08_argmax_restricted_L.onnx")
    data = wv.Dataset.load(FOLDER / "g08_argmax_restricted_L.npz")
    ball = wv.WassersteinBall(0.5, order=1, norm="linf")
    certificate = wv.certify(network, data, ball, loss="cross-entropy", domain=wv.Box(0.0, 4.0), comparison_time=0.0)
    certificate.save(tmp_path / "r.json")
    for kind in ("onnx", "npz"):
        name = f"g08_argmax_restricted_L.{kind}"
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    document = json.loads((tmp_path / "r.json").read_text())
    for part in ("model", "data"):
        document[part]["file"] = Path(document[part]["file"]).name
    assert check(write(tmp_path, document)).accepted
    layers: Layers = [([[1.0]], [0.0]), ([[0.0], [1.0], [3.0]], [0.0, 0.0, -10.0])]
    samples = [(float(x[0]), int(y)) for x, y in zip(data.x, data.y, strict=True)]
    assert Truth(document, layers, samples).everything() == []
    rng, accepted = random.Random(0), 0
    for _ in range(COUNT):
        mutant = mutate(document, rng)
        verdict = check(write(tmp_path, mutant, "mutant.json"))
        assert "internal" not in verdict.message, (verdict.message, mutant)
        if verdict.accepted:
            accepted += 1
            try:
                wrong = Truth(mutant, layers, samples).everything()
            except NotImplementedError:
                continue
            assert wrong == [], mutant
    assert 0 < accepted < COUNT


@given(st.lists(st.fractions(-4500, 4500, max_denominator=8), min_size=2, max_size=4), st.integers(-40, 40), st.integers(0, 1))
@settings(max_examples=30, deadline=None)
def test_stated_losses_are_compared_as_they_are(logits, exponent, label):
    """Against 4200 digits, which hold what terms of e^-9000 add."""
    with mpmath.workdps(60):
        true = cross_entropy(logits, label)
        value = Fraction(mpmath.nstr(true, 45)) + Fraction(1 if exponent >= 0 else -1, 10 ** (abs(exponent) % 30))
    with mpmath.workdps(4200):
        true = cross_entropy(logits, label)
        above, below = number(value) >= true, number(value) <= true
    for rule, fact in ((at_least, above), (at_most, below)):
        try:
            accepted = rule(value, logits, label)
        except Rejected:
            accepted = False
        assert fact or not accepted
        assert accepted or not fact or abs(value) > 4000 or value < 0


def test_exponentials_of_corners_count_by_their_upper_ends(monkeypatch):
    """With e^0 known to lie in [0.9, 1.1] only, log 2 is no offset above log(1 + e^0), and log 2.1 is."""
    exact = softmax.exp
    wide = Fraction(9, 10), Fraction(11, 10)
    monkeypatch.setattr(softmax, "exp", lambda q: exact(q) if q else wide)
    rows = [[{"a": [0, []], "b": b}] * 2 for b in ("6932/10000", "7420/10000")]
    with pytest.raises(Rejected, match="below log-sum-exp"):
        targets(identity(2), 0, rows[0])
    assert len(targets(identity(2), 0, rows[1])) == 2
