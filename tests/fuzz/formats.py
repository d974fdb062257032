"""Changes that know a format: fields of protobuf messages, members of zip files, headers of npy arrays, gzip streams."""

from __future__ import annotations

import copy
import gzip
import io
import lzma
import random
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence

from tests.fuzz.mutations import EDGES, Mutator, mutate_bytes, mutate_text

Field = tuple[int, int, "bytes | int | list[Field]"]
"""Number, wire type, and a varint, bytes, or the fields of what looks like a message."""


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80 or shift > 63:
            return value, at


def _parsed(content: bytes, depth: int = 0) -> list[Field] | None:
    """The fields of a message, or None if it is none; texts may look like messages, which does no harm."""
    fields: list[Field] = []
    at = 0
    try:
        while at < len(content):
            tag, at = _varint(content, at)
            number, wire = tag >> 3, tag & 7
            if not number or wire not in (0, 1, 2, 5):
                return None
            if wire == 0:
                value, at = _varint(content, at)
                fields.append((number, wire, value))
                continue
            size = {1: 8, 5: 4}.get(wire, 0)
            if wire == 2:
                size, at = _varint(content, at)
            piece = content[at : at + size]
            if len(piece) < size:
                return None
            inner = _parsed(piece, depth + 1) if wire == 2 and piece and depth < 8 else None
            fields.append((number, wire, piece if inner is None else inner))
            at += size
    except IndexError:
        return None
    return fields


def _encoded(value: int) -> bytes:
    value %= 1 << 64
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])


def _packed(fields: Sequence[Field], rng: random.Random, lies: float) -> bytes:
    """The bytes of a message; with probability `lies` a length is wrong."""
    result = bytearray()
    for number, wire, value in fields:
        result += _encoded(number << 3 | wire)
        if isinstance(value, int):
            result += _encoded(value)
            continue
        piece = _packed(value, rng, lies) if isinstance(value, list) else value
        if wire == 2:
            result += _encoded(rng.choice((*EDGES, len(piece) + 1, len(piece) - 1)) if rng.random() < lies else len(piece))
        result += piece
    return bytes(result)


def _messages(fields: list[Field]) -> list[list[Field]]:
    found, stack = [], [fields]
    while stack:
        found.append(stack.pop())
        stack += [value for _, _, value in found[-1] if isinstance(value, list)]
    return found


def mutate_protobuf(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Fields of messages changed, removed, repeated, moved and replaced by others; lengths are right in most cases."""
    fields = _parsed(content)
    if not fields:
        return mutate_bytes(rng, content, others)
    donor = (_parsed(rng.choice(others)) if others and rng.random() < 0.3 else None) or fields
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        candidates = [message for message in _messages(fields) if message]
        if candidates:
            _change_fields(rng, rng.choice(candidates), [m for m in _messages(donor) if m])
    return _packed(fields, rng, rng.choice((0, 0, 0, 0.02)))


def _change_fields(rng: random.Random, message: list[Field], donors: list[list[Field]]) -> None:
    i = rng.randrange(len(message))
    number, wire, value = message[i]
    kind = rng.randrange(6)
    if kind == 0:
        del message[i]
    elif kind == 1:
        message[i:i] = [message[i]] * rng.choice((1, 1, 2, 300))
    elif kind == 2:
        j = rng.randrange(len(message))
        message[i], message[j] = message[j], message[i]
    elif kind == 3:
        other = copy.deepcopy(rng.choice(rng.choice(donors)))  # a message must not come to hold itself
        message[i] = (number, other[1], other[2]) if rng.random() < 0.7 else other
    elif kind == 4:
        message[i] = (rng.choice((number + 1, number - 1 or 1, rng.randrange(1, 30), 2**20)), wire, value)
    elif isinstance(value, int):
        message[i] = (number, wire, rng.choice((value + 1, value - 1, value ^ 1 << rng.randrange(40), *EDGES)))
    elif isinstance(value, bytes):
        new = mutate_text(rng, value, []) if rng.random() < 0.3 else mutate_bytes(rng, value, [])
        size = {1: 8, 5: 4}.get(wire)
        if size is not None:
            odd = rng.choice((float("nan"), float("inf"), -1e308, 5e-324, 0.0, 3e38))
            new = struct.pack("<d", odd) if size == 8 else struct.pack("<f", odd if abs(odd) < 3.1e38 or odd != odd else 3e38)
        message[i] = (number, wire, new)


DTYPES = (
    "|b1", "<i1", "<i8", ">f8", "<f2", "<f4", "<f16", "<c16", "|O", "<U4", "|S8", "|V8", "<M8[s]", "<u8", "<f8\0",
    "<i4,<f8", "f8",
)  # fmt: skip
SHAPES = (
    "()", "(0,)", "(1,)", "(-1,)", "(2, 0)", "(0, 3)", "(99999999999,)", "(4294967296, 4294967296)", "(1.5,)", "(True,)", "3",
    "(3,", "(1,) * 99999999", "(" + "1," * 40 + ")", "(2L,)", "('a',)", "(3, 2)", "(2, 3)", "(6,)", "(1, 6)",
    "(" * 500 + "1" + ")" * 500,
)  # fmt: skip


def mutate_npy(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """The header of an array: its dictionary, its length, its version; or its body."""
    match = re.match(rb"\x93NUMPY(.)(.)(..)", content, re.DOTALL)
    kind = rng.randrange(8)
    if match is None or kind == 0:
        return mutate_bytes(rng, content, others)
    size = int.from_bytes(match[3], "little")
    header, body = content[10 : 10 + size], content[10 + size :]
    version = bytes([match[1][0], match[2][0]])
    if kind <= 2:
        header = re.sub(rb"'shape': \([^)]*\)", lambda _: b"'shape': " + rng.choice(SHAPES).encode(), header)
    elif kind <= 4:
        header = re.sub(rb"'descr': '[^']*'", lambda _: f"'descr': '{rng.choice(DTYPES)}'".encode(), header)
    elif kind == 5:
        header = mutate_text(rng, header, [])[:60_000]
    elif kind == 6:
        body = _odd_numbers(rng, body)
    else:
        version = rng.choice((b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x00\x00", b"\xff\x01"))
    length = len(header) if rng.random() < 0.9 else rng.choice(EDGES)
    width = 2 if version[0] <= 1 else 4
    return b"\x93NUMPY" + version + (length % (1 << 8 * width)).to_bytes(width, "little") + header + body


def _odd_numbers(rng: random.Random, body: bytes) -> bytes:
    """Eight bytes of an array replaced by a number that is rarely thought of."""
    odd = [
        struct.pack("<d", v) for v in (float("nan"), float("inf"), -float("inf"), -0.0, 5e-324, 1.7e308, -1.0, 0.5, 2.0**53 + 2)
    ]
    odd += [struct.pack("<q", v) for v in (-1, 2**53 + 1, 2**63 - 1, -(2**63), 0, 1, 2)]
    at = 8 * rng.randrange(len(body) // 8 + 1)
    return body[:at] + rng.choice(odd) + body[at + 8 :]


def mutate_npz(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Members of a zip file of arrays; what cannot be opened any more is changed byte by byte."""
    if rng.random() < 0.2:
        return mutate_bytes(rng, content, others)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, ValueError, RuntimeError, EOFError, OSError, struct.error):
        return mutate_bytes(rng, content, others)
    for _ in range(rng.choice((1, 1, 2))):
        i = rng.randrange(len(members)) if members else 0
        kind = rng.randrange(12) if members else 12
        if kind < 7:
            members[i] = (members[i][0], mutate_npy(rng, members[i][1], [m for _, m in members]))
        elif kind == 7:
            del members[i]
        elif kind == 8:
            members.append(members[i])
        elif kind == 9:
            members[i] = (members[rng.randrange(len(members))][0], members[i][1])
        elif kind == 10:
            members[i] = (rng.choice(("../x.npy", "/x.npy", "x\0.npy", "x", "\u00e9.npy", "x.npy/", ".npy")), members[i][1])
        elif kind == 11:
            members[i] = (members[i][0], _bomb(rng.choice((10**5, 10**6, 10**6, 2 * 10**7))))
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", rng.choice((0, 8, 8, 12, 14))) as archive:
        warnings.simplefilter("ignore")  # names that are there twice
        for name, member in members:
            archive.writestr(name, member)
    return _lying_entries(rng, stream.getvalue()) if rng.random() < 0.2 else stream.getvalue()


def _bomb(count: int) -> bytes:
    """An array of equal bytes: next to nothing when it is packed, eight times as much when it is converted."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count},), }}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(count)


def _lying_entries(rng: random.Random, content: bytes) -> bytes:
    """Another number in a field of a directory entry: versions, flags, method, check sum, sizes, offsets."""
    signature = rng.choice((b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"))
    places = [match.start() for match in re.finditer(re.escape(signature), content)]
    if not places:
        return content
    at = rng.choice(places) + 4 + 2 * rng.randrange(21)
    size = rng.choice((2, 4))
    return content[:at] + (rng.choice(EDGES) % (1 << 8 * size)).to_bytes(size, "little") + content[at + size :]


_LARGEST = 2**24
"""Bytes of a gzip file that is changed inside."""


def packed(inner: Mutator) -> Mutator:
    """A gzip file: changed inside, outside, cut, followed by something, or a bomb."""

    def mutate(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            plain = unpacker.decompress(content, _LARGEST)
        except zlib.error:
            plain = b""
        if not unpacker.eof:  # it was changed before, perhaps into a bomb
            return mutate_bytes(rng, content, others)
        kind = rng.randrange(8)
        if kind == 0:
            return mutate_bytes(rng, content, others)
        if kind == 1:
            return content + rng.choice((b"tail", content, b"\0" * 9))
        if kind == 2 and rng.random() < 0.1:
            return gzip.compress(plain) + gzip.compress(bytes(1 << 20), mtime=0) * 1000
        return gzip.compress(inner(rng, plain, []), rng.choice((0, 1, 9)), mtime=0)

    return mutate
