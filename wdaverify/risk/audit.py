"""Recompute a transport plan from scratch before anything about it is printed.

Three things are shared with what made the plan: exact evaluation of the network (`ir.exact`), the exact distance of two points
(`transport.exact_distance`), both plain rational arithmetic, and the bracket of the cross-entropy (`log_sum_exp`). Everything
else is computed anew: powers come from integer square roots with directed rounding instead of logarithms, and masses, marginals,
budget and risk are added up from the atoms alone.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from wdaverify._errors import AuditError
from wdaverify._types import Norm
from wdaverify.feature_domain import as_domain
from wdaverify.ir.exact import exact_forward
from wdaverify.log_sum_exp import cross_entropy_bracket
from wdaverify.transport import exact_distance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wdaverify._types import Vector
    from wdaverify.dataset import Dataset
    from wdaverify.domain import Box
    from wdaverify.feature_domain import Domain
    from wdaverify.ir.network import Network
    from wdaverify.transport import Atom, TransportPlan, WassersteinBall

LOSSES: dict[str, Callable[[Sequence[Fraction], int], Fraction]] = {
    "zero-one": lambda logits, label: Fraction(largest_rival(logits, label) >= logits[label]),
    "margin": lambda logits, label: largest_rival(logits, label) - logits[label],
    "hinge": lambda logits, label: max(Fraction(0), 1 + largest_rival(logits, label) - logits[label]),
    "cross-entropy": lambda logits, label: cross_entropy_bracket(logits, label)[0],
}
"""The loss, or a lower bound of it, at exact logits (K,) for a label."""

MASS_TOLERANCE = Fraction(1, 10**12)
"""Masses are float64 roundings of rational weights: N of them are off by at most N * 2^-54."""

COST_TOLERANCE = Fraction(1, 10**9)
"""Relative tolerance of the *reported* cost of an atom; the budget itself is compared without any."""

_BITS = 2048
"""Significant bits of rounded powers; ties of the budget in small integer orders are decided exactly."""

_LARGEST_BITS = 1 << 16
"""Powers beyond ``2**65536`` count as infinite."""


class Auditor:
    """Checks the plans of one question; losses are evaluated once per point.

    Parameters
    ----------
    network, data, domain
        Of the question.
    loss
        One of `LOSSES`.
    """

    def __init__(self, network: Network, data: Dataset, domain: Box | Domain, loss: str = "zero-one") -> None:
        self._network, self._data, self._domain = network, data, as_domain(domain, network.inputs)
        self._name, self._loss = loss, LOSSES[loss]
        self._losses: dict[tuple[int, bytes], Fraction] = {}

    def loss(self, sample: int, point: Vector) -> Fraction:
        """The loss of the label of `sample` at `point`, exactly; for the zero-one loss a tie is an error."""
        key = sample, point.tobytes()
        if key not in self._losses:
            outputs = exact_forward(self._network, [float(v) for v in point])
            self._losses[key] = self._loss(outputs, int(self._data.y[sample]))
        return self._losses[key]

    def check(self, plan: TransportPlan, ball: WassersteinBall, *, lower: float) -> Fraction:
        """Check that a plan stays in the ball and loses as much as claimed.

        Parameters
        ----------
        plan
            The atoms.
        ball
            Radius, order and norm that the plan must respect.
        lower
            The claimed lower end of the worst-case risk.

        Returns
        -------
        Fraction
            The expected loss of the plan, recomputed exactly.

        Raises
        ------
        AuditError
            If a label or source is wrong, the mass of a source is off by more than 1e-12, a point lies outside the
            domain, a reported cost is wrong, the budget is exceeded (exactly), or the expected loss is below `lower`
            by more than 1e-12 (relative to the expected size of the loss, if that is above 1).
        """
        for k, atom in enumerate(plan.atoms):
            self._check_atom(k, atom)
        self._check_marginal(plan)
        self._check_budget(plan, ball)
        losses = [self.loss(atom.source, atom.point) if atom.mass > 0 else Fraction(0) for atom in plan.atoms]
        loss = sum((Fraction(atom.mass) * each for atom, each in zip(plan.atoms, losses, strict=True)), Fraction(0))
        size = sum((Fraction(atom.mass) * abs(each) for atom, each in zip(plan.atoms, losses, strict=True)), Fraction(0))
        if loss < Fraction(lower) - MASS_TOLERANCE * max(Fraction(1), size):
            raise AuditError(
                f"the plan at radius {ball.radius:g} has an expected {self._name} loss of {float(loss)!r}, claimed was {lower!r}"
            )
        return loss

    def _check_atom(self, k: int, atom: Atom) -> None:
        if not 0 <= atom.source < self._data.count:
            raise AuditError(f"atom {k} comes from sample {atom.source}, which does not exist")
        if atom.label != self._data.y[atom.source]:
            raise AuditError(f"atom {k} has label {atom.label}, its sample {atom.source} has {self._data.y[atom.source]}")
        if not (math.isfinite(atom.mass) and atom.mass >= 0):
            raise AuditError(f"atom {k} has mass {atom.mass}")
        if len(atom.point) != self._data.size:
            raise AuditError(f"atom {k} (from sample {atom.source}) has {len(atom.point)} coordinates")
        broken = self._domain.broken(atom.point, self._data.x[atom.source])
        if broken is not None:
            raise AuditError(f"atom {k} (from sample {atom.source}) lies outside the domain: {broken}")

    def _scaled(self, point: Vector) -> Sequence[float | Fraction]:
        """A point in the units of the ground cost, exactly."""
        if self._domain.weights is None:
            return cast("list[float]", point.tolist())
        return [Fraction(w) * Fraction(v) for w, v in zip(self._domain.weights.tolist(), point.tolist(), strict=True)]

    def _check_marginal(self, plan: TransportPlan) -> None:
        masses = [Fraction(0)] * self._data.count
        for atom in plan.atoms:
            masses[atom.source] += Fraction(atom.mass)
        for i, (mass, weight) in enumerate(zip(masses, self._data.fractions, strict=True)):
            if abs(mass - weight) > MASS_TOLERANCE:
                raise AuditError(f"the atoms of sample {i} have mass {float(mass)!r}, its weight is {float(weight)!r}")

    def _check_budget(self, plan: TransportPlan, ball: WassersteinBall) -> None:
        """``sum mass * (distance / radius)^p <= 1``; for order inf and radius 0 every distance is at most the radius."""
        # l2 distances are irrational: their squares are compared, with half the exponent.
        halving = 2 if ball.norm is Norm.L2 else 1
        radius = Fraction(ball.radius) ** halving
        spent = Fraction(0)
        for k, atom in enumerate(plan.atoms):
            distance = exact_distance(self._scaled(self._data.x[atom.source]), self._scaled(atom.point), ball.norm)
            exponent = (1.0 if math.isinf(ball.order) else ball.order) / halving
            _check_cost(k, atom, power_up(distance, exponent))
            if atom.mass == 0 or distance == 0:
                continue
            if math.isinf(ball.order) or radius == 0:
                if distance > radius:
                    raise AuditError(f"atom {k} moves farther than the radius {ball.radius:g}")
                continue
            price = power_up(distance / radius, exponent)
            if price is None:
                raise AuditError(f"atom {k} moves so far that no mass can pay for it at order {ball.order:g}")
            spent += Fraction(atom.mass) * price
        if spent > 1:
            raise AuditError(f"the plan spends {float(spent)!r} of the budget at radius {ball.radius:g}, more than all of it")


def largest_rival(logits: Sequence[Fraction], label: int) -> Fraction:
    """The largest logit but the label's."""
    return max(v for j, v in enumerate(logits) if j != label)


def _check_cost(k: int, atom: Atom, cost: Fraction | None) -> None:
    """Compare the reported cost with the recomputed one, where float64 can hold it."""
    if math.isinf(atom.cost):
        consistent = cost is None or cost > Fraction(2) ** 1023
    else:
        tolerance = COST_TOLERANCE * (cost or 0) + Fraction(1, 2**1022)
        consistent = cost is not None and abs(Fraction(atom.cost) - cost) <= tolerance
    if not consistent:
        raise AuditError(f"atom {k} reports cost {atom.cost!r}, which is not its distance to the power of the order")


def power_up(base: Fraction, exponent: float) -> Fraction | None:
    """An upper bound of ``base ** exponent``, within a relative ``2**-1900`` for moderate exponents.

    Parameters
    ----------
    base
        Nonnegative.
    exponent
        Positive and finite: a binary fraction, so the power is a product of integer powers and repeated square roots.

    Returns
    -------
    Fraction or None
        ``None`` if the power exceeds ``2**65536``. Very small powers are rounded up to ``2**-65536``.

    Examples
    --------
    >>> power_up(Fraction(9, 4), 1.5)
    Fraction(27, 8)
    """
    if base == 0:
        return Fraction(0)
    whole, rest = divmod(Fraction(exponent), 1)
    result: Fraction | None = _integer_power_up(base, whole)
    root = base
    while rest and result is not None:
        root = _sqrt_up(root)
        rest *= 2
        if rest >= 1:
            rest -= 1
            result = _rounded_up(result * root)
    return result


def _integer_power_up(base: Fraction, exponent: int) -> Fraction | None:
    """Square and multiply, rounding every product up."""
    result: Fraction | None = Fraction(1)
    square: Fraction | None = base
    while exponent:
        if exponent & 1:
            result = None if result is None or square is None else _rounded_up(result * square)
        exponent >>= 1
        if exponent:
            square = None if square is None else _rounded_up(square * square)
    return result


def _rounded_up(value: Fraction) -> Fraction | None:
    """The value rounded up to `_BITS` significant bits; ``None`` beyond the range, at least ``2**-65536``."""
    size = value.numerator.bit_length() - value.denominator.bit_length()
    if size > _LARGEST_BITS:
        return None
    if size < -_LARGEST_BITS:
        return Fraction(1, 1 << _LARGEST_BITS)
    if max(value.numerator.bit_length(), value.denominator.bit_length()) <= _BITS:
        return value
    shift = _BITS - size
    scaled = value * (Fraction(1 << shift) if shift >= 0 else Fraction(1, 1 << -shift))
    return Fraction(math.ceil(scaled)) / (Fraction(1 << shift) if shift >= 0 else Fraction(1, 1 << -shift))


def _sqrt_up(value: Fraction) -> Fraction:
    """The square root rounded up to about `_BITS` significant bits; exact for squares of short rationals."""
    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if top * top == value.numerator and bottom * bottom == value.denominator:
        return Fraction(top, bottom)
    size = value.numerator.bit_length() - value.denominator.bit_length()
    shift = max(0, _BITS - size // 2)
    scaled = math.ceil(value * (1 << (2 * shift)))
    root = math.isqrt(scaled - 1) + 1
    return Fraction(root, 1 << shift)
