"""The bracket: an interval that holds the truth, with the kind of evidence behind its ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from wdaverify._tolerances import DEFAULT_GAP


class Evidence(StrEnum):
    """What an end of a bracket rests on, from strong to weak."""

    PROVED = "proved"
    CHECKED = "checked"
    SOLVER = "solver"

    @staticmethod
    def weakest(*kinds: Evidence) -> Evidence:
        """The weakest of the given kinds; with none, `CHECKED` (nothing was left to a solver).

        >>> Evidence.weakest(Evidence.CHECKED, Evidence.SOLVER)
        <Evidence.SOLVER: 'solver'>
        """
        order = (Evidence.PROVED, Evidence.CHECKED, Evidence.SOLVER)
        return max(kinds, key=order.index, default=Evidence.CHECKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """An interval with ``lower <= true value <= upper``.

    Parameters
    ----------
    lower, upper
        The ends; infinite ends are legitimate (no adversarial point exists: both are ``inf``).
    evidence
        What the weaker of the two ends rests on.
    gap
        The relative width below which the bracket counts as exact.

    Raises
    ------
    ValueError
        If an end is NaN or ``lower > upper``: such an interval holds no truth.

    Examples
    --------
    >>> print(Bracket(lower=0.25, upper=0.25))
    0.25 (exact)
    >>> Bracket(lower=0.0, upper=1.0).status
    'bracket'
    """

    lower: float
    upper: float
    evidence: Evidence = Evidence.CHECKED
    gap: float = DEFAULT_GAP

    def __post_init__(self) -> None:
        if math.isnan(self.lower) or math.isnan(self.upper) or self.lower > self.upper:
            raise ValueError(f"[{self.lower}, {self.upper}] is not a bracket: lower must not exceed upper")

    @property
    def width(self) -> float:
        """``upper - lower``; 0 when both ends are the same infinity."""
        return 0.0 if self.lower == self.upper else self.upper - self.lower

    @property
    def exact(self) -> bool:
        """Whether the width is at most ``gap * max(1, |upper|)``."""
        if self.lower == self.upper:
            return True
        return math.isfinite(self.upper) and self.width <= self.gap * max(1.0, abs(self.upper))

    @property
    def status(self) -> str:
        """``"exact"`` or ``"bracket"``, as the JSON says it."""
        return "exact" if self.exact else "bracket"

    def record(self) -> dict[str, float | str]:
        """The ends, the status and the evidence under their names, as plain scalars.

        Examples
        --------
        >>> Bracket(lower=0.25, upper=0.25).record()
        {'lower': 0.25, 'upper': 0.25, 'status': 'exact', 'evidence': 'checked'}
        """
        return {"lower": self.lower, "upper": self.upper, "status": self.status, "evidence": str(self.evidence)}

    def __str__(self) -> str:
        ends = f"{self.lower:.9g}", f"{self.upper:.9g}"
        if ends[0] == ends[1]:
            return f"{ends[1]} ({self.status})"
        return f"[{ends[0]}, {ends[1]}] ({self.status})"
