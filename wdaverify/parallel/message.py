"""What the parent and its worker processes say to each other: pickles in which shared objects are only named.

An object that both sides have is sent once; wherever it occurs in a later message, its number stands in its place. Both
sides recognise it by identity, so a task is written as if the object itself were its argument.
"""

from __future__ import annotations

import io
import pickle
import traceback
from typing import TYPE_CHECKING, Any

from wdaverify._errors import WdaverifyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def encode(content: object, shared: Sequence[object] = ()) -> bytes:
    """Pickle `content`, with a reference for each of the `shared` objects in it.

    Raises
    ------
    Exception
        Whatever the objects raise that cannot be pickled.
    """
    buffer = io.BytesIO()
    _Pickler(buffer, shared).dump(content)
    return buffer.getvalue()


def decode(message: bytes, shared: Sequence[object] = ()) -> Any:
    """Undo `encode`; references become the objects of this side."""
    return _Unpickler(io.BytesIO(message), shared).load()


def answer(work: Callable[[], object], shared: Sequence[object] = ()) -> bytes:
    """Encode ``(True, work())``, or ``(False, error)`` if there is an error in the work or its value cannot be sent.

    The error carries its traceback as a note, because a traceback itself cannot travel.
    """
    try:
        return encode((True, work()), shared)
    except Exception as error:
        error.add_note(f"In a worker process:\n{traceback.format_exc()}")
        return _failure(error, shared)


def _failure(error: Exception, shared: Sequence[object]) -> bytes:
    """The error itself if it survives the journey, else its name and text: some exceptions cannot be unpickled."""
    try:
        message = encode((False, error), shared)
        decode(message, shared)
    except Exception:
        substitute = WdaverifyError(f"{type(error).__qualname__}: {error}")
        for note in error.__notes__:
            substitute.add_note(note)
        return encode((False, substitute))
    return message


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, shared: Sequence[object]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._numbers = {id(item): number for number, item in enumerate(shared)}

    def persistent_id(self, obj: object) -> int | None:
        return self._numbers.get(id(obj))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, shared: Sequence[object]) -> None:
        super().__init__(file)
        self._shared = shared

    def persistent_load(self, pid: int) -> object:
        return self._shared[pid]
