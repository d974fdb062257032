"""What the second oracle is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wdaverify._deadline import Deadline

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Norm, Vector
    from wdaverify.bracket import Evidence
    from wdaverify.search.result import End


@dataclass(frozen=True, slots=True, eq=False)
class GradientQuestion:
    """The largest ``||J_A^T c||_s`` over full-dimensional cells A and the given rows c.

    Attributes
    ----------
    rows
        Linear forms c of the logits, shape (R, K), R >= 1; exact as given.
    norm
        The norm of the inputs; its dual s measures gradients.
    """

    rows: Matrix
    norm: Norm


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientLimits:
    """When to stop.

    Parameters
    ----------
    gap
        Relative width of the bracket that is close enough.
    nodes
        Most nodes to visit, per tree.
    """

    deadline: Deadline = field(default_factory=Deadline)
    gap: float = 1e-10
    nodes: int = 2**60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GradientAnswer:
    """A bracket of the largest dual norm.

    Attributes
    ----------
    lower
        At most the norm of the gradient, in rational arithmetic, on the full-dimensional cell about `point`.
    upper
        Proved, unless `evidence` is *solver*.
    point
        An interior point (n,) of the cell that attains `lower`: every neuron that does not vanish identically there has its
        strict sign in rational arithmetic. ``None`` without one.
    row
        The number of the form that attains it.
    end
        How the search ended.
    nodes
        Nodes visited, of the tree that this question shared.
    """

    lower: float
    upper: float
    point: Vector | None
    row: int | None
    end: End
    evidence: Evidence
    nodes: int
