"""Read a number that a person wrote."""

from __future__ import annotations


def parse_number(text: str) -> float:
    """The number that a text holds: decimal notation, ``inf`` or ``nan``, with white space around it.

    Raises
    ------
    ValueError
        If it holds none. ``1_0`` and digits of other scripts are Python's notation, not that of data files.

    Examples
    --------
    >>> parse_number(" -2e-3")
    -0.002
    """
    if "_" in text or not text.isascii():
        raise ValueError(f"'{text}' is not a number")
    return float(text)
