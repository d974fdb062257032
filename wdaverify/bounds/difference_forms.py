"""How the difference of two points of a region travels through a network, as linear forms.

For two points of a region with differences dx of the inputs and dy of the open ReLUs' outputs, every value of the network
differs by a linear form of ``v = (dx, dy)``: an affine step maps differences by its matrices, a ReLU passes them where it is
active on the whole region and stops them where it is inactive there, and an open one starts a new variable. On a cell the same
holds for derivatives. Coefficients are centers with radii that hold the exact ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify.bounds.rounding import INFLATION, gamma, underflow
from wdaverify.ir.compiled import AffineStep, InputStep

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Matrix
    from wdaverify.bounds.layer_bounds import LayerBounds
    from wdaverify.ir.network import Network


@dataclass(frozen=True, slots=True, eq=False)
class Forms:
    """Linear forms (size, n + m) with radii of their coefficients."""

    center: Matrix
    radius: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class DifferenceForms:
    """Differences as forms of ``v = (dx, dy)``.

    Attributes
    ----------
    inputs
        Number n of inputs; variables from n on are the m open neurons in their order.
    open
        Pre-activations of the open neurons, m forms; each reads only inputs and earlier neurons.
    outputs
        The logits, K forms.
    """

    inputs: int
    open: Forms
    outputs: Forms

    def varying(self, free: BoolArray) -> DifferenceForms:
        """The same where the inputs that are not `free` (n,) do not differ."""
        kept = np.concatenate([free, np.ones(len(self.open.center), dtype=bool)])
        parts = (Forms(part.center[:, kept], part.radius[:, kept]) for part in (self.open, self.outputs))
        return DifferenceForms(int(free.sum()), *parts)


def open_neurons(network: Network, bounds: LayerBounds) -> int:
    """How many neurons have both phases on the first region of a batch."""
    compiled = network.compiled
    return sum(int(bounds.unstable(compiled.names[step.source])[0].sum()) for step in compiled.relus)


def difference_forms(network: Network, bounds: LayerBounds) -> DifferenceForms:
    """The forms on the first region of a batch of bounds, which decide the phases.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from wdaverify.bounds.crown import crown_bounds
    >>> from wdaverify.domain import Box, Regions
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> first, last = Affine((csr_array(np.array([[2.0]])),), np.ones(1)), Affine((csr_array(np.array([[3.0]])),), np.zeros(1))
    >>> nodes = {"x": Node(Input(1)), "z": Node(first, ("x",)), "a": Node(Relu(1), ("z",)), "y": Node(last, ("a",))}
    >>> network = Network.from_nodes(nodes, "y")
    >>> for low in (-1, 0):                                       # open, then active: the forms of y in (dx, dy) and in dx
    ...     difference_forms(network, crown_bounds(network, Regions.of_box(Box(low, 1), 1))).outputs.center.tolist()
    [[0.0, 3.0]]
    [[6.0]]
    """
    compiled, n = network.compiled, network.inputs
    width = n + open_neurons(network, bounds)
    forms: list[Forms] = []
    opened: list[Forms] = []
    count = n
    for step in compiled.steps:
        if isinstance(step, InputStep):
            forms.append(Forms(np.eye(n, width), np.zeros((n, width))))
        elif isinstance(step, AffineStep):
            forms.append(_affine(step, [forms[source] for source in step.sources], width))
        else:
            name, before = compiled.names[step.source], forms[step.source]
            low, high = bounds.lower[name][0], bounds.upper[name][0]
            is_open, active = (low < 0) & (high > 0), low >= 0
            center, radius = (np.where(active[:, None], part, 0.0) for part in (before.center, before.radius))
            places = np.flatnonzero(is_open)
            center[places, count + np.arange(len(places))] = 1.0
            count += len(places)
            opened.append(Forms(before.center[places], before.radius[places]))
            forms.append(Forms(center, radius))
    empty = [Forms(np.zeros((0, width)), np.zeros((0, width)))]
    parts = zip(*((part.center, part.radius) for part in [*empty, *opened]), strict=True)
    return DifferenceForms(n, Forms(*(np.concatenate(part) for part in parts)), forms[compiled.output])


def _affine(step: AffineStep, sources: list[Forms], width: int) -> Forms:
    """``sum_k M_k forms_k``; the radius also pays for the products and for coefficients that are half an ulp away."""
    center, radius = np.zeros((step.size, width)), np.zeros((step.size, width))
    for factor, source in zip(step.factors, sources, strict=True):
        center = center + factor.matrix @ source.center
        sizes = np.abs(source.center) + source.radius
        # an entry adds up at most as many products as the source has entries, and one more term for each source
        terms = factor.matrix.shape[1] + len(sources)
        rounding = INFLATION * gamma(terms + 8) * (factor.sizes @ sizes) + underflow(terms, sizes.sum(axis=0))
        radius = radius + (factor.sizes @ source.radius + rounding)
    return Forms(center, radius * (1.0 + 4.0 * len(sources) * UNIT_ROUNDOFF))
