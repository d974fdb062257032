"""The certificates that stand beside an exact worst-case risk: which constants, in what time, and what risk follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify.ir.exact import exact_forward
from wdaverify.knapsack import fill
from wdaverify.losses import exact_margin
from wdaverify.program.backend import SessionBackend, get_backend
from wdaverify.risk.certificate import RiskBound
from wdaverify.risk.lipschitz_bounds import distance_floor, mean_hinge, saturated_growth
from wdaverify.risk.margin_constants import (
    EXACT,
    UNFINISHED,
    MarginConstants,
    Margins,
    exact_constants,
    jacobian_constants,
    lipsdp_constants,
    norm_constants,
)
from wdaverify.risk.sample_rates import GrowthRate, RateSearch
from wdaverify.transport import round_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wdaverify._types import Vector

COMPARISON_PART = 0.5
"""Part of the time left after the search that constants for comparison may take; proofs need the rest."""

SAMPLE_WISE = "sample-wise constants"
THROUGH_HINGE = "the same through the hinge"

_SHARES = {"lipsdp": 0.25, "exact": 0.6}
"""Parts of the time left for LipSDP, and then for the exact constants; sample-wise constants get the rest."""

_MOST_SEARCHES = 200
"""Samples times rivals up to which sample-wise constants are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NominalMargins:
    """What a risk bound needs to know about the data.

    Attributes
    ----------
    margins, weights
        Exact, one per sample.
    largest
        Proved upper bounds of the margins on the domain, one per sample; ``None`` where there is none.
    radii, order
        Of the balls.
    """

    margins: tuple[Fraction, ...]
    weights: tuple[Fraction, ...]
    radii: tuple[float, ...]
    order: float
    largest: tuple[Fraction | None, ...]

    @property
    def rooms(self) -> tuple[Fraction | None, ...]:
        """By how much the hinge of each sample can rise at most: ``max(0, 1 + max m) - max(0, 1 + m_i)``."""
        zero = Fraction(0)
        pairs = zip(self.margins, self.largest, strict=True)
        return tuple(None if most is None else max(zero, max(zero, 1 + most) - max(zero, 1 + m)) for m, most in pairs)

    @property
    def nominal(self) -> Fraction:
        """The zero-one risk on the data."""
        return sum((w for w, m in zip(self.weights, self.margins, strict=True) if m >= 0), Fraction(0))

    def floors(self, constants: MarginConstants) -> tuple[float, ...]:
        """Proved lower bounds of the distances: ``d_i >= (-m_i - excess_i) / rate_i``."""
        parts = zip(self.margins, constants.rates, constants.excesses, strict=True)
        return tuple(distance_floor(margin + excess, rate) for margin, rate, excess in parts)


def constants_without_search(margins: Margins) -> tuple[MarginConstants, ...]:
    """What takes milliseconds."""
    return norm_constants(margins), jacobian_constants(margins)


def constants_by_search(margins: Margins, points: Sequence[Vector | None], deadline: Deadline) -> Iterator[MarginConstants]:
    """LipSDP, exact constants and sample-wise ones, each as soon as it is known; methods that do not apply say why.

    Parameters
    ----------
    points
        Where the margin of each sample is known to be large; ``None`` if nowhere.

    Raises
    ------
    KeyboardInterrupt
        If a search was interrupted.
    """
    yield lipsdp_constants(margins, share_of(deadline, _SHARES["lipsdp"]))
    if deadline.passed:
        return
    known = exact_constants(margins, share_of(deadline, _SHARES["exact"]))
    yield known
    if not deadline.passed:
        yield sample_wise_constants(margins, known, points, deadline)


def risk_bounds(data: NominalMargins, constants: Sequence[MarginConstants]) -> tuple[RiskBound, ...]:
    """The zero-one risk that follows from each set of constants; from exact ones also through the hinge."""
    bounds = []
    for each in constants:
        bounds.append(_bound(data, each))
        if each.name in (EXACT, UNFINISHED) and each.constants:
            bounds.append(_hinge_bound(data, each))
    return tuple(bounds)


def _bound(data: NominalMargins, constants: MarginConstants) -> RiskBound:
    """The knapsack of the distances' lower bounds, rounded up; without constants the risk may be 1."""
    floors, order = data.floors(constants), data.order
    values = [
        data.nominal if r == 0 else fill(floors, data.weights, radius=r, order=order, costly=False).value for r in data.radii
    ]
    risks = tuple(min(1.0, round_up(value)) for value in values)
    return RiskBound(name=constants.name, constants=dict(constants.constants), worst_case_risk=risks, note=constants.note)


def _hinge_bound(data: NominalMargins, constants: MarginConstants) -> RiskBound:
    """``R(zero-one) <= R(hinge) <= mean hinge + growth``: the hinge has the margin's constants, and saturates at its largest."""
    mean = mean_hinge(data.margins, data.weights)
    risks = []
    for radius in data.radii:
        growth = saturated_growth(constants.rates, data.rooms, data.weights, radius=radius, order=data.order)
        risks.append(1.0 if growth is None else min(1.0, round_up(mean + growth)))
    return RiskBound(name=THROUGH_HINGE, constants=dict(constants.constants), worst_case_risk=tuple(risks), note="")


def share_of(deadline: Deadline, part: float) -> Deadline:
    """A part of the time left."""
    return deadline if deadline.unlimited else Deadline.after(part * deadline.remaining)


def sample_wise_constants(
    margins: Margins, known: MarginConstants, points: Sequence[Vector | None], deadline: Deadline
) -> MarginConstants:
    """Sample-wise constants of the margin; samples that the time does not suffice for keep the constant of their label.

    Of both the one with the larger lower bound of the distance counts.
    """
    network, data = margins.network, margins.data
    searches = data.count * (network.outputs - 1)
    backend = get_backend(margins.solver)
    try:
        if searches > _MOST_SEARCHES:
            raise InputError(f"{data.count} samples with {network.outputs - 1} rivals each, more than {_MOST_SEARCHES} searches")
        if not isinstance(backend, SessionBackend):
            raise InputError(f"solver '{margins.solver}' does not keep programs between solves")
        search = RateSearch(backend, network, margins.domain.sized(network.inputs), margins.norm)
    except InputError as error:
        return MarginConstants.of_labels(SAMPLE_WISE, data, {}, note=str(error).removeprefix(f"{SAMPLE_WISE} "))
    rates = []
    for i in range(data.count):
        share = Deadline.after(None if deadline.unlimited else deadline.remaining / (data.count - i))
        found = search.rate(data.x[i], int(data.y[i]), known=points[i], deadline=share)
        own = GrowthRate(known.rates[i], known.excesses[i])  # better where a search was stopped far from its end
        margin = exact_margin(exact_forward(network, data.x[i].tolist()), int(data.y[i]))[0]
        rates.append(max(found, own, key=lambda rate: (distance_floor(margin + rate.excess, rate.rate), -rate.rate)))
    return MarginConstants(
        name=SAMPLE_WISE,
        constants={f"sample:{i}": rate.rate for i, rate in enumerate(rates)},
        rates=tuple(rate.rate for rate in rates),
        excesses=tuple(rate.excess for rate in rates),
        note="some searches ran out of time" if deadline.passed else "",
    )
