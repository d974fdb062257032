"""What a node's program says, and what was proved from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Vector
    from wdaverify.search.ceiling import Multipliers


@dataclass(frozen=True, slots=True, eq=False)
class NodeAnswer:
    """What is known about a node.

    Attributes
    ----------
    ceiling
        Proved upper bound of the goal on the node; ``-inf`` when the node is proved empty.
    closed
        Whether the ceiling is below the cutoff (or, where 0 closes, at most 0 in rational arithmetic).
    failed
        Whether the solver gave nothing at all: neither multipliers nor a point nor a proof of emptiness.
    point
        The solver's input (n,), or ``None``: a candidate, nothing more.
    scores
        How much each neuron's triangle contributes to the bound (dual times intercept), shape (neurons,).
    active_first
        Whether the solver's own pre-activation is nonnegative, shape (neurons,).
    multipliers
        What proves the ceiling.
    """

    ceiling: float
    closed: bool
    failed: bool
    point: Vector | None
    scores: Vector
    active_first: BoolArray
    multipliers: Multipliers | None
