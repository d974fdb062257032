"""Proofs of Lipschitz constants on boxes: cells whose gradients are too large do not exist, the others' are small enough.

On a box a tree is searched depth first (`gradient_tree`, for logistic losses `logistic_leaves`); R^n is `whole_space_constants`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from wdaverify.functionals import parse_functional
from wdaverify.proof.area import Area
from wdaverify.proof.context import Context
from wdaverify.proof.ends import easier_upper
from wdaverify.proof.gradient_tree import GradientTree
from wdaverify.proof.gradients import GradientBounds
from wdaverify.proof.logistic_leaves import LogisticTree
from wdaverify.proof.loss_networks import with_margin
from wdaverify.proof.numbers import written
from wdaverify.proof.steepness import claim_steepness
from wdaverify.proof.whole_space_constants import bounded_everywhere
from wdaverify.report import json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._deadline import Deadline
    from wdaverify._types import Vector
    from wdaverify.domain import Box
    from wdaverify.functionals import Functional
    from wdaverify.growth.record import LipschitzConstant
    from wdaverify.ir.network import Network
    from wdaverify.proof.leaves import Record
    from wdaverify.proof.ledger import Emit, Ledger

_NODES = 20_000
"""Nodes that one constant may cost."""

Node = TypeVar("Node")

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
    bounds = GradientBounds(network.compiled, form.row, form.constant.norm, np.asarray(box.lower < box.upper))
    if form.logistic:
        return _closed(LogisticTree(ledger, context, bounds, form.value), ledger.deadline, emit)
    return _closed(GradientTree(ledger, context, bounds, form.value, emit), ledger.deadline, emit)


class _Tree(Protocol[Node]):
    """Where a proof begins, and how its nodes are closed or split."""

    root: Node

    def step(self, node: Node) -> tuple[Record, list[Node]] | None:
        """The record that closes or splits a node, and its children in the judge's order; ``None`` where neither is left."""
        ...


def _closed(tree: _Tree[Node], deadline: Deadline, emit: Emit) -> bool:
    """Whether all nodes of a tree are closed, depth first, with records to `emit`."""
    stack = [tree.root]
    for _ in range(_NODES):
        if not stack or deadline.passed:
            break
        step = tree.step(stack.pop())
        if step is None:
            return False
        record, children = step
        emit(record)
        stack += children[::-1]
    return not stack
