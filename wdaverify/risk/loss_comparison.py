r"""The certificates that stand beside the exact risk of a priced loss: nominal risk plus growth by Lipschitz constants.

Margin, hinge and cross-entropy of label y are ``label:y``-Lipschitz. Margin and hinge also grow no faster than the margin does as
seen from a sample; cross-entropy does, where a rival rises that is not the best one there, so that sample-wise constants of the margin
say nothing about it. What the loss cannot rise by any more (its maximum on the domain) caps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify.risk.certificate import RiskBound
from wdaverify.risk.lipschitz_bounds import risk_growth, saturated_growth
from wdaverify.transport import round_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify.risk.margin_constants import MarginConstants

SATURATED = "the same, saturated"


@dataclass(frozen=True, slots=True, kw_only=True)
class LossBounds:
    """What an upper bound of the risk needs to know about the data.

    Attributes
    ----------
    mean
        An upper bound of the expected loss on the data.
    rooms
        By how much the loss of each sample can rise at most; ``None`` where nothing is known.
    weights, radii, order
        Of data and balls.
    """

    mean: Fraction
    rooms: tuple[Fraction | None, ...]
    weights: tuple[Fraction, ...]
    radii: tuple[float, ...]
    order: float

    def linear(self, constants: MarginConstants) -> list[Fraction | None]:
        """``nominal + growth``, one per radius; ``None`` where nothing follows."""
        rates, excess = constants.rates, self._excess(constants)
        growths = [risk_growth(rates, self.weights, radius=r, order=self.order) for r in self.radii]
        return [self._total(g, excess, r) for g, r in zip(growths, self.radii, strict=True)]

    def saturated(self, constants: MarginConstants) -> list[Fraction | None]:
        """As `linear`, where no loss exceeds its maximum."""
        rates, excess = constants.rates, self._excess(constants)
        growths = [saturated_growth(rates, self.rooms, self.weights, radius=r, order=self.order) for r in self.radii]
        return [self._total(g, excess, r) for g, r in zip(growths, self.radii, strict=True)]

    def _excess(self, constants: MarginConstants) -> Fraction:
        return sum((w * e for w, e in zip(self.weights, constants.excesses, strict=True)), Fraction(0))

    def _total(self, growth: Fraction | None, excess: Fraction, radius: float) -> Fraction | None:
        if radius == 0:
            return self.mean
        return None if growth is None else self.mean + growth + excess


def loss_bounds(nominal: LossBounds, constants: Sequence[MarginConstants]) -> tuple[RiskBound, ...]:
    """One certificate per set of constants; a second one where saturation lowers it."""
    bounds = []
    for each in constants:
        plain, capped = nominal.linear(each), nominal.saturated(each)
        bounds.append(_bound(each, each.name, plain, each.note))
        if each.constants and any(c is not None and (p is None or c < p) for p, c in zip(plain, capped, strict=True)):
            bounds.append(_bound(each, SATURATED, capped, ""))
    return tuple(bounds)


def _bound(constants: MarginConstants, name: str, risks: Sequence[Fraction | None], note: str) -> RiskBound:
    ends = tuple(float("inf") if risk is None else round_up(risk) for risk in risks)
    return RiskBound(name=name, constants=dict(constants.constants), worst_case_risk=ends, note=note)
