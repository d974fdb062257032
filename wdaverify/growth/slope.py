r"""How fast a functional grows at infinity: the largest value of its bias-free form on the unit ball.

With ``f0`` the network without its biases, ``|f - f0|`` is bounded, so that ``f(x + t u) = t f0(u) + O(1)``, and for a functional
``g`` that is a maximum of linear forms ``c_k`` of the logits

.. math:: \lim_{t \to \infty} \max_{\|u\| = 1} \frac{g(f(x + t u))}{t}
          = \max_{\|u\| \le 1} \max_k c_k^T f^0(u) = \max_k \max_{\|u\| \le 1} c_k^T f^0(u) \ge 0

(docs/theory.md, "The whole space"). Margin, hinge and cross-entropy of a label differ by a bounded amount above 0
(``max(0, m) <= ce <= max(0, m) + log K``), so that all three have the slope of ``label:y``: one search per form. The pieces of
``f0`` are cones: a direction found is as good at any length, and 0 is attained at ``u = 0``.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.attack.ascent import gradients
from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.bracket import Bracket, Evidence
from wdaverify.domain import Box, Regions
from wdaverify.growth.sphere import Cap, sphere_caps, steepest
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.homogenise import without_biases
from wdaverify.search.inputs import InputSet
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.oracle import maximise
from wdaverify.search.question import Question
from wdaverify.search.result import End, SearchLimits
from wdaverify.transport import exact_distance, round_down, sqrt_up

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.functionals import Functional
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

DEFAULT_GAP = 1e-9

_FIRST_NODES = 500
"""Nodes on the whole ball before the caps take over, where no direction ascends by then."""

_TRIALS = 64
"""Random directions to begin with."""

_STEPS = 8
"""Moves of a direction to the steepest one of its piece."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slope:
    """The asymptotic slope of a functional on R^n.

    Attributes
    ----------
    functional, norm
        The question.
    value
        Its bracket. The lower end is the value along `direction` in rational arithmetic, rounded down.
    direction
        A direction (n,) whose norm is 1 up to rounding; ``None`` where none is known to ascend.
    interrupted
        Whether the user stopped the search; the bracket holds all the same.
    """

    functional: Functional
    norm: Norm
    value: Bracket
    direction: Vector | None
    interrupted: bool = False


def slope(
    backend: Backend,
    network: Network,
    functional: Functional,
    norm: Norm,
    *,
    deadline: Deadline | None = None,
    gap: float = DEFAULT_GAP,
) -> Slope:
    """Bracket the largest rate at which a functional grows along rays of R^n.

    Parameters
    ----------
    functional
        Of the network's logits; losses have the slope of their label.
    norm
        The norm of the inputs, in which directions have length 1.
    deadline
        When to stop, with the bracket as it stands; each linear form gets its share of the time.
    gap
        Width, relative to ``max(1, value)``, that is close enough.

    Returns
    -------
    Slope
        Proved: both ends, in real arithmetic over the weights as stored.

    Examples
    --------
    ``f(x) = 3 relu(x) - 1`` grows by 3 a unit to the right, and not at all to the left.

    >>> from scipy.sparse import csr_array
    >>> from wdaverify.functionals import parse_functional
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> from wdaverify.program.backend import get_backend
    >>> one, three = (Affine((csr_array(np.array([[v]])),), np.array([-1.0])) for v in (1.0, 3.0))
    >>> nodes = {"x": Node(Input(1)), "z": Node(one, ("x",)), "a": Node(Relu(1), ("z",)), "y": Node(three, ("a",))}
    >>> found = slope(get_backend("highs"), Network.from_nodes(nodes, "y"), parse_functional("logit:0", 1), Norm.LINF)
    >>> found.value.lower, found.direction.tolist(), found.value.exact
    (3.0, [1.0], True)
    """
    limit = deadline or Deadline()
    search = _Search(backend, without_biases(network), norm)
    rows = functional.rows(network.outputs)
    upper = 0.0
    for done, k in enumerate(search.in_order(rows)):
        shared = Deadline.after(None if limit.unlimited else limit.remaining / (len(rows) - done))
        upper = max(upper, search.run(rows[k], shared, gap))
    value = Bracket(lower=search.lower, upper=max(upper, search.lower), evidence=Evidence.CHECKED)
    return Slope(functional=functional, norm=norm, value=value, direction=search.direction, interrupted=search.interrupted)


class _Search:
    """The maximisation of one linear form after the other, with the best direction so far."""

    def __init__(self, backend: Backend, recession: Network, norm: Norm) -> None:
        self._backend, self._network, self._norm = backend, recession, norm
        n = recession.inputs
        ball = Regions.balls(Box(-1, 1), np.zeros((1, n)), 1.0, norm)
        self._ball = _Part(recession, Cap(ball, np.zeros((0, n)), np.zeros(0)))
        self._caps: list[_Part] = []
        self._trials = np.random.default_rng(0).normal(size=(_TRIALS, n))
        self.interrupted = False
        self.lower = 0.0
        self.direction: Vector | None = None

    def in_order(self, rows: Matrix) -> list[int]:
        """The numbers of the forms (R, K), the most promising first."""
        return [int(k) for k in np.argsort(-self._ball.ceilings(rows), kind="stable")]

    def run(self, row: Vector, deadline: Deadline, gap: float) -> float:
        """A proved upper bound of one form (K,), as far as it matters: not below the lower end that is known by then."""
        ceiling = float(self._ball.ceilings(row[None])[0])
        if ceiling <= self.lower or deadline.passed:
            return ceiling
        self._consider(row, self._trials)
        ceiling = self._maximise(self._ball, row, SearchLimits(deadline=deadline, gap=self._width(gap), nodes=_FIRST_NODES))
        if ceiling <= self.lower + self._width(gap) or deadline.passed or self.interrupted:
            return ceiling
        if self.lower > 0.0:
            return self._maximise(self._ball, row, SearchLimits(deadline=deadline, gap=self._width(gap)))
        # nothing seems to ascend: the origin, where every pattern is feasible, must be left out to prove it
        self._caps = self._caps or [_Part(self._network, cap) for cap in sphere_caps(self._network.inputs, self._norm)]
        order = sorted(self._caps, key=lambda cap: -float(cap.ceilings(row[None])[0]))
        return min(ceiling, max(self._maximise(cap, row, SearchLimits(deadline=deadline, gap=self._width(gap))) for cap in order))

    def _width(self, gap: float) -> float:
        return gap * max(1.0, self.lower)

    def _maximise(self, part: _Part, row: Vector, limits: SearchLimits) -> float:
        """A proved upper bound on a part of the ball; what the search sees there may become the best direction."""
        ceiling = float(part.ceilings(row[None])[0])
        if ceiling <= self.lower or not part.bounds.finite or limits.deadline.passed or self.interrupted:
            return ceiling
        question = Question(row[None], np.zeros(1), part.cap.rows, part.cap.offsets)
        start = np.zeros(self._network.inputs) if self.direction is None else self.direction
        inputs = InputSet(part.cap.regions)
        result = maximise(self._backend, self._network, question, inputs, part.bounds, limits=limits, start=start)
        if result.witness is not None:
            self._consider(row, result.witness[None])
        self.interrupted = self.interrupted or result.end is End.INTERRUPTED
        return min(ceiling, result.upper)

    def _consider(self, row: Vector, points: Matrix) -> None:
        """Take the best of several directions (N, n), after moving each to the steepest one of its piece a few times."""
        compiled = self._network.compiled
        lengths = np.linalg.norm(points, ord=self._norm.order, axis=1)
        directions = points[lengths > 0.0] / lengths[lengths > 0.0, None]
        for _ in range(_STEPS):
            values = compiled.trace(directions)
            self._take_best(row, directions, values[compiled.output] @ row)
            directions = steepest(gradients(compiled, values, np.tile(row, (len(directions), 1))), self._norm)

    def _take_best(self, row: Vector, directions: Matrix, rates: Vector) -> None:
        """Keep the direction of the highest rate ``c^T f0(u) / ||u||`` if that is higher in rational arithmetic, too."""
        if not len(rates) or not rates.max() > self.lower:
            return
        direction = directions[np.argmax(rates)]
        logits = exact_forward(self._network, direction.tolist())
        value = sum((Fraction(c) * v for c, v in zip(row.tolist(), logits, strict=True)), Fraction(0))
        size = exact_distance(direction, np.zeros(len(direction)), self._norm)
        rate = round_down(value / (Fraction(sqrt_up(size)) if self._norm is Norm.L2 else size))
        if rate > self.lower:
            self.lower, self.direction = rate, direction


class _Part:
    """A part of the unit ball with proved bounds of the network there."""

    def __init__(self, network: Network, cap: Cap) -> None:
        self._network, self.cap = network, cap
        self._layers = crown_bounds(network, cap.regions)
        self.bounds = NeuronBounds.of(network, cap.regions, self._layers)

    def ceilings(self, rows: Matrix) -> Vector:
        """Proved upper bounds (R,) of linear forms (R, K) of the outputs."""
        return np.asarray(crown_objectives(self._network, self.cap.regions, self._layers, rows)[0])
