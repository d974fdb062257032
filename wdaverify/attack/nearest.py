"""The nearest adversarial point that an attack can find, for every sample and every rival class.

For a sample x of label y and a rival j the attack looks for ``min ||x' - x||`` over the points x' of the domain with
``f_j(x') >= f_y(x')`` (a tie is an error). Every point it returns is one; that no nearer one exists it cannot say, so its
distances are upper ends. All pairs of sample and rival run in one batch (`attack.boundary` has the iteration).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from wdaverify._errors import DataError, DomainError, InputError, ModelError
from wdaverify.attack.boundary import descend, first_crossing, walk
from wdaverify.attack.device import device_of
from wdaverify.attack.noise import content_keys
from wdaverify.attack.rows import Rows
from wdaverify.attack.starts import near_start, spread_start
from wdaverify.ir.evaluate import forward
from wdaverify.ir.to_torch import to_torch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from wdaverify._types import BoolArray, IntArray, Matrix, Norm, Vector
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network

_PUSHES = tuple(10.0**e for e in range(-16, -5))
"""Relative extensions tried on points whose margin in NumPy's arithmetic falls short of what torch computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestOptions:
    """How hard to look.

    Parameters
    ----------
    steps
        Gradients per walk.
    restarts
        Walks per pair of sample and rival: the first from the sample, the others in turn from the best of some random
        points of the domain and of some random points at the distance found so far.
    rounds
        Rounds of line searches that shorten the best point of all walks.
    seed
        Seed of the random starts.
    device
        ``auto`` (a GPU if there is one), ``cpu`` or ``cuda``.
    rows
        Largest number of pairs computed at once; bounds the memory.
    """

    steps: int = 40
    restarts: int = 3
    rounds: int = 12
    seed: int = 0
    device: str = "auto"
    rows: int = 8192

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("restarts", 1), ("rounds", 0), ("seed", 0), ("rows", 1)):
            if getattr(self, name) < least:
                raise InputError(f"nearest-point attack: {name} is {getattr(self, name)}; give at least {least}")
        device_of(self.device)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NearestPoints:
    """The nearest points found, per sample and rival class.

    Attributes
    ----------
    points
        Shape (N, K, n): a point of the domain where ``f_j >= f_y`` in float64; NaN where none was found and for j = y.
    distances
        Shape (N, K): distance of the point from the sample, rounded to nearest; ``inf`` where there is no point.
    """

    points: Matrix
    distances: Matrix


def nearest_points(
    network: Network,
    x: ArrayLike,
    labels: ArrayLike,
    *,
    norm: Norm,
    domain: Box,
    options: NearestOptions | None = None,
) -> NearestPoints:
    """Look for the nearest point of every rival class, for every sample.

    Parameters
    ----------
    network
        A network with at least two outputs.
    x, labels
        Samples (N, n) in the domain, and their labels (N,).
    norm
        What measures the distance.
    domain
        The box in which points must lie; its ends may be infinite.
    options
        How hard to look; the defaults of `NearestOptions` if None.

    Returns
    -------
    NearestPoints
        Upper ends of the true distances; 0, with the sample as point, where the rival already ties or wins there. Equal
        calls give equal results, and a sample's result does not depend on the other samples but for rounding.

    Raises
    ------
    ModelError
        If the network has fewer than two outputs.
    DataError, DomainError
        If samples and labels do not fit the network, or a sample lies outside the domain.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from wdaverify._types import Norm
    >>> from wdaverify.domain import Box
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input
    >>> identity = Affine((csr_array(np.eye(2)),), np.zeros(2))
    >>> network = Network.from_nodes({"x": Node(Input(2)), "y": Node(identity, ("x",))}, "y")
    >>> found = nearest_points(network, [[0.75, 0.25]], [0], norm=Norm.LINF, domain=Box(0, 1))
    >>> found.distances.round(9).tolist()
    [[inf, 0.25]]
    """
    options = NearestOptions() if options is None else options
    samples, classes, box = _checked(network, x, labels, domain)
    outputs = forward(network, samples)
    distances = np.where(outputs >= outputs[np.arange(len(classes)), classes][:, None], 0.0, np.inf)
    distances[np.arange(len(classes)), classes] = np.inf
    points = np.where((distances == 0)[:, :, None], samples[:, None, :], np.nan)
    # The samples where a rival already wins need no search for that rival.
    todo = np.isinf(distances)
    todo[np.arange(len(classes)), classes] = False
    search = _Search(network, samples, classes, box=box, norm=norm, options=options)
    per_chunk = max(1, options.rows // max(1, network.outputs - 1))
    for first in range(0, len(samples), per_chunk):
        chunk = np.arange(first, min(first + per_chunk, len(samples)))
        index, rivals = np.nonzero(todo[chunk])
        points[chunk[index], rivals], distances[chunk[index], rivals] = search.run(chunk[index], rivals)
    return NearestPoints(points=points, distances=distances)


def _checked(network: Network, x: ArrayLike, labels: ArrayLike, domain: Box) -> tuple[Matrix, IntArray, Box]:
    """Samples and labels as arrays and the domain with vector ends, or the error that says why not."""
    if network.outputs < 2:
        raise ModelError(f"the network has {network.outputs} output; an attack needs at least two classes")
    samples, classes = np.array(x, dtype=np.float64, ndmin=2, order="C"), np.asarray(labels)
    if samples.shape != (len(classes), network.inputs) or classes.ndim != 1:
        raise DataError(f"samples {samples.shape} and labels {classes.shape} do not fit a network of {network.inputs} inputs")
    if not np.isfinite(samples).all():
        raise DataError(f"sample {int(np.flatnonzero(~np.isfinite(samples).all(axis=1))[0])} has a coordinate that is not finite")
    wrong = np.flatnonzero((classes < 0) | (classes >= network.outputs) | (classes != np.floor(classes)))
    if len(wrong):
        raise DataError(f"label {classes[wrong[0]]} of sample {wrong[0]} is no class; give 0 to {network.outputs - 1}")
    box = domain.sized(network.inputs)
    outside = np.flatnonzero(~box.contains(samples))
    if len(outside):
        raise DomainError(f"sample {outside[0]} lies outside the domain {domain}; widen the domain or leave the sample out")
    return samples, classes.astype(np.int64), box


class _Search:
    """One call of `nearest_points`: what all chunks of rows share."""

    def __init__(
        self, network: Network, samples: Matrix, classes: IntArray, *, box: Box, norm: Norm, options: NearestOptions
    ) -> None:
        self.network, self.samples, self.classes = network, samples, classes
        self.box, self.norm, self.options = box, norm, options
        self.device = device_of(options.device)
        self.logits = to_torch(network, device=self.device, dtype=torch.float64)
        self.keys = content_keys(samples)

    def run(self, index: IntArray, rivals: IntArray) -> tuple[Matrix, Vector]:
        """Points (R, n) and distances (R,) for the rows (sample index, rival); NaN and inf where none was found."""
        if len(index) == 0:
            return np.empty((0, self.network.inputs)), np.empty(0)
        rows = self._rows(index, rivals)
        best, least = walks(rows, self.options.steps, range(self.options.restarts))
        best = descended(rows, best, least.isfinite(), self.options.rounds)
        return self._settled(index, rivals, best.cpu().numpy(), least.isfinite().cpu().numpy())

    def _rows(self, index: IntArray, rivals: IntArray) -> Rows:
        """The rows as tensors on the device."""
        arrays = (self.samples[index], self.classes[index], rivals, self.box.lower, self.box.upper, self.keys[index])
        samples, labels, targets, lower, upper, keys = (torch.tensor(a, device=self.device) for a in arrays)
        return Rows(
            logits=self.logits,
            samples=samples,
            labels=labels,
            rivals=targets,
            lower=lower,
            upper=upper,
            norm=self.norm,
            keys=keys,
            seed=self.options.seed,
        )

    def _settled(self, index: IntArray, rivals: IntArray, points: Matrix, hit: BoolArray) -> tuple[Matrix, Vector]:
        """Keep what NumPy's own forward pass confirms, pushing points outward by a few ulps where it must."""
        samples, labels = self.samples[index], self.classes[index]
        settled, open_rows = np.full_like(points, np.nan), np.flatnonzero(hit)
        for push in (0.0, *_PUSHES):
            base = samples[open_rows]
            trial = self.box.clip(base + (1.0 + push) * (points[open_rows] - base))
            outputs = forward(self.network, trial)
            row = np.arange(len(open_rows))
            good = outputs[row, rivals[open_rows]] >= outputs[row, labels[open_rows]]
            settled[open_rows[good]] = trial[good]
            open_rows = open_rows[~good]
        distances = np.linalg.norm(settled - samples, ord=self.norm.order, axis=1)
        return settled, np.where(np.isnan(distances), np.inf, distances)


def walks(rows: Rows, steps: int, restarts: range, known: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """The nearest points (R, n) that walks from some starts met, and their distances (R,); ``inf`` where none was met.

    Parameters
    ----------
    restarts
        Numbers of the starts, as `NearestOptions.restarts` describes.
    known
        Points and distances that are known already.
    """
    best, least = (rows.samples, torch.full_like(rows.samples[:, 0], torch.inf)) if known is None else known
    for restart in restarts:
        found, distance = walk(rows, _start(rows, restart, least), steps)
        crossing = first_crossing(rows, found)
        distance = torch.where(distance.isfinite(), rows.distance(crossing), distance)
        nearer = distance < least
        best, least = torch.where(nearer[:, None], crossing, best), torch.where(nearer, distance, least)
    return best, least


def descended(rows: Rows, points: Tensor, hit: Tensor, rounds: int) -> Tensor:
    """The `points` (R, n), those that are `hit` (R,) brought nearer along the boundary."""
    return torch.where(hit[:, None], first_crossing(rows, descend(rows, points, rounds)), points)


def _start(rows: Rows, restart: int, least: Tensor) -> Tensor:
    """Starting points (R, n) of one restart, as `NearestOptions.restarts` describes."""
    if restart == 0:
        return rows.samples
    if restart % 2 == 1:
        return spread_start(rows, restart)
    known = least.isfinite()
    near = near_start(rows, restart, least.where(known, torch.zeros_like(least)))
    return torch.where(known[:, None], near, spread_start(rows, restart))
