"""Exact Lipschitz constants of functionals of a network, on a box or on R^n (docs/theory.md, "Lipschitz constants")."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify._tolerances import DEFAULT_GAP
from wdaverify.bounds.operator_norms import functional_bound, node_bounds
from wdaverify.bracket import Bracket
from wdaverify.domain import Box
from wdaverify.functionals import expand_functionals
from wdaverify.gradients.question import GradientLimits
from wdaverify.growth.ground import check_domain
from wdaverify.growth.groups import groups, work
from wdaverify.growth.methods import METHODS, ORACLES, Run
from wdaverify.growth.options import LipschitzOptions
from wdaverify.growth.record import Interrupted, LipschitzConstant
from wdaverify.growth.slope import Slope, slope
from wdaverify.growth.workers import pieces_of, solve_in_processes
from wdaverify.ir.replay import float_replay
from wdaverify.program.backend import SessionBackend, get_backend
from wdaverify.search.engine_names import engine_for
from wdaverify.search.result import End
from wdaverify.transport import parse_norm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wdaverify._types import Norm
    from wdaverify.feature_domain import Domain
    from wdaverify.functionals import Functional
    from wdaverify.gradients.question import GradientAnswer
    from wdaverify.growth.workers import Piece
    from wdaverify.ir.network import Network

_SLOPES = 0.25
"""Part of the time left that the slopes may use, after the constants."""

_SLOPE_SOLVER = "highs"
"""Runs the search for slopes where the chosen solver keeps no programs between solves."""


def lipschitz(
    network: Network,
    functional: str,
    *,
    domain: Box | Domain | None = None,
    norm: str = "linf",
    engine: str | None = None,
    solver: str = "highs",
    time_limit: float | None = None,
    gap: float = DEFAULT_GAP,
    seed: int = 0,
) -> LipschitzConstant:
    """Find the exact Lipschitz constant of a functional of the logits.

    The lower end is the dual norm of a gradient that the network has on a full-dimensional cell, in rational arithmetic. The
    upper end is proved (engine ``search``, evidence *checked*) or a solver's word (engine ``milp``, evidence *solver*).

    Parameters
    ----------
    functional
        ``logit:K``, ``margin:J-Y``, ``label:Y`` (the largest over J of ``margin:J-Y``), or ``loss:margin:Y``,
        ``loss:hinge:Y``, ``loss:cross-entropy:Y``: the constant of the loss itself, which may be smaller. That of the
        cross-entropy of three and more classes, or on R^n, is a bracket that need not close.
    domain
        The inputs that exist: a bounded box, or ``Box.whole_space()``; default the unit box.
    norm
        Of the inputs: ``"linf"``, ``"l1"`` or ``"l2"``.
    engine, solver, time_limit, gap, seed
        As `LipschitzOptions`.

    Raises
    ------
    InputError
        If the functional does not exist, or an option is out of its range.
    DomainError
        If the domain is neither bounded nor all of R^n.
    Interrupted
        On Ctrl-C; carries the bracket as it stood.

    Examples
    --------
    ``relu(x) - relu(-x) = x``:

    >>> from scipy.sparse import csr_array
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> split, add = (Affine((csr_array(np.array(m)),), np.zeros(len(m))) for m in ([[1.0], [-1.0]], [[1.0, -1.0]]))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> print(lipschitz(Network.from_nodes(nodes, "y"), "logit:0", domain=Box(-1, 1)))
    logit:0               linf  1 (exact)
    """
    options = LipschitzOptions(engine=engine, solver=solver, time_limit=time_limit, gap=gap, seed=seed)
    found = lipschitz_constants(network, [functional], domain=domain, norms=[norm], options=options)
    if len(found) != 1:
        raise InputError(f"functional '{functional}' stands for {len(found)}: give one, or call lipschitz_constants")
    return found[0]


def lipschitz_constants(
    network: Network,
    functionals: Sequence[str],
    *,
    domain: Box | Domain | None = None,
    norms: Sequence[str] = ("linf",),
    options: LipschitzOptions | None = None,
    progress: Callable[[LipschitzConstant], None] | None = None,
) -> tuple[LipschitzConstant, ...]:
    """Find the constants of several functionals in several norms, in one pass where they share their cells.

    Parameters
    ----------
    functionals
        As for `lipschitz`, or ``all``: every unordered margin pair.
    progress
        Called with each constant that is found, before its slope is; only without further processes.

    Returns
    -------
    tuple of LipschitzConstant
        By functional, then norm; on R^n with their slopes.

    Raises
    ------
    InputError, DomainError, Interrupted
        As `lipschitz`.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input
    >>> logits = Affine((csr_array(np.array([[3.0, 4.0], [0.0, 0.0]])),), np.zeros(2))
    >>> network = Network.from_nodes({"x": Node(Input(2)), "f": Node(logits, ("x",))}, "f")
    >>> for constant in lipschitz_constants(network, ["logit:0", "margin:1-0"], domain=Box(0, 1), norms=["linf", "l2"]):
    ...     print(constant.functional, constant.norm, round(constant.value.upper, 6))
    logit:0 linf 7.0
    logit:0 l2 5.0
    margin:1-0 linf 7.0
    margin:1-0 l2 5.0
    """
    options = (options or LipschitzOptions()).started()
    box = check_domain(Box(0, 1) if domain is None else domain, network.inputs)
    wanted, ground_norms = expand_functionals(functionals, network.outputs), [parse_norm(norm) for norm in norms]
    engine = engine_for(options.engine, options.solver)
    _check_known(wanted, engine)
    options = replace(options, engine=engine)
    pieces = pieces_of(wanted, ground_norms, options.workers)
    if options.workers > 1 and len(pieces) > 1:
        return _in_processes(network, box, wanted, ground_norms, pieces, options)
    search = _Pass(network, box, ground_norms, options)
    try:
        search.run(wanted, progress)
    except KeyboardInterrupt:
        raise Interrupted(search.constants(wanted)) from None
    return search.constants(wanted)


def _in_processes(
    network: Network,
    box: Box,
    functionals: Sequence[Functional],
    norms: Sequence[Norm],
    pieces: Sequence[Piece],
    options: LipschitzOptions,
) -> tuple[LipschitzConstant, ...]:
    """The constants from several processes; what was not reached has the product of operator norms."""
    found, interrupted = solve_in_processes(_solve_piece, network, box, pieces, options)
    unknown = _Pass(network, box, norms, options).constants(functionals)
    constants = tuple(found.get((constant.functional, constant.norm), constant) for constant in unknown)
    if interrupted:
        raise Interrupted(constants)
    return constants


def _solve_piece(network: Network, box: Box, piece: Piece, options: LipschitzOptions) -> tuple[LipschitzConstant, ...]:
    """The constants of a piece, in this process."""
    functionals, norms = piece
    search = _Pass(network, box, norms, options)
    search.run(functionals)
    return search.constants(functionals)


def _check_known(functionals: Sequence[Functional], engine: str) -> None:
    """Refuse what an engine has no method for."""
    for functional in functionals:
        if engine == "milp" and functional.loss == "cross-entropy":
            raise InputError(
                f"functional '{functional.name}' is not piecewise linear: engine milp has no program for it, give search"
            )


class _Pass:
    """The answers so far, by functional and norm."""

    def __init__(self, network: Network, box: Box, norms: Sequence[Norm], options: LipschitzOptions) -> None:
        self._network, self._box, self._norms, self._options = network, box, norms, options
        assert options.engine is not None
        self._oracle = ORACLES[options.engine]
        self._backend = get_backend(options.solver)
        self._answers: dict[tuple[Functional, Norm], GradientAnswer] = {}
        self._slopes: dict[tuple[tuple[int, ...], int | None, Norm], Slope] = {}

    def run(self, functionals: Sequence[Functional], progress: Callable[[LipschitzConstant], None] | None = None) -> None:
        """Answer everything; each group gets its share of the time.

        Raises
        ------
        KeyboardInterrupt
            If an oracle was interrupted; its answers are kept.
        """
        parts = list(groups(functionals))
        left = sum(work(group) for group in parts)
        end = self._options.deadline
        until = end if self._box.bounded or end.unlimited else Deadline.after((1.0 - _SLOPES) * end.remaining)
        for group in parts:
            share = Deadline.after(None if until.unlimited else until.remaining * work(group) / left)
            self._answer(group, share)
            if progress is not None:
                for constant in self.constants(group):
                    progress(constant)
            left -= work(group)
        if not self._box.bounded:
            self._find_slopes(functionals)

    def _answer(self, group: Sequence[Functional], deadline: Deadline) -> None:
        """Ask the method of one kind of functionals."""
        run = Run(oracle=self._oracle, backend=self._backend, limits=GradientLimits(deadline=deadline), seed=self._options.seed)
        answers = METHODS[group[0].loss](run, self._network, self._box, group, self._norms)
        self._answers.update(zip(product(group, self._norms), answers, strict=True))
        if any(answer.end is End.INTERRUPTED for answer in answers):
            raise KeyboardInterrupt

    def _find_slopes(self, functionals: Sequence[Functional]) -> None:
        """The growth at infinity, which losses share with their label.

        Raises
        ------
        KeyboardInterrupt
            As `run`.
        """
        backend = self._backend if isinstance(self._backend, SessionBackend) else get_backend(_SLOPE_SOLVER)
        questions = {(f.plus, f.minus, norm): (f, norm) for f in reversed(functionals) for norm in self._norms}
        deadline = self._options.deadline
        for done, (key, (functional, norm)) in enumerate(reversed(questions.items())):
            if deadline.passed:
                return
            share = Deadline.after(None if deadline.unlimited else deadline.remaining / (len(questions) - done))
            found = slope(backend, self._network, functional, norm, deadline=share)
            self._slopes[key] = replace(found, value=replace(found.value, gap=self._options.gap))
            if found.interrupted:
                raise KeyboardInterrupt

    def constants(self, functionals: Sequence[Functional]) -> tuple[LipschitzConstant, ...]:
        """The records, with the original model's outputs at their points."""
        bounds = {norm: node_bounds(self._network, norm) for norm in self._norms}
        found = [self._record(f, norm, bounds[norm]) for f in functionals for norm in self._norms]
        chosen = [k for k, record in enumerate(found) if record.point is not None]
        outputs = float_replay(self._network, np.array([found[k].point for k in chosen])) if chosen else None
        if outputs is not None:
            for k, row in zip(chosen, outputs, strict=True):
                found[k] = replace(found[k], float_replay=row)
        return tuple(found)

    def _record(self, functional: Functional, norm: Norm, bounds: dict[str, float]) -> LipschitzConstant:
        """One answer; where the search says less than the product of operator norms, that is the upper end."""
        answer = self._answers.get((functional, norm))
        value = Bracket(lower=0.0, upper=functional_bound(self._network, functional, bounds, norm), gap=self._options.gap)
        if answer is not None:
            value = replace(value, lower=answer.lower)
            if answer.upper < value.upper:
                value = replace(value, upper=answer.upper, evidence=answer.evidence)
        return LipschitzConstant(
            functional=functional.name,
            norm=norm,
            value=value,
            point=None if answer is None else answer.point,
            slope=None if self._box.bounded else self._slope(functional, norm, value),
            network=self._network,
        )

    def _slope(self, functional: Functional, norm: Norm, constant: Bracket) -> Slope:
        """The slope; one that was not reached is at least 0 and at most the constant (docs/theory.md, "The whole space")."""
        known = self._slopes.get((functional.plus, functional.minus, norm))
        return known or Slope(functional=functional, norm=norm, value=replace(constant, lower=0.0), direction=None)
