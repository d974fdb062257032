"""The worst-case risk on constrained domains, end to end."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import wdaverify as wv
from tests.constrained_oracle import brute_price
from tests.networks import random_mlp
from wdaverify.cli.main import main

CANCER = Path(__file__).parents[1] / "instances" / "cancer"
DOMAIN = wv.Domain(
    wv.Box([0, 0, 0], [3, 1, 1]), integer=[1, 0, 0], rows=[[0, 1, 1], [0.25, -1, 0]], limits=[1.25, 0.5], weights=[0.5, 2, 1]
)
SAMPLES = np.array([[1, 0.5, 0.5], [0, 0.25, 0.125], [2, 0.75, 0.5]])


def setting(seed: int) -> tuple[wv.Network, wv.Dataset]:
    network = random_mlp([3, 5, 3], seed)
    return network, wv.Dataset(SAMPLES, network.compiled.forward(SAMPLES).argmax(axis=1))


def certified(network, data, *, norm, radius, domain=DOMAIN, loss="margin", order=1.0, gap=1e-6):
    ball = wv.WassersteinBall(radius, order=order, norm=norm)
    return wv.certify(network, data, ball, loss=loss, domain=domain, comparison_time=0, gap=gap)


@pytest.mark.parametrize("norm", ["linf", "l1"])
def test_the_risk_of_order_one_is_its_dual_at_brute_force_prices(norm):
    network, data = setting(1)
    certificate = certified(network, data, norm=norm, radius=0.2)
    prices = [
        brute_price(network, int(y), x, DOMAIN, norm=norm, multiplier=certificate.point.multiplier)
        for x, y in zip(data.x, data.y, strict=True)
    ]
    dual = certificate.point.multiplier * 0.2 + np.mean(prices)
    assert certificate.risk.lower <= dual + 1e-8  # weak duality
    assert certificate.risk.upper >= dual - 2e-6  # the multiplier is the best one
    assert certificate.risk.status == "exact"


@pytest.mark.parametrize("norm", ["linf", "l1"])
def test_the_risk_of_order_inf_is_the_worst_point_of_every_ball(norm):
    network, data = setting(2)
    certificate = certified(network, data, norm=norm, radius=0.55, order=np.inf)
    worst = [
        brute_price(network, int(y), x, DOMAIN, norm=norm, multiplier=0.0, reach=0.55)
        for x, y in zip(data.x, data.y, strict=True)
    ]
    assert certificate.risk.lower - 1e-8 <= np.mean(worst) <= certificate.risk.upper + 1e-8
    assert certificate.risk.status == "exact"


def test_every_atom_satisfies_everything_exactly():
    network, data = setting(3)
    for order, norm in ((1.0, "l1"), (2.0, "linf")):
        plan = certified(network, data, norm=norm, radius=0.3, order=order, gap=1e-4).plan
        assert len(plan.moved) >= 1
        for atom in plan.atoms:
            assert DOMAIN.broken(atom.point, data.x[atom.source]) is None
        assert plan.cost <= 0.3**order


def test_more_constraints_mean_less_risk():
    network, data = setting(4)
    box, c = DOMAIN.box, DOMAIN.constraints
    chain = [
        box,
        wv.Domain(box, rows=c.rows, limits=c.limits),
        wv.Domain(box, rows=c.rows, limits=c.limits, integer=[1, 0, 0]),
        wv.Domain(box, rows=c.rows, limits=c.limits, integer=[1, 0, 0], frozen=[0, 1, 0]),
        wv.Domain(box, frozen=[1, 1, 1]),
    ]
    risks = [certified(network, data, norm="linf", radius=0.2, domain=domain).risk for domain in chain]
    for wide, narrow in pairwise(risks):
        assert narrow.lower <= wide.upper
    nominal = certified(network, data, norm="linf", radius=0.0).risk
    assert risks[-1].lower == pytest.approx(nominal.lower, abs=1e-12)
    assert risks[-1].upper == pytest.approx(nominal.upper, abs=1e-12)


def test_a_domain_without_constraints_is_its_box():
    network, data = setting(5)
    one = certified(network, data, norm="l1", radius=0.2, domain=wv.Domain(DOMAIN.box)).risk
    other = certified(network, data, norm="l1", radius=0.2, domain=DOMAIN.box).risk
    assert (one.lower, one.upper) == (other.lower, other.upper)


def test_what_is_not_available_says_so():
    network, data = setting(0)
    with pytest.raises(wv.DomainError, match="give --loss margin"):
        certified(network, data, norm="l1", radius=0.1, loss="zero-one")
    ball, options = wv.WassersteinBall(0.1, norm="l1"), wv.DistanceOptions(engine="milp")
    with pytest.raises(wv.InputError, match="engine 'milp' knows of no integers"):
        wv.certify(network, data, ball, loss="margin", domain=DOMAIN, options=options, comparison_time=0)
    open_ended = wv.Domain(wv.Box([0, 0, 0], [3, 1, np.inf]), integer=[1, 0, 0])
    with pytest.raises(wv.DomainError, match="feature 2 is not bounded"):
        certified(network, data, norm="l1", radius=0.1, domain=open_ended)
    with pytest.raises(wv.DomainError, match=r"sample 0 lies outside the domain: feature 0 = 0\.5"):
        certified(network, wv.Dataset([[0.5, 0.5, 0.5]], [0]), norm="l1", radius=0.1)


def test_the_tabular_instance_from_the_command_line(tmp_path, capsys):
    output = tmp_path / "certificate.json"
    files = [str(CANCER / "cancer-16-8.onnx"), "--data", str(CANCER / "cancer-test.npz"), "--domain", str(CANCER / "cancer.toml")]
    threat = ["--samples", "2", "--loss", "margin", "--norm", "l1", "--radius", "0.2", "--gap", "1e-3", "--time-limit", "12"]
    assert main(["certify", *files, *threat, "--quiet", "--output", str(output)]) == 0
    assert "9 frozen, 1 integer, 1 one-hot groups, 9 rows, weights" in capsys.readouterr().out
    written = json.loads(output.read_text())
    assert written["domain"]["frozen"] == list(range(9, 18))
    assert written["domain"]["one_hot"] == [[27, 28, 29]]
    assert len(written["domain"]["rows"]) == 9
    (entry,) = written["curve"]
    domain, data = wv.load_domain(CANCER / "cancer.toml"), wv.Dataset.load(CANCER / "cancer-test.npz")
    for atom in entry["plan"]["atoms"]:
        assert domain.broken(atom["point"], data.x[atom["source"]]) is None
    assert main(["lipschitz", files[0], "--domain", files[-1], "--quiet"]) == 2
    assert "exact Lipschitz constants need a plain box" in capsys.readouterr().err
    assert main(["certify", *files, "--quiet", "--output", str(tmp_path / "none.json")]) == 2
    assert "give --loss margin" in capsys.readouterr().err
    assert not (tmp_path / "none.json").exists()
