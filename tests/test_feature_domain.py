"""Domains as records: what belongs to them, exactly; and what refuses them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wdaverify as wv
from tests.networks import mlp, random_mlp
from wdaverify.feature_domain import alike, as_domain, box_per_sample, hull_of, plain_box
from wdaverify.region import Region
from wdaverify.report.json import domain_record
from wdaverify.risk.audit import Auditor
from wdaverify.transport import Atom, TransportPlan

REALS = st.floats(-4, 4, allow_nan=False)


@given(st.lists(REALS, min_size=3, max_size=3), st.lists(REALS, min_size=3, max_size=3), st.integers(-2, 2))
def test_rows_are_decided_in_rational_arithmetic(row, point, ulps):
    value = sum((Fraction(a) * Fraction(v) for a, v in zip(row, point, strict=True)), Fraction(0))
    limit = float(value)
    for _ in range(abs(ulps)):
        limit = float(np.nextafter(limit, np.inf if ulps > 0 else -np.inf))
    domain = wv.Domain(wv.Box([-4] * 3, [4] * 3), rows=[[0.0] * 3, row], limits=[0.0, max(limit, -100.0)])
    assert (domain.broken(point) is None) == (value <= Fraction(limit))


def test_a_point_on_a_row_belongs_and_a_rounding_error_does_not():
    domain = wv.Domain(wv.Box([0, 0], [1, 1]), rows=[[1, 1]], limits=[0.3])
    assert domain.broken([0.1, 0.2]) is not None  # 0.1 + 0.2 is above 0.3 as rationals, too
    assert domain.broken([0.25, 0.04999999999999999]) is None
    assert wv.Domain(wv.Box([0, 0], [1, 1]), rows=[[1, -1]], limits=[0]).broken([0.1, 0.1]) is None


def test_huge_rows_do_not_overflow_into_a_wrong_answer():
    domain = wv.Domain(wv.Box([-1e300, -1e300], [1e300, 1e300]), rows=[[1e300, 1e300]], limits=[0.0])
    assert domain.broken([1e300, -1e300]) is None
    assert domain.broken([1e300, 1.0 - 1e300]) is None  # the same float
    assert domain.broken([1e300, -0.5e300]) is not None


def test_what_is_not_a_number_belongs_nowhere():
    domain = wv.Domain(wv.Box([0, 0], [1, 1]), integer=[1, 0])
    assert domain.broken([np.nan, 0]) is not None
    assert domain.broken([0, np.inf]) is not None


def test_frozen_features_stay_at_their_sample():
    domain = wv.Domain(wv.Box([0, 0], [1, 1]), frozen=[1, 0])
    assert domain.broken([0.5, 0.25], [0.5, 0.75]) is None
    assert "feature 0 is frozen" in domain.broken([0.5, 0.25], [0.25, 0.25])
    samples = np.array([[0.5, 0], [0.25, 1], [0.5, 1]])
    assert [(k, box.lower[0], box.upper[1]) for k, box in alike(domain, samples)] == [([0, 2], 0.5, 1.0), ([1], 0.25, 1.0)]
    hull = hull_of(domain, samples)
    assert (hull.lower.tolist(), hull.upper.tolist()) == ([0.25, 0], [0.5, 1])


def test_a_plan_that_moves_what_is_frozen_or_breaks_a_row_is_refused():
    network = random_mlp([2, 3, 2], 0)
    data = wv.Dataset([[0.5, 0.5]], [0])
    domain = wv.Domain(wv.Box([0, 0], [1, 1]), frozen=[1, 0], rows=[[0, 1]], limits=[0.75], weights=[1, 4])
    auditor = Auditor(network, data, domain, "margin")
    ball = wv.WassersteinBall(1.0, order=1, norm="l1")

    def plan(point, cost):
        return TransportPlan((Atom(source=0, label=0, mass=1.0, cost=cost, point=np.array(point)),))

    auditor.check(plan([0.5, 0.75], 1.0), ball, lower=-1e9)
    for point, cost, message in (
        ([0.25, 0.5], 0.25, "frozen"), ([0.5, 0.875], 1.5, "row 0"), ([0.5, 1.5], 4.0, "not in"),
        ([0.5, 0.75], 0.25, "reports cost"),
    ):  # fmt: skip
        with pytest.raises(wv.AuditError, match=message):
            auditor.check(plan(point, cost), ball, lower=-1e9)
    with pytest.raises(wv.AuditError, match="budget"):
        auditor.check(plan([0.5, 0.75], 1.0), wv.WassersteinBall(0.5, order=1, norm="l1"), lower=-1e9)


def test_constraints_are_never_left_out_silently():
    network = random_mlp([2, 3, 2], 0)
    rows = wv.Domain(wv.Box([0, 0], [1, 1]), rows=[[1, 1]], limits=[1])
    frozen = wv.Domain(wv.Box([0, 0], [1, 1]), frozen=[1, 0])
    plain = wv.Domain(wv.Box([0, 0], [1, 1]))
    for domain in (rows, frozen):
        with pytest.raises(wv.DomainError, match="exact Lipschitz constants need a plain box"):
            wv.lipschitz(network, "logit:0", domain=domain)
    assert plain_box(plain, "things").upper.tolist() == [1, 1]
    assert wv.lipschitz(network, "logit:0", domain=plain).value.upper > 0
    for domain in (rows, wv.Domain(wv.Box([0, 0], [1, 1]), weights=[1, 2])):
        with pytest.raises(wv.DomainError, match="adversarial distances need a box"):
            wv.distance(network, [0.25, 0.25], 0, domain=domain)
    assert box_per_sample(frozen, "things") is frozen
    with pytest.raises(wv.DomainError, match="2 features, the network has 3"):
        as_domain(plain, 3)


def test_the_distance_on_a_domain_with_frozen_features_is_that_of_each_box():
    network = mlp([np.array([[0.0, 0.0], [1.0, 2.0]])], [np.array([0.0, -1.0])])  # f = (0, x + 2 y - 1)
    sample = np.array([0.25, 0.125])
    free = wv.distance(network, sample, 0, norm="l1").distance
    assert free.upper == pytest.approx(0.25)
    for frozen, truth in (([0, 1], 0.5), ([1, 0], 0.25), ([1, 1], np.inf)):
        found = wv.distance(network, sample, 0, norm="l1", domain=wv.Domain(wv.Box([0, 0], [1, 1]), frozen=frozen)).distance
        assert found.lower <= truth <= found.upper or found.upper == pytest.approx(truth)
        assert found.lower == pytest.approx(truth, rel=1e-6)


def test_the_zero_one_risk_moves_every_sample_in_its_own_box():
    network = mlp([np.array([[0.0, 0.0], [1.0, 2.0]])], [np.array([0.0, -1.0])])
    data = wv.Dataset([[0.25, 0.125], [0.5, 0.125], [0.5, 0.0]], [0, 0, 0])
    domain = wv.Domain(wv.Box([-np.inf, 0], [np.inf, 1]), frozen=[1, 0])
    ball = wv.WassersteinBall(0.1, order=1, norm="linf")
    certificate = wv.certify(network, data, ball, domain=domain, comparison_time=0)
    assert [round(d.distance.upper, 9) for d in certificate.distances] == [0.25, 0.125, 0.25]
    assert certificate.risk.upper == pytest.approx((1 + (0.3 - 0.125) / 0.25) / 3)
    assert all(atom.point[0] == data.x[atom.source, 0] for atom in certificate.plan.atoms)


def test_the_file_says_the_domain():
    domain = wv.Domain(wv.Box([0, 0, 0], [2, 1, 1]), frozen=[1, 0, 0], one_hot=[[1, 2]], rows=[[1, 0, 0.5]], limits=[3])
    assert domain_record(domain) == {
        "lower": 0.0, "upper": [2.0, 1.0, 1.0], "frozen": [0], "integer": [1, 2], "one_hot": [[1, 2]],
        "rows": [{"features": [0, 2], "coefficients": [1.0, 0.5], "at_most": 3.0}],
    }  # fmt: skip
    assert (
        domain_record(wv.Domain(wv.Box([0, 0], [1, 1]))) == domain_record(wv.Box([0, 0], [1, 1])) == {"lower": 0.0, "upper": 1.0}
    )
    assert str(domain) == "box in R^3 with 1 frozen, 1 one-hot groups, 1 rows"


@given(st.lists(st.lists(st.floats(-2, 5), min_size=4, max_size=4), min_size=1, max_size=4))
def test_points_near_a_region_belong_to_it(points):
    domain = wv.Domain(
        wv.Box([0, 0, 0, 0], [3, 1, 1, 2]), integer=[1, 0, 0, 0], one_hot=[[1, 2]], rows=[[1, 0, 0, 1]], limits=[3.3]
    )
    region = Region.of(domain, np.array([1, 1, 0, 0.5]))
    near = region.near(np.array(points))
    assert len(near) == len(points)  # here there always is one
    assert all(domain.broken(point) is None for point in near)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frozen": [1]}, "frozen has shape"),
        ({"frozen": 1}, "frozen has shape"),
        ({"weights": "ab"}, "not an array of numbers"),
        ({"weights": [[1, 1]]}, "weights have shape"),
        ({"one_hot": [[0, 7]]}, "names feature 7"),
        ({"one_hot": [[0, -1]]}, "names feature -1"),
        ({"limits": [0.0]}, "belong together"),
        ({"rows": [[1, 1]], "limits": [-1]}, "row 0 holds nowhere"),
    ],
)
def test_what_contradicts_itself_is_refused(arguments, message):
    with pytest.raises(wv.DomainError, match=message):
        wv.Domain(wv.Box([0, 0], [1, 1]), **arguments)


def test_the_number_of_features_must_be_known():
    with pytest.raises(wv.DomainError, match="number of features is unknown"):
        wv.Domain(wv.Box(0, 1))
    assert wv.Domain(wv.Box(0, 1), integer=[0, 1, 0]).box.upper.tolist() == [1, 1, 1]
