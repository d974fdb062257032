"""What a stream must prove: program, root box, targets, cost and rows of every claim that has a stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from .claims import NORMS, Case, Claim, functional
from .context import Cost, End, Question, Target
from .far import half_width
from .num import Rejected, end_number, number, shown, whole
from .program import Form, extend_margin
from .softmax import targets as softmax_targets
from .tree import Outcome, float_text
from .vnnlib import Disjunct


def question(case: Case, claim: Claim) -> Question:
    """What the stream of a claim is about."""
    found = _QUESTIONS[claim.kind](case, claim)
    bits = claim.get("round")
    if bits is not None and not 64 <= whole(bits, "round") <= 4096:
        raise Rejected("round is not from 64 to 4096")
    return replace(found, bits=bits, stated=claim.value, facts=case.region.facts, whole=case.region.integer)


def _cube(case: Case, found: Question, i: int, radius: Fraction) -> Question:
    """Narrow the root box to the cube about sample i."""
    if radius < 0:
        raise Rejected("a radius is negative")
    x = case.center(i)
    low, high = case.region.about(x, radius)
    return replace(found, low=low, high=high)


def _ball(case: Case, found: Question, i: int, norm: str, radius: Fraction) -> Question:
    """Narrow the root box to that of the ball about sample i, and allow its row."""
    square = norm == "l2"
    cost = Cost(norm, Fraction(2 if square else 1), case.center(i), case.region.weights)
    return replace(_cube(case, found, i, radius), cost=cost, ball=radius**2 if square else radius)


def _cutoff(claim: Claim) -> Fraction | None:
    if "cutoff" not in claim.fields:
        return None
    cutoff = claim.number("cutoff")
    if claim.value is None or cutoff > claim.value:
        raise Rejected("the cutoff is above the value")
    return cutoff


def _claimed_ball(case: Case, claim: Claim, found: Question) -> Question:
    ball = claim.get("ball")
    if ball is None:
        return found
    if type(ball) is not dict or set(ball) != {"sample", "norm", "radius"} or ball["norm"] not in NORMS:
        raise Rejected("a ball has the fields sample, norm and radius")
    if claim.kind == "price":
        same = ball["sample"] == claim["sample"] and ball["norm"] == claim["norm"] and claim.number("lambda") == 0
        if not same:
            raise Rejected("the ball of a price has another sample or norm, or lambda is not 0")
    i = case.sample(ball["sample"])
    return _ball(case, found, i, ball["norm"], number(ball["radius"], "radius"))


def _unsat(case: Case, claim: Claim) -> Question:
    del claim
    if case.disjuncts is None:
        raise Rejected("speaks about a property, but the report names none")
    return Question(case.program, case.low, case.high, [_disjunct(case, d) for d in case.disjuncts], strict=True)


def _disjunct(case: Case, rows: Disjunct) -> Target:
    """Rows on one input narrow the box; the others are facts, in file order."""
    target, one = Target(), Fraction(1)
    for row in rows:
        j = row.single_input()
        if j is not None:
            low, high = target.narrowed.get(j, (None, None))
            w = row.terms[0][1]
            end = -row.constant / w
            if w > 0:
                low = end if low is None else max(low, end)
            else:
                high = end if high is None else min(high, end)
            target.narrowed[j] = low, high
            continue
        elements = [i if kind == "X" else case.program.outputs[i] for (kind, i), _ in row.terms]
        target.rows.append(Form.of([*elements, one], [*(w for _, w in row.terms), row.constant]))
    return target


def _max(case: Case, claim: Claim) -> Question:
    found = Question(case.program, case.low, case.high, [Target(case.objective(claim))], cutoff=_cutoff(claim))
    return _claimed_ball(case, claim, found)


def _distance(case: Case, claim: Claim) -> Question:
    i, norm = case.sample(claim["sample"]), claim["norm"]
    radius = end_number(claim["radius"], "radius")
    if (claim.value is None and radius is not None) or (claim.value is not None and claim.value < 0):
        raise Rejected("a distance is negative, or infinite with a finite radius")
    if radius is not None and claim.value is not None and claim.value > radius:
        raise Rejected("the distance is beyond the radius")
    label, one = case.label(i), Fraction(1)
    targets = []
    for j in case.others(label):
        targets.append(Target(Form(), [case.difference(j, k) for k in range(len(case.program.outputs)) if k != j]))
    cost = Cost(norm, Fraction(2 if norm == "l2" else 1), case.center(i), case.region.weights)
    low, high = case.region.about(case.center(i))
    found = Question(case.program, low, high, targets, cost=cost, multiplier=one, strict=claim.value is None)
    return found if radius is None else _ball(case, found, i, norm, radius)


def _lip(case: Case, claim: Claim) -> Question:
    kind, outputs = functional(case, claim["functional"])
    program = case.program
    if "k" in claim.fields or "price" in claim.fields:
        raise Rejected("k and price belong to a constant that is derived from others")
    if kind == "logit":
        form = program.objective({outputs[0]: Fraction(1)})
    elif kind == "margin":
        form = case.difference(*outputs)
    elif kind in ("loss:margin", "loss:hinge"):
        case.others(outputs[0])
        program, element = extend_margin(program, outputs[0], hinge=kind == "loss:hinge")
        form = Form.of([element], [Fraction(1)])
    elif kind == "loss:cross-entropy" and len(program.outputs) == 2:
        form = case.difference(1 - outputs[0], outputs[0])
    else:
        raise Rejected(f"a stream proves no constant of {shown(claim['functional'])}; use all, or of")
    logistic = kind == "loss:cross-entropy"
    return Question(program, case.low, case.high, [Target(form)], norm=claim["norm"], gradient=form, logistic=logistic)


def _slope(case: Case, claim: Claim) -> Question:
    n, norm = case.program.inputs, claim["norm"]
    target = Target(case.objective(claim, homogeneous=True))
    cost = Cost(norm, Fraction(2 if norm == "l2" else 1), (Fraction(0),) * n)
    low: list[End] = [Fraction(-1)] * n
    high: list[End] = [Fraction(1)] * n
    one = Fraction(1)
    return Question(case.program, low, high, [target], cost=cost, ball=one, cutoff=_cutoff(claim), homogeneous=True)


def _price(case: Case, claim: Claim) -> Question:
    i, order, multiplier = case.sample(claim["sample"]), claim.number("p"), claim.number("lambda")
    if multiplier < 0 or not (order >= 1 and order.numerator <= 1024 and order.denominator <= 64):
        raise Rejected("lambda is negative, or the order p is below 1 or has numbers beyond 1024/64")
    loss = claim["loss"]
    if (loss == "linear") != ("objective" in claim.fields) or (loss == "ce") != ("ce" in claim.fields):
        raise Rejected("loss linear has an objective, loss ce has ce, and only these")
    if loss == "linear":
        targets = [Target(case.objective(claim))]
    elif loss == "margin":
        y = case.label(i)
        others = case.others(y)
        targets = [Target(case.difference(j, y), [case.difference(j, k) for k in others if k != j]) for j in others]
    elif loss == "ce":
        case.others(case.label(i))
        targets = softmax_targets(case, case.label(i), claim["ce"])
    else:
        raise Rejected(f"loss {shown(loss)} of a price")
    cost = Cost(claim["norm"], order, case.center(i), case.region.weights)
    low, high = case.region.about(case.center(i))
    found = Question(case.program, low, high, targets, cost=cost, multiplier=multiplier, cutoff=_cutoff(claim))
    if "within" in claim.fields:
        return _cube(case, found, i, half_width(case, claim))
    return _claimed_ball(case, claim, found)


_QUESTIONS: dict[str, Callable[[Case, Claim], Question]] = {
    "unsat": _unsat,
    "max": _max,
    "distance": _distance,
    "lip": _lip,
    "slope": _slope,
    "price": _price,
}


def conclude(claim: Claim, outcome: Outcome) -> None:
    """Compare the value of a claim with what its stream proves."""
    claim.outcome = outcome
    if claim.kind == "unsat" or claim.value is None:
        return  # every leaf is empty
    proved, stated = outcome.value, claim.value
    square = claim.get("norm") == "l2" and claim.kind in ("distance", "lip")
    if claim.kind == "lip" and stated < 0:
        raise Rejected("a Lipschitz constant is not negative")
    if claim.kind == "distance":
        stated = -(stated**2) if square else -stated
    elif square:
        stated = stated**2
    if proved is not None and proved > stated:
        raise Rejected(f"the value is not proved: {float_text(proved)} > {float_text(stated)}")
