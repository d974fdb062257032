"""Networks without neurons or variables, fixed coordinates, and the whole space: the judge neither stumbles nor overclaims."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests import judge_drafts as dr
from wdaverify.check.context import Context, Question, Target
from wdaverify.check.num import Rejected
from wdaverify.check.program import Form, Program
from wdaverify.check.report import check
from wdaverify.check.tree import Tree

CONSTANT: dr.Layers = [([[0.0]], [0.5])]
AFFINE: dr.Layers = [([[2.0]], [0.5])]
PLANAR: dr.Layers = [([[1.0, -1.0]], [0.5])]
JAC = dr.leaf("jac")


def mix(lam: list[int] | None, mu: list[int]) -> dict[str, Any]:
    """A leaf mix."""
    return dr.leaf("mix", mu=[0, mu], **({} if lam is None else {"lam": [0, lam]}))


CASES: list[tuple[dr.Layers, Any, str, str, dict[str, Any]]] = [
    *((CONSTANT, {"lower": 0.0, "upper": 1.0}, norm, "0", JAC) for norm in ("l1", "l2", "linf")),
    *((AFFINE, domain, norm, "2", JAC) for norm in ("l1", "l2", "linf") for domain in ("Rn", {"lower": 0.0, "upper": 1.0})),
    (PLANAR, {"lower": 0.0, "upper": 1.0}, "linf", "2", JAC),
    (PLANAR, {"lower": 0.0, "upper": 1.0}, "l1", "1", JAC),
    (PLANAR, {"lower": [0.0, 0.0], "upper": [0.0, 1.0]}, "linf", "1", JAC),  # the first coordinate is fixed
    (PLANAR, {"lower": 0.5, "upper": 0.5}, "linf", "0", JAC),  # a single point
    (PLANAR, {"lower": 0.5, "upper": 0.5}, "linf", "0", mix([], [1])),
    (PLANAR, {"lower": 0.0, "upper": 1.0}, "l1", "1", dr.leaf("mix")),
    (dr.IDENTITY, "Rn", "linf", "2", JAC),
]
"""Network, domain, norm, value that this leaf proves, leaf."""


@pytest.mark.parametrize(("layers", "domain", "norm", "value", "leaf"), CASES)
def test_constants(layers: dr.Layers, domain: Any, norm: str, value: str, leaf: dict[str, Any], tmp_path: Path) -> None:
    for stated, accepted in ((Fraction(value), True), (Fraction(value) - Fraction(1, 1 << 60), False)):
        draft = dr.Draft(tmp_path, layers, "lipschitz", domain=domain)
        draft.program = [name for name in draft.program if not name.endswith("0")]
        draft.document["constants"] = [{"functional": "logit:0", "norm": norm, "value": dr.bracket(0, 2.0)}]
        claim = {"id": "c", "kind": "lip", "functional": "logit:0", "norm": norm, "value": str(stated)}
        claim["about"] = ["/constants/0/value", "upper"]  # type: ignore[assignment]
        verdict = check(dr.write(tmp_path, draft.prove([claim], dr.stream("c", leaf))))
        assert verdict.accepted is accepted, verdict.message
        assert "internal" not in verdict.message


@pytest.mark.parametrize(("value", "accepted"), [("2", False), ("2000000001/1000000000", True)])
def test_a_mixing_bound_needs_some_room(value: str, accepted: bool, tmp_path: Path) -> None:
    """At the exact value the matrix is singular, which the factorisation does not prove; a little above it does."""
    draft = dr.Draft(tmp_path, PLANAR, "lipschitz", domain={"lower": 0.0, "upper": 1.0})
    draft.document["constants"] = [{"functional": "logit:0", "norm": "linf", "value": dr.bracket(0, 3.0)}]
    about = ["/constants/0/value", "upper"]
    claim = {"id": "c", "kind": "lip", "functional": "logit:0", "norm": "linf", "value": value, "about": about}
    verdict = check(dr.write(tmp_path, draft.prove([claim], dr.stream("c", mix([1000, 1000], [1000])))))
    assert verdict.accepted is accepted, verdict.message


FLAT: dr.Layers = [
    ([[1.0], [1.0], [-1.0]], [-1.0, -0.5, 0.5]),
    ([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]], [0.0, 0.0]),
    ([[1.0, 100.0]], [0.0]),
]
"""On [0, 1/2] neuron 3 is 0 all around, whatever its phase is called, and the slope is -100 by neuron 4."""


def flat(*phases: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Part by neuron 3: its phase on is empty on [0, 1/2]; records of its phase off there are given."""
    halves, jac = {"t": "input", "j": 0, "at": "1/2"}, ({"t": "refresh"}, JAC)
    off = {"t": "adj", "n": 0, "lo": 0, "hi": 0}  # the output does not depend on neuron 0, as neuron 3 is off
    return (
        dr.split(3),
        halves,
        {"t": "refresh"},
        dr.leaf("thin", p=[0, [3, 1]]),
        *jac,
        off,
        halves,
        {"t": "refresh"},
        *phases,
        *jac,
    )


def test_a_neuron_that_is_zero_all_around_has_one_phase(tmp_path: Path) -> None:
    """Both phases are right there; but adjoints of the one do not contradict those of the other: the node is not empty."""
    empty = {"t": "adj", "n": 0, "hi": 1}, dr.leaf("empty")
    for value, records, accepted in (("1", flat(*empty), False), ("99", flat(JAC), False), ("100", flat(JAC), True)):
        draft = dr.Draft(tmp_path, FLAT, "lipschitz", domain={"lower": 0.0, "upper": 2.0})
        draft.document["constants"] = [{"functional": "logit:0", "norm": "linf", "value": dr.bracket(0, float(value))}]
        claim = {"id": "c", "kind": "lip", "functional": "logit:0", "norm": "linf", "value": value}
        claim["about"] = ["/constants/0/value", "upper"]  # type: ignore[assignment]
        verdict = check(dr.write(tmp_path, draft.prove([claim], dr.stream("c", *records))))
        assert verdict.accepted is accepted, verdict.message


FINE: dr.Layers = [
    ([[1.0], [2.0**80], [2.0**40]], [1.0, 2.0**80, 2.0**40]),
    ([[1.0, -(2.0**-80), 0.0], [1.0, 0.0, -(2.0**-40)], [1.0, 0.0, 0.0]], [0.0, 0.0, 0.0]),
    ([[1.0, 1.0, 100.0]], [0.0]),
]
"""On [0, 1] neurons 3 and 4 are 0 all around, and the slope is 100; 64 bits lose the second term of neuron 3."""


def test_a_rounded_gradient_does_not_show_that_a_neuron_is_not_flat(tmp_path: Path) -> None:
    """Leaf thin takes a neuron that is off for negative only where its exact gradient is not 0, whatever ``round`` says."""
    flat_4, on = {"t": "bound", "n": 4, "lo": 0, "hi": 0}, dr.leaf("thin", p=[0, [3, 1]], u=[0, [4, 1]])
    thin, refresh = dr.leaf("thin", p=[0, [3, 1]], l=[0, [4, 1]]), {"t": "refresh"}
    for value, bits, off, accepted in (("0", 64, thin, False), ("0", None, thin, False), ("100", 64, JAC, True)):
        draft = dr.Draft(tmp_path, FINE, "lipschitz", domain={"lower": 0.0, "upper": 1.0})
        draft.document["constants"] = [{"functional": "logit:0", "norm": "linf", "value": dr.bracket(0, float(value))}]
        claim: dict[str, Any] = {"id": "c", "kind": "lip", "functional": "logit:0", "norm": "linf", "value": value}
        claim |= {"about": ["/constants/0/value", "upper"], **({} if bits is None else {"round": bits})}
        verdict = check(dr.write(tmp_path, draft.prove([claim], dr.stream("c", flat_4, dr.split(3), on, refresh, off))))
        assert verdict.accepted is accepted, verdict.message
        assert accepted or "strict" in verdict.message


def test_a_phase_is_kept_below_and_given_back_above() -> None:
    """What determines a neuron first determines it in all of the subtree, and nowhere else."""
    program = Program(1)
    program.relu(program.affine([Form({0: Fraction(1)})]))
    context = Context(Question(program, [None], [None], []))
    context.fix(0, -1)
    mark = len(context.log)
    context.bound(0, Fraction(0), None)
    assert context.mode == [-1]
    context.undo(mark)
    assert context.mode == [-1]
    context.undo(0)
    assert context.mode == [0]
    context.bound(0, Fraction(0), None)
    context.fix(0, -1)
    assert context.mode == [1]


@pytest.mark.parametrize("bits", [None, 64, 128])
def test_rounding_leaves_no_gradient_where_it_vanishes(bits: int | None) -> None:
    """Neuron 3 is 0 everywhere, so that what is off is not thin; cut to 64 bits its gradient is not 0."""
    program, one, t = Program(1), Fraction(1), Fraction(1, 1 << 40)
    y = program.relu(program.affine([Form({0: one}), Form({0: one}), Form({0: t})]))
    u, v, w = (e for e in y if isinstance(e, int))
    pieces = [Form({u: one, v: -one}), Form({u: t, w: -one})]
    flat = program.relu(program.affine([Form({u: one + t * t, v: -one, w: -t}), *pieces]))[0]
    program.outputs = program.affine([Form.of([u, flat], [Fraction(5), one])])
    form = program.objective({0: one})
    question = Question(program, [one], [Fraction(2)], [Target(form)], norm="linf", gradient=form, bits=bits)
    zero, split, sum_of_pieces = {"t": "bound", "lo": 0, "hi": 0}, {"t": "split", "n": 3}, [40, [4, 1 << 40, 5, 1]]
    on, off = ({"t": "leaf", "k": "thin", "p": [0, [3, 1]], end: sum_of_pieces} for end in "ul")
    steps = [{**zero, "n": 4}, {**zero, "n": 5}, split, on]
    with pytest.raises(Rejected, match="without a strict ingredient"):
        Tree(question).run(iter([*steps, off]))
    assert Tree(question).run(iter([*steps, dr.leaf("jac")])).value == 5
