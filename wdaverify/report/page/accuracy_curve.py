"""The accuracy that an attack leaves, over the radius: all of it upper ends of what is true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify.report.numbers import shown, shown_up
from wdaverify.report.page import style_of_plots as style
from wdaverify.report.page.material import Figure, Section, Table, columns, number
from wdaverify.report.transport_curve import transport_curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Vector
    from wdaverify.report.page.material import Material

_POINTS, _BEYOND = 240, 1.25

_SERIES = (
    ("worst_case_accuracy", "worst distribution found", style.VERMILLION, "circle", "solid"),
    ("robust_accuracy", "pointwise attack", style.BLUE, "square", "dash"),
    ("mixture_accuracy", "mixture of WDA", style.GREEN, "diamond", "dot"),
)


def accuracy_curve(material: Material) -> Section:
    """The plot and its numbers."""
    curve = sorted(material.document["curve"], key=lambda point: point["radius"])
    series = (
        _SERIES if material.document["options"]["kappa"] != 1 else _SERIES[:2]
    )  # a mixture of one part is the pointwise attack
    traces = [*_lines(material, curve), *_points(curve, series)]
    layout = style.layout("Wasserstein radius", "accuracy", yaxis={"range": [-0.02, 1.05], "tickformat": ".0%"})
    ends = ", ".join(f"{shown(p['radius'])}: {shown_up(p['worst_case_accuracy'], 4)}" for p in curve)
    label = f"Accuracy over the radius: {shown(material.document['clean_accuracy'], 4)} on the data. {ends}."
    rows = [
        [number(shown(p["radius"]), p["radius"]), *(number(shown_up(p[name], 6), p[name]) for name, *_ in series)] for p in curve
    ]
    table = Table(
        caption="Accuracies at every radius",
        headers=("radius", *(name for _, name, *_ in series)),
        rows=rows,
        numeric=columns(*range(1 + len(series))),
    )
    figure = Figure(name="accuracy-curve", label=label, traces=traces, layout=layout)
    note = (
        "Curves are made of the distances that were found: the points that the attack knows, allocated exactly to the budget. "
        "Attacks within a fixed radius (wda, a3-wda, pgd, apgd) do not look farther than that."
    )
    return Section(name="risk_curve", title="Accuracy over the radius", values={"figure": figure, "note": note, "table": table})


def _lines(material: Material, curve: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Accuracies between the radii, from the distances found."""
    largest = max(point["radius"] for point in curve) or 1.0
    radii: Vector = np.unique(np.concatenate([np.linspace(0.0, _BEYOND * largest, _POINTS), [p["radius"] for p in curve]]))
    found = [float(record["distance"]) for record in material.document["distances"]]
    lines = []
    for (_, name, colour, _, dash), order in zip(_SERIES[:2], (material.order, float("inf")), strict=True):
        left = 1 - transport_curve(found, material.weights, radii, order)
        lines.append(
            {
                "x": radii.tolist(),
                "y": left.tolist(),
                "mode": "lines",
                "legendgroup": name,
                "showlegend": False,
                "name": name,
                "line": {"color": colour, "width": 2, "dash": dash},
                "hovertemplate": "radius %{x:.4g}<br>accuracy %{y:.4g}<extra>" + name + "</extra>",
            }
        )
    return lines


def _points(curve: list[dict[str, Any]], series: Sequence[tuple[str, ...]]) -> list[dict[str, Any]]:
    """Accuracies at the radii that were asked for."""
    return [
        {
            "x": [point["radius"] for point in curve],
            "y": [point[key] for point in curve],
            "mode": "markers",
            "legendgroup": name,
            "name": name,
            "marker": {"color": colour, "symbol": marker, "size": 10, "line": {"color": "var(--paper)", "width": 1.5}},
            "hovertemplate": "radius %{x:.6g}<br>accuracy %{y:.6g}<extra>" + name + "</extra>",
        }
        for key, name, colour, marker, _ in series
    ]
