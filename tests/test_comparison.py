"""Certificates beside the exact risk: never below it, ordered as they must be, honest about what they are not."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import mlp, random_mlp
from tests.oracles import brute_force_distance
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify._errors import AuditError
from wdaverify._types import Norm
from wdaverify.bracket import Bracket
from wdaverify.cli.main import main
from wdaverify.dataset import Dataset
from wdaverify.domain import Box
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.load import load
from wdaverify.losses import exact_margin
from wdaverify.report.text import comparison_table
from wdaverify.risk import comparison
from wdaverify.risk.adversarial import AdversarialDistance, DistanceOptions
from wdaverify.risk.certify import certificate_from, certify
from wdaverify.risk.comparison import SAMPLE_WISE, THROUGH_HINGE, NominalMargins, constants_by_search, constants_without_search
from wdaverify.risk.margin_constants import (
    EXACT,
    INTERVAL_JACOBIAN,
    LIPSDP,
    PRODUCT_OF_NORMS,
    UNFINISHED,
    MarginConstants,
    Margins,
    largest_margins,
)
from wdaverify.risk.sample_rates import GrowthRate
from wdaverify.transport import WassersteinBall

GOLDEN = Path(__file__).parent / "data" / "golden"
UNIT = Box(-1, 1)
ALL = [PRODUCT_OF_NORMS, INTERVAL_JACOBIAN, LIPSDP, EXACT, THROUGH_HINGE, SAMPLE_WISE]


def iris():
    case = next(c for c in json.loads((GOLDEN / "golden.json").read_text())["cases"] if c["name"] == "g14_iris")
    return case, load(GOLDEN / case["onnx"]), Dataset.load(GOLDEN / case["data"])


def unknown(data):
    """Distances of which nothing is known."""
    ends = Bracket(lower=0.0, upper=math.inf)
    return [AdversarialDistance(sample=i, label=int(y), distance=ends) for i, y in enumerate(data.y)]


def test_iris_has_all_certificates_in_order(tmp_path):
    case, network, data = iris()
    data, ball = Dataset(data.x[[0, 1, 6]], data.y[[0, 1, 6]]), WassersteinBall(0.02)
    certificate = certify(network, data, ball, radii=[0.0, 0.005, 0.02], comparison_time=60)
    bounds = {bound.name: bound for bound in certificate.bounds}
    assert list(bounds) == ALL
    for bound in certificate.bounds:
        assert bound.note == ""
        assert all(b >= p.risk.upper - 1e-9 for b, p in zip(bound.worst_case_risk, certificate.curve, strict=True))
        assert list(bound.worst_case_risk) == sorted(bound.worst_case_risk)
    exact = {f"label:{y}": value for y, value in case["expected_by_r"]["inf"]["L"].items()}
    assert certificate.nominal_risk == pytest.approx(1 / 3)
    assert bounds[EXACT].constants == pytest.approx(exact, rel=1e-8)
    for name in (PRODUCT_OF_NORMS, INTERVAL_JACOBIAN, LIPSDP):
        assert all(bounds[name].constants[label] >= value for label, value in exact.items())
        assert bounds[name].worst_case_risk[1] > bounds[EXACT].worst_case_risk[1]
    assert max(bounds[SAMPLE_WISE].constants.values()) <= max(exact.values()) * (1 + 1e-9)
    assert bounds[SAMPLE_WISE].worst_case_risk[2] < bounds[EXACT].worst_case_risk[2] < bounds[THROUGH_HINGE].worst_case_risk[2]
    nominal = {name: bound.worst_case_risk[0] for name, bound in bounds.items()}  # only the hinge says more than the data
    assert nominal.pop(THROUGH_HINGE) > 0.4
    assert all(value == pytest.approx(1 / 3, abs=1e-15) for value in nominal.values())

    headers, rows = comparison_table(certificate)
    assert headers == ["certificate", "constant", "risk at 0", "above", "risk at 0.005", "above", "risk at 0.02", "above"]
    assert [row[0] for row in rows] == ["this one", *ALL]
    assert float(rows[-1][7]) == pytest.approx(bounds[SAMPLE_WISE].worst_case_risk[2] - certificate.risk.upper, rel=1e-2)
    for row, bound in zip(rows[1:], certificate.bounds, strict=True):  # what is printed is an upper bound, too
        assert all(float(row[2 + 2 * k]) >= risk for k, risk in enumerate(bound.worst_case_risk))
        assert float(row[1]) >= max(bound.constants.values())
    certificate.save(tmp_path / "c.json")
    saved = json.loads((tmp_path / "c.json").read_text())["bounds"]
    assert [bound["name"] for bound in saved] == ALL
    assert saved[3]["constants"] == bounds[EXACT].constants
    assert all("note" not in bound for bound in saved)


@settings(max_examples=6, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 10_000), norm=st.sampled_from(Norm))
def test_floors_never_exceed_the_true_distances(network, seed, norm):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1, 1, (2, 2)), rng.integers(0, 3, 2)
    margins = Margins(network=network, data=Dataset(x, y), domain=UNIT, norm=norm)
    exact = tuple(exact_margin(exact_forward(network, point.tolist()), int(label))[0] for point, label in zip(x, y, strict=True))
    nominal = NominalMargins(margins=exact, weights=margins.data.fractions, radii=(0.1,), order=1.0, largest=(None, None))
    true = [brute_force_distance(network, UNIT, point, int(label), norm) for point, label in zip(x, y, strict=True)]
    for constants in (
        *constants_without_search(margins),
        *constants_by_search(margins, [None] * 2, Deadline.after(2.0)),
    ):
        for floor, distance in zip(nominal.floors(constants), true, strict=True):
            assert floor <= distance * (1 + 1e-9) + 1e-12, constants.name
        if constants.name == SAMPLE_WISE and norm is Norm.L2:
            assert constants.note == "need l1 or linf"


def test_constants_raise_the_lower_ends_that_a_search_left_open():
    """``f = (0, relu(x) - relu(-x) - 3/4)``: bounds without a search see the constant 2, and it is 1."""
    network = mlp([[[1.0], [-1.0]], [[0.0, 0.0], [1.0, -1.0]]], [[0.0, 0.0], [0.0, -0.75]])
    data = Dataset([[0.25], [0.5]], [0, 0])
    sharp = MarginConstants.of_labels(EXACT, data, {0: 1.0})
    risks = [
        certificate_from(network, data, WassersteinBall(0.125), unknown(data), domain=UNIT, constants=known).risk.upper
        for known in ([], [sharp])
    ]
    assert risks == [pytest.approx(0.75), 0.5]  # distances 1/4 and 1/8 at least, or 1/2 and 1/4
    false = MarginConstants.of_labels(EXACT, data, {0: 0.25})
    near = [AdversarialDistance(sample=i, label=0, distance=Bracket(lower=0.0, upper=0.75 - x), target=1, point=np.array([0.75]))
            for i, x in enumerate([0.25, 0.5])]  # fmt: skip
    with pytest.raises(AuditError, match="distance at least"):
        certificate_from(network, data, WassersteinBall(0.125), near, domain=UNIT, constants=[false])


def test_what_does_not_apply_says_why(tmp_path):
    network = random_mlp((40, 30, 3), 0)
    data = Dataset(np.random.default_rng(0).uniform(0.4, 0.6, (2, 40)), [0, 1])
    certificate = certify(network, data, WassersteinBall(0.001, norm="l2"), options=DistanceOptions(time_limit=20))
    bounds = {bound.name: bound for bound in certificate.bounds}
    assert "more than 64" in bounds[LIPSDP].note
    assert bounds[SAMPLE_WISE].note == "need l1 or linf"
    assert bounds[LIPSDP].constants == bounds[SAMPLE_WISE].constants == {}
    assert bounds[LIPSDP].worst_case_risk == (1.0,)
    rows = {row[0]: row for row in comparison_table(certificate)[1]}
    assert rows[LIPSDP][1:] == ["-", "-", "-"]
    certificate.save(tmp_path / "c.json")
    saved = {bound["name"]: bound for bound in json.loads((tmp_path / "c.json").read_text())["bounds"]}
    assert saved[LIPSDP]["note"] == bounds[LIPSDP].note
    half = certify(random_mlp((2, 4, 2), 0), Dataset([[0.5, 0.5]], [0]), WassersteinBall(0.1), domain=Box([0, 0], [1, math.inf]))
    notes = {bound.name: bound.note for bound in half.bounds if bound.note}
    assert notes[EXACT] == "the domain is neither bounded nor all of R^n: coordinate 1 has the ends [0, inf]"


def test_a_stopped_search_is_named_as_such():
    _, network, data = iris()
    margins = Margins(network=network, data=data, domain=Box(0, 1), norm=Norm.LINF)
    found = comparison.exact_constants(margins, Deadline.after(0.01))
    assert found.name == UNFINISHED
    assert "% wide" in found.note
    assert all(rate >= 94.7 for rate in found.rates)


def test_no_time_leaves_what_needs_no_search():
    _, network, data = iris()
    certificate = certify(network, data, WassersteinBall(0.01), comparison_time=0.0)
    assert [bound.name for bound in certificate.bounds] == [PRODUCT_OF_NORMS, INTERVAL_JACOBIAN]
    assert not certificate.interrupted


def test_an_interrupt_keeps_what_is_known(monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison, "exact_constants", stop)
    _, network, data = iris()
    certificate = certify(network, data.first(2), WassersteinBall(0.01))
    assert certificate.interrupted
    assert [bound.name for bound in certificate.bounds] == [PRODUCT_OF_NORMS, INTERVAL_JACOBIAN, LIPSDP]
    assert certificate.risk.exact


def test_hinge_bounds_of_every_order():
    data = NominalMargins(
        margins=(Fraction(-3), Fraction(-1, 2)), weights=(Fraction(1, 2), Fraction(1, 2)), radii=(0.0, 0.125), order=2.0,
        largest=(None, None),
    )  # fmt: skip
    constants = MarginConstants(name=EXACT, constants={"label:0": 2.0}, rates=(2.0, 2.0), excesses=(Fraction(0),) * 2)
    plain, hinge = comparison.risk_bounds(data, [constants])
    assert hinge.worst_case_risk == (0.25, 0.5)
    # the hinges of the samples are 0 and 1/2; the second rises by 1/4 at most, and the first not at all
    full = replace(data, largest=(Fraction(-2), Fraction(-1, 4)))
    nominal, risen = comparison.risk_bounds(full, [constants])[1].worst_case_risk
    assert nominal == 0.25
    assert 0.375 <= risen <= 0.375 + 1e-12
    # d = (3/2, 1/4): half of the mass, moved by 1/4, would cost 1/32, and 1/64 is there
    assert plain.worst_case_risk == (0.0, 0.25)


def test_the_command_prints_every_certificate(capsys):
    files = str(GOLDEN / "g01_ramp_R.onnx"), "--data", str(GOLDEN / "g01_ramp_R.npz")
    assert main(["certify", *files, "--domain", "Rn", "--radius", "0.25,1", "--norm", "l1", "--quiet"]) == 0
    out = capsys.readouterr().out
    title = "upper bounds of the same risk by Lipschitz constants, for comparison:"
    lines = out[out.index(title) :].splitlines()
    assert lines[1].split() == ["certificate", "constant", "risk", "at", "0.25", "above", "risk", "at", "1", "above"]
    assert lines[2].split() == ["this", "one", "-", "0.5", "-", "1", "-"]
    assert [line for name in ALL for line in lines[3:9] if line.startswith(name)] == lines[3:9]
    assert lines[9:] == ["sample-wise constants: need a bounded domain"]


def test_a_stopped_sample_wise_search_is_no_worse_than_the_constant_of_the_label(monkeypatch):
    _, network, data = iris()
    margins = Margins(network=network, data=data.first(3), domain=Box(0, 1), norm=Norm.LINF)
    known = MarginConstants.of_labels(EXACT, margins.data, {0: 97.0, 2: 97.0})
    open_ended = GrowthRate(1.0, Fraction(10**6))
    monkeypatch.setattr(comparison.RateSearch, "rate", lambda *_, **__: open_ended)
    found = comparison.sample_wise_constants(margins, known, [None] * 3, Deadline())
    assert found.rates == known.rates
    assert found.excesses == known.excesses


def test_a_rival_that_is_not_the_best_raises_the_cross_entropy_faster_than_the_margin():
    """``f = (0, 0, 10 x - 10)``: on [0, 1] the margin of label 0 stays 0, its cross-entropy grows from log 2 to log 3."""
    network = mlp([[[1.0]], [[0.0], [0.0], [10.0]]], [[0.0], [0.0, 0.0, -10.0]])
    data = Dataset(np.zeros((1, 1)), np.zeros(1, dtype=int))
    found = certify(network, data, WassersteinBall(1.0), loss="cross-entropy", comparison_time=5.0)
    assert found.risk.lower == pytest.approx(math.log(3.0), abs=1e-6)
    assert [bound.name for bound in found.bounds if bound.name == SAMPLE_WISE] == []
    assert min(risk for bound in found.bounds for risk in bound.worst_case_risk) >= math.log(3.0)
    margin = certify(network, data, WassersteinBall(1.0), loss="margin", comparison_time=5.0)
    assert SAMPLE_WISE in [bound.name for bound in margin.bounds]


@settings(max_examples=20, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 10_000))
def test_no_margin_exceeds_its_bound(network, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1, 1, (3, 2)), np.arange(3)
    margins = Margins(network=network, data=Dataset(x, y), domain=UNIT, norm=Norm.L1)
    for label, most in zip(y.tolist(), largest_margins(margins), strict=True):
        for point in rng.uniform(-1, 1, (50, 2)):
            assert exact_margin(exact_forward(network, point.tolist()), label)[0] <= most
    everywhere = Margins(network=network, data=Dataset(x, y), domain=Box.whole_space(), norm=Norm.L1)
    assert largest_margins(everywhere) == (None, None, None)
