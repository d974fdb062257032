"""The risk certificate: plans, curves, interruption, comparison bounds."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import mlp
from wdaverify._errors import AuditError, DomainError, InputError
from wdaverify.bracket import Bracket, Evidence
from wdaverify.dataset import Dataset
from wdaverify.domain import Box
from wdaverify.risk import distance as distance_module
from wdaverify.risk.adversarial import AdversarialDistance, DistanceOptions, Interrupted
from wdaverify.risk.certify import certificate_from, certify
from wdaverify.transport import WassersteinBall, round_down, round_up

# f = (0, x - 3/4) on the line: label 0 errs from 3/4 on, label 1 errs up to 3/4.
LINE = mlp([[[0.0], [1.0]]], [[0.0, -0.75]])
DATA = Dataset([[0.25], [0.5], [0.75], [1.0]], [0, 0, 0, 1])


def line_distances(data: Dataset, slack: float = 0.0) -> tuple[AdversarialDistance, ...]:
    """The true distances to 3/4, with lower ends that are too small by `slack`."""
    records = []
    for i, (x, label) in enumerate(zip(data.x[:, 0], data.y, strict=True)):
        gap = Fraction(3, 4) - Fraction(float(x)) if label == 0 else Fraction(float(x)) - Fraction(3, 4)
        ends = Bracket(lower=max(0.0, round_down(gap) - slack), upper=max(0.0, round_up(gap)), evidence=Evidence.SOLVER)
        point = np.array([0.75]) if gap > 0 else data.x[i]
        records.append(AdversarialDistance(sample=i, label=int(label), distance=ends, target=1 - int(label), point=point))
    return tuple(records)


def test_curve_on_the_line():
    certificate = certificate_from(LINE, DATA, WassersteinBall(0.125), line_distances(DATA), radii=[0.0, 0.0625, 0.125, 1.0])
    assert [p.radius for p in certificate.curve] == [0.0, 0.0625, 0.125, 1.0]
    # Nominal: sample 2 ties at 3/4 and errs. Samples 1 and 3 are 1/4 away, sample 0 is 1/2 away.
    assert certificate.nominal_risk == 0.25
    assert [(p.risk.lower, p.risk.upper) for p in certificate.curve] == [(0.25, 0.25), (0.5, 0.5), (0.75, 0.75), (1.0, 1.0)]
    assert [p.multiplier for p in certificate.curve] == [4.0, 4.0, 2.0, 0.0]
    assert certificate.risk.upper == 0.75
    assert certificate.plan is certificate.curve[2].plan
    assert certificate.risk.evidence is Evidence.SOLVER
    assert certificate.curve[0].risk.evidence is Evidence.CHECKED
    assert "worst-case zero-one risk at radius 0.125 (order 1, linf): 0.75 (exact)" in str(certificate)
    # The margin is 1-Lipschitz here, and the product of norms sees it: floors equal distances.
    assert [bound.name for bound in certificate.bounds] == ["product of operator norms", "CROWN interval Jacobian"]
    for bound in certificate.bounds:
        assert bound.worst_case_risk == pytest.approx((0.25, 0.5, 0.75, 1.0), abs=1e-12)
        assert all(b >= p.risk.upper for b, p in zip(bound.worst_case_risk, certificate.curve, strict=True))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1), st.integers(1, 5)), min_size=1, max_size=6),
    st.sampled_from([1.0, 1.5, 2.0, 3.0, 7.3, 64.0, 200.0, math.inf]),
    st.floats(0.001, 1.0),
    st.sampled_from(["linf", "l1", "l2"]),
)
def test_plans_survive_their_audit_for_every_order_and_norm(samples, order, radius, norm):
    data = Dataset([[x] for x, *_ in samples], [y for _, y, _ in samples], weights=[w for *_, w in samples])
    ball = WassersteinBall(radius, order=order, norm=norm)
    certificate = certificate_from(LINE, data, ball, line_distances(data), radii=[radius, 0.0])
    for point in certificate.curve:
        assert len(point.plan.atoms) <= data.count + (not math.isinf(order))
        np.testing.assert_allclose(point.plan.source_marginal(data.count), [float(w) for w in data.fractions], atol=1e-12)
        errs = [atom.point[0] == 0.75 or (atom.point[0] > 0.75) == (atom.label == 0) for atom in point.plan.atoms]
        expected = sum(atom.mass for atom, wrong in zip(point.plan.atoms, errs, strict=True) if wrong)
        assert point.risk.lower - 1e-12 <= expected <= point.risk.upper + 1e-12
        assert point.risk.exact


def test_the_whole_data_may_lie():
    """A search whose results contradict exact evaluation, or whose points do not err, gives no certificate."""
    honest = line_distances(DATA)
    lies = {
        "margin": (Bracket(lower=0.25, upper=0.25), DATA.x[2], 2),
        "found": (Bracket(lower=0.0, upper=0.0), DATA.x[1], 1),
        "distance at least": (Bracket(lower=0.1, upper=0.125), np.array([0.625]), 1),
        "budget": (Bracket(lower=0.25, upper=0.25), np.array([0.875]), 1),
        "expected zero-one loss of": (Bracket(lower=0.25, upper=0.25), np.array([0.5]), 1),
    }
    for words, (bracket, point, index) in lies.items():
        records = list(honest)
        records[index] = AdversarialDistance(sample=index, label=0, distance=bracket, target=1, point=point)
        with pytest.raises(AuditError, match=words):
            certificate_from(LINE, DATA, WassersteinBall(0.0625), records)
    with pytest.raises(AuditError, match="3 distances for 4 samples"):
        certificate_from(LINE, DATA, WassersteinBall(0.0625), honest[:3])


def test_an_interrupted_search_still_gives_a_valid_certificate(monkeypatch):
    honest = line_distances(DATA)
    unknown = tuple(
        AdversarialDistance(sample=i, label=int(y), distance=Bracket(lower=0.0, upper=math.inf)) for i, y in enumerate(DATA.y)
    )

    def stopped(*_, **__):
        raise Interrupted((honest[0], *unknown[1:2], *honest[2:3], *unknown[3:]))

    monkeypatch.setattr(distance_module, "distances", stopped)
    certificate = certify(LINE, DATA, WassersteinBall(0.125), radii=[0.0, 0.125])
    assert certificate.interrupted
    assert certificate.curve[0].risk.exact
    assert certificate.risk.lower <= 0.75 <= certificate.risk.upper
    # The product-of-norms distances take the place of the lower ends that were not searched.
    assert certificate.risk.upper == pytest.approx(0.75, abs=1e-9)
    assert certificate.risk.lower == 0.5


def test_bad_questions_are_refused_before_any_search(monkeypatch):
    monkeypatch.setattr(distance_module, "distances", lambda *_, **__: pytest.fail("searched"))
    ball = WassersteinBall(0.1)
    with pytest.raises(InputError, match="loss 'squared' is unknown; give zero-one, margin, hinge"):
        certify(LINE, DATA, ball, loss="squared")
    with pytest.raises(InputError, match="radius -1"):
        certify(LINE, DATA, ball, radii=[0.1, -1])
    with pytest.raises(InputError, match="gap"):
        certify(LINE, DATA, ball, gap=-1.0)
    with pytest.raises(DomainError, match="sample 3"):
        certify(LINE, DATA, ball, domain=Box(0, 0.9))


def test_the_gap_is_that_of_the_options_unless_given(monkeypatch):
    seen = []

    def search(network, data, *, options, **_):
        seen.append(options)
        return line_distances(data)

    monkeypatch.setattr(distance_module, "distances", search)
    ball, options = WassersteinBall(0.0625), DistanceOptions(gap=0.1, time_limit=60)
    certificates = certify(LINE, DATA, ball, options=options), certify(LINE, DATA, ball, options=options, gap=1e-9)
    assert [c.risk.gap for c in certificates] == [o.gap for o in seen] == [0.1, 1e-9]
    # The clock of a search ends with it: the options of its certificate serve for the next.
    assert all(not o.deadline.unlimited for o in seen)
    assert all(c.options.deadline.unlimited and c.options.time_limit == 60 for c in certificates)
    assert certificates[0].options.engine == "search"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"workers": 0}, "workers 0"),
        ({"workers": 1.5}, "workers 1.5"),
        ({"seed": -1}, "seed -1"),
        ({"gap": math.nan}, "gap nan"),
        ({"gap": math.inf}, "gap inf"),
        ({"gap": -1e-9}, "gap -1e-09"),
        ({"gap": "small"}, "gap small"),
        ({"time_limit": 0}, "time_limit 0"),
        ({"time_limit": math.inf}, "time_limit inf"),
        ({"device": "abacus"}, "device 'abacus'"),
    ],
)
def test_options_out_of_range_are_refused(values, words):
    with pytest.raises(InputError, match=words):
        DistanceOptions(**values)


def test_the_clock_starts_once():
    options = DistanceOptions(time_limit=60)
    assert options.deadline.unlimited
    running = options.started()
    assert 59 < running.deadline.remaining <= 60
    assert running.started() is running
    assert running == options
    assert DistanceOptions().started().deadline.unlimited


def test_the_balls_own_radius_is_always_on_the_curve():
    certificate = certificate_from(LINE, DATA, WassersteinBall(0.125), line_distances(DATA), radii=[1.0])
    assert [p.radius for p in certificate.curve] == [1.0, 0.125]
    assert certificate.risk.upper == 0.75


def test_save(tmp_path, monkeypatch):
    ball = WassersteinBall(0.0625, order=math.inf, norm="l1")
    certificate = certificate_from(LINE, DATA, ball, line_distances(DATA), options=DistanceOptions(time_limit=9, workers=3))
    certificate.save(tmp_path / "c.json")
    saved = json.loads((tmp_path / "c.json").read_text())
    assert (saved["schema"], saved["kind"], saved["semantics"]) == ("wdaverify/1", "risk", "real")
    assert saved["threat"] == {"norm": "l1", "order": "inf"}
    assert saved["curve"][0]["multiplier"] is None
    assert saved["curve"][0]["worst_case_risk"] == {"lower": 0.25, "upper": 0.25, "status": "exact", "evidence": "solver"}
    assert [a["point"] for a in saved["curve"][0]["plan"]["atoms"]] == DATA.x.tolist()
    assert saved["data"]["samples"] == 4
    assert len(saved["distances"]) == 4
    assert saved["options"] == {
        "norm": "l1", "time_limit": 9, "gap": 1e-6, "engine": None, "solver": "highs", "workers": 3, "seed": 0, "device": "auto",
    }  # fmt: skip
    from wdaverify.report import json as report

    monkeypatch.setattr(report, "INLINE_COORDINATES", 3)
    certificate.save(tmp_path / "large.json")
    plan = json.loads((tmp_path / "large.json").read_text())["curve"][0]["plan"]
    assert "point" not in plan["atoms"][0]
    np.testing.assert_array_equal(np.load(tmp_path / plan["points"])["points"], DATA.x)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.json", "large.json", "large.plan-0.npz"]


def test_save_never_overwrites_what_the_certificate_speaks_of(tmp_path, monkeypatch):
    from wdaverify.report import json as report

    monkeypatch.setattr(report, "INLINE_COORDINATES", 3)
    path = tmp_path / "c.plan-0.npz"
    np.savez(path, x=DATA.x, y=DATA.y)
    content = path.read_bytes()
    data = Dataset.load(path)
    certificate = certificate_from(LINE, data, WassersteinBall(0.0625), line_distances(data))
    for name in ("c.plan-0.npz", "c.json"):
        with pytest.raises(InputError, match=r"c.plan-0.npz: is an input"):
            certificate.save(tmp_path / name)
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["c.plan-0.npz"]
