"""The worst-case risk over the radius: the bracket, the distributions that attain it, and other certificates on the same axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify.report.numbers import finite, shown, shown_down, shown_up
from wdaverify.report.page import style_of_plots as style
from wdaverify.report.page.between_radii import between_radii
from wdaverify.report.page.material import Cell, Figure, Section, Table, columns, number
from wdaverify.report.transport_curve import transport_curve

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.report.page.material import Material

_POINTS = 240
"""Radii at which a curve is drawn."""

_BEYOND = 1.25
"""How far the axis goes on after the largest radius."""

_NOTES = {
    True: "Between the radii that were asked for, both ends follow from the brackets of all distances.",
    False: "Between the radii that were asked for, both ends follow from those at the radii: the risk grows and, of "
    "finite order p, is concave in radius^p.",
}

_OTHERS = "Other certificates were computed at these radii; the lines between their marks only guide the eye."


def risk_curve(material: Material) -> Section:
    """The plot and its numbers."""
    document = material.document
    curve = sorted(document["curve"], key=lambda point: point["radius"])
    by_distances = bool(document["distances"])
    ends = _between(material, curve) if by_distances else _from_radii(material, curve)
    traces = [*_bracket_lines(*ends), *_asked(curve), *_baselines(document)]
    layout = style.layout("Wasserstein radius", f"{document['loss']} risk", height=460)
    layout["yaxis"]["rangemode"] = "tozero"
    if document["loss"] == "zero-one":
        layout["yaxis"] |= {"range": [-0.02, 1.05], "tickformat": ".0%"}
    figure = Figure(name="risk-curve", label=_label(document, curve), traces=traces, layout=layout)
    return Section(
        name="risk_curve",
        title="Risk over the radius",
        values={"figure": figure, "note": f"{_NOTES[by_distances]} {_OTHERS}", "table": _table(document, curve)},
    )


def _between(material: Material, curve: list[dict[str, Any]]) -> tuple[list[float], list[Any], list[Any]]:
    """Radii, lower and upper ends from the distances."""
    largest = max(point["radius"] for point in curve) or 1.0
    asked = [point["radius"] for point in curve]
    radii: Vector = np.unique(np.concatenate([np.linspace(0.0, _BEYOND * largest, _POINTS), asked]))
    brackets = [record["distance"] for record in material.document["distances"]]
    lower, upper = (
        transport_curve([float(b[end]) for b in brackets], material.weights, radii, material.order).tolist()
        for end in ("upper", "lower")
    )
    return radii.tolist(), lower, upper


def _from_radii(material: Material, curve: list[dict[str, Any]]) -> tuple[list[float], list[Any], list[Any]]:
    """Radii, lower and upper ends from the nominal risk and the brackets at the radii."""
    nominal = material.document["nominal_risk"]
    brackets: dict[float, tuple[float, float]] = {0.0: (nominal, nominal)}
    for point in curve:
        lower_end, upper_end = (finite(point["worst_case_risk"][end]) for end in ("lower", "upper"))
        if point["radius"] > 0 and lower_end is not None and upper_end is not None:
            brackets[point["radius"]] = (lower_end, upper_end)
    known = sorted(brackets)
    radii: Vector = np.unique(np.concatenate([np.linspace(0.0, known[-1], _POINTS), known]))
    lower, upper = between_radii(known, [brackets[r][0] for r in known], [brackets[r][1] for r in known], radii, material.order)
    return radii.tolist(), lower.tolist(), upper.tolist()


def _bracket_lines(radii: list[float], lower: list[Any], upper: list[Any]) -> list[dict[str, Any]]:
    """The lower and the upper end as lines, with the band between them."""
    common = {"x": radii, "mode": "lines", "hovertemplate": "radius %{x:.4g}<br>%{y:.6g}<extra>%{fullData.name}</extra>"}
    return [
        {**common, "y": upper, "name": "certified (upper end)", "line": {"color": style.BLUE, "width": 2.5}},
        {
            **common,
            "y": lower,
            "name": "attained (lower end)",
            "line": {"color": style.ORANGE, "width": 2, "dash": "dash"},
            "fill": "tonexty",
            "fillcolor": "rgba(0,114,178,0.16)",
        },
    ]


def _asked(curve: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The brackets of the certificate, as points with bars."""
    shown_points = [p for p in curve if finite(p["worst_case_risk"]["upper"]) is not None]
    if not shown_points:
        return []
    risks = [point["worst_case_risk"] for point in shown_points]
    return [
        {
            "x": [point["radius"] for point in shown_points],
            "y": [risk["upper"] for risk in risks],
            "mode": "markers",
            "name": "certificate",
            "marker": {"color": style.BLUE, "size": 10, "symbol": "circle", "line": {"color": "var(--paper)", "width": 1.5}},
            "error_y": {
                "type": "data",
                "symmetric": False,
                "array": [0.0 for _ in risks],
                "arrayminus": [risk["upper"] - risk["lower"] for risk in risks],
                "color": style.BLUE,
                "thickness": 1.5,
            },
            "text": [f"[{shown_down(r['lower'])}, {shown_up(r['upper'])}]<br>{r['status']}, {r['evidence']}" for r in risks],
            "hovertemplate": "radius %{x:.6g}<br>%{text}<extra>certificate</extra>",
        }
    ]


def _baselines(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Other certificates, which are upper bounds of the same risk."""
    radii = [point["radius"] for point in document["curve"]]
    ranks = np.argsort(radii, kind="stable").tolist()
    traces = []
    for k, bound in enumerate(bound for bound in document["bounds"] if bound["constants"]):
        colour, marker, dash = style.series(k)
        traces.append(
            {
                "x": [radii[i] for i in ranks],
                "y": [finite(bound["worst_case_risk"][i]) for i in ranks],
                "mode": "lines+markers",
                "name": style.label(bound["name"]),
                "line": {"color": colour, "width": 1.5, "dash": dash},
                "marker": {"color": colour, "symbol": marker, "size": 8},
                "hovertemplate": "radius %{x:.4g}<br>at most %{y:.6g}<extra>%{fullData.name}</extra>",
            }
        )
    return traces


def _label(document: dict[str, Any], curve: list[dict[str, Any]]) -> str:
    """The plot in words."""
    ends = ", ".join(
        f"{shown(p['radius'])}: {shown_down(p['worst_case_risk']['lower'], 4)} to {shown_up(p['worst_case_risk']['upper'], 4)}"
        for p in curve
    )
    return f"Worst-case {document['loss']} risk over the radius, from {shown(document['nominal_risk'], 4)} at radius 0. {ends}."


def _table(document: dict[str, Any], curve: list[dict[str, Any]]) -> Table:
    """The brackets, the price of more radius, and how many atoms move."""
    rows = []
    for point in curve:
        risk, atoms = point["worst_case_risk"], point["plan"]["atoms"]
        width = float(risk["upper"]) - float(risk["lower"]) if risk["upper"] != risk["lower"] else 0.0
        moved = sum(float(atom["cost"]) > 0 for atom in atoms)
        rows.append(
            [
                number(shown(point["radius"]), point["radius"]),
                number(shown_down(risk["lower"]), risk["lower"]),
                number(shown_up(risk["upper"]), risk["upper"]),
                number(shown_up(width, 2), width),
                Cell(risk["status"]),
                Cell(risk["evidence"]),
                number(shown(point["multiplier"]), point["multiplier"]),
                number(f"{moved} of {len(atoms)}", moved),
            ]
        )
    headers = ("radius", "lower end", "upper end", "width", "status", "evidence", "multiplier", "atoms that move")
    caption = f"Worst-case {document['loss']} risk at every radius; the multiplier is the price of more radius"
    return Table(caption=caption, headers=headers, rows=rows, numeric=columns(0, 1, 2, 3, 6, 7))
