"""What every refusal of the judge looks like."""

from __future__ import annotations

import time
from pathlib import Path

from wdaverify.check.report import check


def refused(path: Path, *words: str, seconds: float = 2.0) -> None:
    """The judge refuses with one line that has the words, in time, and writes nothing."""
    before = {p: p.stat().st_mtime_ns for p in path.parent.iterdir()}
    started = time.monotonic()
    verdict = check(path)
    assert time.monotonic() - started < seconds
    assert not verdict.accepted
    assert verdict.status in (1, 2)
    assert "\n" not in verdict.message
    assert len(verdict.message) < 500
    assert "internal" not in verdict.message
    assert all(w in verdict.message for w in words), verdict.message
    assert {p: p.stat().st_mtime_ns for p in path.parent.iterdir()} == before
