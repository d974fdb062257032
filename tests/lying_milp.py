"""Backends that lie about mixed-integer programs; about linear ones they are as honest as HiGHS."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wdaverify.program.backend import get_backend
from wdaverify.program.result import SolveResult, Status

LIES = ("low bound", "infeasible", "nan", "failed", "random point", "short point", "no point", "stubborn", "minus infinity")


class LyingMilp:
    """HiGHS with its answers to mixed-integer programs replaced in a chosen way."""

    name, version = "liar", "0"

    def __init__(self, kind: str) -> None:
        self.honest = get_backend("highs")
        self.capabilities = self.honest.capabilities
        self.kind, self.asked = kind, 0
        self._rng = np.random.default_rng(3)
        self._first: SolveResult | None = None

    def solve(self, program, options=None):
        result = self.honest.solve(program, options)
        if not program.is_mixed_integer:
            return result
        self.asked += 1
        match self.kind:
            case "low bound":
                return replace(result, bound=0.5 * result.bound)
            case "infeasible":
                return SolveResult(status=Status.INFEASIBLE, bound=-np.inf)
            case "minus infinity":
                return replace(result, bound=-np.inf)
            case "nan":
                return replace(result, bound=np.nan)
            case "failed":
                return SolveResult(status=Status.FAILED, bound=np.inf)
            case "random point":
                return replace(result, primal=self._rng.uniform(size=program.columns))
            case "short point":
                return replace(result, primal=np.zeros(1))
            case "no point":
                return replace(result, primal=None, objective=None)
            case "stubborn":  # the first answer again and again, whatever was added
                self._first = self._first or result
                return self._first
        return result
