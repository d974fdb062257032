"""Minimum distances when the mixed-integer solver lies."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.networks import random_mlp
from tests.oracles import brute_force_distance
from tests.test_distance import check_record
from wdaverify._types import Norm
from wdaverify.dataset import Dataset
from wdaverify.domain import Box
from wdaverify.ir.exact import exact_forward
from wdaverify.program.backend import get_backend
from wdaverify.program.result import SolveResult, Status
from wdaverify.risk import distance as distance_module
from wdaverify.risk.adversarial import DistanceOptions
from wdaverify.risk.distance import distances

if TYPE_CHECKING:
    from wdaverify.program.program import Program


class LyingBackend:
    """HiGHS with its mixed-integer answers replaced."""

    name, version = "liar", "0"

    def __init__(self, kind: str) -> None:
        self.kind, self.honest = kind, get_backend("highs")
        self.capabilities = self.honest.capabilities

    def solve(self, program: Program, options: object = None) -> SolveResult:
        result = self.honest.solve(program)
        if not program.integer.any():
            return self._shifted(result) if self.kind == "lp" else result
        match self.kind:
            case "infeasible":
                return replace(result, status=Status.INFEASIBLE, objective=None, bound=math.inf, primal=None)
            case "high":
                return replace(result, bound=10.0 * abs(result.bound) + 1.0)
            case "nan":
                return replace(result, bound=math.nan)
            case "failed":
                return replace(result, status=Status.FAILED, primal=None, objective=None, bound=-math.inf)
            case "point":
                return self._shifted(result)
        return result

    @staticmethod
    def _shifted(result: SolveResult) -> SolveResult:
        return result if result.primal is None else replace(result, primal=result.primal + 0.3)


@pytest.mark.parametrize("kind", ["infeasible", "high", "nan", "failed", "point", "lp"])
def test_a_lying_solver_cannot_contradict_a_verified_point(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two classes: every lie concerns the class of the incumbent, so none may end in a wrong bracket."""
    network = random_mlp([2, 6, 4, 2], 11)
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.5, 0.5, (4, 2))
    labels = np.array([int(np.argmax([float(v) for v in exact_forward(network, row.tolist())])) for row in x])
    data, box = Dataset(x, labels), Box(-1, 1)
    truth = [brute_force_distance(network, box.sized(2), row, int(y), Norm.LINF) for row, y in zip(x, labels, strict=True)]
    monkeypatch.setattr(distance_module, "get_backend", lambda _: LyingBackend(kind))
    options = DistanceOptions(engine="milp")
    for record, true in zip(distances(network, data, norm=Norm.LINF, domain=box, options=options), truth, strict=True):
        if math.isinf(true):
            continue  # without a verified point an infeasible answer cannot be refuted: evidence is "solver"
        check_record(network, data, box, Norm.LINF, record)
        assert record.distance.upper >= true - 1e-9
        assert record.distance.lower <= true + 1e-9
