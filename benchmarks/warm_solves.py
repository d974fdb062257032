"""Time a node of branch and bound on a linear program of a digits network's size: solve warm, then bound from the duals.

Run ``python benchmarks/warm_solves.py [nodes]``. Printed are microseconds per node: to change and solve, and to bound.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse import random as random_sparse

from wdaverify.program.backend import SolveOptions, get_backend, open_session
from wdaverify.program.kkt import safe_bound
from wdaverify.program.program import Program, Sense

ROWS, COLUMNS, DENSITY = 200, 450, 0.15


def make_program(rng: np.random.Generator) -> Program:
    """A random program that is feasible at 0."""
    return Program(
        objective=rng.normal(size=COLUMNS),
        matrix=csr_array(random_sparse(ROWS, COLUMNS, DENSITY, random_state=rng)),
        row_lower=-np.ones(ROWS),
        row_upper=np.ones(ROWS),
        lower=np.zeros(COLUMNS),
        upper=np.ones(COLUMNS),
        integer=np.zeros(COLUMNS, dtype=bool),
        sense=Sense.MAXIMISE,
    )


def main(nodes: int) -> None:
    """Move two bounds a node, solve, bound, and print."""
    rng = np.random.default_rng(0)
    session = open_session(get_backend("highs"), make_program(rng))
    options = SolveOptions(presolve=False)
    session.solve(options)
    solving = bounding = 0.0
    iterations = 0
    for _ in range(nodes):
        started = time.perf_counter()
        session.set_column_bounds(rng.integers(COLUMNS, size=2), 0.0, rng.integers(0, 2, 2).astype(float))
        result = session.solve(options)
        solved = time.perf_counter()
        assert result.row_duals is not None
        safe_bound(session.program, result.row_duals)
        solving, bounding = solving + solved - started, bounding + time.perf_counter() - solved
        iterations += result.iterations
    print(f"{nodes} nodes of {iterations / nodes:.1f} iterations: {1e6 * solving / nodes:.0f} us to change and solve,"
          f" {1e6 * bounding / nodes:.0f} us to bound")  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
