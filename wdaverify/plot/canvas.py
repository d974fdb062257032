"""Axes to draw into, and colours that colour-blind readers can tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
"""Okabe and Ito, Color Universal Design (2008), without black."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""Shapes beside the colours, for print without colour."""

SEQUENTIAL = "cividis"
"""Colour map of sizes (Nunez, Anderton, Renslow 2018), the same to readers with and without colour vision."""

DIVERGING = "PuOr"
"""Colour map of changes of either sign."""


def axes_or_new(ax: Axes | None) -> Axes:
    """The axes that were given, or those of a new figure."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]


def colour(index: int) -> str:
    """The colour of a class or line; colours come again after seven.

    >>> colour(0), colour(7)
    ('#0072B2', '#0072B2')
    """
    return PALETTE[index % len(PALETTE)]


def marker(index: int) -> str:
    """The marker of a class or line."""
    return MARKERS[index % len(MARKERS)]
