"""The tolerances that several modules share, by name, with the reason for their size.

Those of a single module stand at its head. None of them decides a verdict: ties are decided in exact arithmetic. They say
when a bracket is called exact, how tightly solvers are asked to work, and how much of a solver's claim is given away before
use.
"""

from __future__ import annotations

UNIT_ROUNDOFF = 2.0**-53
"""Largest relative error of one float64 operation rounded to nearest."""

TINY = 2.0**-1022
"""Added wherever a relative error bound could be lost to underflow."""

DEFAULT_GAP = 1e-6
"""A bracket is *exact* when ``upper - lower <= gap * max(1, |upper|)``."""

SOLVER_FEASIBILITY = 1e-9
"""Primal and dual feasibility asked of LP solvers; HiGHS accepts nothing below 1e-10."""

MIP_FEASIBILITY = 1e-8
"""Integrality and feasibility asked of MILP solvers; 1e-9 has been reported to corrupt HiGHS' memory."""

MIP_SLACK = 2e-8
"""Part of a MILP dual bound that is given away, relative to an objective scaled to about 1: a MILP prunes nodes within
its feasibility tolerance (1e-8) of the incumbent, and its node bounds have dual values of `SOLVER_FEASIBILITY`."""

INCUMBENT_SLACK = 2.0**-20
"""A MILP searches this relative bit beyond the incumbent: the incumbent stays feasible, so a solver that denies it is caught."""

SEARCH_GAP = 1e-7
"""A search proves that nothing lies inside this relative bit of the incumbent: at the incumbent itself the margin is 0,
and a ceiling computed in float64 cannot be below it."""
