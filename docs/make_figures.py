"""Draw docs/images/cells.png: the shipped planar network, its cells, and the worst distribution near twenty samples."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

import wdaverify as wv

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "images" / "cells.png"


def draw() -> Figure:
    """The figure."""
    network = wv.load(ROOT / "instances" / "planar" / "moons-16-16.onnx")
    data = wv.Dataset.load(ROOT / "instances" / "planar" / "moons-test.npz").first(20)
    certificate = wv.certify(network, data, wv.WassersteinBall(0.02, norm="l2"), comparison_time=0)
    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    wv.plot.cells(network, wv.Box(0, 1), norm="l2", data=data, plan=certificate.plan, ax=figure.add_subplot())
    return figure


if __name__ == "__main__":
    draw().savefig(PICTURE, dpi=130)
