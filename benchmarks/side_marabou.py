"""Decide one property with Marabou in a process of its own; imports nothing of wdaverify, and runs in another environment.

python benchmarks/side_marabou.py MODEL QUERIES LIMIT ANSWER: the queries are a JSON list, one for each disjunct, of boxes of
inputs and of rows ``[[[k, c], ...], offset]`` that mean ``sum c_k v_k + offset >= 0``. The answer is a JSON file, not a line on
the standard output, which Marabou leaves redirected when a query ends in its preprocessing.

Options are Marabou's defaults, which its manual recommends for one thread: DeepPoly bounds, local search of the sum of
infeasibilities, automatic choice of the splits, native simplex. A disjunction is one query for each disjunct: first each gets
its share of half the time, then those that are left get equal shares of the rest.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

DECIDED = ("sat", "unsat")


class Solver:
    """A network in Marabou, and the queries about it."""

    def __init__(self, model: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parsers that are not installed
            from maraboupy import Marabou, MarabouCore  # type: ignore[import-not-found, unused-ignore]
        self.marabou, self.core = Marabou, MarabouCore
        self.network = Marabou.read_onnx(model)
        self.inputs = [int(v) for part in self.network.inputVars for v in part.ravel()]
        self.outputs = [int(v) for part in self.network.outputVars for v in part.ravel()]

    def query(self, disjunct: dict[str, Any]) -> Any:
        """The network with one disjunct."""
        query = self.network.getInputQuery()
        for variable, low, high in zip(self.inputs, disjunct["lower"], disjunct["upper"], strict=True):
            query.setLowerBound(variable, low)
            query.setUpperBound(variable, high)
        for kind, variables in (("input_rows", self.inputs), ("output_rows", self.outputs)):
            for coefficients, offset in disjunct[kind]:
                self._add(query, [(variables[k], c) for k, c in coefficients], offset)
        return query

    def solve(self, query: Any, limit: float) -> str:
        """The exit code of a query: sat, unsat, or why there is no answer."""
        options = self.marabou.createOptions(verbosity=0, timeoutInSeconds=max(1, math.ceil(limit)))
        return str(self.core.solve(query, options, os.devnull)[0])

    def _add(self, query: Any, terms: list[tuple[int, float]], offset: float) -> None:
        """A row; with one variable it is a bound, as Marabou's own reader makes it, unless a tighter one is known."""
        if len(terms) == 1:
            (variable, c), end = terms[0], -offset / terms[0][1]
            if c > 0:
                query.setLowerBound(variable, max(end, query.getLowerBound(variable)))
            else:
                query.setUpperBound(variable, min(end, query.getUpperBound(variable)))
            return
        equation = self.core.Equation(self.core.Equation.GE)
        for variable, c in terms:
            equation.addAddend(c, variable)
        equation.setScalar(-offset)
        query.addEquation(equation)


def decide(solver: Any, disjuncts: list[dict[str, Any]], limit: float) -> tuple[str, float]:
    """The verdict over all disjuncts, and the CPU seconds of solving."""
    started, spent, left, last = time.monotonic(), 0.0, list(disjuncts), "timeout"
    for share in (0.5, 1.0):
        waiting, left = left, []
        for k, disjunct in enumerate(waiting):
            rest = started + share * limit - time.monotonic()
            if rest <= 0:
                left += waiting[k:]
                break
            query, began = solver.query(disjunct), time.process_time()
            code = solver.solve(query, rest / (len(waiting) - k) if len(disjuncts) > 1 else limit)
            spent += time.process_time() - began
            if code == "sat":
                return "sat", spent
            if code != "unsat":
                left.append(disjunct)
                last = code
        if not left:
            return "unsat", spent
        if len(disjuncts) == 1:
            break
    return last.lower(), spent


def main(model: str, queries: str, limit: str, answer: str) -> None:
    """Load, decide, write."""
    disjuncts = json.loads(Path(queries).read_text(encoding="utf-8"))
    solver = Solver(model)
    solver.query(disjuncts[0])
    setup = time.process_time()
    verdict, spent = decide(solver, disjuncts, float(limit))
    found = {"verdict": verdict, "solve": spent, "setup": setup, "version": metadata.version("maraboupy")}
    Path(answer).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
