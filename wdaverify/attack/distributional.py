"""Distributional attacks: the public call. Batches of samples go through one of `METHODS`; what it finds is judged and allocated.

Attack in float32, settle in float64 (`attack.settle`), allocate exactly (`wdaverify.knapsack`). The worst-case zero-one risk is
nonincreasing in every distance (docs/theory.md, Zero-one loss), so distances of points that were found give a lower end of it.
"""

from __future__ import annotations

import dataclasses
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from wdaverify._deadline import Deadline
from wdaverify._errors import DomainError
from wdaverify._option_checks import check_time_limit, is_real
from wdaverify.attack.findings import CLEAN
from wdaverify.attack.options import AttackOptions
from wdaverify.attack.result import AttackResult, clean_accuracy, curve_point
from wdaverify.attack.run import Run
from wdaverify.domain import Box
from wdaverify.feature_domain import Domain
from wdaverify.ir.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from wdaverify.attack.journal import Journal
    from wdaverify.attack.logits import Model
    from wdaverify.dataset import Dataset
    from wdaverify.transport import WassersteinBall


def attack(
    model: Model,
    data: Dataset,
    ball: WassersteinBall,
    *,
    method: str = "wda++",
    domain: Box | Domain | None = None,
    radii: Sequence[float] | float | None = None,
    input_shape: Sequence[int] | int | None = None,
    steps: int | None = None,
    restarts: int | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    seed: int = 0,
    kappa: float = 1.0,
    journal: str | Path | None = None,
    time_limit: float | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> AttackResult:
    """Look for a distribution near the data that raises the zero-one risk.

    Parameters
    ----------
    model
        A `Network`, or any torch module with logits (R, K): piecewise linear or not. The module is copied and left alone. Or any
        callable of tensors ``(R, *input_shape)``, such as a model of another toolkit. It is called as it is: put it into
        evaluation mode. If it computes in float32, what is attacked and judged is ``x -> f(x rounded to float32)``.
    data
        Samples (N, n) in the domain.
    ball
        Radius, order and norm of the threat.
    method
        ``wda++`` and ``nearest`` search for nearest adversarial points and serve every radius at once; ``wda``, ``a3-wda``,
        ``pgd`` and ``apgd`` attack within each radius.
    domain
        The inputs that exist. Features may be frozen. The default is the unit box, or the ``bounds`` of a callable that has them,
        a pair of numbers.
    radii
        Radii of the curve, or one of them; the ball's own is added if it is missing.
    input_shape
        Shape of one sample of a module or callable, without the batch axis; default flat.
    steps, restarts, batch_size, device, seed, kappa
        As in `AttackOptions`.
    journal
        Folder for the findings of finished batches; a run that was stopped goes on from there, and gives the same result.
    time_limit
        Wall seconds, more than 0; looked at between batches. Samples that are not attacked then count as not found.
    progress
        Called after each batch with the number of samples done, of all samples, and the weight of those done that have no
        known adversarial point within the ball's radius, relative to the weight done.

    Returns
    -------
    AttackResult
        Every accuracy in it is an upper end, every distance too: the points of a network are adversarial in exact arithmetic,
        those of modules in float64. On Ctrl-C what was found until then, with ``interrupted`` set.

    Raises
    ------
    InputError
        If the model, data, domain or an option cannot be used, or the journal belongs to another question.

    Examples
    --------
    >>> import torch
    >>> import wdaverify as wv
    >>> half_plane = torch.nn.Linear(1, 2)
    >>> with torch.no_grad():
    ...     _ = half_plane.weight.copy_(torch.tensor([[0.0], [1.0]])), half_plane.bias.copy_(torch.tensor([0.0, -0.75]))
    >>> data = wv.Dataset([[0.5], [0.25]], [0, 0])
    >>> found = wv.attack(half_plane, data, wv.WassersteinBall(0.125, order=1), device="cpu")
    >>> found.distances.round(9).tolist(), round(found.worst_case_accuracy, 9), found.robust_accuracy
    ([0.25, 0.5], 0.5, 1.0)
    """
    check_time_limit(time_limit)
    started, deadline = time.monotonic(), Deadline.after(time_limit)
    options = AttackOptions(
        method=method, steps=steps, restarts=restarts, batch_size=batch_size, device=device, seed=seed, kappa=kappa
    )
    balls = _balls(ball, radii)
    run = Run(model, data, balls, domain=_domain(model, domain), options=options, input_shape=input_shape)
    interrupted = False
    with _journal(journal, run) as kept:
        try:
            run.finish(kept, ball.radius, deadline, progress)
        except KeyboardInterrupt:
            interrupted = True
    found = run.findings
    for array in (found.distances, found.targets, found.points):
        array.setflags(write=False)
    return AttackResult(
        model=run.victim.name,
        data=data,
        ball=ball,
        domain=run.domain,
        options=options,
        clean_accuracy=clean_accuracy(data, run.clean),
        distances=found.distances,
        targets=found.targets,
        points=found.points,
        parts=tuple("clean" if k == CLEAN else "" if k < 0 else options.chosen.parts[k] for k in found.parts.tolist()),
        curve=tuple(curve_point(data, found.points, found.distances, ball=b, options=options) for b in balls),
        forward=run.counts[0],
        backward=run.counts[1],
        seconds=time.monotonic() - started,
        attacked=int(found.done.sum()),
        interrupted=interrupted,
    )


def _balls(ball: WassersteinBall, radii: Sequence[float] | float | None) -> list[WassersteinBall]:
    """The balls of the curve."""
    wanted: Any = [] if radii is None else [radii] if np.ndim(radii) == 0 else radii
    balls = [dataclasses.replace(ball, radius=r) for r in wanted]
    return balls + ([ball] if ball.radius not in [b.radius for b in balls] else [])


def _domain(model: Model, domain: Box | Domain | None) -> Box | Domain:
    """The domain asked for; else the bounds of a callable that has some; else the unit box."""
    if isinstance(domain, Box | Domain):
        return domain
    if domain is not None:
        raise DomainError(f"the domain is {domain!r}; give a Box or a Domain")
    bounds = None if isinstance(model, Network | torch.nn.Module) else getattr(model, "bounds", None)
    if not isinstance(bounds, tuple | list):
        return Box(0, 1)
    if len(bounds) != 2 or not all(is_real(end) for end in bounds):
        raise DomainError(f"the bounds of the model are {bounds!r}, not two numbers; give a domain")
    return Box(*bounds)


def _journal(folder: str | Path | None, run: Run) -> AbstractContextManager[Journal | None]:
    """The journal, if one is asked for."""
    if folder is None:
        return nullcontext()
    from wdaverify.attack.journal import Journal  # here: locks exist on POSIX systems only

    return Journal(folder, run.digest(), run.extent)
