"""Many calls at once: what comes out does not depend on how many work, or on who ends first."""

from __future__ import annotations

import itertools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.parallel_tasks import die, hang, same, value_after
from wdaverify._deadline import Deadline
from wdaverify._errors import WorkerLostError
from wdaverify.parallel.executors import InlineExecutor, Limited, SpawnExecutor, open_executor
from wdaverify.parallel.fanout import as_finished, first_success

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("_no_process_is_left")


def test_a_call_is_made_when_a_hand_is_free() -> None:
    taken: list[int] = []

    def calls() -> Iterator[tuple[int, Callable[[], int]]]:
        for k in range(5):
            taken.append(k)
            yield k, partial(same, 10 * k)

    with ThreadPoolExecutor(2) as executor:
        found = {}
        for key, future in as_finished(executor, calls(), hands=2):
            found[key] = future.result()
            assert len(taken) <= len(found) + 1
    assert found == {k: 10 * k for k in range(5)}


def big(value: int) -> bool:
    return value >= 10


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_first_success_in_order_wins_however_many_work(workers: int) -> None:
    values = [1, 2, 30, 4, 50, 60, 7]
    with open_executor(workers) as executor:
        futures = first_success(executor, [partial(same, value) for value in values], big)
        assert [future.result() for future in futures] == [1, 2, 30]
        futures = first_success(executor, [partial(same, value) for value in [1, 2, 3]], big)
        assert [future.result() for future in futures] == [1, 2, 3]
        assert first_success(executor, [], big) == []


def test_an_earlier_success_is_awaited_and_later_work_ends(tmp_path: Path) -> None:
    slow, quick = tmp_path / "slow", tmp_path / "quick"
    calls: list[Callable[[], int]] = [
        # In the order of time: the last but one succeeds, then the second, then the first fails to.
        partial(value_after, slow, 1),
        partial(value_after, quick, 20, slow),
        partial(value_after, None, 30, quick),
        partial(hang, tmp_path / "forever"),  # type: ignore[list-item]
    ]
    with SpawnExecutor(4) as executor:
        futures = first_success(executor, calls, big)
        assert [future.result() for future in futures] == [1, 20]
        assert executor.submit(same, 1).result() == 1


def test_the_inline_executor_does_no_more_than_needed() -> None:
    with InlineExecutor() as executor:
        done: list[int] = []

        def call(value: int) -> int:
            done.append(value)
            return value

        futures = first_success(executor, (partial(call, k) for k in itertools.count(8)), big)
        assert [future.result() for future in futures] == done == [8, 9, 10]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_ends_the_search_in_its_place(workers: int) -> None:
    with open_executor(workers) as executor:
        futures = first_success(executor, [partial(same, 1), partial(int, "x"), partial(same, 10)], big)
        assert futures[0].result() == 1
        assert isinstance(futures[1].exception(), ValueError)
        assert len(futures) == 2


def test_a_lost_call_does_not_end_the_search() -> None:
    with SpawnExecutor(2) as executor:
        calls: list[Callable[[], object]] = [partial(die, "SIGKILL"), partial(same, 1), partial(same, 10), partial(same, 2)]
        futures = first_success(executor, calls, big)  # type: ignore[arg-type]
        assert isinstance(futures[0].exception(), WorkerLostError)
        assert [future.result() for future in futures[1:]] == [1, 10]


def test_the_pool_of_python_will_do_as_well() -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        calls = [Limited(partial(same, value), Deadline.after(60)) for value in [1, 20, 3]]
        assert [future.result() for future in first_success(executor, calls, big)] == [1, 20]
        keyed = as_finished(executor, enumerate(calls), hands=2)
        assert {key: future.result() for key, future in keyed} == {0: 1, 1: 20, 2: 3}
