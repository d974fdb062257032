"""Minimum adversarial distances: the public calls (docs/theory.md, "Zero-one loss"; `risk.closing` closes one)."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.bounds.interval import interval_bounds
from wdaverify.bracket import Bracket
from wdaverify.dataset import Dataset
from wdaverify.domain import Box, Regions
from wdaverify.feature_domain import Domain, alike, box_per_sample
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.replay import float_replay
from wdaverify.losses import exact_margin
from wdaverify.program.backend import get_backend
from wdaverify.risk.adversarial import AdversarialDistance, DistanceOptions, Interrupted
from wdaverify.risk.closing import Closer, SampleSearch
from wdaverify.risk.engines import ENGINES
from wdaverify.risk.workers import close_in_turn
from wdaverify.search.engine_names import engine_for
from wdaverify.transport import parse_norm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike

    from wdaverify._types import Matrix
    from wdaverify.ir.network import Network

_ATTACK_CHUNK = 32
"""Samples that are attacked together."""

_LOADING = 3.0
"""With fewer seconds left no attack is loaded: that alone takes one or two of them, which the search has more use for."""

_ATTACK_SHARE = 0.3
"""Part of a time limit that full attacks may use."""

_CONIC = "cvxpy"
"""The backend for euclidean distances inside a cell."""


def distance(
    network: Network,
    x: ArrayLike,
    label: int,
    *,
    norm: Norm | str = Norm.LINF,
    domain: Box | Domain | None = None,
    options: DistanceOptions | None = None,
) -> AdversarialDistance:
    """Return the minimum adversarial distance of one sample.

    ``d = min{||x' - x|| : x' in domain, max_{j != y} f_j(x') >= f_y(x')}``, in real arithmetic over the stored
    weights; a tie is an error. The upper end is the distance of a point checked in exact arithmetic; the lower end
    rests on rigorous bounds and branch and bound (evidence *checked*), or on the dual bound of a MILP (*solver*).

    Parameters
    ----------
    x
        The sample, n numbers in any shape.
    label
        The class that it should have.
    norm
        ``"linf"``, ``"l1"`` or ``"l2"``; the lower end of l2 comes from tangents and closes to about 1e-7.
    domain
        The inputs that exist; default the unit box.

    Raises
    ------
    InputError
        If the sample is outside the domain or the label does not exist.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input
    >>> logits = Affine((csr_array(np.array([[0.0], [1.0]])),), np.array([0.0, -0.75]))   # f = (0, x - 3/4)
    >>> network = Network.from_nodes({"x": Node(Input(1)), "f": Node(logits, ("x",))}, "f")
    >>> print(distance(network, [0.5], 0))
    sample 0 (label 0, class 1): distance 0.25 (exact)
    """
    data = Dataset(np.asarray(x, dtype=np.float64).reshape(1, -1), np.array([label]))
    domain = Box(0, 1) if domain is None else domain
    return distances(network, data, norm=parse_norm(norm), domain=domain, options=options or DistanceOptions())[0]


def distances(
    network: Network,
    data: Dataset,
    *,
    norm: Norm,
    domain: Box | Domain,
    options: DistanceOptions,
    progress: Callable[[AdversarialDistance], None] | None = None,
) -> tuple[AdversarialDistance, ...]:
    """Return the minimum adversarial distance of every sample, in order.

    Parameters
    ----------
    progress
        Called with each sample as its search ends.

    Raises
    ------
    InputError
        As `distance`.
    Interrupted
        On Ctrl-C; carries valid brackets of all samples.
    """
    options = options.started()
    sized = box_per_sample(domain, "adversarial distances").sized(network.inputs)
    data.checked_against(network, sized)
    unknown = Bracket(lower=0.0, upper=math.inf, gap=options.gap)
    blank = [AdversarialDistance(sample=i, label=int(y), distance=unknown) for i, y in enumerate(data.y)]
    found: dict[int, AdversarialDistance] = {}

    def keep(record: AdversarialDistance) -> None:
        found[record.sample] = record
        if progress is not None:
            progress(record)

    try:
        for index in _errors(network, data):
            keep(_misclassified(network, data, index, options.gap))
        rest = [record for record in blank if record.sample not in found]
        if options.deadline.passed:  # by what was loaded: solvers and attacks would take their time as well
            for record in rest:
                keep(record)
        else:
            closer = _closer(network, sized, norm, options)
            searches = _attacked(closer, data, [record.sample for record in rest], options)
            close_in_turn(closer, searches, options, lambda i, search: keep(_record(closer, i, search, options.gap)))
    except KeyboardInterrupt:
        raise Interrupted(_replayed(network, [found.get(r.sample, r) for r in blank])) from None
    return _replayed(network, [found[i] for i in range(len(data.y))])


def _closer(network: Network, domain: Box | Domain, norm: Norm, options: DistanceOptions) -> Closer:
    """The engine and the solvers that the options name."""
    engine = ENGINES[engine_for(options.engine, options.solver)]
    backend = get_backend(options.solver)
    cell_backend = get_backend(_CONIC) if norm is Norm.L2 else backend
    return Closer(network=network, domain=domain, norm=norm, backend=backend, cell_backend=cell_backend, engine=engine)


def _errors(network: Network, data: Dataset) -> list[int]:
    """The samples that are errors already; what intervals of rounding leave open is decided exactly."""
    bounds = interval_bounds(network, Regions(data.x, data.x))
    low, high = bounds.lower[network.output], bounds.upper[network.output]
    errors = []
    for i, y in enumerate(data.y):
        rivals = np.arange(network.outputs) != y
        is_error, is_right = (low[i, rivals] >= high[i, y]).any(), (high[i, rivals] < low[i, y]).all()
        if not (is_error or is_right):
            is_error = exact_margin(exact_forward(network, data.x[i].tolist()), int(y))[0] >= 0
        if is_error:
            errors.append(i)
    return errors


def _misclassified(network: Network, data: Dataset, index: int, gap: float) -> AdversarialDistance:
    """An error already: distance 0, attained by the sample itself."""
    _, rival = exact_margin(exact_forward(network, data.x[index].tolist()), int(data.y[index]))
    zero = Bracket(lower=0.0, upper=0.0, gap=gap)
    return AdversarialDistance(sample=index, label=int(data.y[index]), distance=zero, target=rival, point=data.x[index])


def _attacked(closer: Closer, data: Dataset, indices: list[int], options: DistanceOptions) -> dict[int, SampleSearch]:
    """Start the search of each sample from the attack's points, nearest first.

    Under a time limit the attack may use a part of it; the samples after that get a short one, and none when it has passed.
    """
    if "torch" not in sys.modules and options.deadline.remaining < _LOADING:
        return {i: SampleSearch(center=data.x[i], label=int(data.y[i]), starts={}) for i in indices}
    from wdaverify.attack.nearest import NearestOptions, nearest_points

    searches = {}
    until = Deadline.after(None if options.deadline.unlimited else _ATTACK_SHARE * options.deadline.remaining)
    for chunk, box in _chunks(closer, data, indices):
        if options.deadline.passed:
            searches.update({i: SampleSearch(center=data.x[i], label=int(data.y[i]), starts={}) for i in chunk})
            continue
        effort = {"steps": 6, "restarts": 1, "rounds": 2} if until.passed else {}
        attack = NearestOptions(seed=options.seed, device=options.device, **effort)
        x, y = data.x[chunk], data.y[chunk]
        found = nearest_points(closer.network, x, y, norm=closer.norm, domain=box, options=attack)
        for k, index in enumerate(chunk):
            order = [int(j) for j in np.argsort(found.distances[k], kind="stable") if math.isfinite(found.distances[k, j])]
            starts = {j: found.points[k, j] for j in order}
            searches[index] = SampleSearch(center=x[k], label=int(y[k]), starts=starts)
    return searches


def _chunks(closer: Closer, data: Dataset, indices: Sequence[int]) -> Iterator[tuple[list[int], Box]]:
    """The samples that are attacked together, with the box that they all can move in."""
    for members, box in alike(closer.domain, data.x[list(indices)]):
        for first in range(0, len(members), _ATTACK_CHUNK):
            yield [indices[k] for k in members[first : first + _ATTACK_CHUNK]], box


def _record(closer: Closer, index: int, search: SampleSearch, gap: float) -> AdversarialDistance:
    found = search.incumbent
    return AdversarialDistance(
        sample=index,
        label=search.label,
        distance=search.bracket(closer.targets(search.label), gap),
        target=None if found is None else found.target,
        point=None if found is None else found.point,
    )


def _replayed(network: Network, records: list[AdversarialDistance]) -> tuple[AdversarialDistance, ...]:
    """Add the original model's float outputs at the points, in one batch."""
    chosen = [k for k, record in enumerate(records) if record.point is not None]
    points: Matrix = np.array([records[k].point for k in chosen])
    outputs = float_replay(network, points) if chosen else None
    if outputs is not None:
        for k, row in zip(chosen, outputs, strict=True):
            records[k] = replace(records[k], float_replay=row)
    return tuple(records)
