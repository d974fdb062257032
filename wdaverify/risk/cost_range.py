"""Whether float64 can hold the costs of a question.

``||S (x - x_i)||^p`` of a high order grows beyond every float64 on a wide domain, and with it the products of costs, multipliers
and slopes that prices are made of. Such a question is refused, not answered by infinities.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import DomainError

if TYPE_CHECKING:
    from wdaverify._types import Matrix
    from wdaverify.domain import Box
    from wdaverify.transport import GroundCost

LARGEST_EXPONENT = 100
"""Costs above ten to this power are refused: products of three such numbers are still finite."""


def check_costs(cost: GroundCost, domain: Box, samples: Matrix) -> None:
    """Refuse a bounded domain whose farthest corners cost too much.

    Parameters
    ----------
    domain
        Ends may be infinite: then the question is whether prices bound the search, not this.
    samples
        Shape (N, n).

    Raises
    ------
    DomainError
        If a corner of the domain costs more than ten to the `LARGEST_EXPONENT`.

    Examples
    --------
    >>> from wdaverify._types import Norm
    >>> from wdaverify.domain import Box
    >>> from wdaverify.transport import GroundCost
    >>> check_costs(GroundCost(Norm.LINF, 64.0), Box(-1e6, 1e6), np.zeros((1, 2)))
    Traceback (most recent call last):
        ...
    wdaverify._errors.DomainError: the farthest point of this domain is 1e+06 away: its cost of order 64 is more than ...
    """
    if not (np.isfinite(domain.lower).all() and np.isfinite(domain.upper).all()):
        return
    with np.errstate(over="ignore"):
        steps = np.maximum(domain.upper - samples, samples - domain.lower)
        farthest = float(np.max(cost.lengths(steps), initial=0.0))
    if cost.order * math.log10(max(farthest, 1.0)) > LARGEST_EXPONENT:
        raise DomainError(
            f"the farthest point of this domain is {farthest:g} away: its cost of order {cost.order:g} is more than the "
            f"1e{LARGEST_EXPONENT} that prices in float64 allow; take a smaller domain, a lower order, or other units"
        )
