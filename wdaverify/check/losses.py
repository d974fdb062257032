"""Losses: their exact values, verified ends of the cross-entropy, and which constants bound their growth."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from .claims import Case, Claim, functional
from .num import Rejected, exp, number

_FAR = Fraction(4096)


def margin(outputs: Sequence[Fraction], label: int) -> Fraction:
    """``max_(j != y) f_j - f_y``."""
    return max(v for j, v in enumerate(outputs) if j != label) - outputs[label]


def at_least(value: Fraction, f: Sequence[Fraction], label: int) -> bool:
    """Whether ``value >= log sum_j e^(f_j - f_y)``: both sides times e^-m, m the largest margin or 0; far terms count e^-4096."""
    m = max(f) - f[label]
    rest = value - m
    return rest > _FAR or exp(rest)[0] >= sum((exp(max(v - f[label] - m, -_FAR))[1] for v in f), Fraction(0))


def at_most(value: Fraction, f: Sequence[Fraction], label: int) -> bool:
    """Whether ``value <= log sum_j e^(f_j - f_y)``, likewise; far terms count nothing."""
    m = max(f) - f[label]
    rest = value - m
    terms = [v - f[label] - m for v in f]
    return rest < -_FAR or exp(rest)[1] <= sum((exp(t)[0] for t in terms if t >= -_FAR), Fraction(0))


def exact_loss(case: Case, loss: str, f: Sequence[Fraction], label: int, objective: dict[int, Fraction]) -> Fraction:
    """The exact loss of outputs f; for the cross-entropy there is none."""
    if loss == "linear":
        return sum((w * f[k] for k, w in objective.items()), Fraction(0))
    case.others(label)
    m = margin(f, label)
    if loss == "zero-one":
        return Fraction(1 if m >= 0 else 0)
    if loss == "margin":
        return m
    if loss == "hinge":
        return max(Fraction(0), 1 + m)
    raise Rejected("the cross-entropy has no exact value")


def loss_above(case: Case, loss: str, i: int, f: Sequence[Fraction], objective: dict[int, Fraction], stated: Any) -> Fraction:
    """An upper bound of the loss at sample i, whose outputs are f; that of the cross-entropy is stated and verified."""
    label = case.label(i) if loss != "linear" else 0
    if loss != "ce":
        return exact_loss(case, loss, f, label, objective)
    value = number(stated, "at_sample")
    if not at_least(value, f, label):
        raise Rejected(f"at_sample of sample {i} is below the loss")
    return value


def members_of(case: Case, claim: Claim) -> list[Claim]:
    """The claims that an ``all`` claim combines; any other one alone."""
    return [case.claims[name] for name in claim["of"]] if claim.kind == "all" else [claim]


def proves_label(case: Case, claim: Claim, label: int, norm: str) -> bool:
    """Whether a ``lip`` claim or an ``all`` of them bounds the constants of all margins j - label."""
    pairs = set()
    for member in members_of(case, claim):
        if member.kind == "lip" and member["norm"] == norm:
            kind, outputs = functional(case, member["functional"])
            if kind == "margin":
                pairs.add(frozenset(outputs))
    return all(frozenset((j, label)) in pairs for j in case.others(label))


def bounds_growth(case: Case, constant: Claim, loss: str, label: int, norm: str, objective: dict[int, Fraction]) -> bool:
    """Whether a constant bounds the growth of the loss of a label in this norm."""
    members = members_of(case, constant)
    if loss == "linear":
        names = [f"logit:{k}" for k, w in objective.items() if len(objective) == 1 and abs(w) <= 1]
        return len(members) == 1 and members[0].get("functional") in names and members[0]["norm"] == norm
    if loss == "zero-one":
        return False
    own = {"ce": f"loss:cross-entropy:{label}"}.get(loss, f"loss:margin:{label}")
    if constant.kind == "lip" and constant["functional"] == own and constant["norm"] == norm:
        return True
    return proves_label(case, constant, label, norm)
