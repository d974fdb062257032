"""Proofs on domains with constraints: prices hold against brute force, and a report whose domain is changed is refused."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.constrained_oracle import brute_price
from tests.judge_drafts import write_network
from tests.networks import random_mlp
from tests.test_proof import stored
from wdaverify.check.report import check
from wdaverify.dataset import Dataset
from wdaverify.feature_domain import Domain
from wdaverify.ir.load import load
from wdaverify.risk.certify import certify
from wdaverify.transport import WassersteinBall

# Two logits 0 and relu(x0 + x1 + x2 + x3 + 2 x5) + relu(x1 - x2): every constraint keeps the margin down.
LAYERS = [([[1.0, 1.0, 1.0, 1.0, 0.0, 2.0], [0.0, 1.0, -1.0, 0.0, 0.0, 0.0]], [0.0, 0.0]), ([[0.0, 0.0], [1.0, 1.0]], [0.0, 0.0])]
SAMPLES = np.array([[1.0, 0.0, 0.25, 0.5, 1.0, 0.0], [2.0, 1.0, 0.5, 0.0, 0.0, 1.0]])
DOMAIN = {
    "frozen": [1, 0, 0, 0, 0, 0], "integer": [0, 1, 0, 0, 0, 0], "weights": [1.0, 0.5, 1.0, 0.75, 0.25, 0.25],
    "rows": [[0.0, 1.0, 2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0, 1.0]], "limits": [2.5, 1.25],
}  # fmt: skip
CHEAPER = [w / 2 for w in DOMAIN["weights"]]


def domain_of(**changes):
    fields = {"box": wv.Box(np.zeros(6), np.full(6, 3.0)), "one_hot": [[4, 5]], **DOMAIN, **changes}
    return Domain(fields.pop("box"), **fields)


def saved(folder, *, order, norm, radius=1.0, domain=None):
    """A report on both samples."""
    write_network(folder / "m.onnx", LAYERS)
    np.savez(folder / "d.npz", x=SAMPLES, y=[0, 0])
    ball = WassersteinBall(radius=radius, order=order, norm=norm)
    network, data = load(folder / "m.onnx"), Dataset.load(folder / "d.npz")
    certify(network, data, ball, loss="margin", domain=domain or domain_of(), comparison_time=0.0).save(folder / "r.json")
    return network, json.loads((folder / "r.json").read_text())


def verdict_on(folder, report):
    (folder / "changed.json").write_text(json.dumps(report))
    return check(folder / "changed.json")


def ball_risk(network, domain, norm, radius):
    return float(np.mean([brute_price(network, 0, x, domain, norm=norm, multiplier=0.0, reach=radius) for x in SAMPLES]))


WIDER = {
    "a frozen feature moves": ({"frozen": [0] * 6}, lambda d: d.pop("frozen")),
    "a whole feature is real": ({"integer": [0] * 6}, lambda d: d.update(integer=[4, 5])),
    "a row is missing": ({"rows": DOMAIN["rows"][1:], "limits": [1.25]}, lambda d: d["rows"].pop(0)),
    "a row is weaker": ({"limits": [2.5, 1.5]}, lambda d: d["rows"][1].update(at_most=1.5)),
    "features cost less": (
        {"weights": [w / 2 for w in DOMAIN["weights"]]},
        lambda d: d.update(weights=[w / 2 for w in d["weights"]]),
    ),
    "a group is loose": ({"one_hot": [], "integer": [0, 1, 0, 0, 1, 1]}, lambda d: d.pop("one_hot")),
}


@pytest.mark.parametrize("name", WIDER)
@pytest.mark.parametrize(("norm", "radius"), [("l1", 0.6), ("linf", 0.8)])
def test_a_wider_domain_is_refused_where_the_risk_is_larger(name, norm, radius, tmp_path):
    network, report = saved(tmp_path, order=np.inf, norm=norm, radius=radius)
    found = report["curve"][0]["worst_case_risk"]
    truth = ball_risk(network, domain_of(), norm, radius)
    assert found["evidence"] == "proved"
    assert found["lower"] <= truth + 1e-7 <= found["upper"] + 2e-7
    fields, change = WIDER[name]
    more = ball_risk(network, domain_of(**fields), norm, radius)
    change(report["domain"])
    verdict = verdict_on(tmp_path, report)
    assert more >= truth - 1e-9
    if more > found["upper"] + 1e-6:
        assert not verdict.accepted
        assert "claim c" in verdict.message


def test_every_constraint_matters_somewhere(tmp_path):
    network, _ = saved(tmp_path, order=np.inf, norm="l1")
    for name, (fields, _) in WIDER.items():
        rises = [
            ball_risk(network, domain_of(**fields), norm, r) - ball_risk(network, domain_of(), norm, r)
            for norm, r in (("l1", 0.6), ("linf", 0.8))
        ]
        assert max(rises) > 1e-3, name


NARROWER = {
    "a row": (lambda d: d["rows"][0].update(at_most=2.0), ("breaks row",)),
    "a frozen feature": (lambda d: d["frozen"].append(1), ("frozen",)),
    "a whole feature": (lambda d: d["integer"].append(3), ("whole",)),
    "a price": (lambda d: d.update(weights=[4 * w for w in d["weights"]]), ("farther", "costs more")),
}


@pytest.mark.parametrize("name", NARROWER)
@pytest.mark.parametrize("order", [1.0, np.inf])
def test_a_narrower_domain_refuses_the_plan(name, order, tmp_path):
    _, report = saved(tmp_path, order=order, norm="l1")
    assert report["curve"][0]["worst_case_risk"]["evidence"] == "proved"
    claims = report["proof"]["claims"]
    change, words = NARROWER[name]
    change(report["domain"])
    # the plan alone, so that nothing else can be what is refused
    report["proof"]["claims"] = [c for c in claims if c["kind"] == "risk_lower"]
    report["proof"]["streams"] = []
    verdict = verdict_on(tmp_path, report)
    assert not verdict.accepted
    assert any(w in verdict.message for w in (*words, "sample")), verdict.message


def test_mass_keeps_what_is_frozen_of_its_own_sample(tmp_path):
    _, report = saved(tmp_path, order=1.0, norm="l1")
    changed = copy.deepcopy(report)
    plan = next(c for c in changed["proof"]["claims"] if c["kind"] == "risk_lower")
    for atom in plan["atoms"]:
        atom[0] = 1 - atom[0]  # the weights are equal, but features 0 are 1 and 2
    verdict = verdict_on(tmp_path, changed)
    assert not verdict.accepted
    assert "frozen" in verdict.message


def streamed(report):
    return [s for s in report["proof"]["streams"] if "records" in s]


@pytest.mark.parametrize("field", ["at", "j"])
def test_splits_at_whole_numbers_are_whole(field, tmp_path):
    _, report = saved(tmp_path, order=np.inf, norm="linf", radius=1.2)
    splits = [r for s in report["proof"]["streams"] for r in s.get("records", []) if r["t"] == "whole"]
    bare = {"t": "whole", "j": 1, "at": 0}
    if splits:
        bare = splits[0]
    else:
        report["proof"]["streams"][0].setdefault("records", []).insert(0, bare)
    bare[field] = "1/2" if field == "at" else 3  # feature 3 is real
    verdict = verdict_on(tmp_path, report)
    assert not verdict.accepted


@pytest.mark.slow
@given(st.integers(0, 2**31), st.sampled_from(("l1", "linf")), st.sampled_from((1.0, np.inf)))
@settings(max_examples=6, deadline=None)
def test_every_price_that_is_proved_holds(tmp_path_factory, seed, norm, order):
    rng, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("r")
    x = np.round(rng.uniform(-1, 1, (2, 3)), 2)
    x[:, 1] = np.round(x[:, 1])
    row = rng.normal(size=3)
    domain = Domain(
        wv.Box(np.full(3, -1.0), np.ones(3)), frozen=[bool(seed % 2), False, False], integer=[False, True, False],
        weights=np.round(rng.uniform(0.5, 2, 3), 2), rows=[row], limits=[float((x @ row).max()) + 0.1],
    )  # fmt: skip
    network, data = stored(random_mlp([3, 5, 3], seed % 1000), folder, x)
    ball = WassersteinBall(radius=0.3, order=order, norm=norm)
    certify(network, data, ball, loss="margin", domain=domain, comparison_time=0.0).save(folder / "r.json")
    report = json.loads((folder / "r.json").read_text())
    if report["curve"][0]["worst_case_risk"]["status"] == "exact":
        assert report["curve"][0]["worst_case_risk"]["evidence"] == "proved"
    if "proof" not in report:
        return
    assert check(folder / "r.json").accepted
    for claim in report["proof"]["claims"]:
        if claim["kind"] == "price":
            i = claim["sample"]
            reach = 0.3 if order == np.inf else np.inf
            value, weight = (float.fromhex(str(v)) if "0x" in str(v) else float(v) for v in (claim["value"], claim["lambda"]))
            truth = brute_price(network, int(data.y[i]), x[i], domain, norm=norm, multiplier=weight, reach=reach)
            assert value >= truth - 1e-7


def test_a_side_without_a_whole_number_is_no_child(tmp_path):
    """A cutoff leaves x_1 between -1 and -0.02 here: the split at -1 has one side, and the risk is proved."""
    x = np.array([[0.97, -1.0, 0.26], [0.37, 0.0, -0.38]])
    domain = Domain(
        wv.Box(np.full(3, -1.0), np.ones(3)), frozen=[True, False, False], integer=[False, True, False],
        weights=np.array([1.69, 0.88, 1.71]), rows=[np.array([0.6523423083389565, -0.7146833248402409, 0.8155731169866188])],
        limits=[1.6595043743455495],
    )  # fmt: skip
    network, data = stored(random_mlp([3, 5, 3], 635), tmp_path, x)
    ball = WassersteinBall(radius=0.3, order=1.0, norm="linf")
    certify(network, data, ball, loss="margin", domain=domain, comparison_time=0.0).save(tmp_path / "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["curve"][0]["worst_case_risk"]["evidence"] == "proved"
    assert any(r["t"] == "whole" for s in streamed(report) for r in s["records"])
