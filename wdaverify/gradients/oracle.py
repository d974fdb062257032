"""The second oracle: the largest dual norm of a gradient over the full-dimensional activation cells of a box.

Two methods share the work. In few dimensions cells are few and each costs little, so that all of them are visited
(`gradients.by_enumeration`); that serves any number of questions at once. Where there are too many, branch and bound closes
most of them unseen (`gradients.by_search`), question by question.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify.bounds.crown import crown_bounds
from wdaverify.domain import Regions
from wdaverify.gradients.by_enumeration import largest_gradients_by_enumeration
from wdaverify.gradients.by_search import constant_answer, largest_gradients_by_search
from wdaverify.gradients.ground import counted_coordinates
from wdaverify.gradients.question import GradientAnswer, GradientLimits
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.result import End

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray
    from wdaverify.domain import Box
    from wdaverify.gradients.question import GradientQuestion
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

_CELLS = ((4, 10_000, 5_000), (6, 500, 500), (2**60, 0, 40))
"""Up to so many free inputs: cells that are worth visiting, and more for every question. Measured: 0.1 to 0.3 ms a cell for up
to six inputs, 1 ms for 64, against a tree of 0.1 to 3 s a question."""

_PLANE, _FEW = 6, 24
"""With more inputs than the first, cells are visited only where at most so many neurons are unstable: the visit sees whole
layers of regions before the first cell."""

_SHARE = 0.3
"""Part of the time left that the visit may use."""


def largest_gradients(
    backend: Backend,
    network: Network,
    box: Box,
    questions: Sequence[GradientQuestion],
    *,
    coordinates: BoolArray | None = None,
    limits: GradientLimits | None = None,
    seed: int = 0,
) -> tuple[GradientAnswer, ...]:
    """Bracket ``max ||J_A^T c||_s`` over rows c and full-dimensional cells A, for every question.

    On a convex box this is the exact Lipschitz constant of the steepest of the forms ``c . f`` (docs/theory.md, "Lipschitz
    constants"). Ctrl-C ends the search early with the brackets proved so far.

    Parameters
    ----------
    box
        With vector ends (n,), bounded.
    coordinates
        Which input coordinates (n,) count for the norm; the free ones, ``lower < upper``, by default.

    Returns
    -------
    tuple of GradientAnswer
        One per question. Lower ends are norms of rational gradients on cells that are proved to be full-dimensional; upper
        ends are proved with every rounding charged.

    Raises
    ------
    InputError
        If the box is unbounded.

    Examples
    --------
    ``relu(x) - relu(-x) = x`` has slope 1; the pattern of 0, with both neurons active, would have 2.

    >>> from scipy.sparse import csr_array
    >>> from wdaverify._types import Norm
    >>> from wdaverify.domain import Box
    >>> from wdaverify.gradients.question import GradientQuestion
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> from wdaverify.program.backend import get_backend
    >>> split, add = (Affine((csr_array(np.array(m)),), np.zeros(len(m))) for m in ([[1.0], [-1.0]], [[1.0, -1.0]]))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> network, question = Network.from_nodes(nodes, "y"), GradientQuestion(np.ones((1, 1)), Norm.LINF)
    >>> (answer,) = largest_gradients(get_backend("highs"), network, Box(-1, 1).sized(1), [question])
    >>> answer.lower, answer.upper
    (1.0, 1.0)
    """
    limits, counted = limits or GradientLimits(), counted_coordinates(box, coordinates)
    if not len(counted):
        return tuple(constant_answer(box) for _ in questions)
    mask = np.zeros(len(box.lower), dtype=bool)
    mask[counted] = True
    worth = _worth_visiting(network, box, len(questions))
    if not worth:
        return largest_gradients_by_search(backend, network, box, questions, coordinates=mask, limits=limits, seed=seed)
    until = limits.deadline if limits.deadline.unlimited else Deadline.after(_SHARE * limits.deadline.remaining)
    cells = replace(limits, nodes=min(limits.nodes, worth), deadline=until)
    visited = largest_gradients_by_enumeration(backend, network, box, questions, coordinates=mask, limits=cells)
    if all(answer.end in (End.CLOSED, End.INTERRUPTED) for answer in visited) or limits.deadline.passed:
        return visited
    searched = largest_gradients_by_search(backend, network, box, questions, coordinates=mask, limits=limits, seed=seed)
    return tuple(_better(*pair) for pair in zip(visited, searched, strict=True))


def _worth_visiting(network: Network, box: Box, questions: int) -> int:
    """How many cells are visited before branch and bound takes over."""
    dimensions = int(np.count_nonzero(box.lower < box.upper))
    if dimensions > _PLANE:
        regions = Regions.of_box(box, network.inputs)
        if np.count_nonzero(NeuronBounds.of(network, regions, crown_bounds(network, regions)).unstable) > _FEW:
            return 0
    base, more = next((base, more) for most, base, more in _CELLS if dimensions <= most)
    return base + more * questions


def _better(visited: GradientAnswer, searched: GradientAnswer) -> GradientAnswer:
    """What both methods know about one question."""
    low = visited if visited.lower > searched.lower else searched
    return replace(searched, lower=low.lower, point=low.point, row=low.row, upper=min(visited.upper, searched.upper))
