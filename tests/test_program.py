"""Programs, their builder, and the checks that do not trust a solver."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array, csr_array

from tests.program_bank import LINEAR, MIXED_INTEGER, QUADRATIC, program
from wdaverify._errors import InputError
from wdaverify.program.backend import get_backend
from wdaverify.program.builder import ProgramBuilder
from wdaverify.program.kkt import primal_residual, proves_infeasible, residuals, safe_bound
from wdaverify.program.program import Sense
from wdaverify.program.result import SolveResult, Status

INF = np.inf


def solve_exactly(matrix, side):
    """Gaussian elimination in rationals; None if the square system is singular."""
    rows = [[*row, b] for row, b in zip(matrix, side, strict=True)]
    n = len(rows)
    for k in range(n):
        pivot = next((r for r in range(k, n) if rows[r][k] != 0), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [entry / rows[k][k] for entry in rows[k]]
        for r in range(n):
            if r != k:
                rows[r] = [a - rows[r][k] * b for a, b in zip(rows[r], rows[k], strict=True)]
    return [row[n] for row in rows]


def exact_optimum(task):
    """The optimum in rationals by trying every vertex; None if there is no point. The box must be finite."""
    n = task.columns
    normals = [[Fraction(float(a)) for a in row] for row in task.matrix.toarray()]
    normals += [[Fraction(int(j == k)) for j in range(n)] for k in range(n)]
    low = np.concatenate([task.row_lower, task.lower])
    high = np.concatenate([task.row_upper, task.upper])
    sides = [
        (a, Fraction(float(end)))
        for a, ends in zip(normals, zip(low, high, strict=True), strict=True)
        for end in ends
        if np.isfinite(end)
    ]
    values = []
    for active in itertools.combinations(sides, n):
        point = solve_exactly([a for a, _ in active], [b for _, b in active])
        if point is None:
            continue
        activity = [sum(a * x for a, x in zip(normal, point, strict=True)) for normal in normals]
        if all(lo <= value <= hi for lo, value, hi in zip(low.tolist(), activity, high.tolist(), strict=True)):
            values.append(sum(Fraction(float(c)) * x for c, x in zip(task.objective, point, strict=True)))
    if not values:
        return None
    return (min(values) if task.sense is Sense.MINIMISE else max(values)) + Fraction(float(task.constant))


def exact_dual_value(task, duals):
    """Weak duality in rationals for a minimisation with finite sides: what `safe_bound` rounds down."""
    y = [Fraction(float(v)) for v in duals]
    value = Fraction(float(task.constant))
    for v, lo, hi in zip(y, task.row_lower.tolist(), task.row_upper.tolist(), strict=True):
        value += v * Fraction(lo if v > 0 else hi)
    columns = task.matrix.toarray().T.tolist()
    for c, column, lo, hi in zip(task.objective.tolist(), columns, task.lower.tolist(), task.upper.tolist(), strict=True):
        reduced = Fraction(c) - sum(Fraction(a) * v for a, v in zip(column, y, strict=True))
        value += min(reduced * Fraction(lo), reduced * Fraction(hi))
    return value


number = st.one_of(st.floats(-8, 8), st.integers(-3, 3).map(float), st.floats(-1e-6, 1e6))


@st.composite
def small_programs(draw):
    """Up to 3 columns in a finite box and 2 rows with any ends."""
    n, m = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    matrix = [[draw(number) for _ in range(n)] for _ in range(m)]
    rows = [sorted([draw(number), draw(number)]) for _ in range(m)]
    rows = [(draw(st.sampled_from([lo, -INF])), draw(st.sampled_from([hi, INF]))) for lo, hi in rows]
    box = [sorted([draw(number), draw(number)]) for _ in range(n)]
    sense = draw(st.sampled_from(Sense))
    return program([draw(number) for _ in range(n)], matrix, rows, box, sense=sense, constant=draw(number))


class TestSafeBound:
    @settings(deadline=None, max_examples=150)
    @given(task=small_programs(), data=st.data())
    def test_no_dual_vector_whatsoever_beats_the_exact_optimum(self, task, data):
        truth = exact_optimum(task)
        duals = np.array([data.draw(st.one_of(number, st.floats())) for _ in range(task.rows)], dtype=float)
        bound = safe_bound(task, duals)
        if truth is not None and np.isfinite(bound):
            assert (Fraction(bound) <= truth) if task.sense is Sense.MINIMISE else (Fraction(bound) >= truth)
        if truth is not None:
            assert not proves_infeasible(task, duals)

    def test_perturbed_optimal_duals_stay_safe_and_exact_ones_are_tight(self):
        rng = np.random.default_rng(2)
        backend = get_backend("highs")
        tight = 0
        for _ in range(40):
            n, m = int(rng.integers(1, 4)), int(rng.integers(1, 3))
            ends = np.sort(rng.normal(size=(m, 2)), axis=1) + np.array([-0.5, 0.5])
            sense = Sense.MINIMISE if rng.random() < 0.5 else Sense.MAXIMISE
            task = program(rng.normal(size=n), rng.normal(size=(m, n)), ends, [(-1, 1)] * n, sense=sense)
            truth, result = exact_optimum(task), backend.solve(task)
            if truth is None:
                assert result.status is Status.INFEASIBLE
                assert proves_infeasible(task, result.ray)
                continue
            tight += 1
            assert abs(Fraction(safe_bound(task, result.row_duals)) - truth) <= Fraction(1, 10**7)
            for scale in (1e-12, 1e-9, 1e-3, 1.0):
                bound = safe_bound(task, result.row_duals + scale * rng.normal(size=m))
                assert Fraction(task.sense.sign * bound) <= Fraction(task.sense.sign) * truth
        assert tight >= 20

    def test_every_rounding_error_is_charged(self):
        """Against the exact dual value of the same multipliers, which leaves no slack to hide in."""
        rng = np.random.default_rng(4)
        for case in range(60):
            m, n = int(rng.integers(1, 30)), int(rng.integers(1, 40))
            matrix = rng.normal(size=(m, n)) * 10.0 ** rng.integers(-4, 4, (m, n))
            y = rng.normal(size=m)
            # reduced costs that cancel almost entirely on boxes of one sign: only their rounding errors are left
            cost = matrix.T @ y if case % 2 else rng.normal(size=n)
            centre = rng.normal(size=n) * 1e3
            task = program(cost, matrix, [(-1, 1)] * m, np.stack([centre, centre + rng.integers(0, 2)], axis=1), constant=0.1)
            truth, bound = exact_dual_value(task, y), safe_bound(task, y)
            assert Fraction(bound) <= truth
            assert truth - Fraction(bound) <= Fraction(1, 10**5)

    def test_row_terms_are_rounded_down(self):
        rng = np.random.default_rng(6)
        for _ in range(200):
            low = rng.normal(size=20)
            task = program([0], np.zeros((20, 1)), np.stack([low, low + 1], axis=1), [(0, 0)])
            y = rng.normal(size=20)
            assert Fraction(safe_bound(task, y)) <= exact_dual_value(task, y)

    def test_lying_duals_never_lift_the_bound(self):
        """min x + 2y, x + y >= 1 on [0, 4]^2 has the value 1."""
        task = LINEAR[0].program
        for lie in (2.0, 1e300, -1e300, -1.0, INF, -INF, np.nan, 1.0 + 1e-9):
            assert safe_bound(task, np.array([lie])) <= 1.0

    def test_multipliers_of_missing_sides_count_as_zero(self):
        task = program([1, 1], [[1, 1]], [(-INF, 5)], [(2, 3)] * 2)
        assert safe_bound(task, np.array([7.0])) == pytest.approx(4.0)

    def test_infinite_columns_give_no_bound_unless_they_cost_nothing(self):
        task = program([1, 0], [[1, 0]], [(2, INF)], [(0, INF), (-INF, INF)])
        assert safe_bound(task, np.array([1.0])) == -INF  # rounding leaves a reduced cost of either sign
        assert safe_bound(task, np.array([0.0])) == pytest.approx(0.0, abs=1e-300)

    def test_integrality_only_helps(self):
        case = MIXED_INTEGER[1]
        assert safe_bound(case.program, np.array([3.25])) >= case.optimum

    def test_quadratic_objectives_and_wrong_lengths_are_refused(self):
        with pytest.raises(InputError, match="quadratic"):
            safe_bound(QUADRATIC[0].program, np.zeros(0))
        with pytest.raises(InputError, match="shape"):
            safe_bound(LINEAR[0].program, np.zeros(2))


class TestResiduals:
    def known(self, case):
        return SolveResult(
            status=Status.OPTIMAL,
            bound=case.optimum,
            primal=np.array(case.point, dtype=float),
            row_duals=np.array(case.row_duals, dtype=float),
            column_duals=np.array(case.column_duals, dtype=float),
        )

    @pytest.mark.parametrize(
        "case", [c for c in LINEAR + QUADRATIC if c.point is not None and c.row_duals is not None], ids=lambda c: c.name
    )
    def test_hand_made_optima_satisfy_the_conditions_exactly(self, case):
        assert residuals(case.program, self.known(case)).worst == 0.0
        assert case.program.value(np.array(case.point, dtype=float)) == case.optimum

    def test_each_violation_is_seen(self):
        case = LINEAR[0]  # min x + 2y, x + y >= 1, optimum (1, 0), y = 1, z = (0, 1)
        good = self.known(case)
        assert residuals(case.program, replace(good, primal=np.array([0.5, 0.0]))).primal == 0.5
        assert residuals(case.program, replace(good, row_duals=np.array([-1.0]))).dual_sign == 1.0
        assert residuals(case.program, replace(good, primal=np.array([3.0, 0.0]))).complementarity == 2.0
        assert residuals(case.program, replace(good, column_duals=np.array([0.0, 0.75]))).stationarity == 0.25
        assert np.isnan(residuals(case.program, replace(good, row_duals=np.array([np.nan]))).worst)

    def test_integrality_is_part_of_primal_feasibility(self):
        assert primal_residual(MIXED_INTEGER[0].program, np.array([0.25, 0.0])) == 0.25

    def test_results_without_duals_are_refused(self):
        with pytest.raises(InputError, match="no point with duals"):
            residuals(LINEAR[0].program, SolveResult(status=Status.INFEASIBLE, bound=INF))


class TestProgram:
    def test_entries_that_mean_nothing_are_refused(self):
        good = LINEAR[0].program
        for change, message in [
            ({"objective": np.array([1.0, np.nan])}, "finite"),
            ({"objective": np.array([1.0])}, "shape"),
            ({"matrix": csr_array([[1.0, INF]])}, "finite"),
            ({"matrix": csc_array([[1.0, 1.0]])}, "csr_array"),
            ({"row_lower": np.array([np.nan])}, "row 0"),
            ({"lower": np.array([0.0, 9.0])}, "column 1"),
            ({"lower": np.array([0.0, INF]), "upper": np.array([0.0, INF])}, "column 1"),
            ({"upper": np.array([4, 4])}, "float64"),
            ({"integer": np.zeros(2)}, "bool"),
            ({"constant": INF}, "constant"),
            ({"quadratic": np.array([1.0, -1.0])}, "not convex"),
        ]:
            with pytest.raises(InputError, match=message):
                replace(good, **change)

    def test_a_revision_checks_what_changed_and_shares_the_rest(self):
        task = program([1, 2], [[1, 1]], [(1, INF)], [(0, 4)] * 2)
        other = task.revised(lower=np.array([1.0, 0.0]))
        assert other.lower.tolist() == [1.0, 0.0]
        assert task.lower.tolist() == [0.0, 0.0]
        assert other.matrix is task.matrix
        assert other.column_sums is task.column_sums
        assert safe_bound(other, np.array([1.0])) == pytest.approx(1.0)
        for wrong in ({"lower": np.array([5.0, 0.0])}, {"upper": np.array([np.nan, 1.0])}, {"objective": np.array([INF, 1.0])},
                      {"row_lower": np.zeros(2)}, {"row_upper": np.array([0.0])}, {"integer": np.zeros(2)}):  # fmt: skip
            with pytest.raises(InputError):
                task.revised(**wrong)

    def test_concave_is_convex_when_maximising(self):
        assert replace(LINEAR[0].program, sense=Sense.MAXIMISE, quadratic=np.array([-1.0, 0.0])).value(np.ones(2)) == 2.0


class TestBuilder:
    def test_blocks_dense_sparse_and_repeated(self):
        rng = np.random.default_rng(0)
        builder = ProgramBuilder()
        x, y = builder.add_columns(3, -1.0, [1.0, 2.0, 3.0]), builder.add_columns(2, 0.0, INF, integer=True, objective=[4.0, 5.0])
        a, b, c = rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), rng.normal(size=(4, 3))
        rows = builder.add_rows([(x, a), (y, csr_array(b)), (x[::-1], c)], -INF, np.arange(4.0))
        last = builder.add_row(y, [1.0, -1.0], 0.0, 0.0)
        task = builder.build(Sense.MAXIMISE, constant=2.5)
        assert rows.tolist() == [0, 1, 2, 3]
        assert last == 4
        assert task.matrix.toarray()[:4] == pytest.approx(np.hstack([a + c[:, ::-1], b]))
        assert task.matrix.toarray()[4].tolist() == [0, 0, 0, 1, -1]
        assert task.row_upper.tolist() == [0, 1, 2, 3, 0]
        assert task.upper.tolist() == [1, 2, 3, INF, INF]
        assert task.integer.tolist() == [False] * 3 + [True] * 2
        assert task.objective.tolist() == [0, 0, 0, 4, 5]
        assert (task.constant, task.sense, builder.rows, builder.columns) == (2.5, Sense.MAXIMISE, 5, 5)

    def test_objective_bounds_and_fixing(self):
        builder = ProgramBuilder()
        x = builder.add_columns(3, 0.0, 9.0, objective=1.0)
        first = builder.build(Sense.MINIMISE)
        builder.set_objective(x[1:], [7.0, 8.0])
        builder.set_bounds(x[0], -1.0, 1.0)
        builder.fix(x[2], 5.0)
        task = builder.build(Sense.MINIMISE)
        assert first.objective.tolist() == [1, 1, 1]  # programs that were built do not change
        assert task.objective.tolist() == [1, 7, 8]
        assert np.stack([task.lower, task.upper]).tolist() == [[-1, 0, 5], [1, 9, 5]]

    def test_entries_that_cancel_leave_no_trace(self):
        builder = ProgramBuilder()
        x = builder.add_columns(1, 0.0, 1.0)
        builder.add_rows([(x, np.ones((1, 1))), (x, -np.ones((1, 1)))], 0.0, 1.0)
        assert builder.build(Sense.MINIMISE).matrix.nnz == 0

    def test_mistakes_are_refused(self):
        builder = ProgramBuilder()
        x = builder.add_columns(2, 0.0, 1.0)
        with pytest.raises(InputError, match="not all among"):
            builder.add_row([2], [1.0], 0.0, 1.0)
        with pytest.raises(InputError, match="not all among"):
            builder.set_objective([-1], 1.0)
        with pytest.raises(InputError, match="coefficients of shape"):
            builder.add_rows([(x, np.ones((1, 3)))], 0.0, 1.0)
        with pytest.raises(InputError, match="lower has shape"):
            builder.add_columns(3, [0.0, 1.0], 2.0)
        with pytest.raises(InputError, match="twice"):
            builder.set_bounds([0, 0], 0.0, 1.0)
        assert builder.rows == 0
