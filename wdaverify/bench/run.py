"""Run a list of instances: each in its own process, what is finished in a journal."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wdaverify._errors import InputError, RunStoppedError, WorkerLostError
from wdaverify.bench.journal import GO_ON
from wdaverify.bench.outcome import ERROR, Outcome, outcome_of
from wdaverify.bench.process import run
from wdaverify.parallel.fanout import as_finished
from wdaverify.parallel.remote import Unwanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor, Future

    from wdaverify.bench.instance import Instance
    from wdaverify.bench.journal import Journal
    from wdaverify.bench.process import Stop

_MEGABYTE = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What every instance may use.

    Attributes
    ----------
    workers
        Instances at a time.
    memory
        MB that the processes of one instance may use together; ``None`` for no limit.
    """

    workers: int = 1
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InputError(f"{self.workers} is not a whole number >= 1")
        if self.memory is not None and self.memory < 1:
            raise InputError(f"{self.memory} is not a positive number of MB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Answers one instance in a process of its own.

    Attributes
    ----------
    program
        What runs a command line of ``wdaverify``; tests have others.
    """

    memory: int | None = None
    program: tuple[str, ...] = field(default_factory=lambda: (sys.executable, "-m", "wdaverify.cli.main"))

    def __call__(self, instance: Instance, stop: Stop | None = None) -> Outcome | None:
        """What the instance came to; ``None`` if it was stopped."""
        memory = None if self.memory is None else self.memory * _MEGABYTE
        with tempfile.TemporaryDirectory(prefix="wdaverify-bench-") as folder:
            output, errors = Path(folder) / "answer.json", Path(folder) / "errors.txt"
            program = [*self.program, *instance.arguments(output)]
            ending = run(program, seconds=instance.timeout, memory=memory, errors=errors, stop=stop)
            if stop is not None and stop.is_set() and ending.status != 0:
                return None
            return outcome_of(instance, ending, output)


def run_instances(
    instances: Sequence[Instance],
    journal: Journal,
    *,
    limits: Limits,
    runner: Runner | None = None,
    executor: Executor | None = None,
    finished: Callable[[Instance, Outcome], None] = lambda *_: None,
) -> dict[int, Outcome]:
    """Answer all instances that the journal does not answer yet.

    Parameters
    ----------
    executor
        Where the supervisors of the processes run, one for each instance at a time: by default threads of this process. Others
        (many machines) must see the same files.
    finished
        Called with every instance as it ends, those of the journal first.

    Returns
    -------
    dict
        Outcomes by row.

    Raises
    ------
    KeyboardInterrupt
        If interrupted; what was finished is in the journal, and no process is left.
    RunStoppedError
        If something fails that is not the instance's: a full disk, no room for processes, a lost scheduler. As with an
        interrupt, another run goes on.
    """
    answer = runner or Runner(memory=limits.memory)
    keys, found = _keys(instances, limits), dict[int, Outcome]()
    for instance, key in zip(instances, keys, strict=True):
        if key in journal.finished:
            found[instance.row] = journal.finished[key]
            finished(instance, found[instance.row])
    waiting = {i.row: (i, key) for i, key in zip(instances, keys, strict=True) if i.row not in found}
    stop = threading.Event()
    chosen = executor or ThreadPoolExecutor(limits.workers)
    told: Stop = stop if executor is None else Unwanted()  # an event does not travel
    try:
        calls = ((row, partial(answer, instance, told)) for row, (instance, _) in waiting.items())
        for row, future in as_finished(chosen, calls, hands=limits.workers):
            instance, key = waiting[row]
            outcome = _outcome(instance, future)
            if outcome is None:
                continue
            journal.add(key, outcome)
            found[row] = outcome
            finished(instance, outcome)
    finally:
        stop.set()
        if executor is None:
            chosen.shutdown(wait=True, cancel_futures=True)
    return found


def _outcome(instance: Instance, future: Future[Outcome | None]) -> Outcome | None:
    """What a supervisor found; its own failures are told apart from those of the instance."""
    try:
        return future.result()
    except WorkerLostError as error:
        return Outcome(verdict=ERROR, error=f"its supervisor was lost: {error}")
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise RunStoppedError(f"instance {instance.row} ({instance}) cannot be run: {reason}; {GO_ON}") from error
    except CancelledError:
        raise RunStoppedError(f"instance {instance.row} ({instance}) was given up by the executor; {GO_ON}") from None


def _keys(instances: Sequence[Instance], limits: Limits) -> list[str]:
    """A key for every instance; equal rows are told apart by their order."""
    seen, keys = Counter[str](), []
    for instance in instances:
        plain = instance.key(0, limits.memory)
        keys.append(instance.key(seen[plain], limits.memory))
        seen[plain] += 1
    return keys
