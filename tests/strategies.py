"""What hypothesis draws: small networks of every shape the graph can have."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st

from tests.networks import mlp, random_mlp, random_residual

if TYPE_CHECKING:
    from wdaverify.ir.network import Network


@st.composite
def small_networks(draw: st.DrawFn, *, inputs: int = 2, outputs: int = 3) -> Network:
    """Networks with one to three hidden layers, or a residual block."""
    seed = draw(st.integers(0, 2**32 - 1))
    if draw(st.booleans()):
        return random_residual(seed, inputs, draw(st.integers(1, 5)), outputs)
    hidden = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    return random_mlp([inputs, *hidden, outputs], seed)


@st.composite
def degenerate_networks(draw: st.DrawFn, *, inputs: int = 2, outputs: int = 3) -> Network:
    """Small networks of weights and biases -1, 0 and 1: dead neurons, neurons that vanish, and many patterns on one face."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = [inputs, *draw(st.lists(st.integers(2, 5), min_size=1, max_size=2)), outputs]
    weights = [generator.integers(-1, 2, size=(rows, columns)).astype(float) for columns, rows in pairwise(sizes)]
    biases = [generator.integers(-1, 2, size=rows) * float(draw(st.booleans())) for rows in sizes[1:]]
    return mlp(weights, biases)
