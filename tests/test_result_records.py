"""Results as dictionaries of plain scalars, and as data frames."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

import wdaverify as wv

NETWORK = wv.load("instances/iris/iris-16-16.onnx")
DATA = wv.Dataset.load("instances/iris/iris-test.npz").first(6)
PLAIN = (str, int, float, bool, type(None))


def assert_plain(records):
    """Nothing of numpy, no enumeration: types are exactly the scalars of JSON."""
    assert records
    for record in records:
        assert {type(value) for value in record.values()} <= set(PLAIN)
        assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize("order", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("loss", ["zero-one", "hinge"])
def test_certificates(order, loss):
    ball = wv.WassersteinBall(0.05, order=order)
    certificate = wv.certify(NETWORK, DATA, ball, loss=loss, radii=[0.01, 0.05], comparison_time=0)
    records = certificate.records()
    assert_plain(records)
    frame = pd.DataFrame(records)
    assert frame["radius"].tolist() == [0.01, 0.05]
    assert frame["upper"].tolist() == [point.risk.upper for point in certificate.curve]
    assert frame["lower"].tolist() == [point.risk.lower for point in certificate.curve]
    assert set(frame["loss"]) == {loss}
    assert frame["cost"].tolist() == [point.plan.cost for point in certificate.curve]
    limit = [r if math.isinf(order) else r**order for r in (0.01, 0.05)]
    assert all(cost <= most * (1 + 1e-12) for cost, most in zip(frame["cost"], limit, strict=True))
    for bound in certificate.bounds:
        if bound.worst_case_risk:
            assert frame[f"bound:{bound.name}"].tolist() == list(bound.worst_case_risk)
            assert (frame[f"bound:{bound.name}"] >= frame["lower"]).all()


def test_plans_and_distances():
    certificate = wv.certify(NETWORK, DATA, wv.WassersteinBall(0.05), comparison_time=0)
    atoms = certificate.plan.records()
    assert_plain(atoms)
    frame = pd.DataFrame(atoms)
    assert frame["mass"].sum() == pytest.approx(1.0)
    assert frame[["x0", "x1", "x2", "x3"]].to_numpy().tolist() == certificate.plan.points.tolist()
    distances = [d.record() for d in certificate.distances]
    assert_plain(distances)
    assert pd.DataFrame(distances)["lower"].tolist() == [d.distance.lower for d in certificate.distances]


def test_attacks():
    ball = wv.WassersteinBall(0.001)
    found = wv.attack(NETWORK, DATA, ball, radii=[0.001, 0.1], device="cpu")
    assert_plain(found.records())
    assert_plain([{**r, "distance": min(r["distance"], 9.0)} for r in found.sample_records()])
    frame = pd.DataFrame(found.records())
    assert frame["worst_case_accuracy"].tolist() == [point.worst_case_accuracy for point in found.curve]
    assert pd.DataFrame(found.sample_records())["distance"].tolist() == found.distances.tolist()


def test_constants():
    constants = wv.lipschitz_constants(NETWORK, ["label:0", "margin:1-2"], norms=["l1", "linf"])
    records = [constant.record() for constant in constants]
    assert_plain(records)
    assert pd.DataFrame(records)[["functional", "norm", "upper"]].to_numpy().tolist() == [
        [c.functional, str(c.norm), c.upper] for c in constants
    ]
