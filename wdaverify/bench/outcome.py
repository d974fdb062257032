"""What a row of a list came to."""

from __future__ import annotations

import errno
import math
import os
from typing import TYPE_CHECKING, Any

import msgspec

from wdaverify.bench.process import End
from wdaverify.report.records import DECIDED as DECIDED

if TYPE_CHECKING:
    from pathlib import Path

    from wdaverify.bench.instance import Instance
    from wdaverify.bench.process import Ending

TIMEOUT, MEMOUT, ERROR = "timeout", "memout", "error"
EXACT, BRACKET = "exact", "bracket"
VERDICTS = frozenset({"sat", "unsat", "unknown", EXACT, BRACKET, TIMEOUT, MEMOUT, ERROR})

_INFINITE = ("inf", "-inf")

_OUT_OF_MEMORY = ("not enough memory", "MemoryError", "bad_alloc", "Unable to allocate", "DefaultCPUAllocator")
"""Last words of a process that met the kernel's limit before the watch did."""

_NO_ROOM = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS))
"""Last words of a process that could not write its answer."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A finished row.

    Attributes
    ----------
    verdict
        ``sat``, ``unsat``, ``unknown``; ``exact`` or ``bracket``; ``timeout``, ``memout`` or ``error``.
    lower, upper
        The ends of all brackets of the row, in their order.
    seconds
        Wall time of its process.
    error
        Why there is no answer, one line.

    Raises
    ------
    ValueError
        If there is no such verdict, the ends are no brackets, or the time is none.
    """

    verdict: str
    lower: tuple[float | str, ...] = ()
    upper: tuple[float | str, ...] = ()
    seconds: float = 0.0
    error: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"'{self.verdict[:40]}' is no verdict")
        if len(self.lower) != len(self.upper):
            raise ValueError(f"{len(self.lower)} lower and {len(self.upper)} upper ends")
        for end in (*self.lower, *self.upper):
            if not (end in _INFINITE if isinstance(end, str) else math.isfinite(end)):
                raise ValueError(f"'{str(end)[:40]}' is no end of a bracket")
        if any(a > b for a, b in self.brackets()):
            raise ValueError("a lower end lies above its upper end")
        if not 0.0 <= self.seconds < math.inf:
            raise ValueError(f"{self.seconds} is no time")

    def brackets(self) -> list[tuple[float, float]]:
        """The brackets as numbers."""
        return [(float(a), float(b)) for a, b in zip(self.lower, self.upper, strict=True)]


def outcome_of(instance: Instance, ending: Ending, output: Path) -> Outcome:
    """Read how a process ended and what it wrote.

    Raises
    ------
    OSError
        If it lacked room on the disk: that says nothing about the instance.
    """
    seconds = round(ending.seconds, 3)
    words = ending.words.splitlines()
    last = words[-1].removeprefix("wdaverify: error: ") if words else ""
    document = _document(output)
    if document is not None:
        try:
            return _answer(document, seconds)  # written whole or not at all: it holds, however its process ended then
        except (KeyError, TypeError, ValueError) as error:
            return Outcome(verdict=ERROR, seconds=seconds, error=f"wrote an answer that is none: {error}")
    if any(sign in ending.words for sign in _NO_ROOM):
        raise OSError(errno.ENOSPC, f"the process of the instance reports: {last}")
    if ending.end is End.TIMEOUT:
        return Outcome(verdict=TIMEOUT, seconds=seconds)
    if ending.end is End.MEMOUT or any(sign in ending.words for sign in _OUT_OF_MEMORY):
        return Outcome(verdict=MEMOUT, seconds=seconds)
    if ending.status < 0:
        return Outcome(verdict=ERROR, seconds=seconds, error=f"the process was killed by signal {-ending.status}")
    return Outcome(verdict=ERROR, seconds=seconds, error=last or f"exit status {ending.status} of {instance.command}, no answer")


def _document(output: Path) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(output.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    return found if isinstance(found, dict) else None


def _answer(document: dict[str, Any], seconds: float) -> Outcome:
    """The verdict or the brackets of a result file."""
    kind = document["kind"]
    if kind == "property":
        return Outcome(verdict=document["verdict"], seconds=seconds)
    if kind == "risk":
        brackets = [point["worst_case_risk"] for point in document["curve"]]
    elif kind == "lipschitz":
        brackets = [each["value"] for each in (*document["constants"], *document.get("slopes", ()))]
    else:
        brackets = [each["distance"] for each in document["distances"]]
    exact = all(each["status"] == EXACT for each in brackets)
    return Outcome(
        verdict=EXACT if exact else BRACKET,
        lower=tuple(_end(each["lower"]) for each in brackets),
        upper=tuple(_end(each["upper"]) for each in brackets),
        seconds=seconds,
    )


def _end(value: float | str) -> float | str:
    """A number as it is, an infinity as text (JSON has none)."""
    number = float(value)
    return number if math.isfinite(number) else str(number)
