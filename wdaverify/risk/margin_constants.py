"""How fast the margins of the data can grow: the Lipschitz constants behind the certificates that a risk is compared with.

Every method gives, for each label y of the data, a proved upper bound of the constant of ``label:y`` on the domain, hence of
``Lambda_i`` for its samples (`risk.lipschitz_bounds`). From cheap to sharp: the product of operator norms, the interval Jacobian
with CROWN's bounds, LipSDP, and the exact constant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import DomainError
from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.bounds.jacobian_crown import gradient_bounds
from wdaverify.bounds.lipsdp import lipsdp_bounds
from wdaverify.bounds.operator_norms import label_bounds
from wdaverify.bracket import Evidence
from wdaverify.domain import Regions
from wdaverify.functionals import expand_functionals, parse_functional
from wdaverify.growth.constants import lipschitz_constants
from wdaverify.growth.options import LipschitzOptions
from wdaverify.growth.record import Interrupted
from wdaverify.transport import round_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wdaverify._deadline import Deadline
    from wdaverify._types import Norm, Vector
    from wdaverify.dataset import Dataset
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network

PRODUCT_OF_NORMS = "product of operator norms"
INTERVAL_JACOBIAN = "CROWN interval Jacobian"
LIPSDP = "LipSDP"
EXACT = "exact Lipschitz constant"
UNFINISHED = "Lipschitz constant (proved upper end)"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarginConstants:
    """Bounds ``m(x, y_i) - m_i <= rate_i ||x - x_i|| + excess_i`` on the domain, one per sample.

    Attributes
    ----------
    name
        Of the method.
    constants
        Functional, or sample, to its constant: what the table and the file show. Empty where the method does not apply.
    rates
        One per sample; ``inf`` where nothing is known.
    excesses
        Nonnegative; 0 for Lipschitz constants.
    note
        Why the method does not apply, or what it left open; empty if nothing.
    """

    name: str
    constants: Mapping[str, float]
    rates: tuple[float, ...]
    excesses: tuple[Fraction, ...]
    note: str = ""

    @staticmethod
    def of_labels(
        name: str, data: Dataset, constants: Mapping[int, float], note: str = "", functional: str = "label:{}"
    ) -> MarginConstants:
        """From one Lipschitz constant per label; none at all say that the method does not apply."""
        rates = tuple(constants.get(int(y), float("inf")) for y in data.y)
        named = {functional.format(y): constants[y] for y in sorted(constants)}
        return MarginConstants(name=name, constants=named, rates=rates, excesses=(Fraction(0),) * data.count, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """The margins that are asked about, and with what they may be searched.

    Attributes
    ----------
    solver
        Runs the search for exact constants.
    """

    network: Network
    data: Dataset
    domain: Box
    norm: Norm
    solver: str = "highs"
    seed: int = 0
    labels: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(sorted(set(self.data.y.tolist()))))

    @property
    def names(self) -> list[str]:
        """The functionals of the labels of the data."""
        return [f"label:{y}" for y in self.labels]


def in_units(constants: Iterable[MarginConstants], weights: Vector | None) -> Iterator[MarginConstants]:
    """The same bounds for the cost ``||S (x - x_i)||``, ``S = diag(weights)``: a step is at most that by the least weight."""
    for each in constants:
        if weights is None:
            yield each
        else:
            unit = Fraction(float(weights.min()))
            known = {name: _divided(value, unit) for name, value in each.constants.items()}
            note = "; ".join(filter(None, [each.note, "of the unweighted norm, divided by the least weight"]))
            yield replace(each, constants=known, rates=tuple(_divided(rate, unit) for rate in each.rates), note=note)


def _divided(rate: float, unit: Fraction) -> float:
    return rate if math.isinf(rate) else round_up(Fraction(rate) / unit)


def norm_constants(margins: Margins) -> MarginConstants:
    """Products of operator norms; valid on all of R^n."""
    constants = label_bounds(margins.network, set(margins.labels), norm=margins.norm)
    return MarginConstants.of_labels(PRODUCT_OF_NORMS, margins.data, constants)


def jacobian_constants(margins: Margins) -> MarginConstants:
    """Interval Jacobians with CROWN's bounds on the domain."""
    outputs = margins.network.outputs
    constants = {}
    for y, name in zip(margins.labels, margins.names, strict=True):
        rows = parse_functional(name, outputs).rows(outputs)
        constants[y] = float(gradient_bounds(margins.network, margins.domain, rows, norm=margins.norm).max())
    return MarginConstants.of_labels(INTERVAL_JACOBIAN, margins.data, constants)


def largest_margins(margins: Margins) -> tuple[Fraction | None, ...]:
    """Proved upper bounds of each sample's margin on the domain, by backward bounds; ``None`` where nothing is bounded."""
    network, box = margins.network, margins.domain.sized(margins.network.inputs)
    if not box.bounded:
        return (None,) * margins.data.count
    regions, outputs = Regions.of_box(box, network.inputs), network.outputs
    bounds, most = crown_bounds(network, regions), {}
    for y, name in zip(margins.labels, margins.names, strict=True):
        top = float(crown_objectives(network, regions, bounds, parse_functional(name, outputs).rows(outputs)).max())
        most[y] = Fraction(top) if math.isfinite(top) else None
    return tuple(most[int(y)] for y in margins.data.y)


def lipsdp_constants(margins: Margins, deadline: Deadline) -> MarginConstants:
    """LipSDP on the domain, one program per unordered pair of classes with a label of the data."""
    outputs = margins.network.outputs
    pairs = {f.name: f for f in expand_functionals(["all"], outputs) if {*f.plus, f.minus} & set(margins.labels)}
    rows = np.vstack([functional.rows(outputs) for functional in pairs.values()])
    found = lipsdp_bounds(margins.network, margins.domain, rows, norm=margins.norm, deadline=deadline)
    if found.reason:
        return MarginConstants.of_labels(LIPSDP, margins.data, {}, note=found.reason)
    sides = [{*f.plus, f.minus} for f in pairs.values()]
    constants = {y: max(float(v) for v, side in zip(found.values, sides, strict=True) if y in side) for y in margins.labels}
    return MarginConstants.of_labels(LIPSDP, margins.data, constants)


def exact_constants(margins: Margins, deadline: Deadline, *, functional: str = "label:{}", name: str = EXACT) -> MarginConstants:
    """The exact constants, or, where the time does not suffice, the upper ends proved by then.

    Parameters
    ----------
    functional
        With a place for the label: ``label:{}``, or the constants of a loss, which may be smaller.
    name
        Of exact constants.

    Raises
    ------
    KeyboardInterrupt
        If the search was interrupted.
    """
    asked = [functional.format(y) for y in margins.labels]
    options = LipschitzOptions(engine="search", solver=margins.solver, seed=margins.seed, deadline=deadline)
    try:
        found = lipschitz_constants(margins.network, asked, domain=margins.domain, norms=[margins.norm], options=options)
    except DomainError as error:
        return MarginConstants.of_labels(name, margins.data, {}, note=str(error).partition(";")[0])
    except Interrupted:
        raise KeyboardInterrupt from None
    assert all(constant.value.evidence is Evidence.CHECKED for constant in found)
    constants = {y: constant.value.upper for y, constant in zip(margins.labels, found, strict=True)}
    missing = [c.value.width / c.value.upper for c in found if not c.value.exact]
    if not missing:
        return MarginConstants.of_labels(name, margins.data, constants, functional=functional)
    return MarginConstants.of_labels(UNFINISHED, margins.data, constants, f"brackets up to {max(missing):.0%} wide", functional)
