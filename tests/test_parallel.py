"""Executors: whatever happens in a process, its future says so, other tasks go on, and no process is left."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import (
    FIRST_EXCEPTION,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.children import alive, start_script, wait_for_end
from tests.parallel_tasks import (
    Poison,
    Shared,
    announce,
    die,
    hang,
    hang_with_a_program,
    journeys,
    process_number,
    raise_loud,
    same,
    unsendable,
    value_after,
    wait_for_announcement,
)
from wdaverify._deadline import Deadline
from wdaverify._errors import InputError, WdaverifyError, WorkerDiedError, WorkerHungError
from wdaverify.parallel.executors import InlineExecutor, Limited, SpawnExecutor, open_executor

if TYPE_CHECKING:
    from collections.abc import Callable

SOON = 3.0
"""A grace that a task which does nothing keeps on any machine."""


pytestmark = pytest.mark.usefixtures("_no_process_is_left")

EXECUTORS: dict[str, Callable[[], Executor]] = {
    "inline": InlineExecutor,
    "spawn": lambda: SpawnExecutor(2),
    # Shows that the expectations are those of the library, and that Python's own would do as well.
    "thread pool": lambda: ThreadPoolExecutor(2),
}


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_executor_behaves_as_one_of_the_library(name: str) -> None:
    with EXECUTORS[name]() as executor:
        assert isinstance(executor, Executor)
        assert list(executor.map(pow, [2, 3, 4], [5, 2, 1])) == [32, 9, 4]
        assert executor.submit(int, "ff", base=16).result() == 255
        futures = [executor.submit(same, k) for k in range(5)]
        assert sorted(future.result() for future in as_completed(futures)) == list(range(5))
        done, rest = wait([*futures, executor.submit(int, "x")], return_when=FIRST_EXCEPTION)
        assert len(done) + len(rest) == 6
        failed = executor.submit(divmod, 1, 0)
        assert isinstance(failed.exception(), ZeroDivisionError)
        assert failed.done()
        assert not failed.cancel()
        with pytest.raises(ValueError, match="'x'"):
            list(executor.map(int, ["1", "x", "2"]))
        called: list[Future[int]] = []
        future = executor.submit(same, 1)
        future.add_done_callback(called.append)
        limited = executor.submit(Limited(same, Deadline.after(60)), 3)
        assert (future.result(), limited.result()) == (1, 3)
    assert called == [future]
    with pytest.raises(RuntimeError, match="shut"):
        executor.submit(same, 1)


def test_the_number_of_workers_chooses_the_executor() -> None:
    with open_executor(0) as none, open_executor(1) as one, open_executor(2) as two:
        assert [type(executor) for executor in (none, one, two)] == [InlineExecutor, InlineExecutor, SpawnExecutor]
    with pytest.raises(InputError, match="workers 0"):
        SpawnExecutor(0)


@pytest.mark.parametrize(("way", "said"), [
    ("SIGKILL", "killed by SIGKILL"), ("SIGSEGV", "killed by SIGSEGV"), ("exit", "status 3"), ("system exit", "status 4"),
])  # fmt: skip
def test_a_death_fails_its_own_task_only(way: str, said: str) -> None:
    with SpawnExecutor(1) as executor:
        before = executor.submit(process_number)
        died = executor.submit(die, way)
        after = [executor.submit(process_number) for _ in range(2)]
        assert isinstance(died.exception(), WorkerDiedError)
        assert said in str(died.exception())
        assert before.result() != after[0].result()
        # The new process stays.
        assert after[0].result() == after[1].result()


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_hang_fails_its_own_task_only(tmp_path: Path, stubborn: bool) -> None:
    with SpawnExecutor(2, grace=SOON) as executor:
        hung = executor.submit(Limited(hang, Deadline.after(0)), tmp_path / "hung", stubborn=stubborn)
        others = [executor.submit(same, k) for k in range(4)]
        kept = executor.submit(Limited(same, Deadline.after(0)), 4)
        assert [future.result() for future in [*others, kept]] == list(range(5))
        assert isinstance(hung.exception(), WorkerHungError)
        assert not alive(wait_for_announcement(tmp_path / "hung"))
        assert executor.submit(same, 5).result() == 5


def test_no_limit_no_hang(tmp_path: Path) -> None:
    with SpawnExecutor(1, grace=0.0) as executor:
        late = executor.submit(value_after, tmp_path / "go", 1)
        time.sleep(1.0)
        announce(tmp_path / "go")
        assert late.result() == 1


def test_exceptions_travel_with_their_traceback() -> None:
    with SpawnExecutor(1) as executor:
        error = executor.submit(int, "x").exception()
        assert isinstance(error, ValueError)
        assert "In a worker process:\nTraceback" in error.__notes__[0]
        # What cannot travel arrives as its name and text.
        loud = executor.submit(raise_loud).exception()
        assert isinstance(loud, WdaverifyError)
        assert str(loud) == "LoudError: one, two"
        assert "raise_loud" in loud.__notes__[0]
        assert "pickle" in str(executor.submit(unsendable).exception())
        assert "pickle" in str(executor.submit(lambda: None).exception())
        assert isinstance(executor.submit(same, Poison()).exception(), ValueError)
        # None of these cost the process.
        assert len({executor.submit(process_number).result() for _ in range(2)}) == 1


def test_a_shared_object_is_sent_once_to_each_process() -> None:
    shared = Shared()
    packed = Shared.packed
    with SpawnExecutor(2, shared=[shared]) as executor:
        seen = list(executor.map(journeys, [[shared]] * 8, [shared] * 8))
        assert Shared.packed == packed + 1
        assert {(times, one) for times, one, _ in seen} == {(1, True)}
        assert 1 <= len({process for _, _, process in seen}) <= 2
        # On the way back it is the object from which all began.
        assert executor.submit(same, [shared]).result()[0] is shared


def test_an_object_that_cannot_be_shared() -> None:
    with pytest.raises(Exception, match="pickle"):
        SpawnExecutor(1, shared=[lambda: None])
    with SpawnExecutor(1, shared=[Poison()]) as executor:
        assert [str(executor.submit(same, k).exception()) for k in range(2)] == ["poison"] * 2


def test_arguments_are_those_of_the_moment() -> None:
    with SpawnExecutor(1) as executor:
        items = [1]
        future = executor.submit(same, items)
        items.append(2)
        assert future.result() == [1]


def test_what_runs_can_be_cancelled(tmp_path: Path) -> None:
    with SpawnExecutor(1) as executor:
        running, waiting, last = (executor.submit(hang, tmp_path / "a"), executor.submit(same, 1), executor.submit(same, 2))
        process = wait_for_announcement(tmp_path / "a")
        assert waiting.cancel()
        assert running.cancel()
        assert wait([running, waiting]).not_done == set()
        assert not alive(process)
        with pytest.raises(CancelledError):
            running.result()
        assert last.result() == 2


def test_a_program_of_the_worker_ends_with_its_task(tmp_path: Path) -> None:
    with SpawnExecutor(1) as executor:
        future = executor.submit(hang_with_a_program, tmp_path / "a")
        wait_for_announcement(tmp_path / "a")
        program = int((tmp_path / "a.program").read_text())
        assert alive(program)
        future.cancel()
        wait([future])
        assert not alive(program)


def test_shutdown_may_cancel_what_waits(tmp_path: Path) -> None:
    executor = SpawnExecutor(1)
    running = executor.submit(value_after, tmp_path / "go", 1, tmp_path / "begun")
    waiting = [executor.submit(same, k) for k in range(3)]
    announce(tmp_path / "go")
    executor.shutdown(wait=False, cancel_futures=True)
    executor.shutdown()
    assert all(future.done() for future in [running, *waiting])
    # The last can have begun only if the process was very fast.
    assert all(future.cancelled() or future.result() == k for k, future in enumerate(waiting))


@pytest.mark.parametrize("stubborn", [False, True])
def test_an_exception_in_the_block_ends_everything(tmp_path: Path, stubborn: bool) -> None:
    executor = SpawnExecutor(2)
    futures = [executor.submit(hang, tmp_path / str(k), stubborn=stubborn) for k in range(3)]
    processes = [wait_for_announcement(tmp_path / str(k)) for k in range(2)]
    with pytest.raises(KeyboardInterrupt), executor:
        raise KeyboardInterrupt
    assert not any(alive(process) for process in processes)
    assert all(future.cancelled() for future in futures)
    assert not (tmp_path / "2").exists()


def test_an_interrupt_goes_through_the_inline_executor() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), InlineExecutor() as executor:
        executor.submit(interrupt)


PREAMBLE = """
import sys
from functools import partial
from pathlib import Path
from tests.children import children
from tests.parallel_tasks import hang, same, wait_for_announcement
from wdaverify.parallel.executors import SpawnExecutor
folder = Path(sys.argv[0]).parent
"""

BUSY = (
    PREAMBLE
    + """
if __name__ == "__main__":
    try:
        with SpawnExecutor(3) as executor:
            for name in "ab":
                executor.submit(hang, folder / name, stubborn=name == "b")
            executor.submit(same, 1).result()
            print(wait_for_announcement(folder / "a"), wait_for_announcement(folder / "b"), flush=True)
    except KeyboardInterrupt:
        print("interrupted", children(), flush=True)
"""
)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent(tmp_path: Path, end: signal.Signals) -> None:
    process = start_script(tmp_path / "busy.py", BUSY)
    assert process.stdout is not None
    numbers = [int(number) for number in process.stdout.readline().split()]
    assert len(numbers) == 2
    process.send_signal(end)
    process.communicate(timeout=120)
    assert all(wait_for_end(number) for number in numbers)


def test_ctrl_c_leaves_the_block_and_no_process(tmp_path: Path) -> None:
    process = start_script(tmp_path / "busy.py", BUSY)
    assert process.stdout is not None
    numbers = [int(number) for number in process.stdout.readline().split()]
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=120) == ("interrupted []\n", "")
    assert not any(alive(number) for number in numbers)


def test_a_script_without_guard_is_told_so(tmp_path: Path) -> None:
    # A spawned process then runs the script again instead of its task.
    text = PREAMBLE + "with SpawnExecutor(1) as executor:\n    print(executor.submit(same, 1).result())\n"
    process = start_script(tmp_path / "unguarded.py", text)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    assert "WorkerStartError" in err
    assert "if __name__ == '__main__'" in err
