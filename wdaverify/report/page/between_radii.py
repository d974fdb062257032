"""What brackets at some radii say about the radii between them.

The worst-case risk grows with the radius, and of finite order p it is concave in ``t = r^p``: it is the value of a linear program
whose budget is t. With brackets ``[l_k, u_k]`` at ``t_0 < t_1 < ...``, for t between ``t_k`` and ``t_(k+1)``:

* below, the chord of ``(t_k, l_k)`` and ``(t_(k+1), l_(k+1))``;
* above, ``u_(k+1)``; the line through ``(t_(k-1), l_(k-1))`` and ``(t_k, u_k)``, and that through ``(t_(k+1), u_(k+1))`` and
  ``(t_(k+2), l_(k+2))``, both continued to t.

Of order inf only growth is known: ``l_k`` below, ``u_(k+1)`` above.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Vector


def between_radii(
    known: Sequence[float], lower: Sequence[float], upper: Sequence[float], radii: Vector, order: float
) -> tuple[Vector, Vector]:
    """Lower and upper ends at `radii`, which lie between the first and the last of the increasing radii that are known.

    Examples
    --------
    >>> ends = between_radii([0.0, 1.0, 2.0], [0.0, 1.0, 1.5], [0.0, 1.0, 1.5], np.array([0.5, 1.0, 1.5]), 1.0)
    >>> ends[0].tolist(), ends[1].tolist()
    ([0.5, 1.0, 1.25], [0.75, 1.0, 1.5])
    """
    power = 1.0 if math.isinf(order) else order
    places, at = np.asarray(known, dtype=float) ** power, np.asarray(radii, dtype=float) ** power
    below, above = np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)
    if len(places) == 1:
        return np.full(len(at), below[0]), np.full(len(at), above[0])
    left = np.clip(np.searchsorted(places, at, side="left") - 1, 0, len(places) - 2)
    right = left + 1
    if math.isinf(order):
        exact = at == places[right]
        return np.where(exact, below[right], below[left]), np.where(at == places[left], above[left], above[right])
    ceilings = [above[right]]
    for inner, outer in ((left, left - 1), (right, right + 1)):
        there = (outer >= 0) & (outer < len(places))
        safe = np.where(there, outer, inner)
        span = np.where(there, places[inner] - places[safe], 1.0)
        line = above[inner] + (at - places[inner]) * (above[inner] - below[safe]) / span
        ceilings.append(np.where(there, line, np.inf))
    chord = below[left] + (at - places[left]) * (below[right] - below[left]) / (places[right] - places[left])
    top = np.minimum.reduce(ceilings)
    return chord, np.where(at == places[left], above[left], np.maximum(top, chord))
