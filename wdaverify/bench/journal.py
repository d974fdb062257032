"""What is finished, on disk: a line per row, appended and synced before the row counts as finished.

Every line is ``digest SPACE record``, the digest being the first 16 hexadecimal digits of the record's SHA-256. A line that was
torn by the end of the machine is the last one; it is cut off when the journal is opened again, and its row runs again. A whole
line that is no outcome (of another version, or changed by hand) is refused wherever it stands. A journal belongs to one run at a
time (an exclusive lock of its file).
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Self

import msgspec

from wdaverify._errors import InputError, RunStoppedError
from wdaverify._lock import hold
from wdaverify.bench.outcome import Outcome  # noqa: TC001 - msgspec reads annotations

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_DIGITS = 16

LONGEST_LINE = 2**26
"""Bytes of a line: brackets of a million samples."""

GO_ON = "what is finished is in the journal: run again to go on"


class Entry(msgspec.Struct, frozen=True):
    """A finished row: its key, and what it came to."""

    key: str
    outcome: Outcome


class Journal:
    """The journal of a results file; a context manager that holds the lock.

    Parameters
    ----------
    path
        Created if it is not there.
    restart
        Begin with an empty journal.

    Attributes
    ----------
    finished
        Outcomes by key.

    Raises
    ------
    InputError
        If another run holds the journal, it cannot be written, or it is damaged elsewhere than at its end.
    """

    def __init__(self, path: Path, *, restart: bool = False) -> None:
        self._path = path
        self.finished: dict[str, Outcome] = {}
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
        try:
            self._lock()
            if restart:
                os.ftruncate(self._handle, 0)
            self._read()
        except BaseException:
            os.close(self._handle)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._handle)

    def _lock(self) -> None:
        if not hold(self._handle):
            raise InputError(f"{self._path}: another run of bench is writing this journal")

    def _read(self) -> None:
        """Take up what is whole, and cut off a torn end."""
        whole, size = 0, os.fstat(self._handle).st_size
        with os.fdopen(os.dup(self._handle), "rb") as stream:
            stream.seek(0)
            number = 0
            while line := stream.readline(LONGEST_LINE + 1):
                number += 1
                record = _record(line)
                if record is None and whole + len(line) == size:
                    break
                try:
                    if record is None:
                        raise ValueError("its digest is wrong")
                    entry = msgspec.json.decode(record, type=Entry)
                except (ValueError, RecursionError) as error:  # also what msgspec raises; the latter: nested too deeply
                    raise InputError(f"{self._path}, line {number}: damaged ({error}); --restart begins anew") from None
                self.finished[entry.key] = entry.outcome
                whole += len(line)
        os.ftruncate(self._handle, whole)
        os.lseek(self._handle, whole, os.SEEK_SET)

    def add(self, key: str, outcome: Outcome) -> None:
        """Write a finished row; it is on disk when this returns.

        Raises
        ------
        RunStoppedError
            If it cannot be written; half a line at the end is cut off by the next run.
        """
        line = _line(Entry(key, outcome))
        written = 0
        try:
            while written < len(line):
                written += os.write(self._handle, line[written:])
            os.fsync(self._handle)
        except OSError as error:
            raise RunStoppedError(f"{self._path}: cannot be written: {error.strerror or error}; {GO_ON}") from error
        self.finished[key] = outcome


def _line(entry: Entry) -> bytes:
    record = msgspec.json.encode(entry)
    return b"%s %s\n" % (_digest(record), record)


def _record(line: bytes) -> bytes | None:
    """The record of a line that is as it was written."""
    digest, space, record = line.partition(b" ")
    return record if space and record.endswith(b"\n") and digest == _digest(record[:-1]) else None


def _digest(record: bytes) -> bytes:
    return hashlib.sha256(record).hexdigest()[:_DIGITS].encode()
