"""Planar cells as rational polygons: they tile the box exactly, and the network is what it is said to be on each."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull, HalfspaceIntersection

import wdaverify as wv
from tests.networks import mlp
from tests.strategies import degenerate_networks, small_networks
from wdaverify.ir.exact import exact_forward
from wdaverify.plot.polygons import area, cell_polygon, clipped, logit_lines, rectangle, ties, value

BOX = wv.Box([-1.0, -0.5], [1.0, 2.0])
AREA = Fraction(5)


def middle(polygon):
    return [sum(coordinates) / len(polygon) for coordinates in zip(*polygon, strict=True)]


@settings(max_examples=25, deadline=None)
@given(st.one_of(small_networks(), degenerate_networks()))
def test_cells_tile_the_box_exactly_and_carry_the_network(network):
    polygons = [(cell, cell_polygon(network, cell.phases, BOX)) for cell in wv.cells(network, BOX)]
    assert sum(area(polygon) for _, polygon in polygons) == AREA
    for cell, polygon in polygons:
        assert area(polygon) > 0
        inside = middle(polygon)
        said = [value(line, tuple(inside)) for line in logit_lines(network, cell.phases)]
        assert said == list(exact_forward(network, inside))  # an evaluation that knows nothing of cells


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-4, 4)] * 3), min_size=1, max_size=5))
def test_areas_are_those_of_qhull(lines):
    polygon = rectangle(BOX)
    for line in lines:
        polygon = clipped(polygon, tuple(map(Fraction, line)))
    size = float(area(polygon)) if len(polygon) > 2 else 0.0
    if size < 1e-6:
        return
    walls = [[-a, -b, -c] for a, b, c in lines if (a, b) != (0, 0)] + [[-1, 0, -1], [1, 0, -1], [0, -1, -0.5], [0, 1, -2]]
    center = np.array(middle(polygon), dtype=float)
    corners = HalfspaceIntersection(np.array(walls, dtype=float), center).intersections
    assert ConvexHull(corners).volume == pytest.approx(size, rel=1e-9)


def test_clipping_leaves_edges_corners_and_nothing():
    square = rectangle(wv.Box([0, 0], [1, 1]))
    assert set(clipped(square, (Fraction(-1), Fraction(0), Fraction(0)))) == {square[0], square[3]}
    assert clipped(square, (Fraction(-1), Fraction(-1), Fraction(0))) == (square[0],)
    assert clipped(square, (Fraction(0), Fraction(0), Fraction(-1))) == ()


def test_ties_are_where_the_largest_logits_are_equal():
    # f = (|x|, 1/2, -5): classes 0 and 1 tie on two vertical lines, class 2 never wins
    network = mlp([[[1, 0], [-1, 0]], [[1, 1], [0, 0], [0, 0]]], [[0, 0], [0, 0.5, -5]])
    box = wv.Box([-1, -1], [1, 1])
    found = [
        segment
        for cell in wv.cells(network, box)
        for segment in ties(cell_polygon(network, cell.phases, box), logit_lines(network, cell.phases))
    ]
    assert sorted(sorted((float(x), float(y)) for x, y in segment) for segment in found) == [
        [(-0.5, -1.0), (-0.5, 1.0)],
        [(0.5, -1.0), (0.5, 1.0)],
    ]


@settings(max_examples=15, deadline=None)
@given(small_networks())
def test_points_of_segments_are_ties_and_no_segment_is_missing(network):
    box, segments, cells = BOX, 0, wv.cells(network, BOX)
    for cell in cells:
        polygon = cell_polygon(network, cell.phases, box)
        found = ties(polygon, logit_lines(network, cell.phases))
        segments += len(found)
        for a, b in found:
            logits = sorted(exact_forward(network, middle([a, b])))
            assert logits[-1] == logits[-2]
    corners = [(x, y) for x in (-1.0, 1.0) for y in (-0.5, 2.0)]
    winners = {int(np.argmax([float(v) for v in exact_forward(network, corner)])) for corner in corners}
    assert segments > 0 or len(winners) == 1
