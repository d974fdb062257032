"""Networks without neurons or variables, fixed coordinates, and the whole space: the judge neither stumbles nor overclaims."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests import judge_drafts as dr
from wdaverify.check.report import check

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
