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
    domain: Box | None = None,
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
        ``zero-one`` (a tie is an error), ``margin`` (``max_{j != y} f_j - f_y``) or ``hinge`` (``max(0, 1 + margin)``).
    domain
        The inputs that exist; ``[0, 1]^n`` by default.
    radii
        Several radii give the whole curve from one search. The ball's own radius is added at the end if it is missing.
    gap
        Relative width below which a bracket counts as exact; that of the options if not given.
    options
        How hard to search, and with what.
    comparison_time
        Seconds that the Lipschitz constants for `RiskCertificate.bounds` may take after that, within the time limit of the
        options; with 0 there are only those that need no search.
    progress
        Called with every finished `AdversarialDistance` (zero-one), or with the bracket as it stands (`exploration.Progress`).

    Returns
    -------
    RiskCertificate
        Interrupted by Ctrl-C during the search, a certificate with wider brackets and ``interrupted`` set.

    Raises
    ------
    InputError
        If the loss is not available, a radius is not finite and nonnegative, or data, network and domain do not fit.
    AuditError
        If the worst-case plan does not survive its independent recomputation.
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
