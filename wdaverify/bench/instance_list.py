"""Read a list of instances: VNN-COMP rows, or rows of commands under a header.

Without a header a row is ``model,property[,timeout]`` (VNN-COMP). Under the header ``command,model,...`` a row names a command
of ``wdaverify``; further columns are ``property``, ``data``, ``timeout``, and options of commands: ``radius``, ``order``,
``norm`` and so on. An empty cell leaves an option at its default; ``;`` separates the functionals of one row. Paths are relative
to the list.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import math
import zlib
from typing import TYPE_CHECKING

from wdaverify._errors import InputError
from wdaverify._numbers import parse_number
from wdaverify.bench.instance import COMMANDS, DOMAIN, Instance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST_LIST = 64 * 2**20
"""Bytes of a list, unpacked."""

_HEADER = "command"
_OWN = (_HEADER, "model", "property", "data", "timeout")


def read_instances(path: Path, *, timeout: float | None = None) -> tuple[Instance, ...]:
    """Read a list, and check that every file that it names is there: before anything runs.

    Parameters
    ----------
    path
        A ``.csv``, perhaps packed as ``.csv.gz``; a byte-order mark and any line ends are accepted.
    timeout
        Seconds for every instance, instead of those of the list.

    Raises
    ------
    InputError
        If the list cannot be read, has a row that is no instance, or names a file that is not there.
    """
    try:
        lines = list(_lines(_content(path)))
    except csv.Error as error:
        raise InputError(f"{path}: not a sound CSV file: {error}") from None
    if lines and lines[0][1][0] == _HEADER:
        header, rows = lines[0][1], lines[1:]
        _check_header(path, header)
    else:
        header, rows = [], lines
    if not rows:
        raise InputError(f"{path}: the list has no instances")
    found = []
    for row, (number, cells) in enumerate(rows, start=1):
        try:
            found.append(_instance(path, row, _named(header, cells) if header else _of_vnncomp(cells), timeout))
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from None
    return tuple(found)


def _content(path: Path) -> str:
    """The text of a list."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_LIST + 1)
        if path.suffix == ".gz" or raw[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(raw)) as packed:
                raw = packed.read(LARGEST_LIST + 1)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{path}: cannot be read: {reason}") from None
    if len(raw) > LARGEST_LIST:
        raise InputError(f"{path}: longer than {LARGEST_LIST // 2**20} MB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from None


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Numbers and cells of the lines that are not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    for cells in reader:
        stripped = [cell.strip() for cell in cells]
        if any(stripped):
            yield reader.line_num, stripped


def _check_header(path: Path, header: list[str]) -> None:
    known = {*_OWN, *(option for options in COMMANDS.values() for option in options)}
    for name in header:
        if name not in known:
            raise InputError(f"{path}: unknown column '{name[:40]}'; there are {', '.join([*_OWN, *sorted(known - set(_OWN))])}")
    if len(set(header)) < len(header):
        raise InputError(f"{path}: a column is named twice: {', '.join(header)[:200]}")
    if "model" not in header:
        raise InputError(f"{path}: the header has no column 'model'")


def _named(header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) > len(header):
        raise InputError(f"{len(cells)} cells under {len(header)} columns")
    return {name: cell for name, cell in zip(header, cells, strict=False) if cell}


def _of_vnncomp(cells: list[str]) -> dict[str, str]:
    if not 2 <= len(cells) <= 3:
        raise InputError(f"{len(cells)} cells; a row is model,property or model,property,timeout")
    return {_HEADER: "verify", **dict(zip(("model", "property", "timeout"), cells, strict=False))}


def _instance(path: Path, row: int, values: dict[str, str], timeout: float | None) -> Instance:
    """One checked instance."""
    command = values.get(_HEADER, "")
    if command not in COMMANDS:
        raise InputError(f"'{command[:40]}' is no command of a list; there are {', '.join(COMMANDS)}")
    options = {name: value for name, value in values.items() if name not in _OWN}
    for name in options:
        if name not in COMMANDS[command]:
            raise InputError(f"{command} has no option '{name}'")
    needed = ("property",) if command == "verify" else ("data",) if command == "distance" else ()
    excess = [name for name in ("property", "data") if name in values and name != ("property" if command == "verify" else "data")]
    if excess or (command == "lipschitz" and "data" in values):
        raise InputError(f"{command} takes no {(excess or ['data'])[0]}")
    files = {}
    for name in ("model", *needed, *(("data",) if "data" in values and "data" not in needed else ())):
        if name not in values:
            raise InputError(f"{command} needs a {name}")
        files[name] = _existing(path, values[name])
    if options.get(DOMAIN, "").lower().endswith((".npz", ".toml")):
        files[DOMAIN] = _existing(path, options[DOMAIN])
    subject = values.get("property", values.get("data", ""))
    limit = _timeout(values["timeout"]) if timeout is None and "timeout" in values else timeout
    return Instance(row=row, command=command, model=values["model"], subject=subject, files=files, options=options, timeout=limit)


def _existing(path: Path, name: str) -> Path:
    """The file beside the list; lists also name files whose packed form alone is there (VNN-COMP)."""
    with contextlib.suppress(OSError, ValueError):  # a name that no file can have
        for candidate in (path.parent / name, path.parent / f"{name}.gz"):
            if candidate.is_file():
                return candidate.resolve()
    raise InputError(f"there is no file '{name[:200]}'")


def _timeout(text: str) -> float:
    try:
        seconds = parse_number(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InputError(f"timeout '{text[:40]}' is not a positive number of seconds")
    return seconds
