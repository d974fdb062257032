"""One loss and one threat: what the seekers of all orders ask, and where they begin."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify.domain import Box
from wdaverify.feature_domain import Domain, alike
from wdaverify.pricing.prices import PriceQuestion
from wdaverify.pricing.warm_points import warm_points
from wdaverify.pricing.whole_space import WholeSpacePrices, search_box
from wdaverify.region import Region
from wdaverify.risk.mixture import Route
from wdaverify.transport import GroundCost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wdaverify._types import Matrix
    from wdaverify.dataset import Dataset
    from wdaverify.ir.network import Network
    from wdaverify.pricing.prices import Prices
    from wdaverify.program.backend import SessionBackend
    from wdaverify.risk.dual import Growth
    from wdaverify.risk.exploration import Progress
    from wdaverify.risk.loss_table import Loss, Pricer
    from wdaverify.risk.rays import Ray
    from wdaverify.transport import WassersteinBall


_WARM_PART = 0.5
"""Of the time left, the walks to the first points take this part at most."""

_REACH = 4.0
"""On R^n the attack looks as far beyond the data, in units of 1 + their size."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskQuestion:
    """One loss and one threat.

    Attributes
    ----------
    domain
        Of the network's dimension.
    growth
        How fast the loss grows, one per sample.
    pricer
        Opens the prices of margins on bounded domains.
    session_backend
        Keeps programs between solves, for what lies far away.
    ray
        What can be gained at infinity, on R^n with a finite order; for orders above 1 only its slope matters.
    seed
        Of the attack that finds the first points.
    progress
        Called with the bracket after every round.
    deadline
        Of the search. The first points take a part of the time at most.
    nominal
        Sample to its loss between rationals, as far as that is known.
    """

    network: Network
    data: Dataset
    ball: WassersteinBall
    loss: Loss
    domain: Box | Domain
    gap: float
    growth: Sequence[Growth]
    pricer: Pricer
    session_backend: SessionBackend
    ray: Ray | None
    seed: int
    progress: Callable[[Progress], None]
    deadline: Deadline = field(default_factory=Deadline)
    nominal: Mapping[int, tuple[Fraction, Fraction]] = field(default_factory=dict)

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """The numbers of samples that are equal, in order of their first."""
        found: dict[tuple[bytes, int], list[int]] = {}
        for i in range(self.data.count):
            found.setdefault((self.data.x[i].tobytes(), int(self.data.y[i])), []).append(i)
        return [tuple(group) for group in found.values()]

    def weight(self, group: tuple[int, ...]) -> Fraction:
        """Of equal samples together."""
        return sum((self.data.fractions[i] for i in group), Fraction(0))

    @property
    def present(self) -> list[tuple[int, ...]]:
        """The groups of positive weight: the others change nothing."""
        return [group for group in self.groups if self.weight(group) > 0]

    def warm_points(self, cost: GroundCost) -> list[Matrix]:
        """Points (P, n) about the first sample of every present group, where its margin is large; or of a large box on R^n."""
        firsts, near = [group[0] for group in self.present], self.domain
        if not near.bounded:
            far = _REACH * (1.0 + np.abs(self.data.x).max(axis=0))
            near = Box(self.data.x.min(axis=0) - far, self.data.x.max(axis=0) + far)
        x, y, found = self.data.x[firsts], self.data.y[firsts], [np.zeros((0, self.network.inputs))] * len(firsts)
        until = self.deadline.slice(math.inf, _WARM_PART)
        for members, box in alike(near, x):
            points = warm_points(self.network, x[members], y[members], cost, box, self.seed, until)
            for k, own in zip(members, points, strict=True):
                found[k] = self.region(firsts[k]).near(own)
        return found

    def region(self, sample: int) -> Region:
        """What a sample can move to."""
        return Region.of(self.domain, self.data.x[sample])

    def cost(self, order: float) -> GroundCost:
        """The ground cost in the ball's norm, with the weights of the domain."""
        return GroundCost(self.ball.norm, order, self.domain.weights if isinstance(self.domain, Domain) else None)

    @property
    def resting(self) -> list[Route]:
        """The routes of samples without weight: they stay."""
        return [Route(sources=g, point=self.data.x[g[0]]) for g in self.groups if self.weight(g) == 0]

    def prices(self, sample: int, cost: GroundCost, reach: float = math.inf) -> Prices:
        """Opens the prices of a sample; on R^n those of a box about it, and of what lies outside if that is within reach."""
        center, region = self.data.x[sample], self.region(sample)
        question = PriceQuestion(
            network=self.network,
            label=int(self.data.y[sample]),
            center=center,
            cost=cost,
            domain=region.box if self.domain.bounded else search_box(center, reach)[0],
            reach=reach,
            constraints=region.constraints,
        )
        if self.domain.bounded or math.isfinite(reach):
            return self.loss.prices(question, self.pricer)
        assert self.ray is not None

        excess = None if self.loss.excess is None else self.loss.excess(self.network.outputs)
        return WholeSpacePrices(question, _Near(question, self.loss, self.pricer), self.session_backend, self.ray.upper, excess)


@dataclass(frozen=True, slots=True)
class _Near:
    """Opens prices on boxes about a sample; a function that can be sent to other processes."""

    question: PriceQuestion
    loss: Loss
    pricer: Pricer

    def __call__(self, box: Box) -> Prices:
        return self.loss.prices(replace(self.question, domain=box), self.pricer)
