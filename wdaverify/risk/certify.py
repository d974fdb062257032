"""The worst-case risk of a classifier over a Wasserstein ball, as a certificate.

The zero-one risk follows from the minimum adversarial distances of the samples (`zero_one_certificate`), that of margin, hinge
and cross-entropy from prices (`priced_certificate`).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from wdaverify._errors import InputError
from wdaverify.domain import Box
from wdaverify.risk.adversarial import DistanceOptions
from wdaverify.risk.certificate import radii_of
from wdaverify.risk.loss_table import LOSSES as PRICED
from wdaverify.risk.priced_certificate import certify_by_prices
from wdaverify.risk.zero_one_certificate import ZERO_ONE, certificate_from, certify_by_distances

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wdaverify.dataset import Dataset
    from wdaverify.feature_domain import Domain
    from wdaverify.ir.network import Network
    from wdaverify.risk.certificate import RiskCertificate
    from wdaverify.transport import WassersteinBall

COMPARISON_TIME = 10.0
"""Seconds for the Lipschitz constants that a risk is compared with, at most, unless the caller says otherwise."""

LOSSES = (ZERO_ONE, *PRICED)
"""The losses whose worst case can be certified."""

__all__ = ["COMPARISON_TIME", "LOSSES", "certificate_from", "certify", "check_loss"]


def certify(
    network: Network,
    data: Dataset,
    ball: WassersteinBall,
    *,
    loss: str = "zero-one",
    domain: Box | Domain | None = None,
    radii: Sequence[float] | None = None,
    gap: float | None = None,
    options: DistanceOptions | None = None,
    comparison_time: float = COMPARISON_TIME,
    progress: Callable[[Any], None] | None = None,
) -> RiskCertificate:
    """Certify the worst-case risk of a classifier over all distributions within a Wasserstein ball of the data.

    Parameters
    ----------
    network
        At least two outputs; the largest wins, ties are errors.
    data
        The nominal distribution; every sample must lie in the domain.
    ball
        Radius, order and ground norm of the threat.
    loss
        ``zero-one`` (a tie is an error), ``margin`` (``max_{j != y} f_j - f_y``), ``hinge`` (``max(0, 1 + margin)``) or
        ``cross-entropy``.
    domain
        The inputs that exist; ``[0, 1]^n`` by default. On ``Box.whole_space()`` the worst case of order 1 may be a supremum that
        no distribution attains: then the plan comes as close as float64 masses can.
    radii
        Several radii give the whole curve from one search. The ball's own radius is added at the end if it is missing.
    gap
        Relative width below which a bracket counts as exact; that of the options if not given.
    options
        How hard to search, and with what.
    comparison_time
        Seconds that the Lipschitz constants for `RiskCertificate.bounds` may take after that, and at most half of the time
        that the options leave: the rest is for proofs. With 0 there are only those that need no search.
    progress
        Called with every finished `AdversarialDistance` (zero-one), or with the bracket as it stands (`exploration.Progress`).

    Returns
    -------
    RiskCertificate
        Both ends of every bracket are proved: the lower one by a distribution that was checked in rational arithmetic, the upper
        one by the search's checked leaves (with engine ``milp`` by a solver's word) or by Lipschitz constants. Interrupted by
        Ctrl-C during the search, a certificate with wider brackets and ``interrupted`` set.

    Raises
    ------
    InputError
        If the loss is not available, a radius is not finite and nonnegative, or data, network and domain do not fit.
    AuditError
        If the worst-case plan does not survive its independent recomputation.

    Examples
    --------
    ``f(x) = (0, x - 3/4)``: the hinge of label 0 is ``max(0, x + 1/4)``. Every unit that mass moves to the right raises it by 1.

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from wdaverify.dataset import Dataset
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input
    >>> from wdaverify.transport import WassersteinBall
    >>> affine = Affine((csr_array(np.array([[0.0], [1.0]])),), np.array([0.0, -0.75]))
    >>> network = Network.from_nodes({"x": Node(Input(1)), "y": Node(affine, ("x",))}, "y")
    >>> data = Dataset([[0.25], [0.5]], [0, 0])
    >>> print(certify(network, data, WassersteinBall(0.125), loss="hinge", radii=[0.125, 2.0], comparison_time=0))
    worst-case hinge risk at radius 0.125 (order 1, linf): 0.75 (exact)
    worst-case hinge risk at radius 2 (order 1, linf): 1.25 (exact)
    """
    from wdaverify.search.engine_names import engine_for

    check_loss(loss)
    chosen = options or DistanceOptions()
    if gap is not None:
        chosen = dataclasses.replace(chosen, gap=gap)
    chosen = dataclasses.replace(chosen, engine=engine_for(chosen.engine, chosen.solver))
    box, asked = Box(0, 1) if domain is None else domain, radii_of(ball, radii)
    data.checked_against(network, box)
    if loss == ZERO_ONE:
        return certify_by_distances(
            network, data, ball, domain=box, radii=asked, options=chosen, comparison_time=comparison_time, progress=progress
        )
    return certify_by_prices(
        network,
        data,
        ball,
        loss=PRICED[loss],
        domain=box,
        radii=asked,
        options=chosen,
        comparison_time=comparison_time,
        progress=progress,
    )


def check_loss(loss: str) -> None:
    """Refuse losses that are not available.

    Raises
    ------
    InputError
        If the loss is none of `LOSSES`.
    """
    if loss not in LOSSES:
        raise InputError(f"loss '{loss}' is unknown; give {', '.join(LOSSES)}")
