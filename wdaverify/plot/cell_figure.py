"""The activation cells of a network of two inputs, with data and the moves of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import DomainError, InputError
from wdaverify.cells.enumerate import cells as enumerate_cells
from wdaverify.functionals import expand_functionals
from wdaverify.plot.canvas import SEQUENTIAL, axes_or_new, colour, marker
from wdaverify.plot.polygons import area, cell_polygon, logit_lines, ties
from wdaverify.transport import parse_norm

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from wdaverify._types import Matrix, Norm
    from wdaverify.cells.enumerate import Cell
    from wdaverify.dataset import Dataset
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network
    from wdaverify.plot.polygons import Polygon
    from wdaverify.transport import TransportPlan


def cells(
    network: Network,
    domain: Box,
    *,
    functional: str = "all",
    norm: Norm | str = "linf",
    data: Dataset | None = None,
    plan: TransportPlan | None = None,
    boundary: bool = True,
    limit: int = 20_000,
    ax: Axes | None = None,
) -> Axes:
    """Draw the activation cells of a network of two inputs, coloured by how fast it can change there.

    The cells are those of `wdaverify.cells`, each decided in exact arithmetic; their corners are computed in rational
    arithmetic and rounded to float64 when drawn. The colour of a cell is the dual norm of the gradient, in float64: the
    largest is the Lipschitz constant of the functional on the domain (for ``loss:`` functionals an upper bound of it).

    Parameters
    ----------
    network
        With two inputs.
    domain
        A box of positive width and height, with finite ends.
    functional
        What has a gradient: as in `wdaverify.lipschitz`, or ``all``, the largest over all pairs of margins. Where it has several
        linear forms, the one with the longest gradient counts.
    norm
        Of the inputs; gradients are measured in its dual norm.
    data
        Samples (N, 2) to mark by their label.
    plan
        A distribution whose moves are drawn as arrows from each sample of `data` to where its mass goes.
    boundary
        Whether to draw where two classes tie for the largest logit.
    limit
        Most cells to draw.
    ax
        Axes to draw into; those of a new figure by default.

    Returns
    -------
    Axes
        With one polygon per cell in a `PolyCollection`, whose array is the gradient norms.

    Raises
    ------
    DomainError
        If the domain is not a bounded box of positive area in the plane.
    InputError
        If the network has not two inputs, the functional or norm does not exist, there are more cells than the limit, or the plan
        comes without the data that it moves.

    Examples
    --------
    >>> import wdaverify as wv
    >>> network = wv.load("instances/planar/moons-16-16.onnx")
    >>> ax = wv.plot.cells(network, wv.Box(0, 1), norm="l2")
    >>> len(ax.collections[0].get_paths()) == len(wv.cells(network, wv.Box(0, 1)))
    True
    >>> ax.figure.savefig("cells.png")  # doctest: +SKIP
    """
    box, forms, chosen = _planar(network, domain), _forms(functional, network.outputs), parse_norm(norm)
    _check_moves(data, plan)
    found = enumerate_cells(network, box, limit=limit)
    drawn = [(cell, polygon) for cell in found for polygon in [cell_polygon(network, cell.phases, box)] if area(polygon) > 0]
    ax = axes_or_new(ax)
    sizes = np.array([_steepness(cell, forms, chosen) for cell, _ in drawn])
    _draw_cells(ax, [polygon for _, polygon in drawn], sizes, f"{chosen.dual} norm of the gradient")
    if boundary and network.outputs > 1:
        _draw_boundary(ax, network, drawn)
    if data is not None:
        _draw_samples(ax, data)
        if plan is not None:
            _draw_moves(ax, data, plan)
    ax.set(xlim=(box.lower[0], box.upper[0]), ylim=(box.lower[1], box.upper[1]), xlabel="input 0", ylabel="input 1")
    ax.set_aspect("equal")
    return ax


def _planar(network: Network, domain: Box) -> Box:
    """The domain with two ends per coordinate, after a check that it can be drawn."""
    if network.inputs != 2:
        raise InputError(f"cells can be drawn for networks of 2 inputs only; this one has {network.inputs}")
    box = domain.sized(2)
    if not box.bounded or (box.lower >= box.upper).any():
        raise DomainError("cells can be drawn in a box of finite, positive width and height only; give such a Box")
    return box


def _forms(functional: str, outputs: int) -> Matrix:
    """All linear forms of the functional, (R, K)."""
    return np.concatenate([each.rows(outputs) for each in expand_functionals([functional], outputs)])


def _steepness(cell: Cell, forms: Matrix, norm: Norm) -> float:
    """The largest dual norm of the gradient of a form on a cell."""
    return float(np.linalg.norm(forms @ cell.weight, ord=norm.dual.order, axis=1).max())


def _check_moves(data: Dataset | None, plan: TransportPlan | None) -> None:
    if data is not None and data.x.shape[1] != 2:
        raise InputError(f"the data have {data.x.shape[1]} coordinates; give data of 2")
    if plan is None:
        return
    if data is None:
        raise InputError("a plan is drawn as moves of its data; give the data too")
    if any(atom.source >= data.count for atom in plan.atoms):
        raise InputError(f"the plan moves samples that are not among the {data.count} of the data; give the data it was made for")


def _draw_cells(ax: Axes, polygons: list[Polygon], sizes: Matrix, label: str) -> None:
    from matplotlib.collections import PolyCollection

    corners = [np.array(polygon, dtype=np.float64) for polygon in polygons]
    patches = PolyCollection(corners, array=sizes, cmap=SEQUENTIAL, edgecolors="white", linewidths=0.4, zorder=0)
    ax.add_collection(patches)
    ax.figure.colorbar(patches, ax=ax, label=label)


def _draw_boundary(ax: Axes, network: Network, drawn: list[tuple[Cell, Polygon]]) -> None:
    from matplotlib.collections import LineCollection

    segments = [
        np.array(segment, dtype=np.float64)
        for cell, polygon in drawn
        for segment in ties(polygon, logit_lines(network, cell.phases))
    ]
    ax.add_collection(LineCollection(segments, colors="black", linewidths=2.0, label="decision boundary", zorder=1))


def _draw_samples(ax: Axes, data: Dataset) -> None:
    """One set of markers per label; sets of no sample are not drawn."""
    for label in np.unique(data.y).tolist():
        x, y = data.x[data.y == label].T
        marks = ax.scatter(x, y, s=22, color=colour(label + 1), marker=marker(label), label=f"label {label}", zorder=3)
        marks.set(edgecolors="black", linewidths=0.6)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False, fontsize="small")


def _draw_moves(ax: Axes, data: Dataset, plan: TransportPlan) -> None:
    """An arrow per atom that moves, from its sample to its point."""
    for atom in plan.atoms:
        if (atom.point != data.x[atom.source]).any():
            style = {"arrowstyle": "-|>", "color": colour(atom.label + 1), "linewidth": 1.4, "shrinkA": 0.0, "shrinkB": 0.0}
            (x, y), (from_x, from_y) = atom.point.tolist(), data.x[atom.source].tolist()
            ax.annotate("", (x, y), (from_x, from_y), arrowprops=style, annotation_clip=False, zorder=4)
