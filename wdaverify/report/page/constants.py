"""Lipschitz constants as brackets, beside those of other methods and the slopes at infinity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wdaverify.report.numbers import finite, shown, shown_down, shown_up
from wdaverify.report.page import style_of_plots as style
from wdaverify.report.page.material import Cell, Figure, Section, Table, columns, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify.report.page.material import Material

_ROW_HEIGHT, _FRAME, _TALLEST = 26, 130, 900
"""Pixels of the plot."""


def constants(material: Material) -> Section | None:
    """The plot and its numbers."""
    document = material.document
    records = document["constants"]
    if not records:
        return None
    slopes, bounds = document.get("slopes") or [], document.get("bounds") or []
    names = [style.label(record["functional"]) for record in records]
    traces = [_brackets("constant", names, [r["value"] for r in records], style.BLUE, "circle")]
    if slopes:
        slope_names = [style.label(record["functional"]) for record in slopes]
        traces.append(_brackets("slope at infinity", slope_names, [r["value"] for r in slopes], style.VERMILLION, "x"))
    traces += [_others(k, bound, records, names) for k, bound in enumerate(bounds)]
    height = min(_FRAME + _ROW_HEIGHT * len(set(names)), _TALLEST)
    axis = {"autorange": "reversed", "type": "category"}
    layout = style.layout("Lipschitz constant", "", height=height, yaxis=axis, xaxis={"rangemode": "tozero"})
    label = "Lipschitz constants: " + ", ".join(f"{r['functional']} {shown(r['value']['upper'])}" for r in records[:12]) + "."
    figure = Figure(name="constants", label=label, traces=traces, layout=layout)
    return Section(
        name="constants",
        title="Constants",
        values={"figure": figure, "note": "", "table": _table(records, slopes, bounds)},
    )


def _brackets(name: str, names: Sequence[str], values: Sequence[dict[str, Any]], colour: str, marker: str) -> dict[str, Any]:
    """Brackets as points at the upper ends with bars down to the lower ones."""
    uppers = [finite(v["upper"]) for v in values]
    return {
        "x": uppers,
        "y": list(names),
        "mode": "markers",
        "name": name,
        "marker": {"color": colour, "symbol": marker, "size": 10},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [0.0 for _ in values],
            "arrayminus": [0.0 if u is None else u - float(v["lower"]) for u, v in zip(uppers, values, strict=True)],
            "color": colour,
            "thickness": 1.5,
        },
        "text": [f"[{shown_down(v['lower'])}, {shown_up(v['upper'])}]<br>{v['status']}, {v['evidence']}" for v in values],
        "hovertemplate": "%{y}<br>%{text}<extra>%{fullData.name}</extra>",
    }


def _others(k: int, bound: dict[str, Any], records: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Upper bounds by another method."""
    colour, marker, _ = style.series(k)
    return {
        "x": [finite(bound["constants"].get(record["functional"])) for record in records],
        "y": list(names),
        "mode": "markers",
        "name": style.label(bound["name"]),
        "marker": {"color": colour, "symbol": marker, "size": 9},
        "hovertemplate": "%{y}<br>at most %{x:.6g}<extra>%{fullData.name}</extra>",
    }


def _table(records: Sequence[dict[str, Any]], slopes: Sequence[dict[str, Any]], bounds: Sequence[dict[str, Any]]) -> Table:
    """One row per functional."""
    headers = ["functional", "norm", "lower end", "upper end", "status", "evidence"]
    headers += ["slope at infinity"] if slopes else []
    headers += [bound["name"] for bound in bounds]
    steep = {record["functional"]: record["value"]["upper"] for record in slopes}
    rows = []
    for record in records:
        name, value = record["functional"], record["value"]
        row = [
            Cell(name),
            Cell(record["norm"]),
            number(shown_down(value["lower"]), value["lower"]),
            number(shown_up(value["upper"]), value["upper"]),
            Cell(value["status"]),
            Cell(value["evidence"]),
        ]
        row += [number(shown_up(steep.get(name)), steep.get(name))] if slopes else []
        row += [number(shown_up(bound["constants"].get(name), 6), bound["constants"].get(name)) for bound in bounds]
        rows.append(row)
    numeric = columns(2, 3, *range(6, len(headers)))
    return Table(caption="Lipschitz constants of functionals", headers=headers, rows=rows, numeric=numeric)
