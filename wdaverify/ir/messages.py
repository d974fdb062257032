"""Messages of other libraries, made fit to be shown."""

from __future__ import annotations


def one_line(error: BaseException) -> str:
    """The message of an exception in one printable line of bearable length."""
    words = " ".join(str(error).split()) or type(error).__name__
    text = "".join(c if c.isprintable() else "?" for c in words)
    return text if len(text) <= 500 else text[:497] + "..."
