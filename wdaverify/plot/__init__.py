"""Figures: functions that draw a result into matplotlib axes and return the axes.

>>> import wdaverify as wv
>>> network = wv.load("instances/planar/moons-16-16.onnx")
>>> axes = wv.plot.cells(network, wv.Box(0, 1))

Every function takes `ax`, axes to draw into, or makes a figure of its own. Colours can be told apart by colour-blind readers.
matplotlib is imported when something is drawn. To add a figure: a file here, and a line below.
"""

from __future__ import annotations

from wdaverify.plot.cell_figure import cells as cells
from wdaverify.plot.curve_figure import risk_curve as risk_curve
from wdaverify.plot.plan_figure import plan as plan

__all__ = ["cells", "plan", "risk_curve"]
