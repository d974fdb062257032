"""Solver sessions that lie: HiGHS with its answers replaced. Whatever they say, an answer may only become weaker."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.program.backend import get_backend
from wdaverify.program.result import SolveResult, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify.program.backend import Session
    from wdaverify.program.program import Program

HIGHS = get_backend("highs")

LIES = (
    "random duals", "scaled duals", "nan", "infinite", "shape", "negative", "empty", "no ray", "no duals", "failed", "early",
    "points",
)  # fmt: skip
"""Ways to lie. Besides there are ``raises``, and any other word, which is honest."""


class LyingSession:
    """A session of HiGHS whose results are replaced."""

    def __init__(self, program: Program, kind: str) -> None:
        self._honest, self._kind, self._rng = HIGHS.open(program), kind, np.random.default_rng(5)

    @property
    def program(self) -> Program:
        return self._honest.program

    def __getattr__(self, name: str) -> object:
        return getattr(self._honest, name)

    def solve(self, options: object = None) -> SolveResult:
        if self._kind == "raises":
            raise RuntimeError("a solver that breaks")
        result, rows, columns = self._honest.solve(), self.program.rows, self.program.columns
        noise = self._rng.normal(size=rows)
        match self._kind:
            case "random duals":
                return replace(result, row_duals=noise, objective=-1.0)
            case "scaled duals":
                scaled = None if result.row_duals is None else result.row_duals * self._rng.uniform(0, 3)
                return replace(result, row_duals=scaled)
            case "nan":
                return replace(result, row_duals=np.full(rows, np.nan), objective=np.nan)
            case "infinite":
                return replace(result, row_duals=np.full(rows, np.inf), objective=-np.inf, bound=-np.inf)
            case "shape":
                return replace(result, row_duals=np.zeros(1), objective=-1.0)
            case "negative":
                return replace(result, objective=-1.0)
            case "empty":
                return SolveResult(status=Status.INFEASIBLE, bound=-np.inf, ray=noise)
            case "no ray":
                return SolveResult(status=Status.INFEASIBLE, bound=-np.inf)
            case "no duals":
                return replace(result, objective=-1e9, bound=-1e9, row_duals=None)
            case "failed":
                return SolveResult(status=Status.FAILED, bound=np.inf)
            case "early":
                return replace(result, status=Status.LIMIT, objective=None, primal=None)
            case "points":
                far = np.where(self._rng.uniform(size=columns) < 0.1, np.nan, 9.0)
                return replace(result, primal=self._rng.normal(size=columns) * far)
        return result


class Opener:
    """A backend that opens its sessions with a function of the program."""

    name, version, capabilities = "liar", "0", HIGHS.capabilities

    def __init__(self, opener: Callable[[Program], Session]) -> None:
        self.open = opener
        self.solve = HIGHS.solve


class LyingBackend(Opener):
    """A backend whose sessions lie in a chosen way."""

    def __init__(self, kind: str) -> None:
        super().__init__(lambda program: LyingSession(program, kind))
