"""The largest cross-entropy on the arcs of a circle about the sample, cell by cell.

Where a piece and a disc meet, a convex function is largest at a corner of the piece or on an arc of the circle (extreme points
of the intersection). An arc lies in the triangle of its ends and the point where its end tangents meet, so the largest of the
three values bounds it; halving closes the gap quadratically.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.risk_cross_entropy import soft
from tests.risk_pieces import floats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.risk_pieces import Piece


def soft_on_circle(pieces: Sequence[Piece], radius: float, gap: float) -> float:
    """The maximum over all points of the circle that lie in a piece, to the gap from below."""
    arcs, rows = [], []
    for piece in pieces:
        if len(piece.corners) < 3:
            crossing = _segment_crossings(piece, radius)
            arcs += [(angle, angle) for angle in crossing]
            rows += [floats(piece.rows)] * len(crossing)
            continue
        found = _arcs(floats(piece.corners), radius)
        arcs += found
        rows += [floats(piece.rows)] * len(found)
    if not arcs:
        return -np.inf
    return _maximum(np.array(arcs), np.array(rows), radius, gap)


def _segment_crossings(piece: Piece, radius: float) -> list[float]:
    ends = floats(piece.corners)
    if len(ends) < 2:
        return []
    return [float(np.arctan2(*(point[::-1]))) for point in _cuts(ends[0], ends[1], radius)]


def _cuts(start: np.ndarray, end: np.ndarray, radius: float) -> list[np.ndarray]:
    """Where a segment crosses the circle."""
    step = end - start
    roots = np.roots([step @ step, 2 * start @ step, start @ start - radius**2])
    return [start + t.real * step for t in roots if abs(t.imag) == 0 and 0 <= t.real <= 1]


def _arcs(corners: np.ndarray, radius: float) -> list[tuple[float, float]]:
    """The arcs of the circle in a convex polygon, as angles: those between crossings whose middle is inside."""
    after = np.roll(corners, -1, axis=0)
    cuts = [cut for start, end in zip(corners, after, strict=True) for cut in _cuts(start, end, radius)]
    angles = sorted({float(np.arctan2(cut[1], cut[0])) for cut in cuts}) or [0.0]
    # Quarter turns keep the end tangents of every arc from being parallel.
    angles = sorted({*angles, *(angles[0] + k * np.pi / 2 for k in range(1, 4))})
    found = []
    for one, other in zip(angles, (*angles[1:], angles[0] + 2 * np.pi), strict=True):
        middle = radius * np.array([np.cos((one + other) / 2), np.sin((one + other) / 2)])
        offsets = middle - corners
        steps = after - corners
        turns = steps[:, 0] * offsets[:, 1] - steps[:, 1] * offsets[:, 0]
        if turns.min() >= 0 or turns.max() <= 0:
            found.append((one, other))
    return found


def _maximum(arcs: np.ndarray, rows: np.ndarray, radius: float, gap: float) -> float:
    best = -np.inf
    while len(arcs):
        low, high = arcs.T
        middle, half = (low + high) / 2, (high - low) / 2
        values = [
            _soft_at(radius * factor, angle, rows)
            for factor, angle in ((1.0, low), (1.0, high), (1 / np.cos(half), middle), (1.0, middle))
        ]
        best = max(best, *(float(values[k].max()) for k in (0, 1, 3)))
        wide = np.maximum(np.maximum(values[0], values[1]), values[2]) > best + gap
        arcs = np.concatenate([np.c_[low, middle][wide], np.c_[middle, high][wide]])
        rows = np.concatenate([rows[wide], rows[wide]])
    return best


def _soft_at(radius: float | np.ndarray, angle: np.ndarray, rows: np.ndarray) -> np.ndarray:
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return soft(np.einsum("tn,tfn->tf", points, rows[:, :, :-1]) + rows[:, :, -1])
