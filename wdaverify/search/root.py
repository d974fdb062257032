"""The root of a search: the split triangles of a network on one region, from the tightest bounds at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.interval import node_intervals
from wdaverify.encode.graph import Ranges
from wdaverify.encode.split_triangle import SplitTriangle, encode_split_triangle

if TYPE_CHECKING:
    from wdaverify.bounds.layer_bounds import LayerBounds
    from wdaverify.domain import Regions
    from wdaverify.ir.network import Network
    from wdaverify.program.builder import ProgramBuilder

_LOOSENING = 2.0**-20


def encode_root(
    builder: ProgramBuilder, network: Network, regions: Regions, bounds: LayerBounds, *, loosened: bool = False
) -> SplitTriangle:
    """Add the relaxation of the network on the first region of a batch.

    Parameters
    ----------
    bounds
        Certified bounds of pre-activations and outputs there; intervals bound the other nodes.
    loosened
        Move all bounds but the input's a little outward. A maximum that is exactly 0 must follow from the exact rows of a
        cell: with bounds that bind an ulp beyond it, a solver may prove it from them instead and miss 0 by that ulp.
    """
    ends = {name: (interval.lower[0], interval.upper[0]) for name, interval in node_intervals(network, regions).items()}
    for name in bounds.lower:
        low, high = ends[name]
        ends[name] = (np.maximum(low, bounds.lower[name][0]), np.minimum(high, bounds.upper[name][0]))
    if loosened:
        for name in set(ends) - {network.input}:
            low, high = ends[name]
            ends[name] = (low - _LOOSENING * (1.0 + np.abs(low)), high + _LOOSENING * (1.0 + np.abs(high)))
    ranges = Ranges({name: e[0] for name, e in ends.items()}, {name: e[1] for name, e in ends.items()})
    return encode_split_triangle(builder, network, ranges)
