"""CBC, the second opinion: the executable that PuLP ships, fed with files of our own.

The program is written with every digit (see `wdaverify_solvers.files`) and the answer read from CBC's binary solution
file, because PuLP's text files round to 13 and 8 digits. CBC's defaults that count a nearly best point as optimal are
switched off. What CBC states with few digits, its dual bound after a time limit, is rounded away from the optimum.
"""

from __future__ import annotations

import math
import re
import struct
import subprocess
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from pulp.apis.coin_api import pulp_cbc_path

from wdaverify._errors import SolverError
from wdaverify.program.backend import DEFAULT_OPTIONS, Capability, SolveOptions, require_for
from wdaverify.program.program import Program, Sense
from wdaverify.program.result import SolveResult, Status
from wdaverify_solvers.files import lp_text, mps_text, one_sided
from wdaverify_solvers.native import GRACE_SECONDS
from wdaverify_solvers.scaling import INFINITE
from wdaverify_solvers.trivial import solve_without_columns

if TYPE_CHECKING:
    from wdaverify._types import Vector

SMALLEST = 1e-20
"""CBC drops matrix entries below this size."""

INCREMENT = 1e-9
"""CBC prunes a node unless it promises a point better than the incumbent by this much (its own default is 1e-5)."""

PRINTED = 1e-3
"""CBC prints its dual bound with three decimals."""


UNDECIDED = "Pre-processing says infeasible or unbounded"
"""CBC then calls the program infeasible; it is, if its relaxation was solved and so cannot be unbounded."""

RELAXED = "Continuous objective value is"
"""What CBC says once it has solved the linear relaxation."""


class CbcBackend:
    """The CBC solver of the COIN-OR project, as shipped with PuLP."""

    name = "cbc"
    capabilities = frozenset({Capability.LP, Capability.MILP, Capability.DUALS, Capability.EXPORT, Capability.WARM_START})

    @property
    def version(self) -> str:
        """The version of PuLP, which fixes that of its CBC."""
        return f"pulp {version('pulp')}"

    def solve(self, program: Program, options: SolveOptions = DEFAULT_OPTIONS) -> SolveResult:
        """Solve a linear or mixed-integer program in a process of its own.

        The dual bound of a mixed-integer optimum is the objective less the feasibility tolerance (relative),
        `INCREMENT` and the gaps asked for: CBC does not state it.

        Raises
        ------
        SolverError
            If the program has a quadratic objective, or PuLP's executable is missing.
        """
        require_for(self, program, options)
        started = time.monotonic()
        refusal = _refusal(program)
        if refusal:
            return SolveResult(status=Status.FAILED, bound=program.sense.trivial_bound, message=refusal)
        if options.deadline.passed:
            return SolveResult(status=Status.LIMIT, bound=program.sense.trivial_bound)
        if program.columns == 0:
            return solve_without_columns(program)
        # CBC's reader and its messages agree on one sense only
        minimised = replace(program, objective=program.sense.sign * program.objective, sense=Sense.MINIMISE, constant=0.0)
        with TemporaryDirectory(prefix="wdaverify-cbc-") as folder:
            log, verdict, values = _run(minimised, options, Path(folder))
        return _result(program, options, log, verdict, values, time.monotonic() - started)

    def write_lp(self, program: Program, path: Path | str) -> None:
        """Write the program in CPLEX LP format, every number with all its digits."""
        Path(path).write_text(lp_text(program), encoding="ascii")

    def write_mps(self, program: Program, path: Path | str) -> None:
        """Write the program in free MPS format, every number with all its digits."""
        Path(path).write_text(mps_text(program), encoding="ascii")


def _refusal(program: Program) -> str:
    """Why CBC would solve another program than this one; empty if it would not."""
    entries = np.abs(program.matrix.data[program.matrix.data != 0])
    ends = np.concatenate([program.lower, program.upper, program.row_lower, program.row_upper, program.objective])
    if (entries < SMALLEST).any() or (np.abs(ends[np.isfinite(ends)]) >= INFINITE).any():
        return f"CBC drops coefficients below {SMALLEST:g} and reads numbers from {INFINITE:g} as infinite: rescale the program"
    return ""


def _run(program: Program, options: SolveOptions, folder: Path) -> tuple[str, str, Vector | None]:
    """CBC's log, the first line of its solution file and its binary solution; empty where it left none."""
    executable = Path(pulp_cbc_path).resolve()
    if not executable.is_file():
        raise SolverError(f"backend 'cbc': PuLP has no CBC for this machine ({executable}); choose another solver")
    (folder / "program.mps").write_text(mps_text(program), encoding="ascii")
    arguments = ["program.mps", *_arguments(program, options, folder)]
    arguments += ["-solve", "-solution", "answer.txt", "-saveSolution", "answer.bin", "-quit"]
    # a pure linear program obeys no time limit at all
    grace = GRACE_SECONDS if program.is_mixed_integer else 0.0
    code, log = _execute([str(executable), *arguments], folder, options.deadline.remaining + grace)
    if code is None:
        return "", "Stopped on time (killed, no integer solution)", None
    answer, binary = folder / "answer.txt", folder / "answer.bin"
    verdict = answer.read_text(encoding="ascii").partition("\n")[0] if answer.is_file() else ""
    values = _read_binary(binary.read_bytes(), program) if binary.is_file() else None
    return log, verdict if code == 0 else "", values


def _execute(command: list[str], folder: Path, seconds: float) -> tuple[int | None, str]:
    """Exit status and output of a process; no exit status if it had to be killed. Ctrl-C kills it as well."""
    # a session of its own, so that Ctrl-C reaches us and not the process
    process = subprocess.Popen(  # noqa: S603
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        log, _ = process.communicate(timeout=None if math.isinf(seconds) else seconds)
    except BaseException as error:
        process.kill()
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            return None, ""
        raise
    return process.returncode, log


def _arguments(program: Program, options: SolveOptions, folder: Path) -> list[str]:
    """Options of CBC in place of its loose defaults."""
    tolerance = options.mip_feasibility if program.is_mixed_integer else options.feasibility
    settings: dict[str, object] = {"primalT": tolerance, "dualT": options.feasibility}
    if not math.isinf(options.deadline.remaining):
        settings |= {"timeMode": "elapsed", "sec": max(options.deadline.remaining, 1e-3)}
    if not options.presolve:
        settings |= {"presolve": "off"}  # CBC's "preprocess off" ends in a segmentation fault on small programs
    if program.is_mixed_integer:
        settings |= {"integerT": options.mip_feasibility, "ratio": options.relative_gap, "allow": options.absolute_gap}
        settings |= {"increment": INCREMENT, "randomC": options.seed}
        if options.start is not None:
            known = np.flatnonzero(~np.isnan(options.start)).tolist()
            lines = [f"{k} X{k} {float(options.start[k])!r} 0" for k in known]
            (folder / "start.txt").write_text("\n".join(["Stopped on time - objective value 0", *lines, ""]), encoding="ascii")
            settings["mips"] = "start.txt"
    return [word for name, value in settings.items() for word in (f"-{name}", str(value))]


def _read_binary(content: bytes, program: Program) -> Vector | None:
    """Objective, row activities, row duals, columns and reduced costs, one after the other, as CBC saves them."""
    rows = len(one_sided(program).source)
    head = struct.calcsize("=ii")
    if len(content) != head + 8 * (1 + 2 * rows + 2 * program.columns):
        return None
    if struct.unpack("=ii", content[:head]) != (rows, program.columns):
        return None
    return np.frombuffer(content[head:], dtype=np.float64).copy()


def _result(
    program: Program, options: SolveOptions, log: str, verdict: str, values: Vector | None, seconds: float
) -> SolveResult:
    """Translate CBC's words, claiming nothing that it did not say."""
    status, sense, mixed = _status(log, verdict), program.sense, program.is_mixed_integer
    if status is Status.OPTIMAL and values is None:
        status = Status.FAILED
    bound = sense.trivial_bound
    primal = objective = row_duals = column_duals = None
    has_point = status is Status.OPTIMAL or (status is Status.LIMIT and mixed and "no integer solution" not in verdict)
    if values is not None and has_point:
        rows = one_sided(program)
        sizes = np.cumsum([1, len(rows.source), len(rows.source), program.columns])
        _, _, duals, primal, reduced = np.split(values, sizes)
        objective = program.value(primal)
        if not mixed:
            # a row with two ends is two rows in the file, of which at most one has a nonzero dual
            row_duals = np.zeros(program.rows)
            np.add.at(row_duals, rows.source, sense.sign * duals)
            column_duals = sense.sign * reduced
    stated = re.search(r"^Lower bound:\s+(\S+)", log, re.MULTILINE)
    if status is Status.INFEASIBLE:
        bound = -sense.trivial_bound
    elif mixed and stated and status in (Status.OPTIMAL, Status.LIMIT):
        bound = sense.sign * (float(stated.group(1)) - PRINTED) + program.constant
    elif status is Status.OPTIMAL and objective is not None:
        bound = objective - sense.sign * (_slack(options, objective) if mixed else 0.0)
    counts = [re.search(rf"^{name}:\s+(\d+)", log, re.MULTILINE) for name in ("Total iterations", "Enumerated nodes")]
    iterations, nodes = (int(found.group(1)) if found else 0 for found in counts)
    return SolveResult(
        status=status, bound=bound, objective=objective, primal=primal, row_duals=row_duals, column_duals=column_duals,
        iterations=iterations, nodes=nodes, seconds=seconds,
        message=f"CBC ended with '{verdict or 'no answer'}'" if status is Status.FAILED else "",
    )  # fmt: skip


def _slack(options: SolveOptions, objective: float) -> float:
    """How far below CBC's optimum a better point might be by its own stopping rules."""
    size = max(1.0, abs(objective))
    return (options.mip_feasibility + options.relative_gap) * size + INCREMENT + options.absolute_gap


def _status(log: str, verdict: str) -> Status:
    """The status from the first line of the solution file, unless the log takes it back."""
    if UNDECIDED in log and RELAXED not in log:
        return Status.FAILED
    starts = {
        "Optimal": Status.OPTIMAL,
        "Infeasible": Status.INFEASIBLE,
        "Integer infeasible": Status.INFEASIBLE,
        "Unbounded": Status.UNBOUNDED,
        "Stopped on": Status.LIMIT,
    }
    return next((status for words, status in starts.items() if verdict.startswith(words)), Status.FAILED)
