"""What the options of a search may be, with messages that name them."""

from __future__ import annotations

import math
import numbers

from wdaverify._errors import InputError


def check_gap(gap: float) -> None:
    """A relative width.

    Raises
    ------
    InputError
        If it is not a finite number >= 0.
    """
    if not (is_real(gap) and math.isfinite(gap) and gap >= 0):
        raise InputError(f"gap {gap} is not a finite number >= 0")


def check_time_limit(limit: float | None) -> None:
    """Seconds, or ``None`` for no limit.

    Raises
    ------
    InputError
        If it is not a positive number.
    """
    if limit is not None and not (is_real(limit) and math.isfinite(limit) and limit > 0):
        raise InputError(f"time_limit {limit} is not a positive number of seconds")


def check_count(name: str, value: object, *, least: int) -> None:
    """A whole number.

    Raises
    ------
    InputError
        If it is none, or smaller than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < least:
        raise InputError(f"{name} {value} is not a whole number >= {least}")


def is_real(value: object) -> bool:
    """Whether a value is a number, and neither a text nor a truth value."""
    return not isinstance(value, bool) and isinstance(value, numbers.Real)
