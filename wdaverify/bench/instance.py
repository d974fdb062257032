"""One question of a list: a command of ``wdaverify`` with its files and options."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import wdaverify
from wdaverify._errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COMMANDS: Mapping[str, frozenset[str]] = {
    "verify": frozenset({"seed", "engine", "solver", "workers"}),
    "distance": frozenset({"samples", "norm", "domain", "gap", "seed", "device", "engine", "solver", "workers"}),
    "lipschitz": frozenset({"functional", "norm", "domain", "gap", "seed", "engine", "solver", "workers"}),
    "certify": frozenset(
        {"samples", "order", "radius", "loss", "norm", "domain", "gap", "seed", "device", "engine", "solver", "workers"}
    ),
}
"""The commands that a list may name, and the options that each has there, written as columns."""

DOMAIN = "domain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A row of a list.

    Attributes
    ----------
    row
        Its number among the instances, from 1.
    command
        One of `COMMANDS`.
    model, subject
        As written in the list; the subject is the property of ``verify``, or the data.
    files
        Where the model, the subject and a domain file lie, by these names; a file that the row does not have is missing.
    options
        Values of options by name, without the dashes.
    timeout
        Wall seconds; ``None`` for no limit.
    """

    row: int
    command: str
    model: str
    subject: str
    files: Mapping[str, Path]
    options: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None

    def __str__(self) -> str:
        words = [self.command, self.model, *([self.subject] if self.subject else [])]
        return " ".join([*words, *(f"{name}={value}" for name, value in self.options.items())])

    def arguments(self, output: Path) -> list[str]:
        """The command line that answers the row and writes its JSON to `output`."""
        words = [self.command, str(self.files["model"])]
        if self.command == "verify":
            words.append(str(self.files["property"]))
        elif "data" in self.files:
            words += ["--data", str(self.files["data"])]
        for name, value in self.options.items():
            values = value.split(";") if name == "functional" else [value]
            words += [f"--{name}={self.files[DOMAIN] if name == DOMAIN and DOMAIN in self.files else each}" for each in values]
        if self.timeout is not None:
            words.append(f"--time-limit={self.timeout!r}")
        return [*words, f"--output={output}", "--quiet"]

    def key(self, occurrence: int, memory: int | None) -> str:
        """What identifies the row in a journal: contents of its files, not their names; options; limits; the version.

        Parameters
        ----------
        occurrence
            How many equal rows stand above it.
        memory
            The memory limit in MB.
        """
        content = {
            "command": self.command,
            "files": {name: file_digest(path) for name, path in sorted(self.files.items())},
            **self._external(),
            "options": {name: value for name, value in sorted(self.options.items()) if not (name == DOMAIN in self.files)},
            "timeout": self.timeout,
            "memory": memory,
            "version": wdaverify.__version__,
            "occurrence": occurrence,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _external(self) -> dict[str, dict[str, str]]:
        """What the model stores in files beside it; nothing for most."""
        model = self.files["model"]
        known, folder = _external_files(model, _state(model)), model.parent
        found = [path for path in known if path.is_file()]
        return {"external": {str(path.relative_to(folder)): file_digest(path) for path in found}} if found else {}


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, which is read once as long as it does not change.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    return _digest(path, _state(path))


def _state(path: Path) -> tuple[int, int, int]:
    """What changes with the content of a file."""
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


@cache
def _digest(path: Path, _: tuple[int, int, int]) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


@cache
def _external_files(model: Path, _: tuple[int, int, int]) -> tuple[Path, ...]:
    from wdaverify.ir.onnx_file import external_files

    return tuple(external_files(model))
