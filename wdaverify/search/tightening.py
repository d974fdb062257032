"""Tighten the bounds of the neurons that matter, by linear programs that know the goal.

Where only points with ``g_r >= 0`` matter, these rows are facts: every pre-activation is maximised and minimised under
them on the relaxation of a node (optimisation-based bound tightening). The neurons whose triangles cost the node's
ceiling most come first, each is used for the next as soon as it is known, and each new bound is the ceiling that the
multipliers prove, never the solver's number. The bounds hold for these facts below this node, and nowhere else.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Vector
    from wdaverify.search.neuron_bounds import NeuronBounds
    from wdaverify.search.relaxation import Path, PhaseRelaxation

_NEAR = 0.1
"""A side is not asked for when a point was seen within this part of the width of its bound."""


class Tightened(NamedTuple):
    """New bounds, whether the node is proved to hold no point of interest, and the programs solved."""

    bounds: NeuronBounds
    empty: bool
    programs: int


def tighten(relaxation: PhaseRelaxation, path: Path, scores: Vector, most: int, deadline: Deadline) -> Tightened:
    """Tighten up to `most` free neurons below a node, in the order of their scores (neurons,).

    The relaxation keeps the new bounds until it is thrown away; build another one from what is returned.
    """
    relaxation.move(path)
    lower, upper = relaxation.bounds.lower.copy(), relaxation.bounds.upper.copy()
    decided = {abs(d) - 1 for d in path}
    order = [int(k) for k in np.argsort(-scores, kind="stable") if relaxation.free[k] and scores[k] > 0 and k not in decided]
    programs, seen_low, seen_high = 0, np.full(len(lower), np.inf), np.full(len(lower), -np.inf)
    with relaxation.assuming_facts():
        for k in order[:most]:
            for sign in sorted((1.0, -1.0), key=lambda s: upper[k] if s > 0 else -lower[k]):
                if lower[k] >= 0.0 or upper[k] <= 0.0:
                    break
                room = _NEAR * (upper[k] - lower[k])
                if (sign > 0 and seen_high[k] >= upper[k] - room) or (sign < 0 and seen_low[k] <= lower[k] + room):
                    continue
                if deadline.passed:
                    return Tightened(relaxation.bounds.tightened(lower, upper), False, programs)
                ceiling, seen = relaxation.extreme(k, sign, deadline)
                programs += 1
                if ceiling == -math.inf:
                    return Tightened(relaxation.bounds.tightened(lower, upper), True, programs)
                if seen is not None:
                    np.fmin(seen_low, seen, out=seen_low)
                    np.fmax(seen_high, seen, out=seen_high)
                if sign > 0 and ceiling < upper[k]:
                    upper[k] = ceiling
                elif sign < 0 and -ceiling > lower[k]:
                    lower[k] = -ceiling
                else:
                    continue
                if lower[k] > upper[k]:
                    return Tightened(relaxation.bounds.tightened(lower, upper), True, programs)
                relaxation.restrict(k, lower[k], upper[k])
    return Tightened(relaxation.bounds.tightened(lower, upper), False, programs)
