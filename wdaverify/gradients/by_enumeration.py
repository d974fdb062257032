"""The largest gradients by complete enumeration of the cells: all questions in one pass, with no bound and no branching.

For boxes of few dimensions or with few unstable neurons, and as a second opinion on `gradients.oracle`, with which it shares
neither search nor bounds. Every cell contributes its float norms with their error; the cells that may be steepest are evaluated
in rational arithmetic at the end.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError
from wdaverify.bounds.rounding import INFLATION, LEAST, gamma, underflow
from wdaverify.bracket import Evidence
from wdaverify.cells.layer_search import FoundCells
from wdaverify.cells.search import cell_search
from wdaverify.gradients.mixing import largest_norms
from wdaverify.gradients.norms import float_norms
from wdaverify.gradients.question import GradientAnswer, GradientLimits
from wdaverify.gradients.steepest import SteepestCells
from wdaverify.gradients.targets import Targets
from wdaverify.gradients.zonotope import gradient_zonotopes, lost_in_zonotopes
from wdaverify.search.result import End

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.cells.careful import Prefix
    from wdaverify.cells.cone_search import ConeSearch
    from wdaverify.cells.layer_search import LayerSearch
    from wdaverify.domain import Box
    from wdaverify.gradients.question import GradientQuestion
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend


def largest_gradients_by_enumeration(
    backend: Backend,
    network: Network,
    box: Box,
    questions: Sequence[GradientQuestion],
    *,
    coordinates: BoolArray | None = None,
    limits: GradientLimits | None = None,
) -> tuple[GradientAnswer, ...]:
    """Bracket ``max ||J_A^T c||_s`` over rows c and full-dimensional cells A, for every question.

    The arguments and the answers are those of `gradients.oracle.largest_gradients`. Closed answers have ends that are
    neighbouring floats, or one float, unless very many cells are equally steep. Limits on nodes count cells; the gap is not used.

    Parameters
    ----------
    box
        With vector ends (n,), bounded.
    coordinates
        Which input coordinates (n,) count for the norm; the free ones, ``lower < upper``, by default.

    Raises
    ------
    DomainError
        If the box is unbounded.
    InputError
        If a fixed coordinate is to count: cells have no extent along it.

    Examples
    --------
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
    >>> (answer,) = largest_gradients_by_enumeration(get_backend("highs"), network, Box(-1, 1).sized(1), [question])
    >>> answer.lower, answer.upper, answer.nodes
    (1.0, 1.0, 2)
    """
    free = box.lower < box.upper
    counted = free if coordinates is None else np.asarray(coordinates, dtype=np.bool_)
    if (counted & ~free).any():
        raise InputError(f"coordinate {int(np.flatnonzero(counted & ~free)[0])} is fixed: gradients have no meaning along it")
    limits = limits or GradientLimits()
    search = _Pass(cell_search(backend, network, box, limits.deadline), network, questions, np.flatnonzero(counted))
    try:
        search.run(limits)
    except KeyboardInterrupt:
        search.end = End.INTERRUPTED
        search.count_everything()
    return tuple(search.answer(q) for q in range(len(questions)))


class _Pass:
    """One pass over the cells, for all pairs of a form and a norm."""

    def __init__(
        self, search: LayerSearch | ConeSearch, network: Network, questions: Sequence[GradientQuestion], coordinates: IntArray
    ) -> None:
        self._search, self._network, self._coordinates = search, network, coordinates
        self._targets = Targets.of(questions)
        places = np.searchsorted(search.frame.free, coordinates)
        self._places, self._widths = places, search.frame.half[places]
        self._steepest = SteepestCells(network, self._targets, coordinates)
        self._open = np.zeros(len(self._targets.form))
        self._cells = 0
        self.end = End.CLOSED

    def run(self, limits: GradientLimits) -> None:
        """Visit all cells, and bound the gradients of what could not be decided."""
        for part in self._search.cells():
            if self._cells >= limits.nodes or limits.deadline.passed:
                self.end = End.LIMIT
                self.count_everything()
                break
            if isinstance(part, FoundCells):
                self._cells += len(part.phases)
                self._steepest.offer(*self._norms(part), part.phases, part.points)
            else:
                self.end = End.NUMERICAL
                self._count(part)
        self._steepest.settle()

    def _norms(self, found: FoundCells) -> tuple[Matrix, Matrix]:
        """The float norms (B, P) of the gradients on cells, and how far each may be from the exact one."""
        forms, output = self._targets.forms, found.output
        sizes = np.abs(forms)
        # an affine function that is at most e in size on the cube has coefficients whose sizes add up to at most e
        gradients = forms @ output.rows[:, :, :-1]
        terms = gamma(forms.shape[1] + 4) * (sizes @ np.abs(output.rows[:, :, :-1]).sum(axis=2, keepdims=True))[:, :, 0]
        errors = (output.errors @ sizes.T + terms) * INFLATION
        gradients = gradients[:, :, self._places] / self._widths
        taken = LEAST * (forms.shape[1] + 4) * (1 + self._network.inputs)  # by underflow of the products
        errors = (errors + taken) / self._widths.min(initial=np.inf)
        norms, doubts = np.empty((2, len(errors), len(self._targets.form)))
        for p, (form, norm) in enumerate(zip(self._targets.form.tolist(), self._targets.norms, strict=True)):
            own = gradients[:, form]
            norms[:, p] = float_norms(own, norm) if own.shape[1] else 0.0
            doubts[:, p] = errors[:, form] + gamma(own.shape[1] + 8) * norms[:, p] * INFLATION
        return norms, doubts + float(underflow(self._network.inputs, np.zeros(1))[0])

    def _count(self, part: Prefix) -> None:
        """Let an undecided part of the box enter all upper ends, with the ceilings of its zonotope."""
        phases = np.where(part.decided, np.where(part.phases, 1.0, -1.0), 0.0)
        self._open = np.maximum(self._open, self._ceilings(phases))

    def count_everything(self) -> None:
        """Let the whole box enter all upper ends."""
        self._open = np.maximum(self._open, self._ceilings(np.zeros(self._network.compiled.neurons)))
        self._steepest.settle()

    def _ceilings(self, phases: Vector) -> Vector:
        """Proved bounds (P,) of the norms where neurons (neurons,) are active (1), inactive (-1), or anything (0)."""
        compiled, forms = self._network.compiled, self._targets.forms
        rows = np.repeat(phases[None], len(forms), axis=0)
        generators = gradient_zonotopes(compiled, forms, rows, self._coordinates).generators
        lost = lost_in_zonotopes(compiled, forms, np.zeros(compiled.neurons, dtype=bool), self._coordinates, sloped=False)
        ceilings = np.empty(len(self._targets.form))
        for norm in set(self._targets.norms):
            own = np.array([n is norm for n in self._targets.norms])
            sums = largest_norms(generators, norm).ceilings + np.nextafter(largest_norms(lost[:, None], norm).ceilings, np.inf)
            ceilings[own] = np.nextafter(np.where(np.isnan(sums), np.inf, sums), np.inf)[self._targets.form[own]]
        return ceilings

    def answer(self, q: int) -> GradientAnswer:
        """The bracket of one question."""
        pairs = np.flatnonzero(self._targets.uses[q])
        lower, upper = self._steepest.lower[pairs], np.maximum(self._steepest.upper, self._open)[pairs]
        best = int(lower.argmax())
        point = self._steepest.points[int(pairs[best])]
        return GradientAnswer(
            lower=float(lower[best]),
            upper=math.inf if np.isnan(upper).any() else float(max(upper.max(), lower[best])),
            point=point,
            row=None if point is None else int(self._targets.rows[q, pairs[best]]),
            end=self.end,
            evidence=Evidence.CHECKED,
            nodes=self._cells,
        )
