"""Every backend on programs with known answers, and on random programs against independent solvers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from tests.backend_cases import BACKENDS, INF, backends_with, check_case, ids, random_program
from tests.program_bank import INFEASIBLE, LINEAR, MIXED_INTEGER, QUADRATIC, UNBOUNDED, program
from wdaverify._errors import InputError, SolverError
from wdaverify.program.backend import Capability, SolveOptions, get_backend, installed_backends
from wdaverify.program.builder import ProgramBuilder
from wdaverify.program.kkt import proves_infeasible, residuals, safe_bound
from wdaverify.program.program import Sense
from wdaverify.program.result import Status


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


def test_builder_and_backend_together():
    builder = ProgramBuilder()
    x = builder.add_columns(3, 0.0, [1.0, 2.0, 3.0], objective=[1.0, 1.0, 1.0])
    builder.add_rows([(x[:2], np.eye(2)), (x[2:], np.ones((2, 1)))], [1.0, 2.0], INF)
    result = get_backend("highs").solve(builder.build(Sense.MINIMISE))
    assert result.objective == pytest.approx(2.0)
