"""Proofs of Lipschitz constants on boxes: cells whose gradients are too large do not exist, the others' are small enough.

Depth first over activation phases: a node is closed by a bound of the gradients in it (*jac*), or because it holds no point
(*empty*), or no generic one (*thin*); else the neuron that may add most to the gradient is decided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.functionals import parse_functional
from wdaverify.proof.area import Area
from wdaverify.proof.context import Context
from wdaverify.proof.ends import easier_upper
from wdaverify.proof.gradients import adjoint_ranges, branching_scores, norm_bound
from wdaverify.proof.leaves import EmptyLeaves, Target, node_slopes
from wdaverify.proof.numbers import written
from wdaverify.proof.thin import thin_leaf
from wdaverify.report import json
from wdaverify.search.inputs import InputSet
from wdaverify.search.question import Question
from wdaverify.search.relaxation import PhaseRelaxation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Vector
    from wdaverify.domain import Box
    from wdaverify.growth.record import LipschitzConstant
    from wdaverify.proof.ledger import Emit, Ledger
    from wdaverify.search.relaxation import Path

_NODES = 20_000
"""Nodes that one constant may cost."""

_TIE = 1.0 + 2.0**-46
"""A float bound beyond the value by this factor may be the value itself; the judge knows."""

_FAR = -1e30
"""No goal is that small: every program is solved to its end."""


@dataclass(frozen=True, slots=True, eq=False)
class _Form:
    """A linear form of the logits and its claimed constant."""

    constant: LipschitzConstant
    row: Vector
    value: float


def prove_constants(ledger: Ledger, constants: Sequence[LipschitzConstant], box: Box) -> None:
    """Claim both ends of the constants of logits, margins and labels on a bounded box."""
    if not box.bounded:
        return
    for k, constant in enumerate(constants):
        functional = parse_functional(constant.functional, constant.network.outputs)
        if functional.loss is not None or not math.isfinite(constant.upper):
            continue
        pointer = f"/constants/{k}/value"
        below, above = _lower(ledger, constant, pointer), _upper(ledger, constant, box, pointer)
        if above is None or (below is None and constant.lower > 0):
            continue
        needed = (above[0],) if below is None else (above[0], below)
        ledger.rest(pointer, needed, upper=json.real(above[1]))


def _lower(ledger: Ledger, constant: LipschitzConstant, pointer: str) -> str | None:
    """The claim that the gradient at the known point is that long."""
    if constant.point is None or constant.lower <= 0:
        return None
    return ledger.claim(
        "liplow",
        about=(pointer, "lower"),
        functional=constant.functional,
        norm=str(constant.norm),
        value=written(constant.lower),
        at=[written(v) for v in constant.point.tolist()],
    )


def _upper(ledger: Ledger, constant: LipschitzConstant, box: Box, pointer: str) -> tuple[str, float] | None:
    """The claim that no gradient is longer; for a label one claim per margin and their maximum."""
    functional = parse_functional(constant.functional, constant.network.outputs)
    rows, several = functional.rows(constant.network.outputs), constant.functional.startswith("label:")
    names = [f"margin:{j}-{functional.minus}" for j in functional.plus] if several else [constant.functional]
    for value in easier_upper(constant.value):
        claims: list[str] = []
        for name, row in zip(names, rows, strict=True):
            claim = ledger.prove(
                partial(_bounded, ledger, _Form(constant, row, value), box),
                "lip",
                about=None if several else (pointer, "upper"),
                functional=name,
                norm=str(constant.norm),
                value=written(value),
            )
            if claim is None:
                break
            claims.append(claim)
        if len(claims) == len(names):
            return (
                ledger.claim("all", about=(pointer, "upper"), of=claims, value=written(value)) if several else claims[0]
            ), value
    return None


def _bounded(ledger: Ledger, form: _Form, box: Box, emit: Emit) -> bool:
    """Whether no generic point of the box has a longer gradient, with records to `emit`."""
    network = form.constant.network
    area = Area(tuple(map(Fraction, box.lower.tolist())), tuple(map(Fraction, box.upper.tolist())))
    context = Context.of(network, area, emit)
    tree = _Tree(ledger, context, form, np.asarray(box.lower < box.upper))
    stack: list[Path] = [()]
    for _ in range(_NODES):
        if not stack or ledger.deadline.passed:
            break
        path = stack.pop()
        record = tree.leaf(path)
        if record is None:
            neuron = tree.branch
            if neuron is None:
                return False
            record = {"t": "split", "n": neuron}
            stack += [(*path, -(neuron + 1)), (*path, neuron + 1)]
        emit(record)
    return not stack


class _Tree:
    """The leaves of one proof."""

    def __init__(self, ledger: Ledger, context: Context, form: _Form, free: Vector) -> None:
        self._ledger, self._context, self._form, self._free = ledger, context, form, free
        network = context.network
        directions = np.random.default_rng(0).standard_normal((1, network.outputs))
        question = Question.of(directions, inputs=network.inputs)
        self._leaves = EmptyLeaves(context, Target(question, (0,)))
        self._relaxation = PhaseRelaxation(ledger.backend, network, question, InputSet(context.area.regions), context.bounds)
        self._relaxation.aim(0)
        self.branch: int | None = None

    def leaf(self, path: Path) -> dict[str, object] | None:
        """The record that closes a node; ``None`` leaves `branch` to be decided there."""
        compiled, form = self._context.network.compiled, self._form
        slopes, decided = node_slopes(self._context, path)
        modes = np.where(decided != 0, decided, slopes.modes())
        found = adjoint_ranges(compiled, form.row, modes)
        if norm_bound(compiled, form.row, modes, found, form.constant.norm, self._free) <= form.value * _TIE:
            return {"t": "leaf", "k": "jac"}
        if path:
            self._relaxation.move(path)
            answer = self._relaxation.answer(_FAR, self._ledger.deadline)
            if answer.ceiling == -math.inf and answer.multipliers is not None:
                record = self._leaves.close(path, answer.multipliers)
                if record is not None:
                    return record
        scores = branching_scores(compiled, modes, found)
        best = int(np.argmax(scores)) if len(scores) else 0
        self.branch = best if len(scores) and np.isfinite(scores[best]) else None
        return thin_leaf(self._context, path, self._ledger.backend) if self.branch is None else None
