from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull, HalfspaceIntersection

from tests.networks import mlp, random_mlp, random_residual
from tests.oracles import brute_force_distance, brute_force_distances, enumerate_cells, project
from wdaverify._types import Norm
from wdaverify.domain import Box
from wdaverify.ir.evaluate import forward, trace


@pytest.mark.parametrize(
    ("lines", "offsets", "count"),
    [
        ([[1.0, 0.0]], [0.0], 2),
        ([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0], 4),
        ([[1.0, 0.0], [1.0, 0.0]], [0.5, -0.5], 3),
        ([[1.0, 0.0], [-1.0, 0.0]], [0.0, 0.0], 2),
        ([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0.0, 0.0, 0.5], 7),
        ([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0.0, 0.0, 0.0], 6),
        ([[1.0, 0.0], [1.0, 1.0]], [5.0, 0.0], 2),
        ([[0.0, 0.0], [1.0, 0.0]], [1.0, 0.0], 2),
    ],
)
def test_cells_of_line_arrangements_are_counted(lines, offsets, count):
    network = mlp([lines, np.ones((1, len(lines)))], [offsets, [0.0]])
    assert len(list(enumerate_cells(network, Box(-2, 2)))) == count


def test_three_planes_in_space_make_eight_cells():
    network = mlp([np.eye(3), np.ones((1, 3))], [np.zeros(3), [0.0]])
    assert len(list(enumerate_cells(network, Box(-1, 1)))) == 8


@pytest.mark.parametrize(
    "network", [random_mlp([2, 6, 5, 3], 1), random_mlp([2, 10, 2], 2), random_residual(3, 2, 5, 3)], ids=str
)
def test_planar_cells_tile_the_box_and_their_affine_pieces_are_the_network(network):
    generator = np.random.default_rng(0)
    area = 0.0
    patterns = set()
    for cell in enumerate_cells(network, Box(-1, 2)):
        hull = ConvexHull(HalfspaceIntersection(np.c_[cell.rows, -cell.sides], cell.center).intersections)
        area += hull.volume
        corners = hull.points[hull.vertices]
        inside = generator.dirichlet(np.ones(len(corners)), 5) @ corners
        assert forward(network, inside) == pytest.approx(inside @ cell.slope.T + cell.offset, abs=1e-7)
        values = trace(network, cell.center[None])
        for name, active in cell.pattern.items():
            assert (values[name][0] > 0).tolist() == list(active)
        patterns.add(tuple(cell.pattern.items()))
    assert area == pytest.approx(9.0, abs=1e-6)
    assert len(patterns) > 4


def test_distance_to_a_half_plane_in_a_box_is_the_known_one():
    box_rows, box_sides = np.vstack([np.eye(2), -np.eye(2)]), np.array([1.0, 1.0, 0.0, 0.0])
    rows, sides = np.vstack([box_rows, [-1.0, -1.0]]), np.r_[box_sides, -1.5]
    x = np.array([0.25, 0.75])
    for norm, expected in ((Norm.LINF, 0.25), (Norm.L1, 0.5), (Norm.L2, np.sqrt(0.125))):
        assert project(x, rows, sides, norm) == pytest.approx(expected, abs=1e-9)
        assert project(np.array([0.9, 0.9]), rows, sides, norm) == pytest.approx(0.0, abs=1e-9)
        assert project(x, rows, np.r_[box_sides, -2.5], norm) == np.inf


@pytest.mark.parametrize("norm", list(Norm))
def test_brute_force_distance_agrees_with_a_grid(norm):
    network, x, points = random_mlp([2, 5, 4, 3], 11), np.array([0.3, 0.4]), 601
    label = int(forward(network, x[None])[0].argmax())
    axis = np.linspace(-1, 1, points)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    outputs = forward(network, grid)
    away = np.linalg.norm(grid - x, ord=norm.order, axis=1)
    found = brute_force_distances(network, Box(-1, 1), x, label, norm)
    for rival in range(3):
        hit = (outputs[:, rival] >= outputs[:, label]) & (rival != label)
        nearest = away[hit].min(initial=np.inf)
        assert found[rival] <= nearest + 1e-9
        if np.isfinite(found[rival]):
            assert nearest <= found[rival] + 4 * 2 / (points - 1)
    assert brute_force_distance(network, Box(-1, 1), x, label, norm) == found.min()
    assert np.isfinite(found.min())
