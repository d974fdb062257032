"""Reading what a certificate says: strict JSON, and streams of records with their footer."""

from __future__ import annotations

import hashlib
import json
import math
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from .num import Limits, Rejected, shown, whole
from .tree import Outcome

# Every quote starts a match, terminated or not, and none is read twice: linear time whatever the text is.
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.?)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_CHUNK = 1 << 16


def loads(content: bytes, *, exact: bool) -> Any:
    """JSON without duplicate keys, NaN or deep nesting; `exact`: also without any float."""
    depth = 0
    nested = content.count(b"[") + content.count(b"{") > Limits.nesting
    for match in _BRACKET.finditer(_QUOTED.sub(b"", content)) if nested else ():
        depth += 1 if match[0] in b"[{" else -1
        if depth > Limits.nesting:
            raise Rejected(f"limit: JSON is nested deeper than {Limits.nesting}")
    try:
        return _DECODERS[exact].decode(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Rejected(f"is no JSON of the format ({type(error).__name__})") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise Rejected("a key of a JSON object is there twice")
    return result


def _integer(text: str) -> int:
    if len(text) > 21:
        raise Rejected("limit: an integer has more than 20 digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if len(text) > 400 or not math.isfinite(value):
        raise Rejected("a number is beyond float64")
    return value


def _no_float(text: str) -> Any:
    raise Rejected(f"{shown(text)} is no number of the format")


_DECODERS = {
    exact: json.JSONDecoder(
        object_pairs_hook=_unique,
        parse_int=_integer,
        parse_float=_no_float if exact else _finite,
        parse_constant=_no_float,
    )
    for exact in (False, True)
}
"""By whether floats are refused."""


class Reader:
    """The records of one stream, inline or in a gzip file, and its parts."""

    def __init__(self, named: Callable[[Any, int], bytes], stream: dict[str, Any]) -> None:
        self.named, self.stream = named, stream
        self.leaves = 0

    def records(self) -> Iterator[Any]:
        """All records before the footer."""
        fields = set(self.stream)
        if fields == {"claim", "records"}:
            records = self.stream["records"]
            if type(records) is not list or not 0 < len(records) <= Limits.inline + 1:
                raise Rejected(f"limit: records are no list, or more than {Limits.inline}")
            yield from self._until_footer(iter(records))
        elif fields == {"claim", "file", "sha256"}:
            yield from self._file({k: self.stream[k] for k in ("file", "sha256")})
        else:
            raise Rejected("a stream has records, or file and sha256")

    def part(self, fields: dict[str, Any]) -> Iterator[Any]:
        """The records of a part."""
        return self._file(fields)

    def _file(self, reference: dict[str, Any]) -> Iterator[Any]:
        content = self.named(reference, Limits.file)
        yield from self._until_footer(_lines(content))

    def _until_footer(self, records: Iterator[Any]) -> Iterator[Any]:
        count = leaves = 0  # of this stream alone: its parts have their own footers
        for record in records:
            digest = None
            if isinstance(record, tuple):
                record, digest = record
            if type(record) is dict and record.get("t") == "end":
                names = {"t", "records", "leaves"} | ({"sha256"} if digest is not None else set())
                if set(record) != names or (digest is not None and record["sha256"] != digest):
                    raise Rejected("the footer has the wrong fields or digest")
                if whole(record["records"], "records") != count or whole(record["leaves"], "leaves") != leaves:
                    raise Rejected(f"the footer counts other than {count} records, {leaves} leaves")
                if next(records, None) is not None:
                    raise Rejected("something follows the footer")
                return
            count += 1  # noqa: SIM113  # the footer does not count
            if type(record) is dict and record.get("t") == "leaf":
                leaves += 1
                self.leaves += 1
            yield record
        raise Rejected("the stream has no footer")

    def finish(self, outcome: Outcome) -> None:
        """The footer must have been reached, and all leaves counted."""
        if outcome.leaves != self.leaves:
            raise Rejected("the stream was not read to its end")


def unpacked(content: bytes, limit: int) -> bytes:
    """The bytes of a whole gzip file."""
    pieces, total = [], 0
    for piece in _unpacked(content):
        total += len(piece)
        if total > min(limit, Limits.ratio * len(content) + Limits.slack):
            raise Rejected("limit: a file unpacks to too much")
        pieces.append(piece)
    return b"".join(pieces)


def _lines(content: bytes) -> Iterator[tuple[Any, str]]:
    """Records of gzip JSON lines, each with the digest of all bytes before its line."""
    digest, waiting, total = hashlib.sha256(), b"", 0
    for chunk in _unpacked(content):
        total += len(chunk)
        if total > min(Limits.stream, Limits.ratio * len(content) + Limits.slack):
            raise Rejected("limit: a stream unpacks to too much")
        waiting += chunk
        if b"\n" not in chunk:
            if len(waiting) > Limits.line:
                raise Rejected("limit: a line is too long")
            continue
        *lines, waiting = waiting.split(b"\n")
        for line in lines:
            if len(line) > Limits.line:
                raise Rejected("limit: a line is too long")
            yield loads(line, exact=True), digest.hexdigest()
            digest.update(line + b"\n")
    if waiting:
        raise Rejected("the last line of a stream is cut")


def _unpacked(content: bytes) -> Iterator[bytes]:
    """The bytes of a gzip file of exactly one member, piece by piece."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        for start in range(0, len(content), _CHUNK):
            piece = content[start : start + _CHUNK]
            while piece:
                yield unpacker.decompress(piece, _CHUNK)
                piece = unpacker.unconsumed_tail
            if unpacker.unused_data:
                raise Rejected("bytes follow the end of a gzip stream")
        tail = unpacker.flush()
    except zlib.error:
        raise Rejected("a stream is no gzip file") from None
    if tail:
        yield tail
    if not unpacker.eof:
        raise Rejected("a gzip stream is cut")
