"""Proofs of verdicts on properties: the witness of ``sat``, a refutation of every disjunct for ``unsat``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from wdaverify.proof.area import Area
from wdaverify.proof.context import Context
from wdaverify.proof.halving import refuted_by_halving
from wdaverify.proof.leaves import EmptyLeaves, Target
from wdaverify.proof.numbers import written
from wdaverify.proof.refutation import refuted
from wdaverify.property.attack import FEW_INPUTS
from wdaverify.property.rows import question_of

if TYPE_CHECKING:
    from wdaverify.ir.network import Network
    from wdaverify.proof.ledger import Emit, Ledger
    from wdaverify.property.property import Disjunct
    from wdaverify.property.verify import PropertyAnswer

_VERDICT = ("/verdict", "verdict")


def prove_verdict(ledger: Ledger, network: Network, answer: PropertyAnswer) -> None:
    """Claim the verdict of a property, if it is ``sat`` or ``unsat``."""
    claim: str | None = None
    if answer.witness is not None:
        claim = ledger.claim("sat", about=_VERDICT, x=[written(v) for v in answer.witness.tolist()])
    elif str(answer.verdict) == "unsat":
        for halving in (True, False) if network.inputs <= FEW_INPUTS else (False,):
            if claim is None:
                refute = partial(_refuted, ledger, network, answer.property.disjuncts, halving=halving)
                claim = ledger.prove(refute, "unsat", about=_VERDICT)
    if claim is not None:
        ledger.rest("/verdict", (claim,))


def _refuted(ledger: Ledger, network: Network, disjuncts: tuple[Disjunct, ...], emit: Emit, *, halving: bool) -> bool:
    """Whether every disjunct is refuted, one target after the other."""
    if len(disjuncts) > 1:
        emit({"t": "targets"})
    return all(_refuted_one(ledger, network, disjunct, emit, halving=halving) for disjunct in disjuncts)


def _refuted_one(ledger: Ledger, network: Network, disjunct: Disjunct, emit: Emit, *, halving: bool) -> bool:
    """Refute one disjunct on its own box, which may be halved where inputs are few."""
    if any(low > high for low, high in zip(disjunct.lower, disjunct.upper, strict=True)):
        emit({"t": "leaf", "k": "empty"})
        return True
    emit({"t": "refresh"})  # the judge's first bounds are for all disjuncts together
    context = Context.of(network, Area(disjunct.lower, disjunct.upper), emit)
    target = _target(disjunct, context)
    if halving:
        return refuted_by_halving(context, target, ledger.backend, emit, ledger.deadline)
    return refuted(context, EmptyLeaves(context, target), ledger.backend, emit, ledger.deadline)


def _target(disjunct: Disjunct, context: Context) -> Target:
    """The disjunct's rows; the judge numbers those that bound no single input, here inputs' rows first."""
    question = question_of(disjunct, context.network.compiled, context.bounds)
    numbers: list[Any] = []
    for row in disjunct.input_rows:
        single = len(row.coefficients) == 1
        numbers.append(None if single else len([k for k in numbers if k is not None]))
    first = len([k for k in numbers if k is not None])
    return Target(question, tuple(range(first, first + len(question.rows))), tuple(numbers))
