"""Random changes of bytes and of text; every choice comes from the generator that is given."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

Mutator = Callable[[random.Random, bytes, Sequence[bytes]], bytes]
"""Generator, content, contents of other seeds of the same kind -> changed content."""

EDGES = (0, 1, -1, 2, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**32, 2**63 - 1, -(2**63))
"""Numbers at which lengths and counters turn over."""

NUMBERS = (
    "0", "-0", "1", "-1", "0.1", "1e308", "1e309", "-1e309", "1e-400", "5e-324", "inf", "-inf", "nan", "1e999999999", "0x10",
    "1_0", "1/0", "9" * 50, "9" * 5000, "-" + "9" * 400 + ".5", "0." + "0" * 5000 + "1", "2147483648", "9223372036854775808",
    "1e", "--1", "\u0663", "\uff11", "1e-2147483649", "1,0", "true", "1.7976931348623157e308",
)  # fmt: skip
"""Texts that some parser takes for a number."""

STRANGE = (
    "\0", "\ufeff", "\r", "\r\n", "\n", "\v", "\u2028", "\x85", '"', "'", '""', ";", "#", ",", "=", "(", ")", "[", "]", "{", "}",
    "\\", "../../etc/passwd", "/dev/zero", "/dev/stdin", "~", "a" * 300, "\U0001f600", "\x1b[31m", "%n", " ", "\t", "[[",
    "]]", ".",
)  # fmt: skip

_TOKEN = re.compile(r"[A-Za-z_][A-Za-z_0-9]*|[-+]?[0-9.][-+0-9.eE]*|\s+|.", re.DOTALL)
_DEEP = (3, 50, 1500, 60_000)
_LONGEST = 2**20
"""Characters that a repetition may add, so that repetitions of repetitions stay files."""


def place(rng: random.Random, content: Sequence[object]) -> tuple[int, int]:
    """Ends of a random piece, short more often than long."""
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + int(2 ** rng.uniform(0, 8)))


def mutate_bytes(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Bits, pieces and integers of any format."""
    result = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        start, end = place(rng, result)
        other = rng.choice(others) if others else content
        kind = rng.randrange(7)
        if kind == 0 and start < len(result):
            result[start] ^= 1 << rng.randrange(8)
        elif kind == 1 and start < len(result):
            result[start] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, rng.randrange(256)))
        elif kind == 2:
            del result[start:end]
        elif kind == 3:
            result[start:start] = result[start:end] * rng.choice((1, 1, 2, 100))
        elif kind == 4:
            result[start:end] = other[slice(*place(rng, other))]
        elif kind == 5:
            size = rng.choice((1, 2, 4, 8))
            number = rng.choice(EDGES) % (1 << 8 * size)
            result[start : start + size] = number.to_bytes(size, rng.choice(("little", "big")))
        elif rng.random() < 0.3:
            del result[start:]
    return bytes(result)


def mutate_text(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Tokens, numbers and nesting of a text; sometimes its encoding."""
    tokens = _TOKEN.findall(content.decode("utf-8", "surrogateescape"))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _change_tokens(rng, tokens, others)
    text = "".join(tokens)
    kind = rng.randrange(20)
    if kind == 0:
        return text.encode("utf-16", "surrogatepass")
    if kind == 1:
        text = "\ufeff" + text.replace("\n", "\r\n")
    elif kind == 2:
        text = text.replace("\n", "\r")
    return text.encode("utf-8", "surrogateescape")


def _change_tokens(rng: random.Random, tokens: list[str], others: Sequence[bytes]) -> None:
    start, end = place(rng, tokens)
    numbers = [i for i, token in enumerate(tokens) if token[:1].isdigit() or token[:1] in "+-."]
    kind = rng.randrange(9)
    if kind <= 1 and numbers:
        tokens[rng.choice(numbers)] = rng.choice(NUMBERS)
    elif kind == 2 and tokens:
        i, j = rng.randrange(len(tokens)), rng.randrange(len(tokens))
        tokens[i], tokens[j] = tokens[j], tokens[i]
    elif kind == 3:
        length = sum(map(len, tokens[start:end])) or 1
        tokens[start:start] = tokens[start:end] * min(rng.choice((1, 1, 3, 1000)), _LONGEST // length)
    elif kind == 4:
        del tokens[start:end]
    elif kind == 5:
        tokens[start : start + rng.randrange(2)] = [rng.choice((*STRANGE, *NUMBERS))]
    elif kind == 6 and others:
        other = _TOKEN.findall(rng.choice(others).decode("utf-8", "surrogateescape"))
        tokens[start:end] = other[slice(*place(rng, other))]
    elif kind == 7:
        opening = rng.choice(("(", "[", "{", "(+ ", "(and ", "(or ", "(- ", "[[", "{a=", "a.", '{"a":', '"'))
        count = rng.choice(_DEEP)
        closing = rng.choice(("", {"(": ")", "[": "]", "{": "}"}.get(opening[0], "")))
        tokens[start:end] = [opening * count, *tokens[start:end], closing * count]
    elif tokens:
        i = rng.randrange(len(tokens))
        tokens[i] = tokens[i][: rng.randrange(len(tokens[i]) + 1)] + rng.choice(("", "\0", "\udcff", "\u00e9", "0", "-"))


def mixed(*choices: Mutator) -> Mutator:
    """One of several ways."""

    def mutate(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
        return rng.choice(choices)(rng, content, others)

    return mutate
