r"""The question of pricing, and the one signature of what answers it.

For a sample ``x_0`` with label y, a multiplier ``lambda >= 0`` and the margin ``m(x) = max_{j != y} f_j(x) - f_y(x)``,

.. math:: \varphi(\lambda) = \max\{m(x) - \lambda \|S (x - x_0)\|^p : x \in X,\ \|S (x - x_0)\| \le \text{reach}\}

is what the dual of the worst-case risk asks for (docs/theory.md, "Duality"). It serves every loss: the hinge is
``max(0, 1 + phi)``, the cross-entropy lies below linear forms of the margins, and order inf is ``lambda = 0``
within the radius. phi is convex, nonincreasing, and independent of the radius of the ball: what is proved or found for one
multiplier is used for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.constraints import Constraints
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network
    from wdaverify.transport import GroundCost


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriceQuestion:
    """One sample to be priced.

    Attributes
    ----------
    network, label
        The margin of `label` is the gain.
    center
        The sample (n,), a point of the domain.
    cost
        The ground cost.
    domain
        Bounded, with vector ends (n,).
    reach
        Only points within this distance count; ``inf`` for all.
    constraints
        What points must satisfy beside the domain's ends; ``None`` for a plain box. Engines that do not know of them refuse.
    """

    network: Network
    label: int
    center: Vector
    cost: GroundCost
    domain: Box
    reach: float = np.inf
    constraints: Constraints | None = None

    @property
    def rivals(self) -> tuple[int, ...]:
        """The classes j whose ``f_j - f_label`` are the rows of the margin."""
        return tuple(j for j in range(self.network.outputs) if j != self.label)

    @property
    def rows(self) -> Matrix:
        """The rows ``f_j - f_label`` of all rivals, shape (K - 1, K)."""
        forms = np.zeros((len(self.rivals), self.network.outputs))
        forms[np.arange(len(self.rivals)), list(self.rivals)] = 1.0
        forms[:, self.label] = -1.0
        return forms


class Prices(Protocol):
    """What is known about ``phi`` of one question; it only ever becomes sharper."""

    def upper(self, multiplier: float) -> float:
        """A proved upper bound of ``phi(multiplier)`` from all that is known: cheap, ``inf`` if nothing is."""
        ...

    def offer(self, points: Matrix) -> None:
        """Points (P, n) of the domain where the margin may be large: candidates for warm starts, nothing is promised."""
        ...

    def work(self, multiplier: float, *, cut: float, gap: float, deadline: Deadline) -> Matrix:
        """Lower ``upper(multiplier)`` to at most ``max(cut, value of the best point) + gap``, as far as the deadline lets it.

        Parameters
        ----------
        multiplier
            ``lambda >= 0``, finite.
        cut
            Values up to this one are of no interest: the caller has points as good.
        gap
            Positive: how close the ends have to be.

        Returns
        -------
        Matrix
            Points (P, n) of the domain within reach, the best last: those met whose value exceeds `cut` (perhaps none).

        Raises
        ------
        KeyboardInterrupt
            If interrupted; what was proved before is kept.
        """
        ...
