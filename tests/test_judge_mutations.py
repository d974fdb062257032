"""Mutated certificates: accepted implies true, by exact enumeration."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from tests import judge_drafts as dr
from tests import judge_examples as ex
from tests.judge_mutations import mutate
from tests.judge_truth import Truth
from wdaverify.check.report import check

COUNT = int(os.environ.get("JUDGE_MUTATIONS", "120"))
"""Mutations of each certificate; more by the environment."""

Known = tuple[dr.Layers, list[tuple[float, int]], Any]
KNOWN: dict[str, Known] = {
    "sat": (dr.ABSOLUTE, [], lambda x, y: -1 <= x <= 1 and y[0] >= 0.75),
    "unsat": (dr.ABSOLUTE, [], lambda x, y: -1 <= x <= 1 and (y[0] >= 1.25 or y[0] <= -0.25)),
    "lipschitz": (dr.IDENTITY, [], None),
    "label_constant": (dr.CLASSES, [], None),
    "loss_constants": (dr.CLASSES, [], None),
    "slope": (dr.PLANE, [], None),
    "distance": (dr.CLASSES, [(1.0, 0)], None),
    "zero_one": (dr.CLASSES, [(1.0, 0), (0.0, 0)], None),
    "margin": (dr.CLASSES, [(1.0, 0)], None),
    "hinge": (dr.CLASSES, [(1.0, 0)], None),
    "cross_entropy": (dr.CLASSES, [(1.0, 0)], None),
    "whole_ball": (dr.CLASSES, [(1.0, 0)], None),
    "no_transport": (dr.CLASSES, [(1.0, 0)], None),
    "cube": (dr.CLASSES, [(1.0, 0)], None),
    "maximum": (dr.RAMP, [(1.0, 0)], None),
}


@pytest.mark.parametrize("name", KNOWN)
def test_accepted_implies_true(name, tmp_path):
    layers, samples, satisfied = KNOWN[name]
    document = ex.EXAMPLES[name](tmp_path)
    assert Truth(document, layers, samples, satisfied).everything() == []
    rng, accepted = random.Random(name), 0
    for _ in range(COUNT):
        mutant = mutate(document, rng)
        verdict = check(dr.write(tmp_path, mutant, "mutant.json"))
        assert "\n" not in verdict.message
        assert "internal" not in verdict.message, (verdict.message, mutant)
        if verdict.accepted:
            accepted += 1
            try:
                wrong = Truth(mutant, layers, samples, satisfied).everything()
            except NotImplementedError:  # an order without oracle
                continue
            assert wrong == [], mutant
    assert COUNT < 100 or 0 < accepted < COUNT
