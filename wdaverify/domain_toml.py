"""Read a domain from a TOML file: features by name, and what constrains them.

::

    lower = 0.0                          # ends of the features that give none (optional)
    upper = 10.0

    [[features]]                         # the k-th table is feature k of the input, from 0
    name = "age"                         # optional
    upper = 120                          # ends are part of the feature
    integer = true                       # a whole number
    frozen = true                        # stays at each sample's own value; then the ends may be missing (infinite)
    weight = 2.5                         # what a unit costs; 1 if missing

    [[one_hot]]                          # exactly one of these features is 1, the others are 0
    features = ["red", "green", "blue"]

    [[rows]]                             # a linear constraint
    coefficients = { income = 1.0, rent = -3.0 }
    at_least = 0.0                       # or at_most, or both

Features are referred to by name or by index (an integer, or its digits as a key of ``coefficients``). With ``inputs = N`` at the
top there are N features, and only those need tables that differ from the rest: each table then has an ``index``, or ``indices``
for several features alike. Numbers mean the nearest float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify._errors import DomainError
from wdaverify._toml import list_of, number, only, read_toml, shown, tables_of
from wdaverify.domain import Box
from wdaverify.feature_domain import Domain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MAX_INPUTS = 10_000_000

MAX_ENTRIES = 50_000_000
"""Most coefficients of all rows together, zeros included."""

_TOP = ("inputs", "lower", "upper", "features", "one_hot", "rows")

_FEATURE = ("name", "index", "indices", "lower", "upper", "frozen", "integer", "weight")


def read_domain_toml(path: Path) -> Box | Domain:
    """Read a domain; a `Box` if the file gives nothing but ends.

    Raises
    ------
    DomainError
        If the file cannot be read, is no TOML, has an unknown key, or says something impossible; the message names the field.
    """
    content = read_toml(path)
    only(content, _TOP, "the file")
    features = _Features.of(content)
    groups = _groups(content, features)
    rows, limits = _rows(content, features)
    lower, upper = features.ends([k for group in groups for k in group])
    box = Box(lower, upper)
    if not (features.frozen.any() or features.integer.any() or features.weighted or groups or len(limits)):
        return box
    return Domain(
        box, frozen=features.frozen, integer=features.integer, weights=features.weights if features.weighted else None,
        one_hot=groups, rows=rows, limits=limits, names=features.names if features.named else None,
    )  # fmt: skip


@dataclass(slots=True, eq=False)
class _Features:
    """The features as the file gives them; ends that it does not give are NaN."""

    names: list[str]
    lower: Any
    upper: Any
    frozen: Any
    integer: Any
    weights: Any
    default: tuple[float, float]
    named: dict[str, int]
    weighted: bool = False

    @staticmethod
    def of(content: Mapping[str, Any]) -> _Features:
        tables = tables_of(content, "features")
        indexed = ["index" in table or "indices" in table for table in tables]
        if any(indexed) and not all(indexed):
            raise DomainError(f"features[{indexed.index(False)}] has no index, but others do; give all tables one, or none")
        n = _count(content, tables, indexed=any(indexed))
        default = tuple(number(content[e], e, infinite=True) if e in content else math.nan for e in ("lower", "upper"))
        result = _Features(
            [""] * n, np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, bool), np.zeros(n, bool), np.ones(n),
            (default[0], default[1]), {},
        )  # fmt: skip
        seen = np.zeros(n, dtype=bool)
        for t, table in enumerate(tables):
            where = f"features[{t}]"
            only(table, _FEATURE, where)
            places = _places(table, t, n, where)
            if seen[places].any():
                raise DomainError(f"{where} describes feature {places[int(np.flatnonzero(seen[places])[0])]} once more")
            seen[places] = True
            result._read(table, places, where)
        return result

    def _read(self, table: Mapping[str, Any], places: list[int], where: str) -> None:
        if "name" in table:
            self._name(table["name"], places, where)
        for end, values in (("lower", self.lower), ("upper", self.upper)):
            if end in table:
                values[places] = number(table[end], f"{where}.{end}", infinite=True)
        for flag, values in (("frozen", self.frozen), ("integer", self.integer)):
            if not isinstance(table.get(flag, False), bool):
                raise DomainError(f"{where}.{flag} is {shown(table[flag])}; give true or false")
            values[places] = table.get(flag, False)
        if "weight" in table:
            weight = number(table["weight"], f"{where}.weight")
            if not weight > 0:
                raise DomainError(f"{where}.weight is {weight:g}; give a positive number (what cannot move is frozen)")
            self.weights[places], self.weighted = weight, True

    def _name(self, name: Any, places: list[int], where: str) -> None:
        if not isinstance(name, str) or not name or name.isdecimal():
            raise DomainError(f"{where}.name is {shown(name)}; give a text that is not a number")
        if name in self.named:
            raise DomainError(f"{where}.name {shown(name)} is the name of feature {self.named[name]} already")
        if len(places) != 1:
            raise DomainError(f"{where}.name {shown(name)} would name {len(places)} features")
        self.named[name] = places[0]
        self.names[places[0]] = name

    def place(self, name: Any, where: str) -> int:
        """The index of a feature that is referred to."""
        if isinstance(name, str) and name in self.named:
            return self.named[name]
        if isinstance(name, str) and name.isascii() and name.isdecimal() and len(name) < 10:
            name = int(name)
        if isinstance(name, int) and not isinstance(name, bool) and 0 <= name < len(self.names):
            return name
        raise DomainError(f"{where} names {shown(name)}, which is no feature of this file")

    def ends(self, categories: Sequence[int]) -> tuple[Any, Any]:
        """The ends, with the defaults: those at the top; 0 and 1 for categories; infinite ones for frozen features."""
        result = []
        for name, values, top, category, free in (
            ("lower", self.lower, self.default[0], 0.0, -np.inf), ("upper", self.upper, self.default[1], 1.0, np.inf),
        ):  # fmt: skip
            ends = values.copy()
            missing = np.isnan(ends)
            other = np.zeros(len(ends), bool)
            other[list(categories)] = True
            ends[missing & other] = category
            ends[missing & ~other & self.frozen] = free if math.isnan(top) else top
            ends[missing & ~other & ~self.frozen] = top
            if np.isnan(ends).any():
                k = int(np.flatnonzero(np.isnan(ends))[0])
                raise DomainError(f"feature {k} has no {name} end; give it one, or one for all at the top of the file")
            result.append(ends)
        return result[0], result[1]


def _count(content: Mapping[str, Any], tables: Sequence[Any], *, indexed: bool) -> int:
    """The number of features."""
    if "inputs" not in content:
        if indexed:
            raise DomainError("inputs is missing: tables with an index need the number of features at the top of the file")
        if not tables:
            raise DomainError("the file describes no feature; give one [[features]] table per input, or inputs = N")
        return len(tables)
    n = content["inputs"]
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= MAX_INPUTS:
        raise DomainError(f"inputs is {shown(n)}; give a whole number from 1 to {MAX_INPUTS}")
    if tables and not indexed and len(tables) != n:
        raise DomainError(f"inputs is {n}, but there are {len(tables)} [[features]] tables; give each an index, or one per input")
    return n


def _places(table: Mapping[str, Any], position: int, n: int, where: str) -> list[int]:
    """The features that a table describes."""
    if "index" in table and "indices" in table:
        raise DomainError(f"{where} has both index and indices; give one")
    if "index" not in table and "indices" not in table:
        return [position]
    key = "index" if "index" in table else "indices"
    given = [table[key]] if key == "index" else list_of(table, "indices", where)
    for k in given:
        if not isinstance(k, int) or isinstance(k, bool) or not 0 <= k < n:
            raise DomainError(f"{where}.{key} is {shown(k)}; give a whole number from 0 to {n - 1}")
    if len(set(given)) != len(given):
        raise DomainError(f"{where}.{key} names a feature twice")
    return given


def _groups(content: Mapping[str, Any], features: _Features) -> list[list[int]]:
    """The one-hot groups by index."""
    groups = []
    for g, table in enumerate(tables_of(content, "one_hot")):
        only(table, ("features",), f"one_hot[{g}]")
        names = list_of(table, "features", f"one_hot[{g}]")
        groups.append([features.place(name, f"one_hot[{g}].features") for name in names])
    return groups


def _rows(content: Mapping[str, Any], features: _Features) -> tuple[Any, Any]:
    """The rows as ``A x <= b``."""
    tables = tables_of(content, "rows")
    if 2 * len(tables) * len(features.names) > MAX_ENTRIES:
        raise DomainError(f"{len(tables)} rows of {len(features.names)} features are more than {MAX_ENTRIES} coefficients")
    rows, limits = [], []
    for r, table in enumerate(tables):
        where = f"rows[{r}]"
        only(table, ("coefficients", "at_most", "at_least"), where)
        if not isinstance(table.get("coefficients"), dict) or not table["coefficients"]:
            raise DomainError(f"{where}.coefficients is missing or empty; give a table of features and numbers")
        if "at_most" not in table and "at_least" not in table:
            raise DomainError(f"{where} has no limit; give at_most or at_least")
        row, used = np.zeros(len(features.names)), set()
        for name, value in table["coefficients"].items():
            k = features.place(name, f"{where}.coefficients")
            if k in used:
                raise DomainError(f"{where}.coefficients names feature {k} twice")
            used.add(k)
            row[k] = number(value, f"{where}.coefficients.{name}")
        for key, sign in (("at_most", 1.0), ("at_least", -1.0)):
            if key in table:
                rows.append(sign * row)
                limits.append(sign * number(table[key], f"{where}.{key}"))
    return np.array(rows).reshape(len(rows), len(features.names)), np.array(limits)
