"""The distances of all samples to their nearest errors, from the nearest to the farthest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from wdaverify.report.numbers import MISSING, shown, shown_down, shown_up
from wdaverify.report.page import style_of_plots as style
from wdaverify.report.page.material import Cell, Figure, Section, Table, columns, number

if TYPE_CHECKING:
    from wdaverify.report.page.material import Material

_ROWS = 500
"""Rows of the table, the nearest."""

_POINTS = 1500
"""Samples of the plot: of more, every second, third and so on is drawn."""


def distances(material: Material) -> Section | None:
    """The plot and its numbers; ``None`` for losses that need no distances."""
    records = [_record(each) for each in material.document["distances"]]
    if not records:
        return None
    records.sort(key=lambda r: (r["upper"], r["lower"], r["sample"]))
    found = material.kind == "attack"
    # where an error may lie at any distance there is nothing to draw a bar to
    bounded = [r["upper"] for r in records if math.isfinite(r["upper"])]
    top = 1.15 * max([*bounded, *(r["lower"] for r in records if math.isfinite(r["lower"]))], default=1.0) or 1.0
    layout = style.layout("samples, nearest error first", f"{material.norm} distance", yaxis={"range": [-0.04 * top, 1.04 * top]})
    step = math.ceil(len(records) / _POINTS)
    drawn = list(enumerate(records, start=1))[::step]
    traces = [trace for trace in (_near(drawn, found=found), _open(drawn, top)) if trace is not None]
    note = (
        "Each point is the distance to an error that the attack found; the true distance may be smaller."
        if found
        else "Each point is the distance of an error that exists; the bar below it reaches down to where none does."
    )
    far = sum(math.isinf(r["upper"]) for r in records)
    if far:
        note += f" Triangles at the top: {far} samples of which no error is known at any distance."
    if step > 1:
        note += f" One sample in {step} is drawn."
    label = f"Distances of {len(records)} samples to their nearest errors, in increasing order. {_spread(bounded)}"
    return Section(
        name="distances",
        title="Distances to the nearest error",
        values={
            "figure": Figure(name="distances", label=label, traces=traces, layout=layout),
            "note": note,
            "table": _table(material, records, found=found),
        },
    )


def _record(each: dict[str, Any]) -> dict[str, Any]:
    """A distance with numbers as ends; an attack knows the upper one only."""
    value = each["distance"]
    lower, upper = (value["lower"], value["upper"]) if isinstance(value, dict) else (0.0, value)
    status = (value["status"], value["evidence"]) if isinstance(value, dict) else ("found", each["part"] or MISSING)
    return {
        "rank": 0,
        "sample": each["sample"],
        "label": each["label"],
        "target": each["target"],
        "lower": float(lower),
        "upper": float(upper),
        "status": status,
    }


def _near(records: list[tuple[int, dict[str, Any]]], *, found: bool) -> dict[str, Any] | None:
    """Samples with a known error: a point, and a bar down to the lower end."""
    known = [(k, r) for k, r in records if math.isfinite(r["upper"])]
    if not known:
        return None
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [0.0 for _ in known],
        "arrayminus": [r["upper"] - r["lower"] for _, r in known],
        "color": style.BLUE,
        "thickness": 1.5,
        "width": 0,
    }
    return {
        "x": [k for k, _ in known],
        "y": [r["upper"] for _, r in known],
        "mode": "markers",
        "name": "error found" if found else "nearest error",
        "marker": {
            "color": [style.VERMILLION if r["upper"] == 0 else style.BLUE for _, r in known],
            "symbol": ["x" if r["upper"] == 0 else "circle" for _, r in known],
            "size": 7,
        },
        "text": [_hover(r, found=found) for _, r in known],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
        **({} if found else {"error_y": bars}),
    }


def _open(records: list[tuple[int, dict[str, Any]]], top: float) -> dict[str, Any] | None:
    """Samples without a known error, at the top."""
    far = [(k, r) for k, r in records if math.isinf(r["upper"])]
    if not far:
        return None
    return {
        "x": [k for k, _ in far],
        "y": [top for _ in far],
        "mode": "markers",
        "name": "no error known",
        "marker": {"color": style.GREEN, "symbol": "triangle-up", "size": 9},
        "text": [_hover(r, found=False) for _, r in far],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
    }


def _hover(record: dict[str, Any], *, found: bool) -> str:
    """What is said about a sample under the pointer."""
    classes = f"label {record['label']}" + ("" if record["target"] is None else f" → class {record['target']}")
    if found:
        return f"sample {record['sample']}, {classes}<br>{shown(record['upper'], 6)}"
    ends = f"[{shown_down(record['lower'])}, {shown_up(record['upper'])}]"
    return f"sample {record['sample']}, {classes}<br>{ends} {record['status'][0]}"


def _spread(bounded: list[float]) -> str:
    """The ends and the middle of the finite ones."""
    if not bounded:
        return "No error is known."
    return f"From {shown(bounded[0], 4)} over {shown(bounded[len(bounded) // 2], 4)} in the middle to {shown(bounded[-1], 4)}."


def _table(material: Material, records: list[dict[str, Any]], *, found: bool) -> Table:
    """One row per sample."""
    assert material.data is not None
    weights = material.weights
    rows = [
        [
            number(str(r["sample"]), r["sample"]),
            number(str(r["label"]), r["label"]),
            number(MISSING if r["target"] is None else str(r["target"]), r["target"]),
            number(shown(weights[r["sample"]], 4), weights[r["sample"]]),
            *([] if found else [number(shown_down(r["lower"]), r["lower"])]),
            number(shown_up(r["upper"]), r["upper"]),
            Cell(r["status"][0]),
            Cell(r["status"][1]),
        ]
        for r in records[:_ROWS]
    ]
    ends = ("distance found",) if found else ("lower end", "upper end")
    headers = ("sample", "label", "becomes", "weight", *ends, "status", "found by" if found else "evidence")
    left = len(records) - len(rows)
    return Table(
        caption=f"Distances to the nearest error ({material.norm})",
        headers=headers,
        rows=rows,
        numeric=columns(*range(4 + len(ends))),
        left_out=f"{left} samples with larger distances are left out." if left else "",
    )
