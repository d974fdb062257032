"""One sample's view of the cells: pieces on which every logit difference is affine and a polyhedral ground norm linear.

Coordinates are ``u = S (x - x_0)`` in rational arithmetic, so that nothing cancels near the sample. `gains` holds for every piece
the rows ``f_j - f_y`` of the rivals j at its corners.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from tests.risk_cells import Form, Point, RiskCell, clipped, halves, value

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Piece:
    """A convex polygon in u with the rows ``f_j - f_y``, and the norm as a form where it is linear (l1, linf)."""

    corners: tuple[Point, ...]
    rows: tuple[Form, ...]
    length: Form | None

    def row_values(self) -> list[list[Fraction]]:
        return [[value(row, corner) for row in self.rows] for corner in self.corners]


def pieces_of(cells: Sequence[RiskCell], center: Sequence[float], label: int, norm: str, scales: Sequence[float]) -> list[Piece]:
    at, sizes = [Fraction(float(v)) for v in center], [Fraction(float(v)) for v in scales]
    found = []
    for cell in cells:
        corners = tuple(tuple((x - c) * s for x, c, s in zip(p, at, sizes, strict=True)) for p in cell.corners)
        differences = [_minus(form, cell.logits[label]) for j, form in enumerate(cell.logits) if j != label]
        rows = tuple((*(a / s for a, s in zip(row, sizes, strict=False)), value(row, tuple(at))) for row in differences)
        found += [Piece(part, rows, _length(part, norm)) for part in _refined(corners, norm)]
    return found


def _minus(one: Form, other: Form) -> Form:
    return tuple(a - b for a, b in zip(one, other, strict=True))


def _unit(size: int, *entries: tuple[int, int]) -> Form:
    row = [Fraction(0)] * (size + 1)
    for k, entry in entries:
        row[k] = Fraction(entry)
    return tuple(row)


def _refined(corners: tuple[Point, ...], norm: str) -> list[tuple[Point, ...]]:
    """The parts on which l1 or linf is linear: quadrants, or the wedges between the diagonals."""
    size = len(corners[0])
    if norm == "l2" and size > 1:
        return [corners]
    lines = [_unit(size, (0, 1), (1, 1)), _unit(size, (0, 1), (1, -1))] if norm == "linf" and size == 2 else []
    lines = lines or [_unit(size, (k, 1)) for k in range(size)]
    parts = [corners]
    for line in lines:
        parts = [half for part in parts for half, _ in halves(part, line)]
    return parts


def _length(part: tuple[Point, ...], norm: str) -> Form | None:
    """The norm as a form, from its signs at the centre of the part."""
    size = len(part[0])
    if norm == "l2" and size > 1:
        return None
    center = [sum((corner[k] for corner in part), Fraction(0)) for k in range(size)]
    signs = [(k, -1 if center[k] < 0 else 1) for k in range(size)]
    if norm == "linf":
        signs = [max(signs, key=lambda pair: abs(center[pair[0]]))]
    return _unit(size, *signs)


def distance(pieces: Sequence[Piece]) -> float:
    """``min ||u||`` where some row is at least 0, or ``inf``: least at a corner where the norm is linear."""
    least = np.inf
    for piece in pieces:
        for row in piece.rows:
            part = clipped(piece.corners, row)
            if not part:
                continue
            if piece.length is not None:
                least = min(least, float(min(value(piece.length, corner) for corner in part)))
            elif _holds_origin(part):
                return 0.0
            else:
                least = min(least, *(_to_segment(p, q) for p, q in zip(part, (*part[1:], part[0]), strict=True)))
    return least


def _holds_origin(part: tuple[Point, ...]) -> bool:
    """Whether 0 lies in a convex polygon: on one side of all edges (exact; a segment or a point is left to its distance)."""
    turns = [p[0] * q[1] - p[1] * q[0] for p, q in zip(part, (*part[1:], part[0]), strict=True)]
    return len(part) > 2 and (min(turns) >= 0 or max(turns) <= 0)


def _to_segment(p: Point, q: Point) -> float:
    """Distance of 0 from a segment: rational up to the last square root."""
    step = [b - a for a, b in zip(p, q, strict=True)]
    square = sum((d * d for d in step), Fraction(0))
    share = Fraction(0) if square == 0 else -sum((a * d for a, d in zip(p, step, strict=True)), Fraction(0)) / square
    share = min(max(share, Fraction(0)), Fraction(1))
    return float(sum(((a + share * d) ** 2 for a, d in zip(p, step, strict=True)), Fraction(0))) ** 0.5


def edges(pieces: Sequence[Piece]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All edges: ends (E, n) twice, rows at the ends (E, K - 1) twice. A piece that is a point is an edge of length 0."""
    starts, ends, first, last = [], [], [], []
    for piece in pieces:
        corners, values = floats(piece.corners), floats(piece.row_values())
        count = 1 if len(corners) == 2 else len(corners)
        after = [(k + 1) % len(corners) for k in range(count)]
        starts.append(corners[:count])
        ends.append(corners[after])
        first.append(values[:count])
        last.append(values[after])
    return np.concatenate(starts), np.concatenate(ends), np.concatenate(first), np.concatenate(last)


def floats(rows: Sequence[Sequence[Fraction]]) -> np.ndarray:
    return np.array([[float(v) for v in row] for row in rows], dtype=np.float64)


def clipped_to_ball(piece: Piece, radius: float) -> list[list[Fraction]]:
    """The rows at the corners of the part of a piece within a radius, where the norm is linear."""
    assert piece.length is not None
    inside = (*(-a for a in piece.length[:-1]), Fraction(radius) - piece.length[-1])
    return [[value(row, corner) for row in piece.rows] for corner in clipped(piece.corners, inside)]


def in_polygon(step: np.ndarray, domain: tuple[Point, ...], center: np.ndarray, scales: np.ndarray) -> bool:
    """Whether ``center + step / scales`` lies in a convex domain, exactly; never in one without interior."""
    if len(domain) < 3 or not np.isfinite(step).all():
        return False
    x, y = (Fraction(float(c)) + Fraction(float(d)) / Fraction(float(s)) for c, d, s in zip(center, step, scales, strict=True))
    turns = [
        (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) for p, q in zip(domain, (*domain[1:], domain[0]), strict=True)
    ]
    return min(turns) >= 0 or max(turns) <= 0
