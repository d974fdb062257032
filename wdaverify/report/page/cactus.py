"""How many instances each program decides within a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.report.numbers import seconds
from wdaverify.report.page import style_of_plots as style
from wdaverify.report.page.material import Figure, Section
from wdaverify.report.records import DECIDED

if TYPE_CHECKING:
    from wdaverify.report.page.material import Material

_LEAST = 1e-2
"""Seconds below which times are not told apart on the logarithmic axis."""


def cactus(material: Material) -> Section | None:
    """The plot; ``None`` if nothing was decided."""
    own = [row["seconds"] for row in material.document["instances"] if row["verdict"] in DECIDED]
    times = {"wdaverify": own}
    if material.comparison is not None and material.comparison["times"]:
        times = {name: list(values) for name, values in material.comparison["times"].items()}
    if not any(times.values()):
        return None
    traces = []
    for k, (name, values) in enumerate(times.items()):
        ordered = sorted(max(float(each), _LEAST) for each in values)
        colour, marker, dash = (style.BLUE, "circle", "solid") if name == "wdaverify" else style.series(k)
        traces.append(
            {
                "x": list(range(1, len(ordered) + 1)),
                "y": ordered,
                "mode": "lines+markers",
                "name": f"{style.label(name)} ({len(ordered)})",
                "line": {"color": colour, "dash": dash, "width": 2, "shape": "hv"},
                "marker": {"color": colour, "symbol": marker, "size": 7},
                "hovertemplate": "%{x} decided within %{y:.3g} s each<extra>%{fullData.name}</extra>",
            }
        )
    longest = max(len(values) for values in times.values())
    layout = style.layout("instances decided", "seconds each", xaxis={"dtick": max(1, longest // 10)}, yaxis={"type": "log"})
    label = f"Cactus plot: {len(own)} instances decided, the slowest in {seconds(max(own, default=0.0))}."
    figure = Figure(name="cactus", label=label, traces=traces, layout=layout)
    return Section(name="cactus", title="Times", values={"figure": figure, "note": "", "table": None})
