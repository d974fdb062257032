"""What a distribution does to its samples: pairs of images, or changes feature by feature."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError
from wdaverify.plot.canvas import DIVERGING, axes_or_new

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from wdaverify._types import Matrix
    from wdaverify.dataset import Dataset
    from wdaverify.transport import Atom, TransportPlan


def plan(
    plan: TransportPlan,
    data: Dataset,
    *,
    shape: tuple[int, int] | None = None,
    names: Sequence[str] | None = None,
    most: int = 12,
    ax: Axes | None = None,
) -> Axes:
    """Draw the atoms of a distribution that move, those of the largest mass times cost first.

    Without a shape: one row per atom and one column per feature, coloured by how much the feature changes. With a shape: one row
    of images per atom, the sample, where its mass goes, and the difference, each scaled to the range of values shown.

    Parameters
    ----------
    plan
        Of a certificate or an attack.
    data
        The samples that it moves.
    shape
        Height and width of the images that the samples are.
    names
        Of the features, one per column.
    most
        Atoms to draw; further ones are left out.
    ax
        Axes to draw into; those of a new figure by default.

    Returns
    -------
    Axes
        With one image, whose array is the changes (atoms, n), or the pictures side by side. Where no atom moves it says so.

    Raises
    ------
    InputError
        If the plan does not belong to the data, the shape has another number of pixels than a sample, or there are not as
        many names as features.

    Examples
    --------
    >>> import wdaverify as wv
    >>> network = wv.load("instances/iris/iris-16-16.onnx")
    >>> data = wv.Dataset.load("instances/iris/iris-test.npz").first(8)
    >>> worst = wv.certify(network, data, wv.WassersteinBall(0.05), comparison_time=0).plan
    >>> names = ["sepal length", "sepal width", "petal length", "petal width"]
    >>> ax = wv.plot.plan(worst, data, names=names)
    >>> [text.get_text() for text in ax.get_xticklabels()] == names
    True
    """
    features = data.x.shape[1]
    _check(plan, data, shape, names, most)
    ax = axes_or_new(ax)
    moved = [atom for atom in plan.atoms if (atom.point != data.x[atom.source]).any()]
    moved.sort(key=lambda atom: -atom.mass * atom.cost)
    shown = moved[:most]
    if not shown:
        ax.text(0.5, 0.5, "nothing moves", ha="center", va="center", transform=ax.transAxes)
        ax.set_axis_off()
        return ax
    sources = np.array([data.x[atom.source] for atom in shown])
    points = np.array([atom.point for atom in shown])
    if shape is None:
        _draw_changes(ax, points - sources, names or [str(k) for k in range(features)])
        ax.set_yticks(range(len(shown)), [_caption(atom) for atom in shown])
    else:
        _draw_images(ax, sources, points, shape)
        ax.set_yticks([(k + 0.5) * shape[0] - 0.5 for k in range(len(shown))], [_caption(atom) for atom in shown])
    if len(moved) > len(shown):
        ax.set_title(f"{len(shown)} of {len(moved)} atoms that move", fontsize="small")
    return ax


def _check(plan: TransportPlan, data: Dataset, shape: tuple[int, int] | None, names: Sequence[str] | None, most: int) -> None:
    features = data.x.shape[1]
    if any(atom.source >= data.count or len(atom.point) != features for atom in plan.atoms):
        raise InputError(f"the plan does not belong to these {data.count} samples of {features}; give the data it was made for")
    if shape is not None and (len(shape) != 2 or min(shape) < 1 or math.prod(shape) != features):
        raise InputError(f"shape {shape} is not the height and width of {features} pixels")
    if names is not None and len(names) != features:
        raise InputError(f"{len(names)} names for {features} features; give one each")
    if most < 1:
        raise InputError(f"most {most} is not a number of atoms >= 1")


def _caption(atom: Atom) -> str:
    return f"sample {atom.source}, label {atom.label}: mass {atom.mass:.3g}, cost {atom.cost:.3g}"


def _draw_changes(ax: Axes, changes: Matrix, names: Sequence[str]) -> None:
    largest = float(np.abs(changes).max())
    image = ax.imshow(changes, cmap=DIVERGING, vmin=-largest, vmax=largest, aspect="auto", interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label="change")
    if len(names) <= 40:
        ax.set_xticks(range(len(names)), names, rotation=45, ha="right")
    else:  # so many labels would cover each other
        ax.set_xlabel("feature")


def _draw_images(ax: Axes, sources: Matrix, points: Matrix, shape: tuple[int, int]) -> None:
    """The sample, the point, and the difference brought from [-largest, largest] to the range of the others."""
    low, high = float(min(sources.min(), points.min())), float(max(sources.max(), points.max()))
    changes = points - sources
    largest = float(np.abs(changes).max())
    scaled = low + (high - low) * (changes + largest) / (2.0 * largest)
    columns = [np.concatenate(part.reshape(-1, *shape)) for part in (sources, points, scaled)]
    ax.imshow(np.concatenate(columns, axis=1), cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    ax.set_xticks([(k + 0.5) * shape[1] - 0.5 for k in range(3)], ["sample", "moved", "change"])
    ax.set_xlabel(f"gray is no change, white +{largest:.3g}", fontsize="small")
    for k in range(1, len(sources)):
        ax.axhline(k * shape[0] - 0.5, color="white", linewidth=1.0)
    for k in (1, 2):
        ax.axvline(k * shape[1] - 0.5, color="white", linewidth=1.0)
