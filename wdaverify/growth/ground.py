r"""Where the cells of a network are searched: on a box as they are, on all of R^n through one more input.

The full-dimensional cells of f on :math:`\mathbb R^n` are those of the homogeneous network ``F(u, t) = t f(u / t)`` on
``[-1, 1]^n x [0, 1]``, with ``dF/du = df/dx`` at ``x = u / t`` (`ir.homogenise`): a bounded box, on which gradients count in u
alone. A witness (u, t) becomes the point ``u / t``. Rounding moves that, so that it is judged again, on f itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import DomainError
from wdaverify.cells.interior import interior_at
from wdaverify.domain import Box
from wdaverify.feature_domain import Domain, plain_box
from wdaverify.ir.exact import exact_trace
from wdaverify.ir.homogenise import homogenised

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Vector
    from wdaverify.ir.network import Network

_FAR = tuple(2.0**k for k in (10, 20, 40, 80))
"""How far along a direction at infinity (t = 0) its cell is looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """The problem as an oracle takes it.

    Attributes
    ----------
    network
        Whose gradients are asked for.
    searched, box, coordinates
        The network, the bounded box and the coordinates that count for the oracle.
    """

    network: Network
    searched: Network
    box: Box
    coordinates: BoolArray

    @staticmethod
    def of(network: Network, domain: Box) -> Ground:
        """The ground of a network on a domain.

        Raises
        ------
        DomainError
            If the domain has another number of coordinates, or is neither bounded nor all of R^n.
        """
        box = check_domain(domain, network.inputs)
        if box.bounded:
            return Ground(network, network, box, box.lower < box.upper)
        ones, last = np.ones(network.inputs), np.ones(1)
        cone = Box(np.append(-ones, 0.0 * last), np.append(ones, last))
        return Ground(network, homogenised(network), cone, np.append(ones, 0.0 * last) > 0)

    @property
    def whole_space(self) -> bool:
        """Whether the domain is R^n."""
        return self.searched is not self.network

    def point(self, witness: Vector | None) -> Vector | None:
        """The point (n,) of an oracle's witness, an interior point of a cell of the network; ``None`` if rounding loses it."""
        if witness is None or not self.whole_space:
            return witness
        direction, t = witness[:-1], float(witness[-1])
        everywhere = Box.whole_space().sized(self.network.inputs)
        with np.errstate(over="ignore"):
            candidates = [direction / t] if t > 0.0 else [far * direction for far in _FAR]
        for candidate in candidates:
            point = candidate + 0.0  # no negative zeros
            if np.isfinite(point).all() and interior_at(self.network, everywhere, exact_phases(self.network, point), point):
                return np.asarray(point)
        return None


def check_domain(domain: Box | Domain, inputs: int) -> Box:
    """The domain with vector ends, which must be a bounded box or all of R^n.

    Raises
    ------
    DomainError
        If it is neither, or has another number of coordinates.

    Examples
    --------
    >>> check_domain(Box(0, np.inf), 2)
    Traceback (most recent call last):
    ...
    wdaverify._errors.DomainError: the domain is neither bounded nor all of R^n: coordinate 0 has the ends [0, inf]; ...
    """
    box = plain_box(domain, "exact Lipschitz constants").sized(inputs)
    if not box.bounded and not box.unbounded_everywhere:
        k = int(np.flatnonzero(np.isinf(box.lower) | np.isinf(box.upper))[0])
        raise DomainError(
            f"the domain is neither bounded nor all of R^n: coordinate {k} has the ends [{box.lower[k]:g}, {box.upper[k]:g}]; "
            "give finite ends everywhere, or Rn"
        )
    return box


def exact_phases(network: Network, point: Vector) -> BoolArray:
    """Which neurons (neurons,) have a positive pre-activation at a point (n,), decided in rational arithmetic."""
    compiled, values = network.compiled, exact_trace(network, point.tolist())
    parts = [np.asarray(values[compiled.names[step.source]][0] > 0, dtype=np.bool_) for step in compiled.relus]
    return np.concatenate([np.zeros(0, dtype=np.bool_), *parts])
