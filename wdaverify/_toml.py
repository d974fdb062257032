"""Read fields of TOML files that people write; every error names the field and quotes the value."""

from __future__ import annotations

import math
import re
import tomllib
from typing import TYPE_CHECKING, Any

from wdaverify._errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MAX_BYTES = 8 << 20
"""Largest file: TOML is for people; `.npz` holds more."""


_LONGEST_CHAIN = 100

_CHAIN = re.compile(
    rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{_LONGEST_CHAIN}}}""",
    re.ASCII,
)
"""Keys whose parts tomllib would look up one after the other, in quadratic time."""


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a file of unknown origin.

    Raises
    ------
    DomainError
        If it cannot be read, is too large, or is no TOML.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise DomainError(f"{path}: no such file") from None
    except OSError as error:
        raise DomainError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(content) > MAX_BYTES:
        raise DomainError(f"{path}: larger than {MAX_BYTES} bytes; give an .npz")
    try:
        text = content.decode()
        if _CHAIN.search(text):
            raise DomainError(f"{path}: a key of more than {_LONGEST_CHAIN} parts, joined by dots; no field is nested so deeply")
        return tomllib.loads(text)
    except DomainError:
        raise
    except UnicodeDecodeError as error:
        raise DomainError(f"{path}: byte {error.start} is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:  # ValueError: no TOML, or an integer of too many digits
        said = "nested too deeply" if isinstance(error, RecursionError) else next(iter(str(error).splitlines()), "?")
        raise DomainError(f"{path}: not a TOML file: {said}") from None


def tables_of(content: Mapping[str, Any], key: str) -> list[Any]:
    """The tables under a key; none if it is missing."""
    tables = content.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise DomainError(f"{key} is not a list of tables; write [[{key}]]")
    return tables


def list_of(table: Mapping[str, Any], key: str, where: str) -> list[Any]:
    """The list under a key."""
    values = table.get(key)
    if not isinstance(values, list) or not values:
        raise DomainError(f"{where}.{key} is missing or no list; give features in brackets")
    return values


def only(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Refuse keys that are not known."""
    for key in table:
        if key not in known:
            raise DomainError(f"{where} has the unknown key {shown(key)}; known are {', '.join(known)}")


def number(value: Any, where: str, *, infinite: bool = False) -> float:
    """A number of the file as the float64 that it means."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DomainError(f"{where} is {shown(value)}, not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.nan
    if math.isnan(number) or (math.isinf(number) and not infinite):
        raise DomainError(f"{where} is {shown(value)}, not a {'number' if infinite else 'finite number'}")
    if isinstance(value, int) and int(number) != value:
        raise DomainError(f"{where} is {shown(value)}, which no float64 holds exactly")
    return number


def shown(value: Any) -> str:
    """A value as messages quote it."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        text = "an integer of very many digits"
    return text if len(text) <= 60 else f"{text[:57]}..."
