"""What the enumeration is told by regions and solvers may be wrong: it then takes longer or leaves parts open, no more."""

from __future__ import annotations

import numpy as np
import pytest

from tests.lying_sessions import LIES, LyingSession
from tests.networks import mlp, random_mlp, random_residual
from tests.oracles import enumerate_cells
from wdaverify._deadline import Deadline
from wdaverify.cells.interior import interior_at
from wdaverify.cells.interior_regions import InteriorRegions
from wdaverify.cells.layer_search import FoundCells, LayerSearch
from wdaverify.cells.regions import Sides
from wdaverify.cells.vertex_regions import VertexRegions
from wdaverify.domain import Box
from wdaverify.program.backend import get_backend

HIGHS = get_backend("highs")
UNIT = Box(-1, 1)


class LyingSolver:
    """A backend whose one-shot answers are replaced in one of the ways of `LyingSession`."""

    name, version, capabilities = "liar", "0", HIGHS.capabilities

    def __init__(self, kind):
        self.kind = kind

    def solve(self, program, options=None):
        return LyingSession(program, self.kind).solve(options)


def searched(network, backend=HIGHS, *, vertices):
    parts = list(LayerSearch(backend, network, UNIT.sized(network.inputs), Deadline(), vertices=vertices).cells())
    found = [part for part in parts if isinstance(part, FoundCells)]
    for part in found:
        for phases, point in zip(part.phases, part.points, strict=True):
            assert interior_at(network, UNIT.sized(network.inputs), phases, point)
    patterns = [tuple(phases.tolist()) for part in found for phases in part.phases]
    assert len(patterns) == len(set(patterns))
    return set(patterns), [part for part in parts if not isinstance(part, FoundCells)]


def assert_nothing_is_lost(network, found, rest):
    names = network.relu_nodes
    truth = {tuple(active for name in names for active in cell.pattern[name]) for cell in enumerate_cells(network, UNIT)}
    assert found <= truth
    for phases in truth - found:
        assert any(all(phases[k] == part.phases[k] for k in np.flatnonzero(part.decided)) for part in rest)
    return truth


def garbled(sides, kind, rng):
    """The same answer with lies."""
    plus, minus, weights = (a.copy() for a in sides)
    match kind:
        case "weights":
            weights = rng.normal(size=weights.shape) * 10.0 ** rng.integers(-3, 3, size=weights.shape)
        case "nan":
            weights[:] = np.nan
        case "one side":
            plus &= rng.random(plus.shape) < 0.5
        case "other side":
            plus, minus = minus, plus
        case "no side":
            lost = rng.random(plus.shape) < 0.2
            plus[lost] = minus[lost] = False
    return Sides(plus, minus, weights)


@pytest.mark.parametrize("kind", ["weights", "nan", "one side", "other side", "no side"])
@pytest.mark.parametrize("regions", [VertexRegions, InteriorRegions])
@pytest.mark.parametrize("network", [random_mlp([2, 4, 3, 2], 8), random_residual(2, 2, 3, 2)], ids=["mlp", "residual"])
def test_regions_that_lie_lose_nothing(network, regions, kind, monkeypatch):
    rng, honest = np.random.default_rng(3), regions.sides

    def lying(self, functions, tolerances, wanted):
        sides, same = honest(self, functions, tolerances, wanted)
        return garbled(sides, kind, rng), same

    monkeypatch.setattr(regions, "sides", lying)
    found, rest = searched(network, vertices=regions is VertexRegions)
    truth = assert_nothing_is_lost(network, found, rest)
    assert found == truth  # the careful search makes up for all of it
    assert not rest


@pytest.mark.parametrize("regions", [VertexRegions, InteriorRegions])
def test_regions_that_are_misplaced_lose_nothing(regions, monkeypatch):
    """Vertices, centres and samples are guesses; the walls are facts and stay what they are."""
    network, rng, honest = random_mlp([2, 4, 3, 2], 8), np.random.default_rng(4), regions.split
    places = ("points",) if regions is VertexRegions else ("centers", "samples")

    def lying(self, functions, neurons, tolerances):
        parts = honest(self, functions, neurons, tolerances)
        for array in (getattr(part, name) for part in parts for name in places):
            array += 0.1 * rng.normal(size=(len(array), *[1] * (array.ndim - 2), 2))
        return parts

    monkeypatch.setattr(regions, "split", lying)
    found, rest = searched(network, vertices=regions is VertexRegions)
    assert found == assert_nothing_is_lost(network, found, rest)


@pytest.mark.parametrize("kind", [*LIES, "honest"])
def test_solvers_that_lie_leave_slivers_open(kind):
    network = mlp([[[1.0, 0.0], [-1.0, 0.0], [0.3, 1.0]], np.ones((1, 3))], [[0.0, 1e-13, 0.1], [0.0]])
    found, rest = searched(network, LyingSolver(kind), vertices=True)
    wide = {(False, True, False), (False, True, True), (True, False, False), (True, False, True)}
    sliver = {(True, True, False), (True, True, True)}
    assert wide <= found <= wide | sliver
    for phases in sliver - found:
        assert any(all(phases[k] == part.phases[k] for k in np.flatnonzero(part.decided)) for part in rest)
    assert kind != "honest" or (found == wide | sliver and not rest)
