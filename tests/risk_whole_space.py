"""The exact worst-case risk of order 1 on the whole line or plane, for l1 and linf (docs/theory.md, "The whole space").

For a multiplier of at least the largest slope at infinity of the labels present, every price is attained at a true corner of
the pieces (Theorem 7), so the risk is a linear program over the corners and one ray. The corners are those inside a square so
large that doubling it 40 times adds none, which is checked; the corners on its rim are artificial and left out.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from tests.risk_cells import Point, box_corners, risk_cells
from tests.risk_concave import concave_value
from tests.risk_oracle import losses_of
from tests.risk_pieces import Piece, floats, pieces_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify.ir.network import Network

_SIDE = 2.0**40


def slope_at_infinity(network: Network, label: int, norm: str, scales: Sequence[float]) -> float:
    """``max_{||S u|| <= 1} max_j (f0_j - f0_label)(u)`` from the cells of the network without biases; l1, linf or one input."""
    size = network.inputs
    cells = risk_cells(network, box_corners([-1.0] * size, [1.0] * size), biases=False)
    best = Fraction(0)
    for piece in pieces_of(cells, [0.0] * size, label, norm, scales):
        assert piece.length is not None
        for corner, rows in zip(piece.corners, piece.row_values(), strict=True):
            length = _value(piece.length, corner)
            if length > 0:
                best = max(best, max(rows) / length)
    return float(best)


def _value(form: Sequence[Fraction], point: Point) -> Fraction:
    return sum((a * x for a, x in zip(form, point, strict=False)), form[-1])


def _true_corners(
    network: Network, center: np.ndarray, label: int, norm: str, scales: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lengths and rows at the corners of all pieces of the whole space, the sample among them."""
    found = []
    for side in (_SIDE, _SIDE * 2.0**40):
        low, high = center - side, center + side
        pieces = pieces_of(risk_cells(network, box_corners(low, high)), center, label, norm, scales)
        rim = [{(Fraction(b) - Fraction(c)) * Fraction(s) for b in ends}
               for *ends, c, s in zip(low.tolist(), high.tolist(), center.tolist(), scales.tolist(), strict=True)]  # fmt: skip
        found.append(_inside(pieces, rim))
    assert set(found[0]) == set(found[1]), "a corner lies beyond the square"
    corners = found[0]
    lengths = np.array([float(length) for length, _ in corners.values()])
    return lengths, floats([rows for _, rows in corners.values()])


def _inside(pieces: Sequence[Piece], rim: list[set[Fraction]]) -> dict[Point, tuple[Fraction, list[Fraction]]]:
    corners = {}
    for piece in pieces:
        assert piece.length is not None
        for corner, rows in zip(piece.corners, piece.row_values(), strict=True):
            if not any(u in ends for u, ends in zip(corner, rim, strict=True)):
                corners[corner] = (_value(piece.length, corner), rows)
    return corners


def whole_space_risk(
    network: Network,
    x: np.ndarray,
    y: Sequence[int],
    radius: float,
    *,
    weights: Sequence[float] | None = None,
    norm: str = "linf",
    loss: str = "margin",
    scales: Sequence[float] | None = None,
) -> float:
    """``R_1`` on R^n of the margin, the hinge or the cross-entropy; a supremum that need not be attained."""
    points = np.asarray(x, dtype=np.float64).reshape(len(y), -1)
    sizes = np.ones(points.shape[1]) if scales is None else np.asarray(scales, dtype=np.float64)
    masses = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    masses = masses / masses.sum()
    columns = []
    for point, label in zip(points, y, strict=True):
        lengths, rows = _true_corners(network, point, label, norm, sizes)
        columns.append((lengths, losses_of(rows, loss)))
    if radius == 0:
        return float(sum(w * values[lengths == 0][0] for w, (lengths, values) in zip(masses, columns, strict=True)))
    slope = max(slope_at_infinity(network, label, norm, sizes) for label in y)
    pairs = [list(zip(lengths.tolist(), values.tolist(), strict=True)) for lengths, values in columns]
    return concave_value(pairs, masses.tolist(), radius, ray=slope)[0]
