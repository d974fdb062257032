"""What hypothesis draws: small networks of every shape the graph can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.networks import random_mlp, random_residual

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
