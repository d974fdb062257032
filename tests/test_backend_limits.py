"""Backends at their limits: deadlines, starts, interrupts. No assertion depends on how fast the machine is."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from tests.backend_cases import BACKENDS, INF, backends_with, hard_program
from tests.program_bank import LINEAR
from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify.program.backend import Capability, SolveOptions, get_backend
from wdaverify.program.kkt import primal_residual
from wdaverify.program.result import Status
from wdaverify_solvers.native import NativeThread, NativeThreads, call_native

HOURS = 3600.0
"""Far more than any test may take, far less than the hard programs do."""


def greedy_point(task):
    """A feasible point of a knapsack: items of best value for weight first."""
    weights, room = task.matrix.toarray(), task.row_upper.copy()
    point = np.zeros(task.columns)
    for k in np.argsort(-task.objective / weights.sum(axis=0)):
        if (weights[:, k] <= room).all():
            point[k] = 1.0
            room = room - weights[:, k]
    return point


@pytest.mark.parametrize("name", BACKENDS)
def test_a_deadline_that_has_passed_is_a_limit_without_claims(name):
    result = get_backend(name).solve(LINEAR[0].program, SolveOptions(deadline=Deadline.after(0.0)))
    assert result.status is Status.LIMIT
    assert result.bound == -INF
    assert result.primal is None


@pytest.mark.parametrize("name", backends_with(Capability.MILP))
def test_a_time_limit_leaves_a_valid_bracket(name):
    task = hard_program()
    result = get_backend(name).solve(task, SolveOptions(deadline=Deadline.after(0.7)))
    assert result.status is Status.LIMIT
    # no claimed bound may be below a point that exists, nor above the linear relaxation, apart from printing
    relaxed = get_backend("highs").solve(replace(task, integer=np.zeros(task.columns, dtype=bool)))
    assert result.bound >= task.value(greedy_point(task))
    assert result.bound == INF or result.bound <= relaxed.objective + 0.01
    if result.primal is not None:
        assert primal_residual(task, result.primal) <= 1e-6
        assert result.objective <= result.bound


@pytest.mark.parametrize("name", backends_with(Capability.MILP, Capability.WARM_START))
def test_a_start_is_used(name):
    """With a gap that any point satisfies, a solve ends with the first point: the start, when it is given."""
    task = hard_program(seed=1)
    start = greedy_point(task)
    result = get_backend(name).solve(task, SolveOptions(relative_gap=1e3, start=start))
    assert result.objective >= task.value(start) - 1e-6
    with pytest.raises(InputError, match="start has shape"):
        get_backend(name).solve(task, SolveOptions(start=start[1:]))


@pytest.mark.parametrize("name", backends_with(Capability.MILP))
def test_ctrl_c_ends_a_native_solve(name):
    task, backend, others = hard_program(seed=2), get_backend(name), set(threading.enumerate())
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    try:
        with pytest.raises(KeyboardInterrupt):
            _interrupted(timer, lambda: backend.solve(task, SolveOptions(deadline=Deadline.after(HOURS))))
    finally:
        timer.cancel()
        timer.join()
    patience = Deadline.after(HOURS / 60)
    while set(threading.enumerate()) - others and not patience.passed:
        gc.collect()
        time.sleep(0.01)
    assert not patience.passed  # the solver came back; its own limit was hours away


def test_a_solver_that_cannot_be_stopped_is_given_up():
    release = threading.Event()
    try:
        with pytest.raises(TimeoutError, match="given up"):
            call_native(release.wait, cancel=None, deadline=Deadline.after(0.1), grace=0.1)
    finally:
        release.set()


def test_answers_and_errors_of_a_native_call_come_back():
    assert call_native(lambda: 7, cancel=None, deadline=Deadline.after(None)) == 7
    with pytest.raises(ZeroDivisionError):
        call_native(lambda: 1 // 0, cancel=None, deadline=Deadline.after(None))


def test_cancelling_lets_a_solver_come_back():
    stop = threading.Event()

    def solve():
        return "stopped" if stop.wait(HOURS) else "never"

    assert call_native(solve, cancel=stop.set, deadline=Deadline.after(0.1), grace=2.0) == "stopped"


def test_one_thread_serves_many_calls_and_ends_with_its_owner():
    before = set(threading.enumerate())
    owner = NativeThread()
    used = {owner.call(threading.current_thread, cancel=None, deadline=Deadline.after(None)) for _ in range(5)}
    with pytest.raises(ZeroDivisionError):
        owner.call(lambda: 1 // 0, cancel=None, deadline=Deadline.after(None))
    (thread,) = used
    assert thread not in before
    del owner
    gc.collect()
    thread.join(HOURS)
    assert not thread.is_alive()


def _interrupted(timer, call):
    timer.start()
    call()


def test_threads_are_shared_by_calls_and_left_alone_when_stuck():
    threads, release = NativeThreads(), threading.Event()
    once, twice = (threads.call(threading.current_thread, cancel=None, deadline=Deadline.after(None)) for _ in range(2))
    assert once is twice
    with pytest.raises(TimeoutError):
        threads.call(release.wait, cancel=None, deadline=Deadline.after(0.0), grace=0.01)
    other = threads.call(threading.current_thread, cancel=None, deadline=Deadline.after(None))
    assert other is not once
    release.set()
