"""Backward linear (CROWN) bounds of pre-activations, outputs and linear forms of the output, rounded outward.

Zhang, Weng, Chen, Hsieh, Daniel, *Efficient neural network robustness certification with general activation functions*
(CROWN), NeurIPS 2018, on any acyclic graph as in Xu et al., *Automatic perturbation analysis for scalable certified
robustness and beyond*, NeurIPS 2020. The roundings of the float64 pass are charged as it goes (`bounds.backward`), so
that every number returned is a bound in real arithmetic over the exact weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from wdaverify._errors import DomainError
from wdaverify.bounds.backward import backward_minimum
from wdaverify.bounds.concretise import as_tensor, linear_minimum
from wdaverify.bounds.interval import Interval, affine_interval, input_interval
from wdaverify.bounds.layer_bounds import LayerBounds, pre_activations
from wdaverify.bounds.relaxation import AffineCharge, CompiledAffine, Relaxation, ReluRelaxation
from wdaverify.domain import Regions
from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from wdaverify._types import Matrix
    from wdaverify.ir.network import Network


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
    relaxation = Relaxation.empty(network, regions)
    wanted = pre_activations(network) | {network.output}
    intervals: dict[str, Interval] = {}
    for name in network.order:
        interval = _entered(relaxation, name, intervals, start)
        if name in wanted:
            interval = _tightened(relaxation, name, interval)
        _keep(relaxation, name, intervals, interval)
    names = [name for name in network.order if name in wanted]
    lower, upper = {name: intervals[name].lower for name in names}, {name: intervals[name].upper for name in names}
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
    relaxation = Relaxation.empty(network, regions)
    intervals: dict[str, Interval] = {}
    for name in network.order:
        _keep(relaxation, name, intervals, _entered(relaxation, name, intervals, bounds))
    upper: Matrix = -backward_minimum(relaxation, network.output, as_tensor(-forms)).numpy()
    return np.minimum(upper, _interval_forms(forms, intervals[network.output]))


def _entered(relaxation: Relaxation, name: str, intervals: dict[str, Interval], known: LayerBounds | None) -> Interval:
    """Add a node to the relaxation and return its interval, cut with what is known already."""
    interval = _enter(relaxation, name, intervals)
    if known is None or name not in known.lower:
        return interval
    return interval.intersect(known.lower[name], known.upper[name])


def _keep(relaxation: Relaxation, name: str, intervals: dict[str, Interval], interval: Interval) -> None:
    """Store the final interval of a node, for its readers and for the charges of roundings."""
    intervals[name] = interval
    relaxation.magnitudes[name] = as_tensor(interval.magnitude)


def _enter(relaxation: Relaxation, name: str, intervals: dict[str, Interval]) -> Interval:
    """Add a node to the relaxation and return its interval from those of its sources."""
    network, op = relaxation.network, relaxation.network.op(name)
    sources = [intervals[source] for source in network.sources(name)]
    if isinstance(op, Input):
        return input_interval(network, relaxation.regions)
    if isinstance(op, Affine):
        interval, magnitude = affine_interval(op, sources, batch=relaxation.regions.count)
        relaxation.affines[name] = CompiledAffine.compile(op)
        relaxation.charges[name] = AffineCharge.of(relaxation.affines[name], magnitude, sources)
        return interval
    relaxation.relus[name] = ReluRelaxation.of(sources[0])
    return sources[0].relu()


def _tightened(relaxation: Relaxation, name: str, interval: Interval) -> Interval:
    """Intersect with backward bounds: of the open entries at a hidden node, of all entries at the output."""
    size = relaxation.network.size(name)
    is_open = (interval.lower < 0) & (interval.upper > 0)
    if name == relaxation.network.output:
        is_open[:] = True
    most = int(is_open.sum(axis=1).max(initial=0))
    if most == 0 or name == relaxation.network.input:
        return interval
    # Per region its open entries, filled up to one number with others; those keep their ends, so that batching changes nothing.
    chosen = np.argsort(~is_open, axis=1, kind="stable")[:, :most]
    rows = torch.zeros((len(chosen), most, size), dtype=torch.float64)
    rows.scatter_(2, torch.from_numpy(chosen).unsqueeze(2), 1.0)
    ends = backward_minimum(relaxation, name, torch.cat([rows, -rows], dim=1)).numpy()
    lower, upper = np.full((2, *is_open.shape), [[[-np.inf]], [[np.inf]]])
    np.put_along_axis(lower, chosen, ends[:, :most], axis=1)
    np.put_along_axis(upper, chosen, -ends[:, most:], axis=1)
    return interval.intersect(np.where(is_open, lower, -np.inf), np.where(is_open, upper, np.inf))


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


def _interval_forms(forms: Matrix, output: Interval) -> Matrix:
    """Upper bounds (B, T) of the forms from the interval of the output alone."""
    upper: Matrix = -linear_minimum(as_tensor(-forms), Regions(output.lower, output.upper)).numpy()
    return upper
