"""From the normal form to disjuncts: bounds of single inputs become the box, what is left becomes rows."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from wdaverify._errors import PropertyError
from wdaverify.property.formula import Bound
from wdaverify.property.property import Disjunct, LinearRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wdaverify.property.formula import Atom
    from wdaverify.property.terms import Budget


class _Box(NamedTuple):
    """A closed box with the rows of its strict ends; `complaint` says why it is empty, if it is."""

    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    strict: tuple[LinearRow, ...]
    complaint: str


def build_disjuncts(
    base: Sequence[Atom], alternatives: Sequence[Sequence[Atom]], inputs: int, budget: Budget
) -> tuple[tuple[Disjunct, ...], tuple[str, ...]]:
    """The disjuncts ``base and alternative``, with warnings about empty ones.

    Raises
    ------
    PropertyError
        If an input has no lower or no upper bound in some disjunct.
    """
    ends = _tightened({}, base)
    common = _rows(base)
    boxes: dict[tuple[int, ...], _Box] = {}
    disjuncts, empty = [], []
    for number, atoms in enumerate(alternatives):
        # The atoms outlive this loop, so that their ids name them: disjuncts with the same bounds share one box.
        key = tuple(id(atom) for atom in atoms if isinstance(atom, Bound))
        if key not in boxes:
            budget.spend(2 * inputs)
            place = f" in disjunct {number}" if len(alternatives) > 1 else ""
            boxes[key] = _box(_tightened(ends, atoms) if key else ends, inputs, place)
        box = boxes[key]
        own = _rows(atoms)
        budget.spend(1 + len(common[0]) + len(common[1]) + len(box.strict))
        disjuncts.append(Disjunct(box.lower, box.upper, (*box.strict, *common[0], *own[0]), (*common[1], *own[1])))
        if complaint := box.complaint or _false_constant(disjuncts[-1]):
            empty.append((number, complaint))
    return tuple(disjuncts), _warnings(disjuncts, empty)


def _tightened(ends: dict[tuple[int, bool], Bound], atoms: Iterable[Atom]) -> dict[tuple[int, bool], Bound]:
    """The tightest bound of every (input, side); at equal values the strict one is tighter."""
    result = dict(ends)
    for atom in atoms:
        if isinstance(atom, Bound):
            key = atom.input, atom.upper
            old = result.get(key)
            if old is None or _tighter(atom, old):
                result[key] = atom
    return result


def _tighter(new: Bound, old: Bound) -> bool:
    """Whether a bound of the same input and side allows less."""
    if new.value == old.value:
        return new.strict
    return new.value < old.value if new.upper else new.value > old.value


def _rows(atoms: Iterable[Atom]) -> tuple[list[LinearRow], list[LinearRow]]:
    """The rows over the inputs and those over the outputs."""
    rows: tuple[list[LinearRow], list[LinearRow]] = ([], [])
    for atom in atoms:
        if not isinstance(atom, Bound):
            rows[atom.outputs].append(atom.row)
    return rows


def _box(ends: dict[tuple[int, bool], Bound], inputs: int, place: str) -> _Box:
    """The box with these ends, of which every input needs two."""
    for index in range(inputs):
        for upper, side in ((False, "lower"), (True, "upper")):
            if (index, upper) not in ends:
                raise PropertyError(
                    f"X_{index} has no {side} bound{place}; every input needs a finite lower and upper bound of its own"
                )
    pairs = [(ends[index, False], ends[index, True]) for index in range(inputs)]
    strict = tuple(_strict_row(end) for pair in pairs for end in pair if end.strict)
    complaint = next((_contradiction(low, high) for low, high in pairs if _contradicts(low, high)), "")
    return _Box(tuple(low.value for low, _ in pairs), tuple(high.value for _, high in pairs), strict, complaint)


def _strict_row(end: Bound) -> LinearRow:
    """The strict bound of one input as a row."""
    sign = Fraction(-1 if end.upper else 1)
    return LinearRow(((end.input, sign),), -sign * end.value, strict=True)


def _contradicts(low: Bound, high: Bound) -> bool:
    """Whether no value lies between two ends."""
    return low.value > high.value or (low.value == high.value and (low.strict or high.strict))


def _contradiction(low: Bound, high: Bound) -> str:
    """The contradiction in words."""
    above, below = ">" if low.strict else ">=", "<" if high.strict else "<="
    return f"X_{low.input} {above} {float(low.value):.9g} contradicts X_{low.input} {below} {float(high.value):.9g}"


def _false_constant(disjunct: Disjunct) -> str:
    """What a false row without variables says, or nothing."""
    false = any(not row.coefficients for row in disjunct.input_rows)
    return "a comparison of two constants is false" if false else ""


def _warnings(disjuncts: Sequence[Disjunct], empty: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    """One line about empty disjuncts, one about disjuncts that any output satisfies."""
    lines = []
    if empty:
        number, complaint = empty[0]
        whole = len(empty) == len(disjuncts)
        subject = "the input set is empty" if whole else f"{len(empty)} of {len(disjuncts)} disjuncts are empty"
        place = f" in disjunct {number}" if len(disjuncts) > 1 else ""
        lines.append(f"{subject}: {complaint}{place}")
    free = sum(not disjunct.output_rows for disjunct in disjuncts)
    if free:
        subject = "no output is constrained" if free == len(disjuncts) else f"{free} disjuncts constrain no output"
        lines.append(f"{subject}: every point of the input set satisfies the property")
    return tuple(lines)
