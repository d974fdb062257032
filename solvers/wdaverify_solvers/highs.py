"""HiGHS, called directly through its Python interface: linear and mixed-integer programs, and warm sequences of them.

What HiGHS does silently and this module therefore rules out:

- entries up to 1e-9 are dropped, bounds and costs from 1e20 read as infinite: programs are rescaled exactly by powers of
  two, or not solved at all;
- the default relative gap of 1e-4 counts as optimal: it is set to what the options say, 0 by default;
- a status can read "optimal" although the return value of the call is a warning: both are checked;
- the clock that ``time_limit`` is compared with runs on from solve to solve: the limit is moved along;
- the number of threads belongs to the process, not to the solver object: it is always 1;
- ``objective_bound`` is ignored when maximising: every program is handed over as a minimisation.
"""

from __future__ import annotations

import math
import time
from threading import Event
from typing import TYPE_CHECKING, Any

import highspy
import numpy as np
from highspy import HighsModelStatus, HighsStatus
from scipy.sparse import csr_array

from wdaverify._errors import InputError
from wdaverify.program.backend import DEFAULT_OPTIONS, Capability, SolveOptions, require_for
from wdaverify.program.result import SolveResult, Status
from wdaverify_solvers.highs_answer import STATUSES, read_answer
from wdaverify_solvers.mirror import ProgramMirror
from wdaverify_solvers.native import NativeThreads
from wdaverify_solvers.scaling import LARGEST, SMALLEST, scale_factors, survives_scaled
from wdaverify_solvers.trivial import solve_without_columns

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from wdaverify._deadline import Deadline
    from wdaverify._types import IntArray, SparseMatrix, Vector
    from wdaverify.program.program import Program

ABANDONED = "an earlier solve of this session was interrupted or could not be stopped: open a new session"

TOO_WIDE = "coefficients or bounds span more orders of magnitude than HiGHS keeps apart: rescale the program"


class HighsBackend:
    """The HiGHS solver."""

    name = "highs"
    capabilities = frozenset({Capability.LP, Capability.MILP, Capability.DUALS, Capability.WARM_START})

    def __init__(self) -> None:
        self._threads = NativeThreads()

    @property
    def version(self) -> str:
        """The version of the HiGHS library."""
        return f"{highspy.HIGHS_VERSION_MAJOR}.{highspy.HIGHS_VERSION_MINOR}.{highspy.HIGHS_VERSION_PATCH}"

    def solve(self, program: Program, options: SolveOptions = DEFAULT_OPTIONS) -> SolveResult:
        """Solve a linear or mixed-integer program once.

        Raises
        ------
        SolverError
            If the program has a quadratic objective.
        """
        require_for(self, program, options)
        return HighsSession(program, self._threads).solve(options)

    def open(self, program: Program) -> HighsSession:
        """A program that is solved again and again with other costs and bounds, each time from the last basis."""
        require_for(self, program, DEFAULT_OPTIONS)
        return HighsSession(program, self._threads)


class HighsSession:
    """One program kept in HiGHS. Changed costs and bounds are solved from the last basis by the dual simplex method.

    Every change is mirrored, so that `program` is always what was solved last or will be solved next.
    """

    def __init__(self, program: Program, threads: NativeThreads) -> None:
        self._cancel = Event()
        self._threads = threads
        self._refusal = ""
        self._options: dict[str, Any] = {}
        self._sign = program.sense.sign
        factors = scale_factors(program)
        if factors is None:
            self._refusal = TOO_WIDE
            factors = np.ones(program.rows), np.ones(program.columns)
        self._row_scale, self._column_scale = factors
        self._mirror = ProgramMirror(program, *factors)
        self._load(program)

    @property
    def program(self) -> Program:
        """The program with all changes made so far. Later changes leave it as it is."""
        return self._mirror.program

    def set_objective(self, columns: ArrayLike, coefficients: ArrayLike) -> None:
        """Give the chosen columns these objective coefficients; the others keep theirs."""
        chosen, values = _chosen(columns, coefficients)
        if not np.isfinite(values).all():
            raise InputError("an objective coefficient is not finite")
        self._change("changeColsCost", chosen, self._sign * self._mirror.change("objective", chosen, values))

    def set_column_bounds(self, columns: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> None:
        """Replace the bounds of the chosen columns."""
        chosen, low, high = _intervals(columns, lower, upper)
        low, high = self._mirror.change("lower", chosen, low), self._mirror.change("upper", chosen, high)
        self._change("changeColsBounds", chosen, low, high)

    def set_row_bounds(self, rows: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> None:
        """Replace the bounds of the chosen rows."""
        chosen, low, high = _intervals(rows, lower, upper)
        low, high = self._mirror.change("row_lower", chosen, low), self._mirror.change("row_upper", chosen, high)
        self._change("changeRowsBounds", chosen, low, high)

    def add_rows(self, matrix: SparseMatrix, lower: ArrayLike, upper: ArrayLike) -> None:
        """Add rows (q, v) after those there are; they have to be of moderate size, since they are not rescaled."""
        rows, low, high = _intervals(np.arange(matrix.shape[0]), lower, upper)
        added = csr_array(matrix)
        self._mirror.append(added, low, high)
        self._row_scale = np.concatenate([self._row_scale, np.ones(len(rows))])
        entries = added.data * self._column_scale[added.indices]
        size = np.abs(entries[entries != 0])
        fits = ((size > SMALLEST) & (size < LARGEST)).all() and survives_scaled(
            np.concatenate([low, high]), np.ones(2 * len(rows))
        )
        if not fits:
            self._refusal = self._refusal or TOO_WIDE
        if self._refusal:
            return
        starts, indices = added.indptr[:-1].astype(np.int32), added.indices.astype(np.int32)
        self._expect(self._highs.addRows(len(rows), low, high, len(entries), starts, indices, entries), "addRows")

    def solve(self, options: SolveOptions = DEFAULT_OPTIONS) -> SolveResult:
        """Solve the program as it now is.

        The calling thread only waits, so that Ctrl-C is answered at once: the solve is cancelled and the interrupt
        raised again. A solve that ignores its time limit is cancelled, and given up, after a few seconds of grace.

        Raises
        ------
        KeyboardInterrupt
            If the user interrupts the solve.
        """
        started = time.monotonic()
        program = self.program
        refusal = self._refusal or ("" if self._mirror.fits else TOO_WIDE)
        if refusal:
            return SolveResult(status=Status.FAILED, bound=program.sense.trivial_bound, message=refusal)
        if options.deadline.passed:
            return SolveResult(status=Status.LIMIT, bound=program.sense.trivial_bound)
        if program.columns == 0:
            return solve_without_columns(program)
        self._set_options(options)
        result = self._collect(program, self._run(options.deadline), started)
        if result.status is Status.FAILED and not options.deadline.passed and not self._refusal:
            # warm starts and presolve both fail now and then: once more from scratch, the other way round
            self._highs.clearSolver()
            self._option("presolve", "off" if options.presolve else "on")
            result = self._collect(program, self._run(options.deadline), started)
        return result

    def _load(self, program: Program) -> None:
        """Pass the whole program to a fresh solver, scaled if need be."""
        highs: Any = _QuietHighs()  # type: ignore[no-untyped-call]
        self._highs = highs
        for event in (highs.cbSimplexInterrupt, highs.cbIpmInterrupt, highs.cbMipInterrupt):
            event.subscribe(_interrupter(self._cancel))
        if self._refusal:
            return
        rows, columns = self._row_scale, self._column_scale
        matrix = program.matrix.copy()
        matrix.sum_duplicates()
        matrix.data = matrix.data * np.repeat(rows, np.diff(matrix.indptr)) * columns[matrix.indices]
        matrix.eliminate_zeros()
        status = self._highs.passModel(
            program.columns, program.rows, matrix.nnz, int(highspy.MatrixFormat.kRowwise), int(highspy.ObjSense.kMinimize), 0.0,
            self._sign * program.objective * columns, program.lower / columns, program.upper / columns,
            program.row_lower * rows, program.row_upper * rows,
            matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data, program.integer.astype(np.int32),
        )  # fmt: skip
        self._expect(status, "passModel")

    def _set_options(self, options: SolveOptions) -> None:
        """Everything that is not a default of ours in HiGHS."""
        settings: dict[str, Any] = {
            "threads": 1,
            "presolve": "choose" if options.presolve else "off",
            "primal_feasibility_tolerance": options.feasibility,
            "dual_feasibility_tolerance": options.feasibility,
            "mip_feasibility_tolerance": options.mip_feasibility,
            "mip_rel_gap": options.relative_gap,
            "mip_abs_gap": options.absolute_gap,
            "random_seed": options.seed,
            "objective_bound": self._stopping_value(options),
        }
        for name, value in settings.items():
            self._option(name, value)
        if options.start is not None and self.program.is_mixed_integer:
            known = np.flatnonzero(~np.isnan(options.start)).astype(np.int32)
            values = options.start[known] / self._column_scale[known]
            self._highs.setSolution(len(known), known, values)  # a hint: HiGHS may reject it

    def _stopping_value(self, options: SolveOptions) -> float:
        """The value of the minimisation beyond which a linear program need not be solved further."""
        program = self.program
        if options.cutoff is None or program.is_mixed_integer:  # a mixed-integer program becomes "infeasible" by it
            return math.inf
        return self._sign * (options.cutoff - program.constant)

    def _run(self, deadline: Deadline) -> HighsModelStatus | None:
        """Run HiGHS in a thread of its own and return its model status, or ``None`` if it means nothing."""
        self._option("time_limit", self._highs.getRunTime() + deadline.remaining)
        self._cancel.clear()
        before, self._refusal = self._refusal, ABANDONED
        try:
            returned = self._threads.call(self._highs.run, cancel=self._cancel.set, deadline=deadline)
        except TimeoutError:
            return None
        self._refusal = before
        status: HighsModelStatus = self._highs.getModelStatus()
        accepted = (HighsStatus.kOk, HighsStatus.kWarning) if STATUSES.get(status) is Status.LIMIT else (HighsStatus.kOk,)
        return status if status in STATUSES and returned in accepted else None

    def _collect(self, program: Program, model_status: HighsModelStatus | None, started: float) -> SolveResult:
        """Read the answer of the last run."""
        seconds = time.monotonic() - started
        if model_status is None:
            message = self._refusal or f"HiGHS ended with '{self._highs.modelStatusToString(self._highs.getModelStatus())}'"
            return SolveResult(status=Status.FAILED, bound=program.sense.trivial_bound, seconds=seconds, message=message)
        return read_answer(self._highs, program, STATUSES[model_status], (self._row_scale, self._column_scale), seconds)

    def _option(self, name: str, value: Any) -> None:
        """Set an option of HiGHS unless it has that value already."""
        if name not in self._options or self._options[name] != value:
            self._expect(self._highs.setOptionValue(name, value), f"option {name}={value}")
            self._options[name] = value

    def _change(self, method: str, chosen: IntArray, *values: Vector) -> None:
        """Call one of HiGHS' methods that change columns or rows by index, unless HiGHS holds no model to change."""
        if self._refusal:
            return
        status = getattr(self._highs, method)(len(chosen), chosen.astype(np.int32), *values)
        self._expect(status, method)

    def _expect(self, status: HighsStatus, what: str) -> None:
        """Remember that HiGHS did not take over a part of the model: nothing it says counts from then on."""
        if status != HighsStatus.kOk:
            self._refusal = f"HiGHS refused {what}"


class _QuietHighs(highspy.Highs):
    """HiGHS without its log; from 1.16 on the constructor prints a banner on stdout as it enables callbacks."""

    def enableCallbacks(self) -> None:  # noqa: N802 - the name is HiGHS'
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()  # type: ignore[no-untyped-call]


def _interrupter(cancel: Event) -> Callable[[Any], None]:
    """What HiGHS asks now and then: once `cancel` is set it stops. It knows no session, which can thus be freed at once."""

    def answer(event: Any) -> None:
        if cancel.is_set():
            event.interrupt()

    return answer


def _chosen(indices: ArrayLike, *values: ArrayLike) -> tuple[Any, ...]:
    """Indices as int64 and values as float64 vectors of the same length."""
    chosen = np.atleast_1d(np.asarray(indices, dtype=np.int64))
    return chosen, *(np.broadcast_to(np.asarray(value, dtype=np.float64), chosen.shape).copy() for value in values)


def _intervals(indices: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> tuple[IntArray, Vector, Vector]:
    """Indices with bounds that hold at least one number."""
    chosen, low, high = _chosen(indices, lower, upper)
    if not ((low <= high) & (low < np.inf) & (high > -np.inf)).all():
        raise InputError("a new lower bound is above the new upper bound, or one of them is no bound")
    return chosen, low, high
