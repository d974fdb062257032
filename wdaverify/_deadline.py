"""A point in time that every loop can ask about."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Deadline:
    """Wall-clock limit of a whole command. `Deadline.after(None)` never passes.

    >>> Deadline.after(None).remaining
    inf
    >>> Deadline.after(0.0).passed
    True
    """

    at: float = field(default=math.inf)

    @staticmethod
    def after(seconds: float | None) -> Deadline:
        """The deadline `seconds` from now; ``None`` means never."""
        return Deadline(math.inf if seconds is None else time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, never negative; ``inf`` without a limit."""
        return math.inf if math.isinf(self.at) else max(0.0, self.at - time.monotonic())

    def slice(self, seconds: float, part: float) -> Deadline:
        """A deadline at most `seconds` from now that takes at most that part of the time left."""
        return Deadline.after(min(seconds, part * self.remaining))

    @property
    def unlimited(self) -> bool:
        """Whether there is no limit at all."""
        return math.isinf(self.at)

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.remaining <= 0.0
