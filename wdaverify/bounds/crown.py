"""Backward linear (CROWN) bounds of pre-activations, outputs and linear forms of the output, rounded outward.

Zhang, Weng, Chen, Hsieh, Daniel, *Efficient neural network robustness certification with general activation functions*
(CROWN), NeurIPS 2018, on any acyclic graph as in Xu et al., *Automatic perturbation analysis for scalable certified
robustness and beyond*, NeurIPS 2020. The roundings of the float64 pass are charged as it goes (`bounds.lagrangian`), so
that every number returned is a bound in real arithmetic over the exact weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import DomainError
from wdaverify.bounds.backward import Chords, Relaxation, Rows, backward_maximum
from wdaverify.bounds.concretise import linear_maximum
from wdaverify.bounds.interval import Interval, affine_interval, input_interval
from wdaverify.bounds.lagrangian import Charges
from wdaverify.bounds.layer_bounds import LayerBounds, pre_activations
from wdaverify.domain import Regions
from wdaverify.ir.compiled import ReluStep
from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.ir.network import Network


_CHUNK = 2**16
"""Entries of the widest array of a chunk of rows: a few of them fit into a cache."""

_LEAST = 64
"""A chunk has at least so many rows."""


def crown_bounds(network: Network, regions: Regions, *, start: LayerBounds | None = None) -> LayerBounds:
    """Bound every pre-activation and the output by backward linear bounds, layer by layer.

    Proved in real arithmetic over the exact weights, provided `start` is. The result lies within the interval bounds and
    within `start`. Entries of hidden layers whose phase these already decide are not bounded again.

    Parameters
    ----------
    regions
        B regions in R^n: boxes, possibly cut with l1 or l2 balls. Infinite ends give infinite bounds where they matter.
    start
        Bounds already proved on the same regions.

    Raises
    ------
    DomainError
        If the regions have another number of coordinates than the network has inputs.

    Examples
    --------
    ``|x|`` as ``relu(x) + relu(-x)``: on [-1, 2] the chord of the first is ``2/3 z + 2/3``, of the second ``1/3 z + 2/3``.

    >>> from scipy.sparse import csr_array
    >>> from wdaverify.domain import Box, Regions
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Relu
    >>> split = Affine((csr_array(np.array([[1.0], [-1.0]])),), np.zeros(2))
    >>> add = Affine((csr_array(np.array([[1.0, 1.0]])),), np.zeros(1))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> bounds = crown_bounds(Network.from_nodes(nodes, "y"), Regions.of_box(Box(-1, 2), 1))
    >>> bounds.upper["y"].round(9).tolist(), np.abs(bounds.lower["y"]).round(9).tolist()
    ([[2.0]], [[0.0]])
    """
    wanted = pre_activations(network) | {network.output}
    work = _Work(network, regions)
    for name in network.order:
        interval = work.interval_of(name, start)
        if name in wanted:
            interval = _tightened(work, name, interval)
        work.keep(name, interval)
    names = [name for name in network.order if name in wanted]
    lower, upper = {name: work.intervals[name].lower for name in names}, {name: work.intervals[name].upper for name in names}
    return LayerBounds(lower, upper, network.output)


def crown_objectives(network: Network, regions: Regions, bounds: LayerBounds, objectives: ArrayLike) -> Matrix:
    """Upper bounds (B, T) of linear forms of the output, ``max objectives[t] . f(x)`` over each region.

    Proved in real arithmetic over the exact weights, provided `bounds` are; the form itself is taken as the given floats.
    The smaller of the backward linear bound and of the interval bound on ``bounds`` of the output.

    Parameters
    ----------
    bounds
        Of the same regions, from `crown_bounds` or tighter.
    objectives
        Shape (T, K), or (B, T, K) with other forms for each region; ``f_j - f_y`` is a row with 1 and -1.

    Raises
    ------
    DomainError
        If regions, bounds and objectives do not fit each other or the network.
    """
    forms = _checked_forms(network, regions, bounds, objectives)
    work = _Work(network, regions)
    for name in network.order:
        work.keep(name, work.interval_of(name, bounds))
    count = forms.shape[1]
    flat, owner = forms.reshape(-1, forms.shape[2]), np.repeat(np.arange(regions.count), count)
    upper = np.full(len(owner), np.inf)
    relaxation = work.relaxation()
    for rows in work.chunks(work.alive[owner]):
        upper[rows] = backward_maximum(relaxation, Rows.of_forms(relaxation.compiled.output, flat[rows], owner[rows]), regions)
    output = work.intervals[network.output]
    result: Matrix = np.minimum(upper, linear_maximum(flat, Regions(output.lower, output.upper), owner)).reshape(-1, count)
    return result


class _Work:
    """The intervals and relaxations of all nodes so far, in topological order.

    The backward pass serves the regions on which every node so far is bounded; on the others it could only multiply
    infinities, and intervals say all that there is to say.
    """

    def __init__(self, network: Network, regions: Regions) -> None:
        self.network, self.regions = network, regions
        self.intervals: dict[str, Interval] = {}
        self.alive: BoolArray = np.ones(regions.count, dtype=bool)
        self._charges = Charges((), (), ())
        self._chords: dict[int, Chords] = {}

    def interval_of(self, name: str, known: LayerBounds | None) -> Interval:
        """The interval of a node from those of its sources, cut with what is known already."""
        op = self.network.op(name)
        sources = [self.intervals[source] for source in self.network.sources(name)]
        if isinstance(op, Input):
            interval = input_interval(self.network, self.regions)
        elif isinstance(op, Affine):
            interval = affine_interval(op, sources, batch=self.regions.count)[0]
        else:
            interval = sources[0].relu()
        if known is None or name not in known.lower:
            return interval
        return interval.intersect(known.lower[name], known.upper[name])

    def keep(self, name: str, interval: Interval) -> None:
        """Store the final interval of a node, for its readers and for the charges of roundings."""
        step = self.network.compiled.steps[len(self.intervals)]
        self.alive = self.alive & np.isfinite(interval.magnitude).all(axis=1)
        self._charges = self._charges.extended(step, self._magnitude(interval))
        if isinstance(step, ReluStep):
            source = self.intervals[self.network.compiled.names[step.source]]
            self._chords[step.slot] = Chords.of(source.lower, source.upper)
        self.intervals[name] = interval

    def relaxation(self, pending: Interval | None = None) -> Relaxation:
        """What the backward pass reads, with the next node if its interval is given."""
        charges = self._charges
        if pending is not None:
            charges = charges.extended(self.network.compiled.steps[len(self.intervals)], self._magnitude(pending))
        return Relaxation(self.network.compiled, charges, self._chords)

    def chunks(self, wanted: BoolArray) -> Iterator[IntArray]:
        """The numbers of the `wanted` rows, in parts whose widest array fits into a cache."""
        rows = np.flatnonzero(wanted)
        size = max(_LEAST, _CHUNK // max(step.size for step in self.network.compiled.steps))
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def _magnitude(self, interval: Interval) -> Vector:
        """The largest absolute values over the regions that the backward pass serves."""
        largest: Vector = interval.magnitude[self.alive].max(axis=0, initial=0.0)
        return largest


def _tightened(work: _Work, name: str, interval: Interval) -> Interval:
    """Intersect with backward bounds: of the open entries at a hidden node, of all entries at the output."""
    network = work.network
    is_open = np.ones_like(interval.lower, dtype=bool)
    if name != network.output:
        is_open = (interval.lower < 0) & (interval.upper > 0)
    owner, entries = np.nonzero(is_open & work.alive[:, None])
    if not len(owner) or name == network.input:
        return interval
    relaxation, slot = work.relaxation(interval), len(work.intervals)
    lower, upper = np.full_like(interval.lower, -np.inf), np.full_like(interval.upper, np.inf)
    for part in work.chunks(np.ones(len(owner), dtype=bool)):
        b, k = owner[part], entries[part]
        ends = backward_maximum(relaxation, Rows.of_entries(relaxation, slot, k, b), work.regions)
        upper[b, k], lower[b, k] = ends[: len(part)], -ends[len(part) :]
    return interval.intersect(lower, upper)


def _checked_forms(network: Network, regions: Regions, bounds: LayerBounds, objectives: ArrayLike) -> Matrix:
    forms = np.asarray(objectives, dtype=np.float64)
    if forms.ndim not in (2, 3) or forms.shape[-1] != network.outputs or (forms.ndim == 3 and len(forms) != regions.count):
        raise DomainError(
            f"objectives of shape {forms.shape}: give (T, {network.outputs}) or ({regions.count}, T, {network.outputs})"
        )
    missing = (pre_activations(network) | {network.output}) - set(bounds.lower)
    if missing or bounds.count != regions.count:
        raise DomainError(f"bounds of {bounds.count} regions lacking nodes {sorted(missing)} for {regions.count} regions")
    return np.broadcast_to(forms, (regions.count, *forms.shape[-2:]))
