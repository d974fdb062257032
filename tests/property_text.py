"""Properties over two inputs and two outputs, as text."""

from __future__ import annotations

from pathlib import Path

from wdaverify._errors import InputError
from wdaverify.property.property import Property
from wdaverify.property.vnnlib import load_property

NAMES = ("X_0", "X_1", "Y_0", "Y_1")
HEAD = "".join(f"(declare-const {name} Real)\n" for name in NAMES)
BOX = "(assert (<= -2 X_0 2))\n(assert (<= -2 X_1 2))\n"


def parse(folder: Path, text: str | bytes, *, inputs: int = 2, outputs: int = 2, name: str = "p.vnnlib") -> Property:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_property(path, inputs=inputs, outputs=outputs)


def boxed(assertion: str) -> str:
    return f"{HEAD}{BOX}(assert {assertion})\n"


def refusal(folder: Path, text: str | bytes) -> str | None:
    """The message that a file is refused with, or None if it is read; anything but an `InputError` comes through."""
    try:
        parse(folder, text)
    except InputError as error:
        return str(error)
    return None
