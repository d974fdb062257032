"""The certificate of a worst-case risk, as a record."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wdaverify.bracket import Bracket
    from wdaverify.dataset import Dataset
    from wdaverify.domain import Box
    from wdaverify.feature_domain import Domain
    from wdaverify.ir.network import Network
    from wdaverify.risk.adversarial import AdversarialDistance, DistanceOptions
    from wdaverify.transport import TransportPlan, WassersteinBall


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurvePoint:
    """The worst-case risk at one radius.

    Attributes
    ----------
    radius
        Of the ball.
    risk
        The bracket of the worst-case risk.
    multiplier
        The price of one more unit of ``radius^p`` (`zero_one.ZeroOneRisk`, `exploration.Exploration`); ``None`` for order inf.
    plan
        A distribution in the ball whose risk is at least ``risk.lower``, audited.
    """

    radius: float
    risk: Bracket
    multiplier: float | None
    plan: TransportPlan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskBound:
    """What a cheaper certificate says at the same radii.

    Attributes
    ----------
    name
        Of the certificate.
    constants
        Its Lipschitz constant of ``label:Y`` (largest over J of ``f_J - f_Y``) for each label Y of the data, or its constant as
        seen from ``sample:I``. Empty where it does not apply.
    worst_case_risk
        Its upper bound of the worst-case risk, one per radius.
    note
        Why it does not apply, or what it left open; empty if nothing.
    """

    name: str
    constants: dict[str, float]
    worst_case_risk: tuple[float, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskCertificate:
    """The worst-case risk over a Wasserstein ball, at one or several radii.

    Attributes
    ----------
    network, data, ball, loss, domain
        The question.
    nominal_risk
        Expected loss on the data, from exact evaluation, rounded to nearest.
    curve
        One entry per radius, in the order in which they were asked for.
    distances
        The minimum adversarial distance of every sample, for the zero-one loss; empty for the others.
    bounds
        Other certificates, for comparison.
    options
        How the search was done.
    seconds
        Wall-clock time.
    interrupted
        Whether the user stopped the search; all brackets hold all the same.
    """

    network: Network
    data: Dataset
    ball: WassersteinBall
    loss: str
    domain: Box | Domain
    nominal_risk: float
    curve: tuple[CurvePoint, ...]
    distances: tuple[AdversarialDistance, ...]
    bounds: tuple[RiskBound, ...]
    options: DistanceOptions
    seconds: float
    interrupted: bool = False

    @property
    def point(self) -> CurvePoint:
        """The entry of the curve at the ball's own radius."""
        return next(point for point in self.curve if point.radius == self.ball.radius)

    @property
    def risk(self) -> Bracket:
        """The worst-case risk at the ball's own radius."""
        return self.point.risk

    @property
    def plan(self) -> TransportPlan:
        """The worst-case distribution at the ball's own radius."""
        return self.point.plan

    def records(self) -> list[dict[str, float | str | None]]:
        """One dictionary of plain scalars per radius, in the order of the curve; ``pandas.DataFrame`` takes the list.

        Beside the bracket: ``moved``, the mass that the plan moves, and its ``cost``. The upper bounds by other certificates are
        columns ``bound:NAME``.

        Examples
        --------
        >>> import wdaverify as wv
        >>> network = wv.load("instances/iris/iris-16-16.onnx")
        >>> data = wv.Dataset.load("instances/iris/iris-test.npz").first(4)
        >>> certificate = wv.certify(network, data, wv.WassersteinBall(0.02), comparison_time=0)
        >>> [record] = certificate.records()
        >>> record["radius"], record["loss"], record["lower"] == certificate.risk.lower
        (0.02, 'zero-one', True)
        """
        asked: dict[str, float | str] = {"loss": self.loss, "norm": str(self.ball.norm), "order": self.ball.order}
        return [
            {
                "radius": point.radius,
                **asked,
                "nominal_risk": self.nominal_risk,
                **point.risk.record(),
                "multiplier": point.multiplier,
                "moved": math.fsum(atom.mass for atom in point.plan.moved),
                "cost": point.plan.cost,
                **{f"bound:{bound.name}": bound.worst_case_risk[k] for bound in self.bounds if bound.worst_case_risk},
            }
            for k, point in enumerate(self.curve)
        ]

    def save(self, path: str | Path, *, proof: bool = True) -> str | None:
        """Write the JSON file of kind ``risk``; large plans keep their points in an `.npz` beside it.

        Parameters
        ----------
        proof
            Whether to prove the brackets again in records that ``wdaverify check`` follows; long ones become files beside it.
            What is proved has evidence ``proved`` in the file. Models and data that come from no file, and models with weights
            in a second file, are not proved.

        Returns
        -------
        str or None
            Why the file holds no proof although one was wanted, in a line for people; ``None`` otherwise.

        Raises
        ------
        InputError
            If the file cannot be written, or is the certificate's own model or data file.

        Examples
        --------
        >>> import tempfile
        >>> import wdaverify as wv
        >>> network = wv.load("instances/iris/iris-16-16.onnx")
        >>> data = wv.Dataset.load("instances/iris/iris-test.npz").first(2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wv.certify(network, data, wv.WassersteinBall(0.02), comparison_time=0).save(f"{folder}/iris.json")
        ...     files = {"model": "instances/iris/iris-16-16.onnx", "data": "instances/iris/iris-test.npz"}
        ...     wv.check(f"{folder}/iris.json", **files).accepted
        True
        """
        # proofs are made of certificates, in a room above this one, which this room therefore cannot import
        reason: str | None = import_module("wdaverify.proof.certificates").save_certificate(self, path, proof=proof)
        return reason

    def __str__(self) -> str:
        threat = f"order {self.ball.order:g}, {self.ball.norm}"
        return "\n".join(f"worst-case {self.loss} risk at radius {p.radius:g} ({threat}): {p.risk}" for p in self.curve)


def radii_of(ball: WassersteinBall, radii: Sequence[float] | None) -> tuple[float, ...]:
    """The radii of the curve: those asked for, checked, and the ball's own at the end if it is missing.

    Raises
    ------
    InputError
        If a radius is not finite and nonnegative.
    """
    asked = [ball.radius] if radii is None else [dataclasses.replace(ball, radius=r).radius for r in radii]
    if ball.radius not in asked:
        asked.append(ball.radius)
    return tuple(asked)
