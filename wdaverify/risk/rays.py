r"""What can be gained at infinity on R^n with order 1: a vanishing mass that moves without end.

Along a direction u of length 1 the margin of label y grows by its slope ``s`` a unit (`growth.slope`), so that mass ``q`` moved
by ``budget / q`` gains ``s * budget`` as q goes to 0: a supremum that no distribution attains (docs/theory.md, "The whole
space").
All of the budget goes to one sample of the label with the largest slope; shared out among labels it would gain less. In the dual,
multipliers below the slope are worth nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify.functionals import parse_functional
from wdaverify.growth.slope import slope
from wdaverify.program.backend import SessionBackend, get_backend
from wdaverify.risk.mixture import Route
from wdaverify.transport import distance_up

if TYPE_CHECKING:
    from wdaverify._types import Norm, Vector
    from wdaverify.dataset import Dataset
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

_VANISHING = Fraction(1, 2**60)
"""The part of the sample's mass that moves far: what the supremum gains over it is as small."""

_SHORT = 1.0 - 2.0**-46
"""Part of the distance that is used, so that rounding does not exceed the budget."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ray:
    """The best direction known.

    Attributes
    ----------
    lower
        Its slope, at most; 0 if none ascends.
    upper
        The slopes of all labels are at most this.
    sample
        A sample of the label that ascends along it.
    direction
        (n,), of length about 1; ``None`` if none is known.
    norm
        Measures lengths.
    """

    lower: Fraction
    upper: float
    sample: int
    direction: Vector | None
    norm: Norm

    def route(self, center: Vector, group: tuple[int, ...], point: Vector, weight: Fraction, budget: Fraction) -> Route:
        """The route of the ray's sample (and its equals): a vanishing part of its mass goes far, the rest to `point`."""
        assert self.direction is not None
        length = distance_up(self.direction, np.zeros(len(center)), self.norm)
        far = float(budget / (weight * _VANISHING)) * _SHORT / length
        return Route(sources=group, point=point, further=center + far * self.direction, share=_VANISHING)


def slope_backend(solver: str) -> Backend:
    """The solver's backend if it keeps programs between solves, as the search for slopes needs; otherwise that of HiGHS."""
    backend = get_backend(solver)
    return backend if isinstance(backend, SessionBackend) else get_backend("highs")


def steepest_ray(backend: Backend, network: Network, data: Dataset, norm: Norm, deadline: Deadline) -> Ray:
    """The ray of the label with the largest slope.

    Raises
    ------
    KeyboardInterrupt
        If a search was interrupted.
    """
    heaviest: dict[int, int] = {}
    for i in sorted(range(data.count), key=lambda i: (-data.fractions[i], i)):
        if data.fractions[i] > 0:
            heaviest.setdefault(int(data.y[i]), i)
    best = Ray(lower=Fraction(0), upper=0.0, sample=-1, direction=None, norm=norm)
    for done, (label, sample) in enumerate(sorted(heaviest.items())):
        share = Deadline.after(None if deadline.unlimited else deadline.remaining / (len(heaviest) - done))
        found = slope(backend, network, parse_functional(f"label:{label}", network.outputs), norm, deadline=share)
        if found.interrupted:
            raise KeyboardInterrupt
        upper = max(best.upper, found.value.upper)
        if found.direction is not None and Fraction(found.value.lower) > best.lower:
            lower = Fraction(found.value.lower)
            best = Ray(lower=lower, upper=upper, sample=sample, direction=found.direction, norm=norm)
        else:
            best = Ray(lower=best.lower, upper=upper, sample=best.sample, direction=best.direction, norm=norm)
    return best
