"""The worst-case zero-one risk as a certificate.

It needs one number per sample, its minimum adversarial distance; every radius and order then is a knapsack (`zero_one`). The plan
that attains the lower end is recomputed by `audit` before a certificate exists.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wdaverify._errors import AuditError
from wdaverify.bracket import Bracket, Evidence
from wdaverify.domain import Box
from wdaverify.feature_domain import Domain, box_per_sample, hull_of
from wdaverify.ir.exact import exact_forward
from wdaverify.losses import exact_margin
from wdaverify.risk.adversarial import AdversarialDistance, DistanceOptions, Interrupted
from wdaverify.risk.audit import Auditor
from wdaverify.risk.certificate import CurvePoint, RiskCertificate, radii_of
from wdaverify.risk.comparison import COMPARISON_PART, NominalMargins, constants_by_search, constants_without_search, risk_bounds
from wdaverify.risk.margin_constants import Margins, largest_margins
from wdaverify.risk.plan import worst_case_plan
from wdaverify.risk.zero_one import zero_one_risk
from wdaverify.transport import round_down, round_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from fractions import Fraction

    from wdaverify.dataset import Dataset
    from wdaverify.ir.network import Network
    from wdaverify.risk.margin_constants import MarginConstants
    from wdaverify.transport import WassersteinBall

ZERO_ONE = "zero-one"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """One threat, and what is known about every sample from Lipschitz constants."""

    data: Dataset
    ball: WassersteinBall
    gap: float
    auditor: Auditor
    nominal: Fraction
    floors: tuple[float, ...]


def certify_by_distances(
    network: Network,
    data: Dataset,
    ball: WassersteinBall,
    *,
    domain: Box | Domain,
    radii: Sequence[float],
    options: DistanceOptions,
    comparison_time: float,
    progress: Callable[[AdversarialDistance], None] | None = None,
) -> RiskCertificate:
    """Search the distance of every sample, and certify the zero-one risk; arguments and errors as `certify.certify`.

    Parameters
    ----------
    options
        With an engine.
    """
    from wdaverify.risk.distance import distances as search

    started = time.monotonic()
    running = options.started()
    constants: list[MarginConstants] = []
    try:
        found = search(network, data, norm=ball.norm, domain=domain, options=running, progress=progress)
        interrupted = False
    except Interrupted as stop:
        found, interrupted = stop.distances, True
    until = running.deadline.slice(comparison_time, COMPARISON_PART)
    if not interrupted and not until.passed:
        hull = hull_of(domain, data.x)
        margins = Margins(network=network, data=data, domain=hull, norm=ball.norm, solver=options.solver, seed=options.seed)
        try:
            constants.extend(constants_by_search(margins, [d.point for d in found], until))
        except KeyboardInterrupt:
            interrupted = True
    certificate = certificate_from(network, data, ball, found, domain=domain, radii=radii, options=options, constants=constants)
    return dataclasses.replace(certificate, seconds=time.monotonic() - started, interrupted=interrupted)


def certificate_from(
    network: Network,
    data: Dataset,
    ball: WassersteinBall,
    distances: Sequence[AdversarialDistance],
    *,
    domain: Box | Domain | None = None,
    radii: Sequence[float] | None = None,
    options: DistanceOptions | None = None,
    constants: Sequence[MarginConstants] = (),
) -> RiskCertificate:
    """Turn known distances into an audited certificate of the zero-one risk: one search serves all orders and radii.

    Parameters
    ----------
    network, data, ball, domain, radii
        As in `certify.certify`.
    distances
        One per sample, in order, found for the ball's norm and this domain.
    options
        How the distances were searched; their gap decides what counts as exact.
    constants
        Further Lipschitz constants of the margins on this domain, beside those that need no search: for `RiskCertificate.bounds`,
        and for lower bounds of the distances.

    Returns
    -------
    RiskCertificate
        Its ``seconds`` are those of this call.

    Raises
    ------
    InputError
        As `certify.certify`.
    AuditError
        If the distances contradict exact evaluation, or the plan does not survive its independent recomputation.
    """
    started = time.monotonic()
    chosen, asked = options or DistanceOptions(), radii_of(ball, radii)
    said = Box(0, 1) if domain is None else box_per_sample(domain, "zero-one risks")
    data.checked_against(network, said)
    margins = tuple(_exact_margin(network, data, i) for i in range(data.count))
    asking = Margins(network=network, data=data, domain=hull_of(said, data.x), norm=ball.norm)
    nominal = NominalMargins(
        margins=margins, weights=tuple(data.fractions), radii=asked, order=ball.order, largest=largest_margins(asking)
    )
    known = [*constants_without_search(asking), *constants]
    floors = tuple(max(each) for each in zip(*(nominal.floors(c) for c in known), strict=True))
    _check_consistent(margins, floors, distances)
    auditor = Auditor(network, data, said)
    question = _Question(data=data, ball=ball, gap=chosen.gap, auditor=auditor, nominal=nominal.nominal, floors=floors)
    return RiskCertificate(
        network=network,
        data=data,
        ball=ball,
        loss=ZERO_ONE,
        domain=said,
        nominal_risk=float(nominal.nominal),
        curve=tuple(_curve_point(question, distances, radius) for radius in asked),
        distances=tuple(distances),
        bounds=risk_bounds(nominal, known),
        options=chosen,
        seconds=time.monotonic() - started,
    )


def _exact_margin(network: Network, data: Dataset, sample: int) -> Fraction:
    """``max_{j != y} f_j(x) - f_y(x)`` at a sample, exactly."""
    return exact_margin(exact_forward(network, data.x[sample].tolist()), int(data.y[sample]))[0]


def _check_consistent(margins: Sequence[Fraction], floors: Sequence[float], distances: Sequence[AdversarialDistance]) -> None:
    """The distance is 0 exactly for samples that already err; a search that says otherwise is wrong."""
    if [d.sample for d in distances] != list(range(len(margins))):
        raise AuditError(f"{len(distances)} distances for {len(margins)} samples, or not in their order")
    for margin, floor, d in zip(margins, floors, distances, strict=True):
        if (margin >= 0 and d.distance.lower > 0) or (margin < 0 and d.distance.upper == 0) or floor > d.distance.upper:
            known = f"exact margin {float(margin):g} and distance at least {floor:g}"
            raise AuditError(f"sample {d.sample} has {known}, but {d.distance} was found")


def _curve_point(question: _Question, distances: Sequence[AdversarialDistance], radius: float) -> CurvePoint:
    """The risk at one radius with its audited plan."""
    data, ball = question.data, dataclasses.replace(question.ball, radius=radius)
    upper = [d.distance.upper if d.point is not None or d.distance.upper == 0 else math.inf for d in distances]
    lower = [min(max(d.distance.lower, f), top) for d, f, top in zip(distances, question.floors, upper, strict=True)]
    found = zero_one_risk(lower, upper, data.fractions, radius=radius, order=ball.order)
    # A correct sample has a positive distance even if its search was stopped at 0: radius 0 is known exactly.
    # Floats that straddle the truth: the ends are rounded outward, and a risk never leaves [0, 1].
    lowest, highest = (question.nominal, question.nominal) if radius == 0 else (found.lower, found.upper)
    evidence = Evidence.CHECKED if radius == 0 else Evidence.weakest(*(d.distance.evidence for d in distances))
    risk = Bracket(lower=round_down(lowest), upper=min(1.0, round_up(highest)), evidence=evidence, gap=question.gap)
    plan = worst_case_plan(data, distances, found.moved, ball=ball)
    question.auditor.check(plan, ball, lower=risk.lower)
    return CurvePoint(radius=radius, risk=risk, multiplier=found.multiplier, plan=plan)
