"""How the constant of each kind of functional is found: the network whose gradients it needs, and the oracle for them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify.bracket import Evidence
from wdaverify.domain import Box
from wdaverify.gradients.cross_entropy import largest_cross_entropy_gradients
from wdaverify.gradients.milp import largest_gradients_by_milp
from wdaverify.gradients.oracle import largest_gradients
from wdaverify.gradients.question import GradientAnswer, GradientLimits, GradientQuestion
from wdaverify.growth.ground import Ground
from wdaverify.ir.loss_networks import hinge_network, margin_network
from wdaverify.search.result import End

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wdaverify._types import BoolArray, Matrix, Norm
    from wdaverify.functionals import Functional
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend


_WIDE = 2.0**10
"""Half the width of the box in which a large gradient of the cross-entropy on R^n is looked for."""


class Oracle(Protocol):
    """Brackets the largest gradients of several questions."""

    def __call__(
        self,
        backend: Backend,
        network: Network,
        box: Box,
        questions: Sequence[GradientQuestion],
        *,
        coordinates: BoolArray | None = None,
        limits: GradientLimits = ...,
        seed: int = 0,
    ) -> tuple[GradientAnswer, ...]:
        """As `gradients.oracle.largest_gradients`."""
        ...


ORACLES: dict[str, Oracle] = {"search": largest_gradients, "milp": largest_gradients_by_milp}
"""Engine name to oracle."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """What every method gets: the oracle, its solver, its limits and its seed."""

    oracle: Oracle
    backend: Backend
    limits: GradientLimits
    seed: int


class Method(Protocol):
    """Brackets the constants of some functionals of one kind: answers by functional, then by norm, their points in R^n."""

    def __call__(
        self, run: Run, network: Network, domain: Box, functionals: Sequence[Functional], norms: Sequence[Norm]
    ) -> list[GradientAnswer]:
        """Answers, valid however the search ended."""
        ...


def of_logits(
    run: Run, network: Network, domain: Box, functionals: Sequence[Functional], norms: Sequence[Norm]
) -> list[GradientAnswer]:
    """Maxima of linear forms of the logits, all in one pass."""
    return _largest(run, Ground.of(network, domain), [functional.rows(network.outputs) for functional in functionals], norms)


def of_loss_network(build: Callable[[Network, int], Network]) -> Method:
    """A piecewise-linear loss: the one output of a network that is built behind the logits, for every label its own."""

    def method(
        run: Run, network: Network, domain: Box, functionals: Sequence[Functional], norms: Sequence[Norm]
    ) -> list[GradientAnswer]:
        answers: list[GradientAnswer] = []
        for functional in functionals:
            assert functional.minus is not None
            answers += _largest(run, Ground.of(build(network, functional.minus), domain), [np.ones((1, 1))], norms)
        return answers

    return method


def of_cross_entropy(
    run: Run, network: Network, domain: Box, functionals: Sequence[Functional], norms: Sequence[Norm]
) -> list[GradientAnswer]:
    """The cross-entropy, whose gradient mixes those of all margins.

    On the whole space the upper end is the constant of the label, which is never smaller (docs/theory.md, "Lipschitz
    constants"), and a large box gives the lower one.
    """
    ground, limits = Ground.of(network, domain if domain.bounded else Box(-_WIDE, _WIDE)), run.limits
    if not domain.bounded and not limits.deadline.unlimited:
        limits = replace(limits, deadline=Deadline.after(0.5 * limits.deadline.remaining))
    answers: list[GradientAnswer] = []
    for functional in functionals:
        assert functional.minus is not None
        found = largest_cross_entropy_gradients(
            run.backend, ground.searched, ground.box, functional.minus, norms,
            coordinates=ground.coordinates, limits=limits, seed=run.seed,
        )  # fmt: skip
        answers += found if domain.bounded else _below_label(run, network, domain, functional, norms, found)
    return answers


def _below_label(
    run: Run, network: Network, domain: Box, functional: Functional, norms: Sequence[Norm], found: Sequence[GradientAnswer]
) -> list[GradientAnswer]:
    """Answers found on a part of the domain, with the label's constant as upper end; none where a search was interrupted."""
    if any(answer.end is End.INTERRUPTED for answer in found):
        return [replace(answer, upper=math.inf, end=End.INTERRUPTED) for answer in found]
    tops = _largest(run, Ground.of(network, domain), [functional.rows(network.outputs)], norms)
    return [replace(answer, upper=top.upper, end=top.end, evidence=top.evidence) for answer, top in zip(found, tops, strict=True)]


METHODS: dict[str | None, Method] = {
    None: of_logits,
    "margin": of_loss_network(margin_network),
    "hinge": of_loss_network(hinge_network),
    "cross-entropy": of_cross_entropy,
}
"""The loss of a functional (``None``: a maximum of linear forms) to the method for its constant."""


def _largest(run: Run, ground: Ground, forms: Sequence[Matrix], norms: Sequence[Norm]) -> list[GradientAnswer]:
    """Ask the oracle about all forms and norms at once."""
    if not ground.coordinates.any():
        nothing = GradientAnswer(
            lower=0.0, upper=0.0, point=ground.box.lower, row=0, end=End.CLOSED, evidence=Evidence.CHECKED, nodes=0
        )
        return [nothing] * (len(forms) * len(norms))
    questions = [GradientQuestion(rows, norm) for rows in forms for norm in norms]
    answers = run.oracle(
        run.backend,
        ground.searched,
        ground.box,
        questions,
        coordinates=ground.coordinates,
        limits=run.limits,
        seed=run.seed,
    )
    return [replace(answer, point=ground.point(answer.point)) for answer in answers]
