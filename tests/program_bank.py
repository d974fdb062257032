"""Programs with optimum and duals worked out by hand, for every backend.

Notation: min or max c.x, rows ``rl <= A x <= ru``, box ``l <= x <= u``. The duals (y, z) satisfy c = A^T y + z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from wdaverify.program.program import Program, Sense

INF = np.inf


@dataclass(frozen=True)
class Case:
    """A program with its answer; `row_duals` is None where they are not unique."""

    name: str
    program: Program
    optimum: float
    point: list[float] | None = None
    row_duals: list[float] | None = None
    column_duals: list[float] | None = None


def program(c, a, rows, box, *, sense=Sense.MINIMISE, integer=None, constant=0.0, quadratic=None):
    """A program from lists: `rows` and `box` are pairs (lower, upper) per row and column."""
    c = np.array(c, dtype=float)
    a = np.array(a, dtype=float).reshape(len(rows), len(c))
    rows = np.array(rows, dtype=float).reshape(-1, 2)
    box = np.array(box, dtype=float).reshape(-1, 2)
    return Program(
        objective=c,
        matrix=csr_array(a),
        row_lower=rows[:, 0].copy(),
        row_upper=rows[:, 1].copy(),
        lower=box[:, 0].copy(),
        upper=box[:, 1].copy(),
        integer=np.zeros(len(c), dtype=bool) if integer is None else np.array(integer, dtype=bool),
        sense=sense,
        constant=constant,
        quadratic=None if quadratic is None else np.array(quadratic, dtype=float),
    )


MAX = Sense.MAXIMISE
FREE, UNIT, POS = (-INF, INF), (0, 1), (0, INF)


def BELOW(end):
    return (-INF, end)


LINEAR = [
    # at (1, 0) the row x + y >= 1 has price 1; y costs 2 - 1 more than it brings
    Case("covering", program([1, 2], [[1, 1]], [(1, INF)], [(0, 4)] * 2), 1, [1, 0], [1], [0, 1]),
    # max 3x + 2y, x + y <= 4, x + 3y <= 7, x <= 3: vertex (3, 1), row 1 has price 2, the bound of x price 1
    Case(
        "maximise",
        program([3, 2], [[1, 1], [1, 3]], [BELOW(4), BELOW(7)], [(0, 3), POS], sense=MAX),
        11,
        [3, 1],
        [2, 0],
        [1, 0],
    ),
    # x + y = 2, x - y = 0: (1, 1); y1 + y2 = 1, y1 - y2 = 5
    Case("equations", program([1, 5], [[1, 1], [1, -1]], [(2, 2), (0, 0)], [FREE] * 2), 6, [1, 1], [3, -2], [0, 0]),
    # the row -1 <= x - y <= 3 is active at its lower end
    Case("range, lower end", program([1, 1], [[1, -1]], [(-1, 3)], [(-5, 5), (2, 5)]), 3, [1, 2], [1], [0, 2]),
    # the same row at its upper end, maximising x with y <= 2
    Case("range, upper end", program([1, 0], [[1, -1]], [(-1, 3)], [(-9, 9), (0, 2)], sense=MAX), 5, [5, 2], [1], [0, 1]),
    # the row has price -1 at its upper end: min -x, x <= 3 by the row only
    Case("upper row end", program([-1], [[1]], [(-INF, 3)], [POS]), -3, [3], [-1], [0]),
    # free variable x >= -7 by a row
    Case("free variable", program([2], [[4]], [(-28, INF)], [FREE]), -14, [-7], [0.5], [0]),
    # y is fixed to 2: x = 5 - 2, z_y = 1 - 1
    Case("fixed column", program([1, 3], [[1, 1]], [(5, 5)], [(0, 9), (2, 2)]), 9, [3, 2], [1], [0, 2]),
    Case("only bounds", program([1, -1, 0], [], [], [(-2, 3), (-2, 3), (0, 0)]), -5, [-2, 3, 0], [], [1, -1, 0]),
    Case("only bounds, maximise", program([1, -1], [], [], [(-2, 3)] * 2, sense=MAX), 5, [3, -2], [], [1, -1]),
    Case("constant", program([1], [[1]], [(2, INF)], [(0, 5)], constant=10), 12, [2], [1], [0]),
    Case("constant, maximise", program([-1], [[1]], [(2, INF)], [(0, 5)], constant=10, sense=MAX), 8, [2], [-1], [0]),
    # an empty row, a free row and a column without entries
    Case("empty row", program([1, 1], [[0, 0], [1, 0]], [(-1, 1), (-INF, INF)], [(1, 2), (3, 4)]), 4, [1, 3], [0, 0], [1, 1]),
    # three rows through the vertex (1, 1): primal degenerate, duals not unique
    Case("degenerate", program([-1, -1], [[1, 0], [0, 1], [1, 1]], [(-INF, 1), (-INF, 1), (-INF, 2)], [POS] * 2), -2, [1, 1]),
    # every point of the edge x + y = 1 is optimal
    Case("many optima", program([1, 1], [[1, 1]], [(1, INF)], [UNIT] * 2), 1, None, [1], [0, 0]),
    Case("zero objective", program([0, 0], [[1, 1]], [(1, 2)], [UNIT] * 2, constant=3), 3, None, [0], [0, 0]),
    # transport of 3 + 2 to 1 + 4 with costs 1 4 / 2 1: x11 = 1, x12 = 2, x22 = 2
    Case(
        "transport",
        program(
            [1, 4, 2, 1],
            [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]],
            [(3, 3), (2, 2), (1, 1), (4, 4)],
            [POS] * 4,
        ),
        11,
        [1, 2, 0, 2],
    ),
    Case("no columns", program([], [[], []], [(-1, 1), (0, INF)], [], constant=2), 2, [], [0, 0], []),
]

INFEASIBLE = [
    Case("rows against box", program([1, 1], [[1, 1]], [(3, INF)], [UNIT] * 2), INF),
    Case("rows against rows", program([0, 0], [[1, 1], [1, 1]], [(-INF, 1), (2, INF)], [(-9, 9)] * 2, sense=MAX), -INF),
    Case("equations", program([1, 0], [[1, 1], [2, 2]], [(1, 1), (3, 3)], [(-9, 9)] * 2), INF),
    Case("empty row", program([1], [[0]], [(1, 2)], [UNIT]), INF),
    Case("no columns", program([], [[]], [(-2, -1)], []), INF),
]

UNBOUNDED = [
    Case("a ray", program([-1, 0], [[1, -1]], [(-1, 1)], [POS] * 2), -INF),
    Case("maximise", program([1], [[1]], [(0, INF)], [FREE], sense=MAX), INF),
    Case("free column", program([1, 0], [[0, 1]], [(0, 1)], [FREE, UNIT]), -INF),
]

MIXED_INTEGER = [
    # 5x + 4y <= 24 cut at integers; the linear optimum is (24/5, 0) with 4.8 * 5 = 24
    Case("knapsack", program([5, 4], [[6, 4], [1, 2]], [BELOW(24), BELOW(6)], [POS] * 2, sense=MAX, integer=[1, 1]), 20, [4, 0]),
    # values 10 13 7 8 with weights 3 4 2 3, capacity 7: {10, 13} = 23
    Case(
        "binaries", program([10, 13, 7, 8], [[3, 4, 2, 3]], [BELOW(7)], [UNIT] * 4, sense=MAX, integer=[1] * 4), 23, [1, 1, 0, 0]
    ),
    # x in {0, 1} switches the capacity of y: y <= 2.5 x, y >= 0.5
    Case("big-M", program([1, 1], [[-2.5, 1]], [(-INF, 0)], [UNIT, (0.5, 9)], integer=[1, 0], constant=-1), 0.5, [1, 0.5]),
    Case("negative integers", program([1], [[2]], [(-7, INF)], [(-9, 9)], integer=[1]), -3, [-3]),
    Case("free integer", program([1], [[2]], [(-7, INF)], [FREE], integer=[1]), -3, [-3]),
    Case("infeasible", program([1], [[2]], [(1, 1)], [(0, 5)], integer=[1]), INF),
    Case("no choice", program([1, 1], [[1, 1]], [(2, 2)], [UNIT] * 2, integer=[1, 1]), 2, [1, 1]),
]

QUADRATIC = [
    # min (x - 3)^2 = x^2 - 6x + 9 on [0, 1]: x = 1, gradient 2 - 6 = z
    Case("parabola at a bound", program([-6], [], [], [UNIT], quadratic=[1], constant=9), 4, [1], [], [-4]),
    # min x^2 + y^2 with x + y >= 2: (1, 1), gradient (2, 2) = y (1, 1)
    Case("projection", program([0, 0], [[1, 1]], [(2, INF)], [FREE] * 2, quadratic=[1, 1]), 2, [1, 1], [2], [0, 0]),
    # max -x^2 + 4x - y with x + y = 3, y >= 0: x = 5/2 from -2x + 4 + 1 = 0, gradient (-1, -1) = y (1, 1)
    Case(
        "concave, maximise",
        program([4, -1], [[1, 1]], [(3, 3)], [FREE, POS], quadratic=[-1, 0], sense=MAX),
        3.25,
        [2.5, 0.5],
        [-1],
        [0, 0],
    ),
]
