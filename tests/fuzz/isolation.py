"""Run cases in a child process that may be killed, and say how a reader broke its promise.

The promise: an answer, or one `InputError` that is printed as a single line and names the file; in five seconds, and in a
gigabyte and a fixed number of bytes for every byte of the file; nothing is written, nothing unpickled, nothing started. Processor
time is measured, so that a busy machine accuses nobody.
"""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing as mp
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from tests.fuzz.readers import Case, Reader
from wdaverify._errors import InputError
from wdaverify.report.text import one_line

SECONDS = 5.0
MEGABYTES = 1000
FACTOR = 12
"""Bytes of memory for each byte of the files: one of an array may become eight."""
LONGEST = 2000
"""Characters of a message."""
_WALL = 120.0
"""Seconds after which a case is stopped whatever it does; it then shows where it was. Fuzzing runs beside other work, at a low
priority: 30 s were passed by arrays that take half a second of a processor."""
_ADDRESSES = 3 << 30
"""Bytes that a case may map beyond what the imports have: a bomb ends in a MemoryError, not in the machine's swap."""
_FORBIDDEN = ("pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect")


class _Watch:
    """Notes of the interpreter's audit events while a case runs."""

    def __init__(self) -> None:
        self.active, self.seen, self.allowed = False, [], ()  # type: bool, list[str], tuple[str, ...]
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.active:
            return
        if event in _FORBIDDEN:
            self.seen.append(f"{event} {arguments!r:.80}")
        elif event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and str(path) not in self.allowed:
                self.seen.append(f"opens {path!r:.80} for writing")


def run_cases(reader: Reader, cases: Sequence[tuple[int, Case]]) -> Iterator[tuple[int, str]]:
    """Number and verdict of every case: ``answer``, ``refused``, or what is wrong; a dead child costs its own case only."""
    left = list(cases)
    while left:
        receiving, sending = mp.get_context("fork").Pipe(duplex=False)
        child = mp.get_context("fork").Process(target=_child, args=(reader, left, sending))
        child.start()
        sending.close()
        with suppress(EOFError):
            while left:
                yield left[0][0], receiving.recv()
                left.pop(0)
        child.join()
        receiving.close()
        if left:
            yield left[0][0], f"died: exit status {child.exitcode} (1 after {_WALL:g} s, negative for a signal)"
            left.pop(0)


def _child(reader: Reader, cases: Sequence[tuple[int, Case]], pipe: Connection) -> None:
    watch = _Watch()
    faulthandler.disable()  # a crash is a verdict; what it printed would look like one of the tests
    gc.freeze()
    sys.dont_write_bytecode = True
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _ADDRESSES, used + _ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for _, case in cases:
        with tempfile.TemporaryDirectory(prefix="wdaverify-fuzz-") as name:
            os.chdir(name)
            verdict = judge(reader, case, Path(name), watch)
            os.chdir("/")
        pipe.send(verdict)
    pipe.close()
    os._exit(0)  # nothing of the parent's exit handlers


def judge(reader: Reader, case: Case, folder: Path, watch: _Watch) -> str:
    """Read one case in an empty folder."""
    for name, content in case.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    path = folder / next(iter(case))
    before, peak, start = sorted(folder.rglob("*")), _peak(reset=True), time.process_time()
    watch.seen, watch.allowed, watch.active = [], tuple(str(folder / name) for name in reader.writes), True
    faulthandler.dump_traceback_later(_WALL, exit=True)
    verdict = _outcome(reader, path)
    faulthandler.cancel_dump_traceback_later()
    watch.active = False
    seconds, grown = time.process_time() - start, (_peak() - peak) / 1e6
    created = [str(p.relative_to(folder)) for p in folder.rglob("*") if p not in before and p.name not in reader.writes]
    complaints = [] if verdict in ("answer", "refused") else [verdict]
    complaints += [f"takes {seconds:.1f} s"] if seconds > SECONDS else []
    given = sum(map(len, case.values())) / 1e6
    complaints += [f"takes {grown:.0f} MB for files of {given:.0f}"] if grown > MEGABYTES + FACTOR * given else []
    complaints += [f"creates {created}"] if created else []
    return "; ".join([*complaints, *watch.seen]) or verdict


def _outcome(reader: Reader, path: Path) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            reader.read(path)
    except InputError as error:
        message = one_line(str(error))
        if not message.isprintable() or len(message) > LONGEST:
            return f"message is not one printable line: {message!r:.200}"
        return "refused" if path.name in message else f"message does not name the file: {message:.200}"
    except BaseException as error:  # what a reader raises is what is looked for
        last = [f for f in traceback.extract_tb(error.__traceback__) if "wdaverify" in f.filename][-1:]
        at = f"{Path(last[0].filename).name}:{last[0].lineno}" if last else "?"
        return f"{type(error).__name__} at {at}: {error!s:.200}"
    return "answer"


def _peak(*, reset: bool = False) -> int:
    """Bytes of memory that the process had at most (since the last reset)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
