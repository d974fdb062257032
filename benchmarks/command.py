"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.registry import BENCHMARKS
from benchmarks.results import render, replace_section
from benchmarks.settings import Settings, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
DATA_VARIABLE = "WDAVERIFY_BENCHMARK_DATA"
PLACES = {"--data": "FOLDER", "--out": "FILE", "--marabou-python": "PYTHON"}
"""Options whose values are places on one machine; the printed command names them only."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that the arguments name, and write each one's section as soon as it is measured."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(arguments)
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        print(f"unknown benchmark '{unknown[0]}'; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    settings = Settings(
        data=options.data, samples=options.samples, limit=options.limit, only=tuple(options.only), stride=options.stride,
        marabou_python=options.marabou_python, device=options.device,
    )  # fmt: skip
    for name in options.names or BENCHMARKS:
        benchmark = BENCHMARKS[name]
        print(f"== {name}: {benchmark.title}", flush=True)
        try:
            section = benchmark.run(settings)
        except Unavailable as reason:
            print(f"skipped: {reason}", flush=True)
            continue
        body = render(section, day=date.today(), command=public_command(arguments, options.names and name))
        text = options.out.read_text(encoding="utf-8") if options.out.exists() else "# Results\n"
        options.out.write_text(replace_section(text, benchmark.title, body), encoding="utf-8")
        print(f"{body}\n", flush=True)
    return 0


def public_command(arguments: Sequence[str], name: str | None = None) -> str:
    """The command as the section quotes it: of several benchmarks only `name`, and no places of this machine.

    Examples
    --------
    >>> public_command(["verdicts", "marabou", "--data", "/home/me/data", "--limit", "20"], "verdicts")
    'python benchmarks/run.py verdicts --data FOLDER --limit 20'
    >>> public_command(["--out=other/x.md"])
    'python benchmarks/run.py --out=FILE'
    """
    words, place = [], ""
    for word in arguments:
        option, equals, _ = word.partition("=")
        if place:
            words.append(place)
        elif equals and option in PLACES:
            words.append(f"{option}={PLACES[option]}")
        elif not (name and word in BENCHMARKS and word != name):
            words.append(shlex.quote(word))
        place = "" if equals or place else PLACES.get(word, "")
    return " ".join(["python benchmarks/run.py", *words])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Run benchmarks and rewrite their sections of RESULTS.md.", allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; default: all that can run here")
    parser.add_argument(
        "--data", type=Path, default=_data_folder(), help=f"folder of the published data (default: ${DATA_VARIABLE})"
    )
    parser.add_argument("--samples", type=_count, default=10, help="samples of each network (default 10)")
    parser.add_argument("--limit", type=_seconds, default=60.0, help="wall seconds a sample or instance, each side (default 60)")
    parser.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="cases whose name contains one of these texts")
    parser.add_argument("--stride", type=_count, default=1, help="take every K-th of the ACAS Xu instances (default 1)")
    parser.add_argument("--marabou-python", type=Path, help="a Python interpreter that can import maraboupy, onnx, onnxruntime")
    parser.add_argument("--device", default="auto", help="of throughput: auto (a GPU if there is one), cpu or cuda")
    parser.add_argument(
        "--out", type=Path, default=RESULTS, help="the file to rewrite (default: RESULTS.md beside the benchmarks)"
    )
    return parser


def _data_folder() -> Path | None:
    named = os.environ.get(DATA_VARIABLE)
    return Path(named) if named else None


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number >= 1")
    return value


def _seconds(text: str) -> float:
    if not 0 < (value := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return value
