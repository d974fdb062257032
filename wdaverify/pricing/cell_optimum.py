"""The best point of an activation cell: a linear program, whose vertex is a candidate.

On the cell of a point the network is affine. Maximising ``f_j - f_y - lambda c`` there, for a cost of order 1 in l1 or linf,
gives a vertex of the cell refined by the pieces of the norm, of which there are finitely many (docs/theory.md, "Exact R_p").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from wdaverify.ir.pattern import affine_pieces, pattern_at
from wdaverify.program.backend import SolveOptions
from wdaverify.program.program import Program, Sense

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Vector
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.search.inputs import InputSet

_CUTS = 12
"""Rounds of tangents where length or cost are curved; the point is then no vertex."""


def cell_optimum(
    backend: Backend, network: Network, row: Vector, inputs: InputSet, point: Vector, deadline: Deadline
) -> Vector | None:
    """A solver's best point (n,) of ``row . f(x)`` less the cost of `inputs` in the cell of `point`, or ``None``: a proposal."""
    pieces = affine_pieces(network, pattern := pattern_at(network, point))
    columns = inputs.columns()
    weights, lower, upper = [], [], []
    for name in network.relu_nodes:
        piece, active = pieces[network.sources(name)[0]], pattern[name]
        weights.append(piece.weight @ columns.matrix)
        offset = piece.bias + piece.weight @ columns.origin
        lower.append(np.where(active, -offset, -np.inf))
        upper.append(np.where(active, np.inf, -offset))
    output = pieces[network.output]
    rows = csr_array(np.vstack([*weights, columns.rows.toarray()]))
    program = Program(
        objective=(row @ output.weight) @ columns.matrix + columns.prices,
        matrix=rows,
        row_lower=np.concatenate([*lower, columns.row_lower]),
        row_upper=np.concatenate([*upper, columns.row_upper]),
        lower=columns.lower,
        upper=columns.upper,
        integer=np.zeros(columns.count, dtype=np.bool_),
        sense=Sense.MAXIMISE,
    )
    for _ in range(_CUTS if columns.curved else 1):
        result = backend.solve(program, SolveOptions(deadline=deadline))
        best = result.primal
        if best is None or best.shape != (columns.count,) or not np.isfinite(best).all():
            return None
        cuts = columns.cuts(best)
        if cuts is None or deadline.passed:
            break
        program = program.with_rows(cuts[0], cuts[1], np.full(len(cuts[1]), np.inf))
    return np.asarray(columns.matrix @ best + columns.origin)
