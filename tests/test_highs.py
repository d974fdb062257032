"""HiGHS: what it does silently and must not, and warm sequences of solves."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from tests.backend_cases import INF, check_case, random_program
from tests.program_bank import LINEAR, program
from wdaverify._deadline import Deadline
from wdaverify._errors import InputError, SolverError
from wdaverify.program.backend import SolveOptions, get_backend, open_session
from wdaverify.program.kkt import proves_infeasible, residuals, safe_bound
from wdaverify.program.program import Sense
from wdaverify.program.result import Status
from wdaverify_solvers import highs as highs_module
from wdaverify_solvers.highs import HighsBackend
from wdaverify_solvers.pulp import CbcBackend


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
    @pytest.mark.parametrize("presolve", [True, False])
    def test_an_optimum_without_a_feasible_solution_is_tried_again_from_scratch(self, presolve, monkeypatch):
        """HiGHS sometimes says optimal, warm from another node of a search, and holds a solution that is not feasible."""
        case = next(case for case in LINEAR if case.program.columns)
        session, read, statuses = HighsBackend().open(case.program), highs_module.read_answer, []

        def once_infeasible(highs, program, status, scales, seconds):
            statuses.append(highs.getOptionValue("presolve")[1])
            answer = read(highs, program, status, scales, seconds)
            return replace(answer, status=Status.FAILED) if len(statuses) == 1 else answer

        monkeypatch.setattr(highs_module, "read_answer", once_infeasible)
        check_case(case, session.solve(SolveOptions(presolve=presolve)), 1e-7)
        assert statuses == (["choose", "off"] if presolve else ["off", "on"])

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
        """HiGHS' own clock runs on from solve to solve: here it stands at ten hours before the last one."""
        session = HighsBackend().open(LINEAR[1].program)
        highs = session._highs = _LateClock(session._highs, 36000.0)
        result = session.solve(SolveOptions(deadline=Deadline.after(600.0)))
        assert result.status is Status.OPTIMAL
        assert 36000.0 < highs.limits[-1] <= 600.0 + highs.getRunTime()

    def test_scaled_programs_stay_scaled(self):
        session = HighsBackend().open(program([1, 1], [[1e-10, 1e-10]], [(1.5e-10, INF)], [(0, 1)] * 2))
        session.set_objective([0], 3.0)
        session.set_column_bounds([1], 0.0, 0.75)
        session.set_row_bounds([0], 1e-10, INF)
        result = session.solve()
        assert result.objective == pytest.approx(0.75 + 3 * 0.25, abs=1e-9)
        assert result.row_duals == pytest.approx([3e10])

    def test_programs_taken_earlier_do_not_change(self):
        session = HighsBackend().open(LINEAR[0].program)
        before = session.program
        session.set_objective([0], 7.0)
        session.set_column_bounds([1], 1.0, 2.0)
        session.set_row_bounds([0], 2.0, 3.0)
        after = session.program
        assert [before.objective[0], before.lower[1], before.row_lower[0]] == [1.0, 0.0, 1.0]
        assert [after.objective[0], after.lower[1], after.upper[1], after.row_lower[0]] == [7.0, 1.0, 2.0, 2.0]
        assert session.program is after
        assert after.column_sums is before.column_sums
        with pytest.raises(ValueError, match="read-only"):
            after.objective[0] = 0.0

    def test_a_change_that_highs_would_misread_is_not_solved_until_it_is_undone(self):
        session = HighsBackend().open(LINEAR[0].program)
        session.set_column_bounds([0], 0.0, 1e21)
        session.set_objective([1], 2.0)
        assert session.solve().status is Status.FAILED
        session.set_column_bounds([1], 0.0, 4.0)
        assert session.solve().status is Status.FAILED
        session.set_column_bounds([0], 0.0, 4.0)
        check_case(LINEAR[0], session.solve(), 1e-9)

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


class _LateClock:
    """A solver whose clock has been running for a while, and that records its time limits."""

    def __init__(self, highs, ahead):
        self.highs, self.ahead, self.limits = highs, ahead, []

    def __getattr__(self, name):
        return getattr(self.highs, name)

    def getRunTime(self):
        return self.highs.getRunTime() + self.ahead

    def setOptionValue(self, name, value):
        if name == "time_limit":
            self.limits.append(value)
        return self.highs.setOptionValue(name, value)


class TestCutoff:
    """A cutoff ends a linear program early, with duals that show that it is passed; in either sense."""

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("sense", list(Sense))
    def test_duals_prove_that_the_cutoff_is_passed(self, seed, sense):
        rng = np.random.default_rng(seed)
        ends = [(-1.0, 1.0)] * 40
        task = program(rng.normal(size=80), rng.normal(size=(40, 80)), ends, [(0, 1)] * 80, sense=sense, constant=7.0)
        optimum = get_backend("highs").solve(task).objective
        cutoff = optimum - 3.0 * sense.sign
        result = get_backend("highs").solve(task, SolveOptions(cutoff=cutoff, presolve=False))
        assert result.status is Status.LIMIT
        assert sense.sign * safe_bound(task, result.row_duals) >= sense.sign * cutoff - 1e-7
        beyond = SolveOptions(cutoff=optimum + 3.0 * sense.sign, presolve=False)
        assert get_backend("highs").solve(task, beyond).objective == pytest.approx(optimum, abs=1e-7)


class TestAddedRows:
    @pytest.mark.parametrize("seed", range(6))
    def test_rows_added_later_are_rows_like_others(self, seed):
        """Solve, add rows, solve: the same optimum and proved bound as of the whole program."""
        whole = random_program(np.random.default_rng(seed))
        first = whole.rows // 2
        half = replace(
            whole, matrix=csr_array(whole.matrix[:first]), row_lower=whole.row_lower[:first], row_upper=whole.row_upper[:first]
        )
        session = open_session(get_backend("highs"), half)
        session.solve()
        session.add_rows(csr_array(whole.matrix[first:]), whole.row_lower[first:], whole.row_upper[first:])
        result, expected = session.solve(), get_backend("highs").solve(whole)
        assert result.objective == pytest.approx(expected.objective, abs=1e-8)
        assert safe_bound(session.program, result.row_duals) == pytest.approx(expected.objective, abs=1e-7)
        session.set_row_bounds([whole.rows - 1], -INF, INF)
        assert session.solve().status is Status.OPTIMAL

    def test_rows_that_highs_would_alter_fail_the_solve(self):
        session = open_session(get_backend("highs"), program([1, 1], [[1, 1]], [(1, INF)], [(0, 1)] * 2))
        session.add_rows(csr_array([[1e-12, 1.0]]), -INF, 1.0)
        assert session.solve().status is Status.FAILED
