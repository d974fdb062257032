"""Confirm a counterexample in exact arithmetic, repairing it inside its activation cell if need be."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.encode.graph import Ranges, encode_graph
from wdaverify.encode.linear_rows import add_rational_row
from wdaverify.encode.relu import fixed_phase
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.pattern import pattern_at
from wdaverify.program.backend import SolveOptions
from wdaverify.program.builder import ProgramBuilder
from wdaverify.program.program import Sense

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Vector
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.property.property import Disjunct

_DECIMALS = (9, 6)


def confirm(network: Network, disjunct: Disjunct, point: Vector, *, backend: Backend, deadline: Deadline) -> Vector | None:
    """Return a float64 point of the disjunct's box that satisfies it exactly, starting from `point`; ``None`` if none is found.

    Tried in this order: the point itself, the point of its activation cell where the smallest row is largest, and both
    rounded to a few decimals.
    """
    inner = disjunct.inner_box()
    if inner is None:
        return None
    clipped = np.clip(point, *inner)
    if holds(network, disjunct, clipped):
        return clipped
    proposals = [np.clip(np.round(clipped, d), *inner) for d in _DECIMALS]
    best = _best_of_cell(network, disjunct, clipped, backend=backend, deadline=deadline)
    if best is not None:
        proposals = [np.clip(best, *inner), *(np.clip(np.round(best, d), *inner) for d in _DECIMALS), *proposals]
    return next((p for p in proposals if holds(network, disjunct, p)), None)


def holds(network: Network, disjunct: Disjunct, point: Vector) -> bool:
    """Whether a float64 point (n,) satisfies the disjunct, decided exactly."""
    x = [Fraction(v) for v in point.tolist()]
    return disjunct.holds(x, exact_forward(network, x))


def _best_of_cell(network: Network, disjunct: Disjunct, point: Vector, *, backend: Backend, deadline: Deadline) -> Vector | None:
    """The solver's point of the cell of `point` where the smallest output row is largest."""
    inner = disjunct.inner_box()
    if inner is None:
        return None
    builder = ProgramBuilder()
    ranges = Ranges({network.input: inner[0]}, {network.input: inner[1]})
    graph = encode_graph(builder, network, ranges, fixed_phase(pattern_at(network, point)))
    slack = builder.add_columns(1, -np.inf, 1.0)
    for columns, rows, level in ((graph.inputs, disjunct.input_rows, None), (graph.outputs, disjunct.output_rows, int(slack[0]))):
        for row in (row for row in rows if row.coefficients):
            k = np.array([k for k, _ in row.coefficients])
            coefficients = [c for _, c in row.coefficients]
            add_rational_row(builder, columns[k], coefficients, row.offset, magnitudes=np.zeros(len(k)), slack=level)
    builder.set_objective(slack, [1.0])
    result = backend.solve(builder.build(Sense.MAXIMISE), SolveOptions(deadline=deadline))
    return None if result.primal is None else result.primal[graph.inputs]
