"""What all plots share: colours that everybody can tell apart, markers and dashes that say the same without colour.

The palette is that of M. Okabe and K. Ito, "Color Universal Design" (2008), less its yellow, which is too light on
white. Colours of the page itself are written as ``var(--ink)``: the script on the page puts in what the reader's theme says.
"""

from __future__ import annotations

import html
from typing import Any

BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
)
INK = "var(--ink)"

CYCLE = (
    (GREEN, "diamond", "dot"),
    (PURPLE, "triangle-up", "dashdot"),
    (VERMILLION, "square", "dash"),
    (SKY, "cross", "longdash"),
    (INK, "star", "longdashdot"),
    (ORANGE, "x", "dot"),
    (BLUE, "hexagon", "dash"),
)
"""Colour, marker and dash of the series beside the main one."""


def series(k: int) -> tuple[str, str, str]:
    """Colour, marker and dash of the k-th series."""
    return CYCLE[k % len(CYCLE)]


def label(text: str) -> str:
    """Text that Plotly shows as it is: it reads some HTML in names and labels."""
    return html.escape(text, quote=False)


def layout(x: str, y: str, *, height: int = 420, **more: Any) -> dict[str, Any]:
    """Axes with titles, the key above the plot, and room for it."""
    plain: dict[str, Any] = {
        "height": height,
        "margin": {"l": 62, "r": 14, "t": 16, "b": 54},
        "xaxis": {"title": {"text": x, "standoff": 10}, "zeroline": False, "automargin": True},
        "yaxis": {"title": {"text": y, "standoff": 14}, "zeroline": False, "automargin": True},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "xanchor": "left", "traceorder": "normal"},
        "hovermode": "closest",
        "dragmode": False,
    }
    for axis in ("xaxis", "yaxis"):
        plain[axis] |= more.pop(axis, {})
    return plain | more
