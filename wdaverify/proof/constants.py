"""Proofs of Lipschitz constants on boxes: cells whose gradients are too large do not exist, the others' are small enough.

Depth first over activation phases: a node is closed by a bound of the gradients in it (*jac*), or because it holds no point
(*empty*), or no generic one (*thin*); else the neuron that may add most to the gradient is decided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify.functionals import parse_functional
from wdaverify.proof.area import Area
from wdaverify.proof.context import Context
from wdaverify.proof.ends import easier_upper
from wdaverify.proof.gradients import adjoint_ranges, branching_scores, norm_bound
from wdaverify.proof.leaves import EmptyLeaves, Record, Target, node_slopes
from wdaverify.proof.logistic_leaves import LogisticTree
from wdaverify.proof.loss_networks import with_margin
from wdaverify.proof.numbers import written
from wdaverify.proof.steepness import claim_steepness
from wdaverify.proof.thin import thin_leaf
from wdaverify.proof.whole_space_constants import bounded_everywhere
from wdaverify.report import json
from wdaverify.search.inputs import InputSet
from wdaverify.search.question import Question
from wdaverify.search.relaxation import PhaseRelaxation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, Vector
    from wdaverify.domain import Box
    from wdaverify.functionals import Functional
    from wdaverify.growth.record import LipschitzConstant
    from wdaverify.ir.network import Network
    from wdaverify.proof.ledger import Emit, Ledger
    from wdaverify.search.relaxation import Path

_NODES = 20_000
"""Nodes that one constant may cost."""

_TIE = 1.0 + 2.0**-46
"""A float bound beyond the value by this factor may be the value itself; the judge knows."""

_FAR = -1e30
"""No goal is that small: every program is solved to its end."""


_Known = dict[tuple[frozenset[int | None], str], tuple[str, float]]
"""Pair of outputs and norm to the claim of their margin, and its value."""


@dataclass(frozen=True, slots=True, eq=False)
class _Form:
    """A linear form of a network's outputs and its claimed constant; logistic: that of ``log(1 + e^form)``."""

    constant: LipschitzConstant
    network: Network
    row: Vector
    value: float
    logistic: bool = False


def prove_constants(ledger: Ledger, constants: Sequence[LipschitzConstant], box: Box) -> None:
    """Claim both ends of the constants on a bounded box or on R^n; of the cross-entropy for two classes on a box."""
    known: _Known = {}
    for k, constant in enumerate(constants):
        functional = parse_functional(constant.functional, constant.network.outputs)
        beyond = functional.loss == "cross-entropy" and (constant.network.outputs > 2 or not box.bounded)
        if beyond or not math.isfinite(constant.upper):
            continue
        pointer, judged = f"/constants/{k}/value", _judged(constant.network, functional)
        below = claim_steepness(ledger, constant, judged, (box.lower, box.upper), pointer)
        if below is None and constant.lower > 0:
            continue
        above = _upper(ledger, constant, box, pointer, known)
        if above is not None:
            ledger.rest(pointer, (above[0],) if below is None else (above[0], below), upper=json.real(above[1]))


def _judged(network: Network, functional: Functional) -> Network:
    """The network whose neurons the judge looks at: the model, or a piecewise-linear loss behind it."""
    if functional.loss not in ("margin", "hinge") or functional.minus is None:
        return network
    return with_margin(network, functional.minus, hinge=functional.loss == "hinge")


def _upper(ledger: Ledger, constant: LipschitzConstant, box: Box, pointer: str, known: _Known) -> tuple[str, float] | None:
    """The claim that no gradient is longer; for a label one claim per margin, and their maximum."""
    functional = parse_functional(constant.functional, constant.network.outputs)
    rows, several = functional.rows(constant.network.outputs), constant.functional.startswith("label:")
    if not several:
        network, logistic = _judged(constant.network, functional), functional.loss == "cross-entropy"
        rows = rows if network is constant.network else np.ones((1, 1))
        for value in easier_upper(constant.value):
            form = _Form(constant, network, rows[0], value, logistic)
            claim = _claimed(ledger, form, box, constant.functional, (pointer, "upper"))
            if claim is not None:
                return claim, value
        return None
    for value in easier_upper(constant.value):
        claims = []
        for j, row in zip(functional.plus, rows, strict=True):
            key = frozenset((j, functional.minus)), str(constant.norm)
            if key not in known or known[key][1] > value:  # the constants of f_j - f_y and f_y - f_j are one
                claim = _claimed(
                    ledger, _Form(constant, constant.network, row, value), box, f"margin:{j}-{functional.minus}", None
                )
                if claim is None:
                    break
                known[key] = claim, value
            claims.append(known[key][0])
        if len(claims) == len(rows):
            return ledger.claim("all", about=(pointer, "upper"), of=claims, value=written(value)), value
    return None


def _claimed(ledger: Ledger, form: _Form, box: Box, name: str, about: tuple[str, str] | None) -> str | None:
    """The claim of one form's constant."""
    norm, value = str(form.constant.norm), written(form.value)
    return ledger.prove(partial(_bounded, ledger, form, box), "lip", about=about, functional=name, norm=norm, value=value)


def _bounded(ledger: Ledger, form: _Form, box: Box, emit: Emit) -> bool:
    """Whether no generic point of the box has a longer gradient, with records to `emit`."""
    network = form.network
    if not box.bounded:
        return bounded_everywhere(ledger, network, form.row, form.value, form.constant.norm, emit)
    area = Area(tuple(map(Fraction, box.lower.tolist())), tuple(map(Fraction, box.upper.tolist())))
    context = Context.of(network, area, emit)
    free = np.asarray(box.lower < box.upper)
    tree: _Tree | LogisticTree = _Tree(ledger, context, form, free)
    if form.logistic:
        tree = LogisticTree(ledger, context, form.row, form.value, form.constant.norm, free, lambda path: _Node(path, None))
    stack: list[_Node] = [_Node((), None)]
    for _ in range(_NODES):
        if not stack or ledger.deadline.passed:
            break
        node = stack.pop()
        found = tree.leaf(node)
        if isinstance(found, dict):
            emit(found)
            continue
        if found is None:
            return False
        emit({"t": "split", "n": abs(found[0].path[-1]) - 1})
        stack += found[::-1]
    return not stack


class _Node(NamedTuple):
    """A node, and the phases at a point of it (neurons,), if one is known."""

    path: Path
    phases: Vector | None


class _Tree:
    """The leaves of one proof."""

    def __init__(self, ledger: Ledger, context: Context, form: _Form, free: BoolArray) -> None:
        self._ledger, self._context, self._form, self._free = ledger, context, form, free
        network = context.network
        directions = np.random.default_rng(0).standard_normal((1, network.outputs))
        question = Question.of(directions, inputs=network.inputs)
        self._leaves = EmptyLeaves(context, Target(question, (0,)))
        self._relaxation = PhaseRelaxation(ledger.backend, network, question, InputSet(context.area.regions), context.bounds)
        self._relaxation.aim(0)

    def leaf(self, node: _Node) -> Record | list[_Node] | None:
        """The record that closes a node, or its children, active first; ``None`` where neither is left."""
        compiled, form = self._context.network.compiled, self._form
        slopes, decided = node_slopes(self._context, node.path)
        modes = np.where(decided != 0, decided, slopes.modes())
        found = adjoint_ranges(compiled, form.row, modes)
        if norm_bound(compiled, form.row, modes, found, form.constant.norm, self._free) <= form.value * _TIE:
            return {"t": "leaf", "k": "jac"}
        phases = node.phases
        if phases is None:
            record, phases = self._emptied(node.path, decided)
            if record is not None:
                return record
        scores = branching_scores(compiled, modes, found)
        if not np.isfinite(scores).any():
            return thin_leaf(self._context, node.path, self._ledger.backend)
        k = int(np.argmax(scores))
        return [_Node((*node.path, s * (k + 1)), phases if phases is not None and phases[k] == s else None) for s in (1, -1)]

    def _emptied(self, path: Path, decided: Vector) -> tuple[Record | None, Vector | None]:
        """The record that a node holds no point, or perhaps the phases at a point that it holds."""
        self._relaxation.move(path)
        answer = self._relaxation.answer(_FAR, self._ledger.deadline)
        if answer.ceiling == -math.inf and answer.multipliers is not None:
            return self._leaves.close(path, answer.multipliers), None
        if answer.point is None:
            return None, None
        compiled = self._context.network.compiled
        trace, phases = compiled.trace(answer.point[None]), np.zeros(compiled.neurons)
        for step in compiled.relus:
            phases[step.neurons] = np.where(trace[step.source][0] >= 0, 1.0, -1.0)
        return None, phases if bool((phases * decided >= 0).all()) else None
