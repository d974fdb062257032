"""What an enumeration may be told about the prefixes that it is about to split."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Matrix, Vector


class Advice(NamedTuple):
    """About B prefixes.

    Attributes
    ----------
    kept
        Which of them to follow, shape (B,). The others are dropped, and their cells never listed: what they may hold is for the
        guide to remember.
    scores
        How much it matters to decide each open neuron, shape (B, neurons).
    worth
        How promising they are, shape (B,): the best come first.
    """

    kept: BoolArray
    scores: Matrix
    worth: Vector


class Guide(Protocol):
    """Somebody who looks for particular cells."""

    def consider(self, phases: Matrix) -> Advice:
        """Look at prefixes with phases (B, neurons): 1 active, -1 inactive, 0 open."""
        ...
