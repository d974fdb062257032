"""Where a page may be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify._errors import InputError
from wdaverify.report import json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_SUFFIXES = {".html", ".htm"}


def check_page(path: Path, *, inputs: Iterable[str | Path] = ()) -> Path:
    """The path of a page, after a check that it can be written; called before hours of work, it writes nothing lasting.

    Raises
    ------
    InputError
        If the name does not end in ``.html``, and as `json.check_writable`.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"--report {path}: the report is a web page; give a name that ends in .html")
    return json.check_writable(path, inputs=inputs)
