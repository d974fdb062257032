"""Read a domain: the text of ``--domain``, and arrays in `.npz` files; `domain_toml` reads the other format.

An `.npz` file holds ``lower`` and ``upper`` (n,), and perhaps ``frozen``, ``integer`` (n,) with 0 or 1, ``weights`` (n,),
``one_hot`` (n,) with the number of each feature's group from 0 and -1 for none, and ``rows`` (R, n) with ``limits`` (R,). Any
other array is an error: a misspelt constraint is not to be left out.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify._errors import DataError, DomainError
from wdaverify._npz import read_arrays
from wdaverify._numbers import parse_number
from wdaverify.domain import Box
from wdaverify.feature_domain import Domain

if TYPE_CHECKING:
    from collections.abc import Mapping

    Array = np.ndarray[Any, Any]

_ENDS = ("lower", "upper")

_CONSTRAINTS = ("frozen", "weights", "integer", "one_hot", "rows", "limits")


def parse_domain(text: str) -> Box | Domain:
    """Read the value of ``--domain``: ``LO,HI``, ``Rn``, or a `.npz` or `.toml` file.

    Returns
    -------
    Box or Domain
        A box if nothing but ends is given.

    Raises
    ------
    DomainError
        If the text is none of the four, or the file cannot be used; the message names the file, the field and the value.

    Examples
    --------
    >>> str(parse_domain("-1,2"))
    '[-1, 2]^n'
    """
    if text.strip().lower() == "rn":
        return Box.whole_space()
    suffix = Path(text).suffix.lower()
    if suffix in (".npz", ".toml"):
        return load_domain(Path(text))
    try:
        lower, upper = (parse_number(part) for part in text.split(","))
    except ValueError:
        raise DomainError(f"--domain '{text}': give LO,HI, Rn, or a file.npz or file.toml (see --help)") from None
    return Box(lower, upper)


def load_domain(path: str | Path) -> Box | Domain:
    """Read a domain from a `.npz` or `.toml` file; the formats are those of `domain_file` and `domain_toml`.

    Raises
    ------
    DomainError
        As `parse_domain`.

    Examples
    --------
    >>> print(load_domain("instances/cancer/cancer.toml"))
    box in R^30 with 9 frozen, 1 integer, 1 one-hot groups, 9 rows, weights
    """
    from wdaverify.domain_toml import read_domain_toml

    file = Path(path)
    try:
        return read_domain_toml(file) if file.suffix.lower() == ".toml" else _from_npz(file)
    except (DomainError, DataError) as error:
        message = str(error)
        raise DomainError(message if message.startswith(str(file)) else f"{file}: {message}") from None


def _from_npz(path: Path) -> Box | Domain:
    arrays = read_arrays(path, required=_ENDS, optional=_CONSTRAINTS)
    unknown = [name for name in _names(path) if name not in (*_ENDS, *_CONSTRAINTS)]
    if unknown:
        raise DomainError(f"array '{unknown[0]}' is unknown; give {', '.join((*_ENDS, *_CONSTRAINTS))}")
    lower, upper = (_finite_or_infinite(arrays[name], name).ravel() for name in _ENDS)
    if not len(lower):
        raise DomainError("lower is empty: the domain has no feature")
    box = Box(lower, upper)
    if not any(name in arrays for name in _CONSTRAINTS):
        return box
    given: dict[str, Any] = {name: arrays[name] for name in _CONSTRAINTS if name in arrays and name != "one_hot"}
    return Domain(box, one_hot=_groups(arrays, len(lower)), **given)


def _names(path: Path) -> list[str]:
    """The arrays in a file that `read_arrays` has accepted."""
    with zipfile.ZipFile(path) as archive:
        return [info.filename.removesuffix(".npy") for info in archive.infolist()]


def _finite_or_infinite(array: Array, name: str) -> Array:
    values = array.astype(np.float64)
    if np.isnan(values).any():
        raise DomainError(f"{name}[{int(np.flatnonzero(np.isnan(values))[0])}] is NaN")
    return values


def _groups(arrays: Mapping[str, Array], n: int) -> list[list[int]]:
    """The groups that the numbers in ``one_hot`` form, in their order."""
    if "one_hot" not in arrays:
        return []
    numbers = arrays["one_hot"]
    if numbers.shape != (n,):
        raise DomainError(f"one_hot has shape {numbers.shape}; give the number of its group, or -1, per feature, shape ({n},)")
    values = numbers.astype(np.float64)
    bad = ~((values == np.floor(values)) & (values >= -1) & (values < n))
    if bad.any():
        k = int(np.flatnonzero(bad)[0])
        raise DomainError(f"one_hot[{k}] is {values[k]:g}; give the number of the group from 0, or -1 for none")
    return [np.flatnonzero(values == g).tolist() for g in sorted(set(values[values >= 0].tolist()))]
