"""Every backend on programs with known answers, on random programs against the others, and at its limits."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace

import highspy
import numpy as np
import pulp
import pytest
from scipy.optimize import linprog

from tests.program_bank import INFEASIBLE, LINEAR, MIXED_INTEGER, QUADRATIC, UNBOUNDED, program
from wdaverify._deadline import Deadline
from wdaverify._errors import InputError, SolverError
from wdaverify.program.backend import Capability, SolveOptions, get_backend, installed_backends, open_session
from wdaverify.program.builder import ProgramBuilder
from wdaverify.program.kkt import primal_residual, proves_infeasible, residuals, safe_bound
from wdaverify.program.program import Sense
from wdaverify.program.result import Status
from wdaverify_solvers.files import lp_text, mps_text
from wdaverify_solvers.highs import HighsBackend
from wdaverify_solvers.native import call_native
from wdaverify_solvers.pulp import CbcBackend

BACKENDS = ("cbc", "cvxpy", "highs")
INF = np.inf


def backends_with(*capabilities):
    return [name for name in BACKENDS if set(capabilities) <= get_backend(name).capabilities]


def ids(case):
    return case.name if hasattr(case, "program") else str(case)


def check_case(case, result, tolerance):
    assert result.status is Status.OPTIMAL, result.message
    assert result.objective == pytest.approx(case.optimum, abs=tolerance)
    assert primal_residual(case.program, result.primal) <= tolerance
    assert case.program.sense.sign * (result.bound - case.optimum) <= tolerance
    if case.point is not None:
        assert result.primal == pytest.approx(np.array(case.point), abs=np.sqrt(tolerance))


def random_program(rng, integer=False):
    """A feasible bounded program with ranges, equations, one-sided and free rows."""
    rows, columns = int(rng.integers(1, 8)), int(rng.integers(1, 9))
    matrix = rng.normal(size=(rows, columns)) * (rng.random((rows, columns)) < 0.7)
    lower = rng.integers(-3, 1, columns).astype(float)
    upper = lower + rng.integers(0, 5, columns)
    inside = lower + np.round(rng.random(columns) * (upper - lower))
    activity = matrix @ inside
    below, above = rng.exponential(size=(2, rows)) * (rng.random((2, rows)) < 0.8)
    ends = np.stack([activity - below, activity + above], axis=1)
    ends[rng.random(rows) < 0.3, 0] = -INF
    ends[rng.random(rows) < 0.3, 1] = INF
    kinds = np.arange(columns) % 2 == 0 if integer else np.zeros(columns)
    sense = Sense.MAXIMISE if rng.random() < 0.5 else Sense.MINIMISE
    c = rng.normal(size=columns)
    return program(c, matrix, ends, np.stack([lower, upper], axis=1), sense=sense, integer=kinds, constant=float(rng.normal()))


def hard_program(seed=0, rows=30, columns=120):
    """A multidimensional knapsack with values close to weights, far beyond a second of any solver."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(10, 1000, (rows, columns)).astype(float)
    values = np.round(weights.mean(axis=0)) + rng.integers(1, 40, columns)
    ends = [(-INF, float(total // 2)) for total in weights.sum(1)]
    return program(values, weights, ends, [(0, 1)] * columns, sense=Sense.MAXIMISE, integer=[1] * columns)


def test_the_three_backends_are_registered():
    assert set(BACKENDS) <= set(installed_backends())
    for name in BACKENDS:
        backend = get_backend(name)
        assert backend.name == name
        assert any(character.isdigit() for character in backend.version)


def test_an_unknown_backend_is_refused_with_the_installed_names():
    with pytest.raises(InputError, match=r"unknown solver 'gurobi'; installed: .*highs"):
        get_backend("gurobi")


@pytest.mark.parametrize("name", backends_with(Capability.LP, Capability.DUALS))
@pytest.mark.parametrize("case", LINEAR, ids=ids)
def test_linear_programs_with_known_duals(case, name):
    result = get_backend(name).solve(case.program)
    check_case(case, result, 1e-7)
    assert residuals(case.program, result).worst <= 1e-7
    if case.row_duals is not None:
        assert result.row_duals == pytest.approx(np.array(case.row_duals), abs=1e-6)
        assert result.column_duals == pytest.approx(np.array(case.column_duals), abs=1e-6)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("case", INFEASIBLE, ids=ids)
def test_infeasible_programs(case, name):
    result = get_backend(name).solve(case.program)
    assert result.status is Status.INFEASIBLE
    assert result.bound == case.optimum
    assert result.primal is None
    if name == "highs":
        assert proves_infeasible(case.program, result.ray)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("case", UNBOUNDED, ids=ids)
def test_unbounded_programs(case, name):
    result = get_backend(name).solve(case.program)
    assert result.status is Status.UNBOUNDED
    assert result.bound == case.optimum
    assert result.primal is None


@pytest.mark.parametrize("presolve", [True, False])
@pytest.mark.parametrize("name", backends_with(Capability.MILP))
@pytest.mark.parametrize("case", MIXED_INTEGER, ids=ids)
def test_mixed_integer_programs(case, name, presolve):
    result = get_backend(name).solve(case.program, SolveOptions(presolve=presolve))
    if np.isinf(case.optimum):
        assert result.status is Status.INFEASIBLE
        assert result.bound == case.optimum
    else:
        check_case(case, result, 1e-6)
        assert result.bound == pytest.approx(case.optimum, abs=1e-6)
        assert result.row_duals is None


@pytest.mark.parametrize("name", backends_with(Capability.QUADRATIC))
@pytest.mark.parametrize("case", QUADRATIC, ids=ids)
def test_quadratic_programs_with_known_duals(case, name):
    result = get_backend(name).solve(case.program)
    check_case(case, result, 1e-7)
    assert residuals(case.program, result).worst <= 1e-6
    assert result.row_duals == pytest.approx(np.array(case.row_duals), abs=1e-6)
    assert result.column_duals == pytest.approx(np.array(case.column_duals), abs=1e-6)


def test_missing_capabilities_are_named():
    with pytest.raises(SolverError, match="'highs' cannot do quadratic"):
        get_backend("highs").solve(QUADRATIC[0].program)
    with pytest.raises(SolverError, match="'cbc' cannot do quadratic"):
        get_backend("cbc").solve(QUADRATIC[0].program)
    with pytest.raises(SolverError, match="'cvxpy' cannot do milp"):
        get_backend("cvxpy").solve(MIXED_INTEGER[0].program)


@pytest.mark.parametrize("name", backends_with(Capability.LP))
def test_random_linear_programs_agree_with_scipy(name):
    rng = np.random.default_rng(7)
    for _ in range(12):
        task = random_program(rng)
        result = get_backend(name).solve(task)
        dense = task.matrix.toarray()
        upper, lower = np.isfinite(task.row_upper), np.isfinite(task.row_lower)
        reference = linprog(
            task.sense.sign * task.objective,
            A_ub=np.concatenate([dense[upper], -dense[lower]]),
            b_ub=np.concatenate([task.row_upper[upper], -task.row_lower[lower]]),
            bounds=np.stack([task.lower, task.upper], axis=1),
        )
        assert result.status is Status.OPTIMAL, result.message
        assert result.objective == pytest.approx(task.sense.sign * reference.fun + task.constant, abs=1e-7)
        assert residuals(task, result).worst <= 1e-7
        assert abs(safe_bound(task, result.row_duals) - result.objective) <= 1e-7


def brute_force(task):
    """Optimum over all integer parts, each a linear program solved by scipy."""
    whole = np.flatnonzero(task.integer)
    grids = np.meshgrid(*[np.arange(task.lower[k], task.upper[k] + 1) for k in whole], indexing="ij")
    dense, best = task.matrix.toarray(), INF
    upper, lower = np.isfinite(task.row_upper), np.isfinite(task.row_lower)
    for values in np.stack([grid.ravel() for grid in grids], axis=1):
        box = np.stack([task.lower, task.upper], axis=1)
        box[whole] = values[:, None]
        a_ub, b_ub = (
            np.concatenate([dense[upper], -dense[lower]]),
            np.concatenate([task.row_upper[upper], -task.row_lower[lower]]),
        )
        answer = linprog(task.sense.sign * task.objective, A_ub=a_ub, b_ub=b_ub, bounds=box)
        best = min(best, answer.fun if answer.success else INF)
    return task.sense.sign * best + task.constant


def test_random_mixed_integer_programs_agree_with_enumeration():
    rng = np.random.default_rng(3)
    tried = 0
    while tried < 8:
        task = random_program(rng, integer=True)
        if np.prod((task.upper - task.lower + 1)[task.integer]) > 40:
            continue
        tried += 1
        truth = brute_force(task)
        for name in backends_with(Capability.MILP):
            result = get_backend(name).solve(task)
            assert result.status is Status.OPTIMAL, (name, result.message)
            assert result.objective == pytest.approx(truth, abs=1e-6)
            assert task.sense.sign * (result.bound - truth) <= 1e-6
            assert result.bound == pytest.approx(truth, abs=1e-6)


def test_close_seconds_are_told_apart():
    """Optima that differ by 1e-6 of their size: the default gaps of both solvers would accept the worse."""
    rng = np.random.default_rng(11)
    values = 1.0 + 1e-6 * rng.permutation(30)
    task = program(values, [np.ones(30)], [(-INF, 7)], [(0, 1)] * 30, sense=Sense.MAXIMISE, integer=[1] * 30)
    truth = float(np.sort(values)[-7:].sum())
    for name in backends_with(Capability.MILP):
        assert get_backend(name).solve(task).objective == pytest.approx(truth, abs=1e-8)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_deadline_that_has_passed_is_a_limit_without_claims(name):
    result = get_backend(name).solve(LINEAR[0].program, SolveOptions(deadline=Deadline.after(0.0)))
    assert result.status is Status.LIMIT
    assert result.bound == -INF
    assert result.primal is None


@pytest.mark.parametrize("name", backends_with(Capability.MILP))
def test_a_time_limit_leaves_a_valid_bracket(name):
    task = hard_program()
    started = time.monotonic()
    result = get_backend(name).solve(task, SolveOptions(deadline=Deadline.after(0.7)))
    assert time.monotonic() - started < 7.0
    assert result.status is Status.LIMIT
    # the linear relaxation is an upper bound that no claimed bound needs to exceed, apart from printing
    relaxed = get_backend("highs").solve(replace(task, integer=np.zeros(task.columns, dtype=bool)))
    assert np.isfinite(result.bound)
    assert result.bound <= relaxed.objective + 0.01
    if result.primal is not None:
        assert primal_residual(task, result.primal) <= 1e-6
        assert result.objective <= result.bound


@pytest.mark.parametrize("name", backends_with(Capability.MILP, Capability.WARM_START))
def test_a_start_is_used(name):
    """A good point given at the start is never lost."""
    task = hard_program(seed=1)
    good = get_backend("highs").solve(task, SolveOptions(deadline=Deadline.after(1.0)))
    assert good.primal is not None
    start = np.round(good.primal)
    result = get_backend(name).solve(task, SolveOptions(deadline=Deadline.after(0.7), start=start))
    assert result.objective >= task.value(start) - 1e-6
    with pytest.raises(InputError, match="start has shape"):
        get_backend(name).solve(task, SolveOptions(start=start[1:]))


def test_ctrl_c_ends_a_native_solve():
    task = hard_program(seed=2)
    for name in backends_with(Capability.MILP):
        timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        started = time.monotonic()
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            get_backend(name).solve(task, SolveOptions(deadline=Deadline.after(30.0)))
        assert time.monotonic() - started < 6.0
        timer.join()


def test_a_solver_that_cannot_be_stopped_is_given_up():
    release = threading.Event()
    started = time.monotonic()
    with pytest.raises(TimeoutError, match="given up"):
        call_native(release.wait, cancel=None, deadline=Deadline.after(0.1), grace=0.1)
    assert time.monotonic() - started < 2.0
    release.set()
    assert call_native(lambda: 7, cancel=None, deadline=Deadline.after(None)) == 7
    with pytest.raises(ZeroDivisionError):
        call_native(lambda: 1 // 0, cancel=None, deadline=Deadline.after(None))


def test_cancelling_lets_a_solver_come_back():
    stop = threading.Event()

    def solve():
        return "stopped" if stop.wait(30) else "never"

    assert call_native(solve, cancel=stop.set, deadline=Deadline.after(0.1), grace=0.1) == "stopped"


class TestHighsTraps:
    def test_tiny_coefficients_are_not_dropped(self):
        """1e-10 (x + y) >= 1.5e-10 would be an empty row for HiGHS, and the answer 0."""
        task = program([1, 1], [[1e-10, 1e-10]], [(1.5e-10, INF)], [(0, 1)] * 2)
        result = get_backend("highs").solve(task)
        assert result.objective == pytest.approx(1.5, abs=1e-9)
        assert result.row_duals == pytest.approx([1e10])

    def test_huge_coefficients_are_not_refused(self):
        task = program([1, 1], [[1e16, 1e16]], [(1.5e16, INF)], [(0, 1)] * 2)
        assert get_backend("highs").solve(task).objective == pytest.approx(1.5, abs=1e-9)

    def test_scaled_rays_prove_infeasibility(self):
        task = program([1, 1], [[1e-10, 1e-10]], [(2.5e-10, INF)], [(0, 1)] * 2)
        result = get_backend("highs").solve(task)
        assert result.status is Status.INFEASIBLE
        assert proves_infeasible(task, result.ray)

    @pytest.mark.parametrize(
        "task",
        [
            program([1, 1], [[1e-12, 1e14]], [(1e-12, INF)], [(0, 1)] * 2, integer=[1, 1]),
            program([1], [[1]], [(0, 1)], [(0, 1e21)], integer=[1]),
            program([1e21], [[1]], [(0, 1)], [(0, 1)], integer=[1]),
        ],
        ids=["spread", "bound", "cost"],
    )
    def test_what_cannot_be_scaled_is_not_solved(self, task):
        result = get_backend("highs").solve(task)
        assert result.status is Status.FAILED
        assert result.bound == -INF
        assert "rescale" in result.message

    def test_several_sessions_in_several_threads(self):
        cases = [case for case in LINEAR if case.program.columns]
        results = {}

        def work(case):
            results[case.name] = HighsBackend().solve(case.program)

        threads = [threading.Thread(target=work, args=(case,)) for case in cases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for case in cases:
            check_case(case, results[case.name], 1e-7)


class TestHighsSession:
    def test_a_sequence_agrees_with_cold_solves(self):
        rng = np.random.default_rng(5)
        task = random_program(rng)
        session = HighsBackend().open(task)
        for step in range(30):
            k, row = int(rng.integers(task.columns)), int(rng.integers(task.rows))
            session.set_objective(np.arange(task.columns), rng.normal(size=task.columns))
            session.set_column_bounds([k], float(rng.integers(-4, 0)), float(rng.integers(0, 3)))
            session.set_row_bounds([row], -float(rng.exponential()), float(rng.exponential()) if step % 3 else INF)
            warm, cold = session.solve(SolveOptions(presolve=False)), CbcBackend().solve(session.program)
            assert warm.status is cold.status
            if warm.status is Status.OPTIMAL:
                assert warm.objective == pytest.approx(cold.objective, abs=1e-7)
                assert residuals(session.program, warm).worst <= 1e-7
            else:
                assert proves_infeasible(session.program, warm.ray)

    def test_the_time_limit_is_per_solve(self):
        """HiGHS' own clock runs on from solve to solve."""
        rng = np.random.default_rng(0)
        session = HighsBackend().open(LINEAR[1].program)
        for _ in range(300):
            session.set_objective([0, 1], rng.normal(size=2))
            assert session.solve(SolveOptions(deadline=Deadline.after(0.1 if _ else 5.0))).status is Status.OPTIMAL

    def test_scaled_programs_stay_scaled(self):
        session = HighsBackend().open(program([1, 1], [[1e-10, 1e-10]], [(1.5e-10, INF)], [(0, 1)] * 2))
        session.set_objective([0], 3.0)
        session.set_column_bounds([1], 0.0, 0.75)
        session.set_row_bounds([0], 1e-10, INF)
        result = session.solve()
        assert result.objective == pytest.approx(0.75 + 3 * 0.25, abs=1e-9)
        assert result.row_duals == pytest.approx([3e10])

    def test_backends_without_sessions_say_so(self):
        with pytest.raises(SolverError, match="'cbc' keeps no programs"):
            open_session(get_backend("cbc"), LINEAR[0].program)

    def test_bad_changes_are_refused(self):
        session = HighsBackend().open(LINEAR[0].program)
        with pytest.raises(InputError, match="lower bound"):
            session.set_column_bounds([0], 2.0, 1.0)
        with pytest.raises(InputError, match="finite"):
            session.set_objective([0], np.nan)
        check_case(LINEAR[0], session.solve(), 1e-9)


class TestExport:
    @pytest.mark.parametrize("case", [*LINEAR[:-1], *MIXED_INTEGER[:-2]], ids=ids)
    @pytest.mark.parametrize("suffix", ["mps", "lp"])
    def test_other_readers_find_the_same_optimum(self, case, suffix, tmp_path):
        path = tmp_path / f"program.{suffix}"
        backend = CbcBackend()
        (backend.write_mps if suffix == "mps" else backend.write_lp)(case.program, path)
        reader = highspy.Highs()
        reader.silent()
        assert reader.readModel(str(path)) == highspy.HighsStatus.kOk
        assert reader.run() == highspy.HighsStatus.kOk
        assert reader.getInfo().objective_function_value == pytest.approx(case.optimum, abs=1e-6)

    def test_pulp_reads_the_mps_file(self, tmp_path):
        path = tmp_path / "program.mps"
        task = replace(MIXED_INTEGER[2].program, constant=0.0)  # PuLP's reader knows no constant
        CbcBackend().write_mps(task, path)
        variables, problem = pulp.LpProblem.fromMPS(str(path))
        assert [variables["X0"].cat, variables["X1"].lowBound, variables["X1"].upBound] == ["Integer", 0.5, 9.0]
        assert len(problem.constraints) == 1

    def test_every_digit_is_kept(self):
        third = 1 / 3
        task = program([third], [[third]], [(-third, third)], [(-third, third)])
        for text in (mps_text(task), lp_text(task)):
            words = text.replace("+", " ").split()
            assert sum(_is(word, third) for word in words) >= 4
            assert sum(_is(word, -third) for word in words) == 2

    def test_nothing_is_left_behind(self, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        assert get_backend("cbc").solve(MIXED_INTEGER[0].program).status is Status.OPTIMAL
        assert list(tmp_path.iterdir()) == []


def _is(word, number):
    try:
        return float(word) == number
    except ValueError:
        return False


def test_builder_and_backend_together():
    builder = ProgramBuilder()
    x = builder.add_columns(3, 0.0, [1.0, 2.0, 3.0], objective=[1.0, 1.0, 1.0])
    builder.add_rows([(x[:2], np.eye(2)), (x[2:], np.ones((2, 1)))], [1.0, 2.0], INF)
    result = get_backend("highs").solve(builder.build(Sense.MINIMISE))
    assert result.objective == pytest.approx(2.0)
