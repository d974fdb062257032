"""Independent opinions on the shipped instances: the search, the MILP in HiGHS and in CBC, and the enumeration of cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.oracles import brute_force_distance
from wdaverify._types import Norm
from wdaverify.dataset import Dataset
from wdaverify.domain import Box
from wdaverify.ir.load import load
from wdaverify.risk.adversarial import DistanceOptions
from wdaverify.risk.distance import distances

INSTANCES = Path(__file__).parents[1] / "instances"
SHIPPED = {
    "iris": ("iris/iris-16-16.onnx", "iris/iris-test.npz", 15),
    "planar": ("planar/moons-16-16.onnx", "planar/moons-test.npz", 30),
}
UNIT = Box(0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("norm", [Norm.L1, Norm.LINF])
@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_search_highs_and_cbc_agree(name: str, norm: Norm) -> None:
    model, data, count = SHIPPED[name]
    network, samples = load(INSTANCES / model), Dataset.load(INSTANCES / data).first(count)
    search, highs, cbc = (
        [r.distance for r in distances(network, samples, norm=norm, domain=UNIT, options=options)]
        for options in (DistanceOptions(), DistanceOptions(engine="milp"), DistanceOptions(solver="cbc"))
    )
    for opinions in zip(search, highs, cbc, strict=True):
        assert all(opinion.exact for opinion in opinions)
        assert max(o.upper for o in opinions) == pytest.approx(min(o.upper for o in opinions), abs=1e-7)
        assert max(o.lower for o in opinions) <= min(o.upper for o in opinions)


@pytest.mark.slow
@pytest.mark.parametrize("norm", [Norm.L1, Norm.LINF])
def test_enumeration_agrees_on_the_planar_network(norm: Norm) -> None:
    network = load(INSTANCES / "planar/moons-16-16.onnx")
    samples = Dataset.load(INSTANCES / "planar/moons-test.npz").first(2)
    for record in distances(network, samples, norm=norm, domain=UNIT, options=DistanceOptions()):
        truth = brute_force_distance(network, UNIT.sized(2), samples.x[record.sample], record.label, norm)
        assert np.isclose(record.distance.upper, truth, rtol=0, atol=1e-7)
        assert record.distance.lower <= truth + 1e-9
