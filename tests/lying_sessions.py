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


class Opener:
    """A backend whose sessions lie."""

    name, version, capabilities = "liar", "0", HIGHS.capabilities

    def __init__(self, opener: Callable[[Program], Session]) -> None:
        self.open = opener
        self.solve = HIGHS.solve


class LyingSession:
    """HiGHS with its answers replaced."""

    def __init__(self, program: Program, kind: str) -> None:
        self._honest, self._kind, self._rng = HIGHS.open(program), kind, np.random.default_rng(0)

    @property
    def program(self) -> Program:
        return self._honest.program

    def __getattr__(self, name: str) -> object:
        return getattr(self._honest, name)

    def solve(self, options: object = None) -> SolveResult:
        result, program = self._honest.solve(), self.program
        noise = self._rng.normal(size=program.rows)
        match self._kind:
            case "duals":
                return replace(result, row_duals=noise)
            case "infeasible":
                return replace(result, status=Status.INFEASIBLE, ray=noise, row_duals=None, primal=None)
            case "nan":
                return replace(result, row_duals=np.full(program.rows, np.nan), objective=np.nan)
            case "infinite":
                return replace(result, row_duals=np.full(program.rows, np.inf), objective=-np.inf, bound=-np.inf)
            case "low":
                return replace(result, objective=-1e9, bound=-1e9, row_duals=None)
            case "failed":
                return replace(result, status=Status.FAILED, row_duals=None, primal=None)
            case "early":
                return replace(result, status=Status.LIMIT, objective=None, primal=None)
            case _:
                scaled = None if result.row_duals is None else result.row_duals * self._rng.uniform(0, 3)
                return replace(result, row_duals=scaled)


LIES = ["duals", "infeasible", "nan", "infinite", "low", "failed", "early", "scaled"]
