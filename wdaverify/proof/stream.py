"""Streams of records: short ones stand in the report, long ones are gzip files that grow while a proof is found.

A file has one record a line and a last line with the numbers of records and leaves and the digest of all bytes before it. Files
are written in a scratch folder beside the report and moved into place with it: nothing half-written is ever seen.
"""

from __future__ import annotations

import gzip
import hashlib
from typing import IO, TYPE_CHECKING, Any, cast

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

INLINE = 48
"""Longer streams become files."""

_LEVEL = 6
"""Of the compression."""


class Stream:
    """Takes the records of one claim.

    Parameters
    ----------
    path
        The file, made when the stream gets long.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._records, self._file = path, list[dict[str, Any]](), cast("IO[bytes] | None", None)
        self._digest = hashlib.sha256()
        self.records, self.leaves = 0, 0

    def emit(self, record: dict[str, Any]) -> None:
        """Append a record."""
        self.records += 1
        self.leaves += record["t"] == "leaf"
        if self._file is not None:
            self._write(record)
            return
        self._records.append(record)
        if len(self._records) > INLINE:
            self._file = gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=self._path.open("wb"), mtime=0)  # type: ignore[assignment]
            for earlier in self._records:
                self._write(earlier)
            self._records = []

    def _write(self, record: dict[str, Any]) -> None:
        assert self._file is not None
        line = msgspec.json.encode(record) + b"\n"
        self._digest.update(line)
        self._file.write(line)

    def finish(self, claim: str) -> dict[str, Any]:
        """Write the footer; the entry of the list of streams."""
        footer: dict[str, Any] = {"t": "end", "records": self.records, "leaves": self.leaves}
        if self._file is None:
            return {"claim": claim, "records": [*self._records, footer]}
        self._file.write(msgspec.json.encode({**footer, "sha256": self._digest.hexdigest()}) + b"\n")
        self.close()
        return {"claim": claim, "file": self._path.name, "sha256": hashlib.sha256(self._path.read_bytes()).hexdigest()}

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            raw = cast("Any", self._file).fileobj
            self._file.close()
            raw.close()
            self._file = None

    def drop(self) -> None:
        """Close and remove the file of a proof that failed."""
        self.close()
        self._path.unlink(missing_ok=True)
