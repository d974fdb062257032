"""A backend whose sessions lie in a chosen way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wdaverify.program.backend import get_backend
from wdaverify.program.result import SolveResult, Status


class LyingSession:
    def __init__(self, honest, kind, rng):
        self._honest, self._kind, self._rng = honest, kind, rng

    def __getattr__(self, name):
        return getattr(self._honest, name)

    def solve(self, options=None):
        result = self._honest.solve(options)
        shape = self._honest.program
        noise = self._rng.normal(size=shape.rows)
        match self._kind:
            case "random duals":
                return replace(result, row_duals=noise, objective=-1.0)
            case "nan":
                return replace(result, row_duals=np.full(shape.rows, np.nan), objective=-1.0)
            case "infinite":
                return replace(result, row_duals=np.full(shape.rows, np.inf), objective=-1.0)
            case "shape":
                return replace(result, row_duals=np.zeros(1), objective=-1.0)
            case "negative":
                return replace(result, objective=-1.0)
            case "empty":
                return SolveResult(status=Status.INFEASIBLE, bound=-np.inf, ray=noise)
            case "no ray":
                return SolveResult(status=Status.INFEASIBLE, bound=-np.inf)
            case "failed":
                return SolveResult(status=Status.FAILED, bound=np.inf)
            case "points":
                primal = self._rng.normal(size=shape.columns) * np.where(self._rng.uniform(size=shape.columns) < 0.1, np.nan, 9.0)
                return replace(result, primal=primal)
            case "raises":
                raise RuntimeError("a solver that breaks")
        return result


class LyingBackend:
    name, version = "liar", "0"

    def __init__(self, kind: str) -> None:
        self.kind, self.honest, self.rng = kind, get_backend("highs"), np.random.default_rng(5)
        self.capabilities = self.honest.capabilities

    def solve(self, program, options=None):
        return self.honest.solve(program)

    def open(self, program):
        return LyingSession(self.honest.open(program), self.kind, self.rng)
