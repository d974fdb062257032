"""The cactus plot: how many instances each program decides within a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LEAST = 1e-2
"""Seconds below which times are not told apart on the logarithmic axis."""


def save_cactus(times: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw the times of every program, sorted; the format follows from the file's ending.

    Parameters
    ----------
    times
        Seconds of the instances that a program decided.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, seconds in times.items():
        ordered = sorted(max(each, _LEAST) for each in seconds)
        width = 2.0 if name == "wdaverify" else 1.0
        axes.step(range(1, len(ordered) + 1), ordered, where="mid", label=f"{name} ({len(ordered)})", lw=width)
    axes.set(xlabel="instances decided", ylabel="seconds each", yscale="log")
    axes.legend(loc="upper left")
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(path)
