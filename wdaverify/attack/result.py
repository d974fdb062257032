"""What a distributional attack found, as a record.

Everything in it is a lower end of a risk, or an upper end of an accuracy or a distance: points whose margin is at least 0 in
float64. That no others exist, an attack cannot say.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.knapsack import fill
from wdaverify.plan import plan_of_moves
from wdaverify.transport import round_up

if TYPE_CHECKING:
    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.attack.options import AttackOptions
    from wdaverify.dataset import Dataset
    from wdaverify.domain import Box
    from wdaverify.feature_domain import Domain
    from wdaverify.transport import TransportPlan, WassersteinBall


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttackPoint:
    """What was found at one radius.

    Attributes
    ----------
    radius
        Of the ball.
    robust_accuracy
        Weight of the samples without a known adversarial point within the radius: 1 less the zero-one risk of the
        distribution found in the ball of order inf.
    worst_case_accuracy
        1 less the zero-one risk of the distribution found in the ball of the order asked for: the knapsack of the known
        distances (`wdaverify.knapsack`), solved exactly.
    mixture_accuracy
        What WDA reports: ``(1 - 1/kappa)`` of the clean accuracy and ``1/kappa`` of the accuracy on points that may lie
        ``kappa^(1/p)`` times the radius away; every sample moves the same share of its mass.
    plan
        The distribution of `worst_case_accuracy`.
    """

    radius: float
    robust_accuracy: float
    worst_case_accuracy: float
    mixture_accuracy: float
    plan: TransportPlan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttackResult:
    """The adversarial points that an attack found, and the distributions made of them.

    Attributes
    ----------
    model
        Name of what was attacked.
    data, ball, domain, options
        The question; a `batch_size` of ``None`` in the options was chosen by the memory.
    clean_accuracy
        Weight of the samples whose label strictly wins.
    distances
        Shape (N,): from each sample to its known adversarial point, rounded up (l1, l2: by some ulps); 0 for samples that err
        as they are, ``inf`` where no point is known.
    targets
        Shape (N,): the class that wins, or ties with the label, at the point; -1 where there is none.
    points
        Shape (N, n), NaN where there is none.
    parts
        Per sample the part of the attack that found the point: ``clean`` for errors as they are, empty where there is none.
    curve
        One entry per radius, in the order in which they were asked for.
    forward, backward
        Evaluations and gradients of the network, counted per point.
    seconds
        Wall-clock time.
    attacked
        Number of samples that were attacked to the end; fewer than N if time ran out.
    interrupted
        Whether the user stopped the attack; what was found until then holds.
    """

    model: str
    data: Dataset
    ball: WassersteinBall
    domain: Box | Domain
    options: AttackOptions
    clean_accuracy: float
    distances: Vector
    targets: IntArray
    points: Matrix
    parts: tuple[str, ...]
    curve: tuple[AttackPoint, ...]
    forward: int
    backward: int
    seconds: float
    attacked: int
    interrupted: bool = False

    @property
    def point(self) -> AttackPoint:
        """The entry of the curve at the ball's own radius."""
        return next(point for point in self.curve if point.radius == self.ball.radius)

    @property
    def worst_case_accuracy(self) -> float:
        """At the ball's own radius."""
        return self.point.worst_case_accuracy

    @property
    def robust_accuracy(self) -> float:
        """At the ball's own radius."""
        return self.point.robust_accuracy

    def records(self) -> list[dict[str, float | str]]:
        """One dictionary of plain scalars per radius, in the order of the curve; ``pandas.DataFrame`` takes the list.

        Examples
        --------
        >>> import wdaverify as wv
        >>> network = wv.load("instances/iris/iris-16-16.onnx")
        >>> data = wv.Dataset.load("instances/iris/iris-test.npz").first(3)
        >>> found = wv.attack(network, data, wv.WassersteinBall(0.02), radii=[0.01, 0.02], device="cpu")
        >>> [record["radius"] for record in found.records()], [record["sample"] for record in found.sample_records()]
        ([0.01, 0.02], [0, 1, 2])
        """
        asked: dict[str, float | str] = {"method": self.options.method, "norm": str(self.ball.norm), "order": self.ball.order}
        names = ("robust_accuracy", "worst_case_accuracy", "mixture_accuracy")
        return [
            {
                "radius": point.radius,
                **asked,
                "clean_accuracy": self.clean_accuracy,
                **{name: getattr(point, name) for name in names},
            }
            for point in self.curve
        ]

    def sample_records(self) -> list[dict[str, float | str | None]]:
        """One dictionary of plain scalars per sample: its label, and the distance, class and origin of the point known."""
        sides = zip(self.data.y.tolist(), self.distances.tolist(), self.targets.tolist(), self.parts, strict=True)
        return [
            {"sample": k, "label": label, "distance": far, "target": goal if goal >= 0 else None, "part": part or None}
            for k, (label, far, goal, part) in enumerate(sides)
        ]

    def __str__(self) -> str:
        threat = f"order {self.ball.order:g}, {self.ball.norm}"
        return "\n".join(
            f"accuracy under {self.options.method} at radius {p.radius:g} ({threat}): worst case {p.worst_case_accuracy:.6g}, "
            f"pointwise {p.robust_accuracy:.6g}, clean {self.clean_accuracy:.6g}"
            for p in self.curve
        )


def curve_point(
    data: Dataset, points: Matrix, distances: Vector, *, ball: WassersteinBall, options: AttackOptions
) -> AttackPoint:
    """What known points (N, n) at `distances` (N,), rounded up, give at the radius of `ball`."""
    weights, lengths = data.fractions, distances.tolist()
    filling = fill(lengths, weights, radius=ball.radius, order=ball.order, costly=True)
    goals = [point if known else None for point, known in zip(points, np.isfinite(distances), strict=True)]
    share = 1 / Fraction(options.kappa)
    attacked = _left(data, distances, options.reach(ball.radius, ball.order))
    return AttackPoint(
        radius=ball.radius,
        robust_accuracy=round_up(_left(data, distances, ball.radius)),
        worst_case_accuracy=round_up(1 - filling.value),
        mixture_accuracy=round_up((1 - share) * _left(data, distances, 0.0) + share * attacked),
        plan=plan_of_moves(data, goals, lengths, filling.moved, order=ball.order),
    )


def _left(data: Dataset, distances: Vector, radius: float) -> Fraction:
    """Weight of the samples without a point within the radius."""
    return sum((w for w, d in zip(data.fractions, distances.tolist(), strict=True) if d > radius), Fraction(0))


def clean_accuracy(data: Dataset, distances: Vector) -> float:
    """Weight of the samples whose distance is not 0."""
    return round_up(_left(data, distances, 0.0))
