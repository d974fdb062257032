"""The worst-case risk of a classifier over a Wasserstein ball, as a certificate.

The zero-one risk needs one number per sample, its minimum adversarial distance; every radius and order then is a
knapsack (`zero_one`). The plan that attains the lower end is recomputed by `audit` before a certificate exists.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify._errors import AuditError, InputError
from wdaverify._tolerances import DEFAULT_GAP
from wdaverify.bounds.operator_norms import label_bounds
from wdaverify.bracket import Bracket, Evidence
from wdaverify.domain import Box
from wdaverify.ir.exact import exact_forward
from wdaverify.losses import exact_margin
from wdaverify.risk.adversarial import AdversarialDistance, DistanceOptions, Interrupted
from wdaverify.risk.audit import Auditor
from wdaverify.risk.certificate import CurvePoint, RiskBound, RiskCertificate
from wdaverify.risk.plan import worst_case_plan
from wdaverify.risk.zero_one import fill, zero_one_risk
from wdaverify.transport import round_down, round_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wdaverify.dataset import Dataset
    from wdaverify.ir.network import Network
    from wdaverify.transport import WassersteinBall

PRODUCT_OF_NORMS = "product of operator norms"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """One threat, its loss and its radii."""

    ball: WassersteinBall
    radii: tuple[float, ...]
    loss: str
    domain: Box
    gap: float


def certify(
    network: Network,
    data: Dataset,
    ball: WassersteinBall,
    *,
    loss: str = "zero-one",
    domain: Box | None = None,
    radii: Sequence[float] | None = None,
    gap: float = DEFAULT_GAP,
    options: DistanceOptions | None = None,
    progress: Callable[[AdversarialDistance], None] | None = None,
) -> RiskCertificate:
    """Certify the worst-case risk of a classifier over all distributions within a Wasserstein ball of the data.

    Parameters
    ----------
    network
        At least two outputs; the largest wins, ties are errors.
    data
        The nominal distribution; every sample must lie in the domain.
    ball
        Radius, order and ground norm (l1 and linf) of the threat.
    loss
        ``zero-one``, the only loss of this version.
    domain
        The inputs that exist; ``[0, 1]^n`` by default.
    radii
        Several radii give the whole curve from one search. The ball's own radius is added at the end if it is missing.
    gap
        Relative width below which a bracket counts as exact.
    options
        How hard to look for distances, and with what.
    progress
        Called with every finished distance.

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
    from wdaverify.risk.distance import distances as search
    from wdaverify.risk.engines import engine_for

    started = time.monotonic()
    question = _question(ball, radii, loss, Box(0, 1) if domain is None else domain, gap)
    data.checked_against(network, question.domain)
    chosen = dataclasses.replace(options or DistanceOptions(), gap=gap)
    chosen = dataclasses.replace(chosen, engine=engine_for(chosen.engine, chosen.solver))
    try:
        found, interrupted = (
            search(network, data, norm=ball.norm, domain=question.domain, options=chosen, progress=progress),
            False,
        )
    except Interrupted as stop:
        found, interrupted = stop.distances, True
    return _assemble(network, data, question, found, chosen, (started, interrupted))


def _question(ball: WassersteinBall, radii: Sequence[float] | None, loss: str, domain: Box, gap: float) -> _Question:
    """The question, checked."""
    if loss != "zero-one":
        raise InputError(f"loss '{loss}' is not available: only zero-one is in this version")
    if not (math.isfinite(gap) and gap >= 0):
        raise InputError(f"gap {gap} is not a finite number >= 0")
    asked = [ball.radius] if radii is None else [dataclasses.replace(ball, radius=r).radius for r in radii]
    if ball.radius not in asked:
        asked.append(ball.radius)
    return _Question(ball=ball, radii=tuple(asked), loss=loss, domain=domain, gap=gap)


def _assemble(
    network: Network,
    data: Dataset,
    question: _Question,
    distances: tuple[AdversarialDistance, ...],
    options: DistanceOptions,
    run: tuple[float, bool],
) -> RiskCertificate:
    """Turn distances into an audited certificate."""
    margins = [_exact_margin(network, data, i) for i in range(data.count)]
    constants = label_bounds(network, set(data.y.tolist()), norm=question.ball.norm)
    floors = [_distance_floor(margin, constants[int(y)]) for margin, y in zip(margins, data.y, strict=True)]
    _check_consistent(margins, floors, distances)
    nominal = sum((w for w, m in zip(data.fractions, margins, strict=True) if m >= 0), Fraction(0))
    auditor = Auditor(network, data, question.domain)
    curve = tuple(_curve_point(data, question, distances, (radius, nominal, floors, auditor)) for radius in question.radii)
    bound = tuple(_product_bound(data, question.ball, radius, floors, nominal) for radius in question.radii)
    return RiskCertificate(
        network=network,
        data=data,
        ball=question.ball,
        loss=question.loss,
        domain=question.domain,
        nominal_risk=float(nominal),
        curve=curve,
        distances=distances,
        bounds=(RiskBound(name=PRODUCT_OF_NORMS, constants=constants, worst_case_risk=bound),),
        options=options,
        seconds=time.monotonic() - run[0],
        interrupted=run[1],
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


def _distance_floor(margin: Fraction, constant: float) -> float:
    """``d >= -m / Lambda`` (theory, section 2, Brackets), rounded down; ``inf`` where the margin cannot change."""
    if margin >= 0:
        return 0.0
    if constant == 0:
        return math.inf
    return 0.0 if math.isinf(constant) else max(0.0, round_down(-margin / Fraction(constant)))


def _curve_point(
    data: Dataset,
    question: _Question,
    distances: Sequence[AdversarialDistance],
    known: tuple[float, Fraction, Sequence[float], Auditor],
) -> CurvePoint:
    """The risk at one radius with its audited plan."""
    radius, nominal, floors, auditor = known
    ball = dataclasses.replace(question.ball, radius=radius)
    upper = [d.distance.upper if d.point is not None or d.distance.upper == 0 else math.inf for d in distances]
    lower = [min(max(d.distance.lower, floor), top) for d, floor, top in zip(distances, floors, upper, strict=True)]
    found = zero_one_risk(lower, upper, data.fractions, radius=radius, order=ball.order)
    # A correct sample has a positive distance even if its search was stopped at 0: radius 0 is known exactly.
    # Floats that straddle the truth: the ends are rounded outward, and a risk never leaves [0, 1].
    lowest, highest = (nominal, nominal) if radius == 0 else (found.lower, found.upper)
    evidence = Evidence.CHECKED if radius == 0 else Evidence.weakest(*(d.distance.evidence for d in distances))
    risk = Bracket(lower=round_down(lowest), upper=min(1.0, round_up(highest)), evidence=evidence, gap=question.gap)
    plan = worst_case_plan(data, distances, found.moved, ball=ball)
    auditor.check(plan, ball, lower=risk.lower)
    return CurvePoint(radius=radius, risk=risk, multiplier=found.multiplier, plan=plan)


def _product_bound(data: Dataset, ball: WassersteinBall, radius: float, floors: Sequence[float], nominal: Fraction) -> float:
    """The upper bound of the risk that the product-of-norms distances give, rounded up."""
    if radius == 0:
        return min(1.0, round_up(nominal))
    return min(1.0, round_up(fill(floors, data.fractions, radius=radius, order=ball.order, costly=False).value))
