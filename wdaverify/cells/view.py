"""The box and the walls of a cell in coordinates fit for a solver: about 1 in size, fixed coordinates left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import DomainError
from wdaverify.cells.cell import activation_cell
from wdaverify.ir.compiled import AffineStep, InputStep
from wdaverify.ir.exact_piece import exact_forms_of_neurons, exact_pre_activations
from wdaverify.ir.rational import quotients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.cells.largest_ball import Ball
    from wdaverify.domain import Box
    from wdaverify.ir.compiled import CompiledNetwork
    from wdaverify.ir.network import Network

_DOUBTFUL = 2.0**-36
"""A gradient smaller than this part of what it was added up from may be nothing but roundings: it is computed exactly."""

_TOLERANCE = 1e-9
"""Below this radius (in the coordinates of the view) a solver may have found nothing."""

_MAGNIFIED = 1e3
"""A closer look reaches this many times as far as the last radius, or as the tolerance."""


_REACH = 1e6
"""A view reaches so many times further than its ball is large: slivers are long, and what narrows them may be far away."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """``x = origin + widths * unit * u`` with ``low <= u <= high`` in the free coordinates; radii are measured in `scale`.

    Attributes
    ----------
    box
        Bounded, with vector ends.
    free
        Numbers of its coordinates that are not fixed, shape (f,).
    widths
        Half the widths of the box there, shape (f,).
    origin
        A point (n,) of the box.
    unit, scale
        Relative to the widths.
    """

    box: Box
    free: IntArray
    widths: Vector
    origin: Vector
    unit: float
    scale: float
    low: Vector
    high: Vector

    @staticmethod
    def of_box(box: Box) -> View:
        """The whole box, from its centre.

        Raises
        ------
        DomainError
            If it has an infinite end.
        """
        if not box.bounded:
            raise DomainError("activation cells are decided on bounded boxes: give finite ends")
        free = np.flatnonzero(box.lower < box.upper)
        middle = box.clip(0.5 * box.lower + 0.5 * box.upper)
        widths = 0.5 * box.upper[free] - 0.5 * box.lower[free]
        return View(box, free, widths, middle, 1.0, 1.0, -np.ones(len(free)), np.ones(len(free)))

    def point(self, u: Vector) -> Vector:
        """The point x (n,), in the box."""
        x = self.origin.copy()
        x[self.free] += self.widths * self.unit * u
        return self.box.clip(x)

    def seen(self, walls: Walls, values: Vector) -> tuple[Matrix, Vector]:
        """Slopes (R, f) and values (R,) of walls in this view, from values at its origin; both are large where it is close."""
        return walls.slopes * (self.unit / self.scale), values / self.scale

    def candidates(self, ball: Ball, slopes: Matrix, values: Vector) -> Iterator[Vector]:
        """Points that may be inside: the ball's centre moved a little towards the origin of the view, and itself."""
        if ball.center is None or ball.radius <= 0.0:
            return
        there = slopes @ ball.center + values
        worse = values < there
        room = (there - 0.5 * ball.radius)[worse] / (there - values)[worse]  # so far half the radius is left
        step = min(0.5, float(room.min(initial=0.5)))
        yield self.point((1.0 - step) * ball.center)
        yield self.point(ball.center)

    def is_close(self, ball: Ball) -> bool:
        """Whether the solver cannot tell if there is a ball."""
        return abs(ball.radius) <= _TOLERANCE * _MAGNIFIED

    def closer(self, ball: Ball) -> View:
        """A view of the surroundings of the ball's centre."""
        assert ball.center is not None
        origin = self.point(ball.center)
        scale = self.scale * _MAGNIFIED * max(abs(ball.radius), _TOLERANCE)
        unit = min(1.0, scale * _REACH)
        low, high = ((end - origin)[self.free] / (self.widths * unit) for end in (self.box.lower, self.box.upper))
        return View(self.box, self.free, self.widths, origin, unit, scale, np.maximum(low, -1.0), np.minimum(high, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Walls:
    """The signed pre-activations that move on a cell, ``slopes . u * scale + values`` times their sizes.

    Attributes
    ----------
    neurons
        Their numbers, shape (R,).
    slopes
        Of length 1 in the coordinates of the widths, shape (R, f).
    sizes
        The lengths divided by, shape (R,).
    values
        At the centre of the box, shape (R,).
    """

    neurons: IntArray
    slopes: Matrix
    sizes: Vector
    values: Vector

    @staticmethod
    def of(network: Network, phases: BoolArray, view: View, decided: BoolArray) -> Walls | None:
        """The walls of the decided neurons; ``None`` proves that a pre-activation is constant with the wrong sign."""
        cell = activation_cell(network.compiled, phases)
        scaled = cell.rows[:, view.free] * view.widths
        values = cell.rows @ view.origin + cell.offsets
        sums = _sums(network.compiled, phases, view)
        doubtful = np.flatnonzero(decided & (np.abs(scaled).sum(axis=1) <= _DOUBTFUL * sums))
        moving = decided.copy()
        if len(doubtful):
            forms = exact_forms_of_neurons(network, phases, doubtful)
            signs = np.where(phases[doubtful], 1, -1).astype(object)
            moving[doubtful] = (forms.coefficients[:, view.free] != 0).any(axis=1)
            numerators, denominators = exact_pre_activations(network, phases, view.origin.tolist())
            exact = signs * numerators[doubtful]
            if (exact[~moving[doubtful]] < 0).any():
                return None
            values[doubtful] = quotients(exact, denominators[doubtful])
            slopes = quotients(signs[:, None] * forms.coefficients[:, view.free], forms.denominator)
            scaled[doubtful] = slopes * view.widths
        sizes = np.linalg.norm(scaled, axis=1)
        kept = np.flatnonzero(moving & (sizes > 0.0) & np.isfinite(sizes) & np.isfinite(values / np.where(sizes > 0, sizes, 1.0)))
        return Walls(kept, scaled[kept] / sizes[kept, None], sizes[kept], values[kept] / sizes[kept])

    def values_at(self, network: Network, phases: BoolArray, point: Vector) -> Vector:
        """The values (R,) at a point (n,), from exact ones."""
        numerators, denominators = exact_pre_activations(network, phases, point.tolist())
        exact = quotients(numerators[self.neurons], denominators[self.neurons])
        values: Vector = np.where(phases[self.neurons], exact, -exact) / self.sizes
        return values


def _sums(compiled: CompiledNetwork, phases: BoolArray, view: View) -> Vector:
    """For every neuron (neurons,) what its slopes would add up to if no terms cancelled."""
    sums, result = [], np.empty(compiled.neurons)
    for step in compiled.steps:
        if isinstance(step, InputStep):
            start = np.zeros(step.size)
            start[view.free] = view.widths
            sums.append(start)
        elif isinstance(step, AffineStep):
            sums.append(sum((f.sizes @ sums[s] for f, s in zip(step.factors, step.sources, strict=True)), np.zeros(step.size)))
        else:
            result[step.neurons] = sums[step.source]
            sums.append(np.where(phases[step.neurons], sums[step.source], 0.0))
    return result
