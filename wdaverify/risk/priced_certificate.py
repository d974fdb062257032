"""The worst-case risk of a loss that is priced (margin, hinge, cross-entropy), as a certificate.

The exploration closes the brackets of all radii (`exploration`, for order inf `pointwise`). Its lower ends are distributions,
which `audit` recomputes before a certificate exists; its upper ends follow from proved prices, or from growth.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import AuditError, DomainError
from wdaverify.bracket import Bracket, Evidence
from wdaverify.domain import Box
from wdaverify.feature_domain import Domain, hull_of
from wdaverify.growth.ground import check_domain
from wdaverify.ir.exact import exact_forward
from wdaverify.parallel.hands import open_hands
from wdaverify.risk.audit import Auditor
from wdaverify.risk.certificate import CurvePoint, RiskCertificate
from wdaverify.risk.comparison import COMPARISON_PART, constants_without_search
from wdaverify.risk.cost_range import check_costs
from wdaverify.risk.dual import Growth
from wdaverify.risk.loss_comparison import LossBounds, loss_bounds, loss_constants
from wdaverify.risk.margin_constants import Margins, in_units, largest_margins
from wdaverify.risk.mixture import plan_of
from wdaverify.risk.pricers import pricer_for, session_backend
from wdaverify.risk.question import RiskQuestion
from wdaverify.risk.rays import steepest_ray
from wdaverify.risk.seekers import seeker_for
from wdaverify.transport import GroundCost, round_down, round_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wdaverify._types import Vector
    from wdaverify.dataset import Dataset
    from wdaverify.ir.network import Network
    from wdaverify.risk.adversarial import DistanceOptions
    from wdaverify.risk.exploration import Progress
    from wdaverify.risk.loss_table import Loss, Pricer
    from wdaverify.risk.margin_constants import MarginConstants
    from wdaverify.risk.mixture import Route
    from wdaverify.risk.seekers import Seeker
    from wdaverify.transport import WassersteinBall


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NominalLosses:
    """The losses on the data, between rationals, and how far they can rise.

    Attributes
    ----------
    lower, upper
        One per sample; equal where the loss is rational.
    rooms
        By how much each can rise on the domain; ``None`` where nothing is known.
    """

    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    rooms: tuple[Fraction | None, ...]

    @staticmethod
    def of(loss: Loss, margins: Margins) -> NominalLosses:
        """Exact evaluation, and linear bounds of the largest margins."""
        network, data = margins.network, margins.data
        ends = [loss.bracket(exact_forward(network, x.tolist()), int(y)) for x, y in zip(data.x, data.y, strict=True)]
        tops = [None if most is None else loss.ceiling(most, network.outputs) for most in largest_margins(margins)]
        rooms = [None if top is None else max(Fraction(0), top - low) for top, (low, _) in zip(tops, ends, strict=True)]
        return NominalLosses(lower=tuple(a for a, _ in ends), upper=tuple(b for _, b in ends), rooms=tuple(rooms))

    def growth(self, constants: Sequence[MarginConstants]) -> list[Growth]:
        """The least rates of all constants, with the rooms."""
        rates = zip(*(each.rates for each in constants), strict=True)
        return [Growth(min(known), room) for known, room in zip(rates, self.rooms, strict=True)]


def certify_by_prices(
    network: Network,
    data: Dataset,
    ball: WassersteinBall,
    *,
    loss: Loss,
    domain: Box | Domain,
    radii: Sequence[float],
    options: DistanceOptions,
    comparison_time: float,
    progress: Callable[[Progress], None] | None = None,
    pricer: Pricer | None = None,
) -> RiskCertificate:
    """Explore, audit, and compare; arguments and errors as `certify.certify`.

    Parameters
    ----------
    options
        With an engine.
    pricer
        Opens prices of margins; that of the engine if not given.
    """
    started, running, said = time.monotonic(), options.started(), _checked(domain, network.inputs)
    hull, weights = hull_of(said, data.x), said.weights if isinstance(said, Domain) else None
    if math.isfinite(ball.order):
        check_costs(GroundCost(ball.norm, ball.order, weights), hull, data.x)
    margins = Margins(network=network, data=data, domain=hull, norm=ball.norm, solver=options.solver, seed=options.seed)
    nominal, constants = NominalLosses.of(loss, margins), list(in_units(constants_without_search(margins), weights))
    sessions, ray = session_backend(options.solver), None
    if not said.bounded and math.isfinite(ball.order):
        ray = steepest_ray(sessions, network, data, ball.norm, running.deadline)
    question = RiskQuestion(
        network=network,
        data=data,
        ball=ball,
        loss=loss,
        domain=said,
        gap=options.gap,
        growth=nominal.growth(constants),
        pricer=pricer or pricer_for(str(options.engine), options.solver),
        session_backend=sessions,
        ray=ray,
        seed=options.seed,
        progress=progress or (lambda _: None),
        deadline=running.deadline,
        nominal=dict(enumerate(zip(nominal.lower, nominal.upper, strict=True))),
    )
    seeker, interrupted = seeker_for(question), False
    try:
        with open_hands(options.workers, options.executor, tasks=len(question.present), shared=[network]) as hands:
            seeker.close(radii, running.deadline, hands)
        until = running.deadline.slice(comparison_time, COMPARISON_PART)
        if not until.passed:
            points = _points(data, seeker.routes(max(radii)))
            constants.extend(in_units(loss_constants(margins, loss, points, until), weights))
    except KeyboardInterrupt:
        interrupted = True
    known = LossBounds(
        mean=_mean(data, nominal.upper), rooms=nominal.rooms, weights=data.fractions, radii=tuple(radii), order=ball.order
    )
    auditor = Auditor(network, data, said, loss.name)
    evidence = Evidence.SOLVER if options.engine == "milp" else Evidence.CHECKED
    certificates = zip(*(known.saturated(each) for each in constants), strict=True)
    curve = [
        _curve_point(question, seeker, radius, (_mean(data, nominal.lower), known.mean), grown, auditor, evidence)
        for radius, grown in zip(radii, certificates, strict=True)
    ]
    return RiskCertificate(
        network=network,
        data=data,
        ball=ball,
        loss=loss.name,
        domain=domain,
        nominal_risk=float(_mean(data, nominal.lower)),
        curve=tuple(curve),
        distances=(),
        bounds=loss_bounds(known, constants),
        options=options,
        seconds=time.monotonic() - started,
        interrupted=interrupted,
    )


def _checked(domain: Box | Domain, inputs: int) -> Box | Domain:
    """The domain, which must be bounded, or all of R^n without constraints."""
    if isinstance(domain, Box):
        return check_domain(domain, inputs)
    sized = domain.sized(inputs)
    if not sized.bounded:
        free = ~(np.isfinite(sized.box.lower) & np.isfinite(sized.box.upper) | sized.frozen)
        name = sized.name(int(np.flatnonzero(free)[0]))
        raise DomainError(f"{name} is not bounded: in a domain with constraints all features that move need finite ends")
    return sized


def _mean(data: Dataset, values: Sequence[Fraction]) -> Fraction:
    return sum((w * v for w, v in zip(data.fractions, values, strict=True)), Fraction(0))


def _points(data: Dataset, routes: Sequence[Route]) -> list[Vector | None]:
    """Where each sample goes; ``None`` if it stays."""
    points: list[Vector | None] = [None] * data.count
    for route in routes:
        for i in route.sources:
            points[i] = route.point if np.any(route.point != data.x[i]) else None
    return points


def _curve_point(
    question: RiskQuestion,
    seeker: Seeker,
    radius: float,
    nominal: tuple[Fraction, Fraction],
    certificates: Sequence[Fraction | None],
    auditor: Auditor,
    evidence: Evidence,
) -> CurvePoint:
    """The risk at one radius with its audited plan. Ends are rounded outward."""
    data, ball = question.data, dataclasses.replace(question.ball, radius=radius)
    lower, upper = seeker.lower(radius), seeker.upper(radius)
    grown = min((bound for bound in certificates if bound is not None), default=None)
    if upper is None or (grown is not None and grown <= upper):
        upper, evidence = grown, Evidence.CHECKED
    if radius == 0:
        (lower, upper), evidence = nominal, Evidence.CHECKED
    if upper is not None and upper < lower:
        raise AuditError(f"at radius {radius:g} the risk is said to be at most {float(upper)!r}, and at least {float(lower)!r}")
    top = float("inf") if upper is None else round_up(upper)
    risk = Bracket(lower=round_down(lower), upper=top, evidence=evidence, gap=question.gap)
    plan = plan_of(data, seeker.routes(radius), ball, question.cost(1.0).scales)
    auditor.check(plan, ball, lower=risk.lower)
    return CurvePoint(radius=radius, risk=risk, multiplier=seeker.multiplier(radius), plan=plan)
