"""The adversarial target ``f_j(x) >= f_y(x)`` as a row. A tie is an error, so the row is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from wdaverify.encode.graph import GraphColumns
    from wdaverify.program.builder import ProgramBuilder


def add_target(builder: ProgramBuilder, graph: GraphColumns, *, label: int, target: int) -> int:
    """Require that class `target` scores at least as high as `label`; return the row."""
    columns = graph.outputs[[target, label]]
    return builder.add_row(columns, np.array([1.0, -1.0]), 0.0, np.inf)
