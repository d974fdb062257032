"""The ReLU ``y = max(0, z)`` as linear rows: three encodings, one signature.

With certified bounds ``l <= z <= u`` of the pre-activation a neuron is *stable active* (``l >= 0``: ``y = z``),
*stable inactive* (``u <= 0``: ``y = 0``) or *unstable*. Stable neurons are substituted and cost nothing. For the
unstable ones:

* `big_m` (exact, one binary d per neuron; Tjeng, Xiao and Tedrake 2019, equation 6)::

      y >= z,   y >= 0,   y <= z - l (1 - d),   y <= u d,   d in {0, 1}

* `triangle` (the convex hull over ``l <= z <= u``; Ehlers 2017)::

      y >= z,   y >= 0,   (u - l) y <= u (z - l)

* `fixed_phase` (the activation cell of a pattern)::

      active: y = z, z >= 0        inactive: y = 0, z <= 0
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.sparse import diags_array, eye_array

from wdaverify._errors import SolverError

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Vector
    from wdaverify.ir.pattern import ActivationPattern
    from wdaverify.program.builder import ProgramBuilder

ZERO_COLUMN = -1
"""Stands for a column whose value is the constant 0."""


@dataclass(frozen=True, slots=True, eq=False)
class ReluColumns:
    """Columns of the outputs y (`ZERO_COLUMN` where constant 0) and of the binaries (-1 where there is none)."""

    outputs: IntArray
    binaries: IntArray


class ReluEncoding(Protocol):
    """Adds rows for one ReLU node. `z` are the columns of its pre-activations, with bounds ``lower <= z <= upper``."""

    def __call__(self, builder: ProgramBuilder, node: str, z: IntArray, lower: Vector, upper: Vector) -> ReluColumns:
        """Add the rows and return the columns."""
        ...


def big_m(builder: ProgramBuilder, node: str, z: IntArray, lower: Vector, upper: Vector) -> ReluColumns:
    """Encode the ReLU exactly with one binary per unstable neuron and the tightest big-M that the bounds allow."""
    outputs, unstable = _substitute_stable(node, z, lower, upper)
    binaries = np.full(len(z), -1)
    if unstable.any():
        low, high, count = lower[unstable], upper[unstable], int(unstable.sum())
        y = builder.add_columns(count, 0.0, high)
        d = builder.add_columns(count, 0.0, 1.0, integer=True)
        one, pre = eye_array(count).tocsr(), z[unstable]
        builder.add_rows([(y, one), (pre, -one)], 0.0, np.inf)
        builder.add_rows([(y, one), (pre, -one), (d, -diags_array(low).tocsr())], -np.inf, -low)
        builder.add_rows([(y, one), (d, -diags_array(high).tocsr())], -np.inf, 0.0)
        outputs[unstable], binaries[unstable] = y, d
    return ReluColumns(outputs, binaries)


def triangle(builder: ProgramBuilder, node: str, z: IntArray, lower: Vector, upper: Vector) -> ReluColumns:
    """Relax the ReLU to the convex hull of its graph over the bounds of the pre-activation."""
    outputs, unstable = _substitute_stable(node, z, lower, upper)
    if unstable.any():
        low, high, count = lower[unstable], upper[unstable], int(unstable.sum())
        y = builder.add_columns(count, 0.0, high)
        one, pre = eye_array(count).tocsr(), z[unstable]
        builder.add_rows([(y, one), (pre, -one)], 0.0, np.inf)
        builder.add_rows([(y, diags_array(high - low).tocsr()), (pre, -diags_array(high).tocsr())], -np.inf, -high * low)
        outputs[unstable] = y
    return ReluColumns(outputs, np.full(len(z), -1))


def fixed_phase(pattern: ActivationPattern) -> ReluEncoding:
    """Return the encoding that pins every neuron to its phase in `pattern`, closed at zero; bounds are not needed."""

    def encode(builder: ProgramBuilder, node: str, z: IntArray, lower: Vector, upper: Vector) -> ReluColumns:  # noqa: ARG001
        active = np.asarray(pattern[node], dtype=bool)
        builder.set_bounds(z, np.where(active, 0.0, -np.inf), np.where(active, np.inf, 0.0))
        return ReluColumns(np.where(active, z, ZERO_COLUMN), np.full(len(z), -1))

    return encode


def _substitute_stable(node: str, z: IntArray, lower: Vector, upper: Vector) -> tuple[IntArray, BoolArray]:
    """Output columns with the stable neurons filled in, and the mask of the unstable ones."""
    active, inactive = lower >= 0, upper <= 0
    unstable = ~active & ~inactive
    if not (np.isfinite(lower[unstable]).all() and np.isfinite(upper[unstable]).all()):
        k = int(np.flatnonzero(unstable & ~(np.isfinite(lower) & np.isfinite(upper)))[0])
        raise SolverError(
            f"pre-activation '{node}'[{k}] has bounds [{lower[k]}, {upper[k]}]; a ReLU can only be encoded with finite "
            "bounds: give the domain finite ends or a radius"
        )
    return np.where(active & ~inactive, z, ZERO_COLUMN), unstable
