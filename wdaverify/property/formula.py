"""Formulas in disjunctive normal form: comparisons of linear terms under ``and`` and ``or``."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from wdaverify._errors import PropertyError
from wdaverify.property.property import LinearRow
from wdaverify.property.terms import ONE, ZERO, checked_range, difference, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from fractions import Fraction

    from wdaverify.property.terms import Budget, Term

MAX_DISJUNCTS = 100_000
"""Disjuncts of the normal form: each is a question of its own to the verifier."""

COMPARISONS = frozenset({"<=", ">=", "<", ">", "="})


class Bound(NamedTuple):
    """``x_k <= value`` for the input k if `upper`, otherwise ``x_k >= value``; ``<`` and ``>`` if `strict`."""

    input: int
    upper: bool
    value: Fraction
    strict: bool


class Row(NamedTuple):
    """A row over the outputs, or over the inputs; a row without variables counts as one over the inputs."""

    outputs: bool
    row: LinearRow


Atom: TypeAlias = Bound | Row


class Formula:
    """A disjunction of conjunctions of atoms, with at least one disjunct. Operations may use up their operands."""

    __slots__ = ("disjuncts",)

    def __init__(self, disjuncts: list[list[Atom]]) -> None:
        self.disjuncts = disjuncts


def compare(operator: str, terms: Sequence[Term], budget: Budget) -> Formula:
    """The comparison of two terms, or a chain of comparisons: ``(<= a b c)`` is ``a <= b`` and ``b <= c``.

    Raises
    ------
    PropertyError
        If there are fewer than two terms, or a comparison has inputs and outputs in it.
    """
    if len(terms) < 2:
        raise PropertyError(f"'{operator}' needs two operands")
    atoms: list[Atom] = []
    strict = operator in {"<", ">"}
    for left, right in itertools.pairwise(terms):
        if operator != "<=" and operator != "<":
            atoms += _at_least(left, right, strict, budget)
        if operator != ">=" and operator != ">":
            atoms += _at_least(right, left, strict, budget)
    return Formula([atoms])


def disjoin(formulas: Sequence[Formula], budget: Budget) -> Formula:
    """Any of the formulas.

    Raises
    ------
    PropertyError
        If the disjuncts become too many.
    """
    _check_count(sum(len(formula.disjuncts) for formula in formulas))
    longest = max(formulas, key=lambda formula: len(formula.disjuncts))
    for formula in formulas:
        if formula is not longest:
            budget.spend(len(formula.disjuncts))
            longest.disjuncts += formula.disjuncts
    return longest


def conjoin(formulas: Sequence[Formula], budget: Budget) -> Formula:
    """All of the formulas: ``and`` distributed over ``or``.

    Raises
    ------
    PropertyError
        If the disjuncts become too many, or too long.
    """
    if len(formulas) == 1:
        return formulas[0]
    common = _concatenated([formula.disjuncts[0] for formula in formulas if len(formula.disjuncts) == 1], budget)
    factors = [formula.disjuncts for formula in formulas if len(formula.disjuncts) > 1]
    if not factors:
        return Formula([common])
    count = math.prod(len(factor) for factor in factors)
    _check_count(count)
    sizes = (sum(map(len, factor)) * (count // len(factor)) for factor in factors)
    budget.spend(count * (1 + len(common)) + sum(sizes))
    return Formula([[*common, *itertools.chain.from_iterable(choice)] for choice in itertools.product(*factors)])


CONNECTIVES: dict[str, Callable[[Sequence[Formula], Budget], Formula]] = {"and": conjoin, "or": disjoin}
"""How formulas are combined, by the operator's symbol."""


def _check_count(count: int) -> None:
    """Refuse more disjuncts than the limit."""
    if count > MAX_DISJUNCTS:
        raise PropertyError(f"too large: its normal form has more than {MAX_DISJUNCTS:,} disjuncts; split the property")


def _concatenated(conjunctions: list[list[Atom]], budget: Budget) -> list[Atom]:
    """All atoms; the longest list is used up, so that nested conjunctions take linear time."""
    if not conjunctions:
        return []
    longest = max(conjunctions, key=len)
    for conjunction in conjunctions:
        if conjunction is not longest:
            budget.spend(1 + len(conjunction))
            longest += conjunction
    return longest


def _at_least(left: Term, right: Term, strict: bool, budget: Budget) -> list[Atom]:
    """The atoms of ``left >= right``, or ``left > right``."""
    # Almost all comparisons of a file bound one input by a number; this saves most of their arithmetic.
    for term, other, upper in ((left, right, False), (right, left, True)):
        if len(term.coefficients) == 1 and not other.coefficients and term.constant is ZERO:
            ((key, scale),) = term.coefficients.items()
            if key >= 0 and scale is ONE:
                return [Bound(key, upper, checked_range(other.constant), strict)]
    return _nonnegative(difference(left, right, budget), strict)


def _nonnegative(term: Term, strict: bool) -> list[Atom]:
    """The atoms of ``term >= 0``, or ``> 0``: none if that is true whatever the variables."""
    keys = sorted(term.coefficients)
    if not keys:
        true = term.constant > 0 or (term.constant == 0 and not strict)
        return [] if true else [Row(False, LinearRow((), term.constant, strict))]
    if keys[0] < 0 <= keys[-1]:
        raise PropertyError(
            f"a comparison mixes inputs and outputs ({name_of(keys[-1])} and {name_of(keys[0])}); "
            "only comparisons of inputs among themselves or outputs among themselves are supported"
        )
    if len(keys) == 1 and keys[0] >= 0:
        # c x + d >= 0 is x >= -d/c for positive c, and x <= -d/c for negative c.
        scale = term.coefficients[keys[0]]
        return [Bound(keys[0], scale < 0, checked_range(-term.constant / scale), strict)]
    outputs = keys[0] < 0
    indexed = sorted((-1 - key if outputs else key, value) for key, value in term.coefficients.items())
    coefficients = tuple((index, checked_range(value)) for index, value in indexed)
    return [Row(outputs, LinearRow(coefficients, checked_range(term.constant), strict))]
