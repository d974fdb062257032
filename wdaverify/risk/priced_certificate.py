"""The worst-case risk of a loss that is priced (margin, hinge, cross-entropy), as a certificate.

The exploration closes the brackets of all radii (`exploration`, for order inf `pointwise`). Its lower ends are distributions,
which `audit` recomputes before a certificate exists; its upper ends follow from proved prices, or from growth.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify._deadline import Deadline
from wdaverify._errors import AuditError
from wdaverify.bracket import Bracket, Evidence
from wdaverify.growth.ground import check_domain
from wdaverify.ir.exact import exact_forward
from wdaverify.risk.audit import Auditor
from wdaverify.risk.certificate import CurvePoint, RiskCertificate
from wdaverify.risk.comparison import constants_by_search, constants_without_search
from wdaverify.risk.dual import Growth
from wdaverify.risk.loss_comparison import LossBounds, loss_bounds
from wdaverify.risk.margin_constants import Margins, largest_margins
from wdaverify.risk.mixture import plan_of
from wdaverify.risk.pricers import pricer_for
from wdaverify.risk.rays import slope_backend, steepest_ray
from wdaverify.risk.seekers import RiskQuestion, seeker_for
from wdaverify.transport import round_down, round_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wdaverify.dataset import Dataset
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network
    from wdaverify.risk.adversarial import DistanceOptions
    from wdaverify.risk.exploration import Progress
    from wdaverify.risk.loss_table import Loss, Pricer
    from wdaverify.risk.margin_constants import MarginConstants
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
    domain: Box,
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
    started, running, box = time.monotonic(), options.started(), check_domain(domain, network.inputs)
    margins = Margins(network=network, data=data, domain=box, norm=ball.norm, solver=options.solver, seed=options.seed)
    nominal, constants = NominalLosses.of(loss, margins), list(constants_without_search(margins))
    ray = None
    if not box.bounded and ball.order == 1:
        ray = steepest_ray(slope_backend(options.solver), network, data, ball.norm, running.deadline)
    question = RiskQuestion(
        network=network,
        data=data,
        ball=ball,
        loss=loss,
        domain=box,
        gap=options.gap,
        growth=nominal.growth(constants),
        pricer=pricer or pricer_for(str(options.engine), options.solver),
        ray=ray,
        seed=options.seed,
        progress=progress or (lambda _: None),
    )
    seeker, interrupted = seeker_for(question), False
    try:
        seeker.close(radii, running.deadline)
        until = Deadline(min(Deadline.after(comparison_time).at, running.deadline.at))
        if not until.passed:
            constants.extend(constants_by_search(margins, [None] * data.count, until, sample_wise=loss.of_margin))
    except KeyboardInterrupt:
        interrupted = True
    known = LossBounds(
        mean=_mean(data, nominal.upper), rooms=nominal.rooms, weights=data.fractions, radii=tuple(radii), order=ball.order
    )
    auditor = Auditor(network, data, box, loss.name)
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


def _mean(data: Dataset, values: Sequence[Fraction]) -> Fraction:
    return sum((w * v for w, v in zip(data.fractions, values, strict=True)), Fraction(0))


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
    plan = plan_of(data, seeker.routes(radius), ball)
    auditor.check(plan, ball, lower=risk.lower)
    return CurvePoint(radius=radius, risk=risk, multiplier=seeker.multiplier(radius), plan=plan)
