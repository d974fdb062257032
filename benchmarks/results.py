"""Sections of RESULTS.md, and the machine that they were measured on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from benchmarks.settings import Section

LIBRARIES = ("highspy", "torch", "maraboupy")
_CPU = Path("/proc/cpuinfo")


def replace_section(text: str, title: str, body: str) -> str:
    """Put `body` under the heading `title`, in the place of the section that has it, else at the end.

    Everything else stays as it is.

    Examples
    --------
    >>> replace_section("# Results\\n\\n## A\\n\\nold\\n\\n## B\\n\\nkept\\n", "A", "new")
    '# Results\\n\\n## A\\n\\nnew\\n\\n## B\\n\\nkept\\n'
    """
    parts: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("## "):
            parts.append([])
        parts[-1].append(line)
    section = [f"## {title}", "", *body.splitlines()]
    place = next((k for k, part in enumerate(parts) if part and part[0].strip() == f"## {title}"), None)
    if place is None:
        parts.append(section)
    else:
        parts[place] = section
    return "\n\n".join("\n".join(part).strip("\n") for part in parts if part) + "\n"


def render(section: Section, *, day: date, command: str) -> str:
    """The Markdown of a section below its heading."""
    table = [section.header, ("---",) * len(section.header), *section.rows]
    lines = ["| " + " | ".join(row) + " |" for row in table]
    return "\n\n".join([f"{day}, `{command}`; {machine(section.versions)}.", section.measured, "\n".join(lines), section.summary])


def machine(versions: dict[str, str]) -> str:
    """The kind of machine, its load, and the versions of what computes."""
    found = {name: version for name in LIBRARIES if (version := _version(name))} | versions
    programs = ", ".join(f"{name} {version}" for name, version in found.items())
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return f"{_cpu_model()}, {os.cpu_count()} cores{load}; Python {platform.python_version()}, {programs}"


def seconds(value: float) -> str:
    """Seconds, or a ratio, with about three digits.

    >>> seconds(0.01234), seconds(4.5678), seconds(123.4)
    ('0.012', '4.57', '123')
    """
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


def bullets(summary: str, items: Sequence[str]) -> str:
    """A summary line with a list below it."""
    return "\n".join([summary, "", *(f"* {item}" for item in items)]) if items else summary


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    if _CPU.exists():
        for line in _CPU.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
