"""The largest value of a convex function of the logits less an l1 or linf cost, in the plane: at the vertices of all pieces.

On a piece of the network cut with a linear piece of the cost the objective is convex: a vertex is enough (theory, section 6).
"""

from __future__ import annotations

from itertools import combinations, product

import numpy as np

from tests.oracles import enumerate_cells


def cost_pieces(center, norm):
    """The half-plane systems ``rows x <= sides`` on which the cost is linear."""
    lines = np.eye(2) if norm.order == 1 else np.array([[1.0, 1.0], [1.0, -1.0]])
    for signs in product((1.0, -1.0), repeat=2):
        rows = np.array(signs)[:, None] * lines
        yield rows, rows @ center


def vertices(rows, sides):
    """All vertices of a bounded polygon, by solving every pair of its lines."""
    found = []
    for a, b in combinations(range(len(rows)), 2):
        matrix = rows[[a, b]]
        if abs(np.linalg.det(matrix)) > 1e-12 * np.linalg.norm(matrix[0]) * np.linalg.norm(matrix[1]):
            point = np.linalg.solve(matrix, sides[[a, b]])
            if (rows @ point <= sides + 1e-9 * (1.0 + np.abs(sides))).all():
                found.append(point)
    return np.array(found).reshape(-1, 2)


def logits_and_distances(network, box, center, norm):
    """Logits (V, K) and distances (V,) of all vertices."""
    logits, distances = [], []
    for cell in enumerate_cells(network, box):
        for rows, sides in cost_pieces(center, norm):
            points = vertices(np.vstack([cell.rows, rows]), np.r_[cell.sides, sides])
            logits.append(points @ cell.slope.T + cell.offset)
            distances.append(np.linalg.norm(points - center, ord=norm.order, axis=1))
    return np.concatenate(logits), np.concatenate(distances)
