"""The evidence of one rule: multipliers of rows and slopes of neurons, as the judge reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wdaverify.proof.numbers import packed, written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction


@dataclass(slots=True, eq=False)
class Evidence:
    """Choices for one backward sweep; any are sound. Numbers are float64 and count as the rationals that they are, or rational.

    Attributes
    ----------
    phases, upper, lower
        Multipliers of ``+-z >= 0`` of decided neurons, of ``u - z >= 0`` and of ``z - l >= 0``.
    rows, facts
        Multipliers of the target's rows, and of the domain's facts about inputs.
    below, above
        Slopes that differ from the judge's own: a of ``y >= z``, and sigma of the upper row.
    ball
        Multiplier of the ball's row.
    along
        The vector w of a euclidean length.
    line
        alpha and beta of a line below a power.
    """

    phases: dict[int, Fraction | float] = field(default_factory=dict)
    upper: dict[int, float] = field(default_factory=dict)
    lower: dict[int, float] = field(default_factory=dict)
    rows: dict[int, float] = field(default_factory=dict)
    facts: dict[int, float] = field(default_factory=dict)
    below: dict[int, float] = field(default_factory=dict)
    above: dict[int, float] = field(default_factory=dict)
    ball: float = 0.0
    along: dict[int, float] = field(default_factory=dict)
    line: tuple[float, float] | None = None

    def fields(self) -> dict[str, Any]:
        """The JSON fields; what is empty is left out."""
        lists: dict[str, Mapping[int, Fraction | float]] = {
            "p": self.phases,
            "u": self.upper,
            "l": self.lower,
            "c": self.rows,
            "d": self.facts,
            "a": self.below,
            "s": self.above,
            "w": self.along,
        }
        found: dict[str, Any] = {key: packed(values) for key, values in lists.items() if values}
        if self.ball:
            found["b"] = written(self.ball)
        if self.line is not None:
            found["young"] = [written(v) for v in self.line]
        return found
