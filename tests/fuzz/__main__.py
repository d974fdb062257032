"""``python -m tests.fuzz --seconds S [--reader NAME]``: new cases until the time is over; exit status 1 if a reader failed."""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from itertools import count
from pathlib import Path

from tests.fuzz.isolation import run_cases
from tests.fuzz.readers import READERS, Case, Reader
from wdaverify._errors import InputError

BATCH = 100
"""Cases of a child process."""


def main() -> int:
    """Fuzz the readers in turn, a batch at a time."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="wall time of all readers together")
    parser.add_argument("--reader", action="append", choices=[reader.name for reader in READERS], help="only this one")
    parser.add_argument("--start", type=int, default=0, metavar="N", help="number of the first case")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the files of failed cases there")
    options = parser.parse_args()
    chosen = [reader for reader in READERS if not options.reader or reader.name in options.reader]
    seeds = {reader.name: reader.seeds() for reader in chosen}
    seen = {reader.name: Counter[str]() for reader in chosen}
    for reader in chosen:
        _load(reader, seeds[reader.name][0])
    end = time.monotonic() + options.seconds
    for first in count(options.start, BATCH):
        for reader in chosen:
            if time.monotonic() > end:
                return _report(seen)
            _batch(reader, seeds[reader.name], first, seen[reader.name], options.keep)
    return 0


def _load(reader: Reader, seed: Case) -> None:
    """Read a sound case here: what is imported now is there in every child process, and its time counts for no case."""
    with tempfile.TemporaryDirectory(prefix="wdaverify-fuzz-") as name, suppress(InputError):
        for file, content in seed.items():
            path = Path(name) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        reader.read(Path(name) / next(iter(seed)))


def _batch(reader: Reader, seeds: list[Case], first: int, seen: Counter[str], keep: Path | None) -> None:
    cases = {n: reader.case(n, seeds) for n in range(first, first + BATCH)}
    for number, verdict in run_cases(reader, list(cases.items())):
        good = verdict in ("answer", "refused")
        seen[verdict if good else "failed"] += 1
        if not good:
            print(f"{reader.name} {number}: {verdict}", flush=True)
            if keep is not None:
                for name, content in cases[number].items():
                    path = keep / f"{reader.name}-{number}" / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)


def _report(seen: dict[str, Counter[str]]) -> int:
    for name, counts in seen.items():
        numbers = [counts[kind] for kind in ("answer", "refused", "failed")]
        print(f"{name:15} {sum(numbers):7} cases: {numbers[0]} answers, {numbers[1]} refusals, {numbers[2]} failures")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(f"{sum(each.ru_utime + each.ru_stime for each in used):.0f} s of processor time")
    return int(any(counts["failed"] for counts in seen.values()))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
