"""How an attack is done, as a record."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wdaverify._errors import InputError
from wdaverify._option_checks import is_real
from wdaverify.attack.device import device_of
from wdaverify.attack.methods import METHODS, Method

_ROUNDING = 2.0**-42
"""Of ``kappa^(1/p)``, relative: half an ulp of the exponent counts ``log kappa <= 710`` times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackOptions:
    """What to run and how hard.

    Parameters
    ----------
    method
        One of `METHODS`.
    steps, restarts
        Gradient steps of each ascent or walk, and how many there are per sample; the method's own numbers if ``None``.
    batch_size
        Samples attacked together; chosen by the memory if ``None``. Results do not depend on it, up to rounding.
    device
        ``auto`` (a GPU if there is one), ``cpu`` or ``cuda``.
    seed
        Of the random starts.
    kappa
        At least 1: attacks in the ball reach ``kappa^(1/p)`` times the radius, as the mass 1/kappa of a sample may in a ball of
        order p when the rest of it stays: ``1/kappa (kappa^(1/p) r)^p = r^p``, the same budget. At order inf no share helps.

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    method: str = "wda++"
    steps: int | None = None
    restarts: int | None = None
    batch_size: int | None = None
    device: str = "auto"
    seed: int = 0
    kappa: float = 1.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"attack method '{self.method}' is unknown; give {', '.join(METHODS)}")
        for name, least in (("steps", 1), ("restarts", 1), ("batch_size", 1), ("seed", 0)):
            value = getattr(self, name)
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if value is not None and not (whole and least <= value < 2**62):
                raise InputError(f"attack: {name} is {value}; give a whole number of at least {least}")
        if not (is_real(self.kappa) and math.isfinite(self.kappa) and self.kappa >= 1):
            raise InputError(f"attack: kappa is {self.kappa}; give a number of at least 1")
        device_of(self.device)

    @property
    def chosen(self) -> Method:
        """The method."""
        return METHODS[self.method]

    @property
    def effort(self) -> tuple[int, int]:
        """Steps and restarts."""
        own = self.chosen
        return self.steps or own.steps, self.restarts or own.restarts

    def reach(self, radius: float, order: float) -> float:
        """How far the points of an attack in the ball may lie from their samples, rounded down: the budget is kept."""
        if math.isinf(order) or self.kappa == 1:
            return radius
        return math.nextafter(radius * self.kappa ** (1 / order) * (1 - _ROUNDING), 0.0)
