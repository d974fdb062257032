"""``wdaverify bench INSTANCES.csv``."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wdaverify._errors import InputError
from wdaverify.bench.cactus import save_cactus
from wdaverify.bench.compare import Comparison
from wdaverify.bench.compare import compare as against
from wdaverify.bench.instance import Instance, file_digest
from wdaverify.bench.instance_list import read_instances
from wdaverify.bench.journal import Journal
from wdaverify.bench.outcome import DECIDED, Outcome
from wdaverify.bench.results import COLUMNS, as_csv, row, shown
from wdaverify.bench.run import Limits, run_instances
from wdaverify.bench.signals import terminated_like_interrupted
from wdaverify.cli import options as opt
from wdaverify.report import json, progress, records, text

if TYPE_CHECKING:
    from collections.abc import Sequence

JOURNAL = ".journal"

_LIST = "A list: rows of model,property[,timeout], or commands under a header."
_TIMEOUT = "For each instance, instead of the list's."
_COMPARE = "Verdicts, brackets and times to compare with."

Instances = Annotated[Path, typer.Argument(metavar="INSTANCES", help=_LIST, show_default=False)]
Results = Annotated[
    Path | None, typer.Option("--results", metavar="FILE.csv", help="The table of results.", show_default="LIST.results.csv")
]
Timeout = Annotated[float | None, typer.Option("--timeout", metavar="SECONDS", help=_TIMEOUT, show_default=False)]
Memory = Annotated[int | None, typer.Option("--memory-limit", metavar="MB", help="For each instance.", show_default="none")]
Restart = Annotated[bool, typer.Option("--restart", help="Begin anew instead of going on after the last finished instance.")]
Compare = Annotated[Path | None, typer.Option("--compare", metavar="FILE.csv", help=_COMPARE)]
Cactus = Annotated[Path | None, typer.Option("--cactus", metavar="FILE.svg", help="Draw the times (.svg, .png, .pdf).")]


def bench(
    instances: Instances,
    results: Results = None,
    timeout: Timeout = None,
    memory_limit: Memory = None,
    workers: opt.Workers = 1,
    executor: opt.ExecutorOption = None,
    restart: Restart = False,
    compare: Compare = None,
    cactus: Cactus = None,
    output: opt.Output = None,
    report: opt.Report = None,
    quiet: opt.Quiet = False,
) -> int:
    """Answer a list of instances, each in its own process within its limits; run again, it goes on where it stopped.

    Exit status 1 if an answer contradicts the file to compare with.
    """
    if timeout is not None and not timeout > 0:
        raise InputError(f"--timeout {timeout:g} is not a positive number of seconds")
    with opt.about("--workers, --memory-limit"):
        limits = Limits(workers=workers, memory=memory_limit)
    listed = read_instances(instances, timeout=timeout)
    read = [path for instance in listed for path in instance.files.values()]
    table = results or Path(f"{instances.name.removesuffix('.gz').removesuffix('.csv')}.results.csv")
    for path in (table, output, cactus):
        if path is not None:
            json.check_writable(path, inputs=[instances, *([compare] if compare else []), *read])
    if report is not None:
        opt.check_report(report, output, [instances, *([compare] if compare else []), *read])
    if compare is not None:
        against((), compare)  # what is wrong with that file is said before hours of work, not after
    started, outcomes = time.monotonic(), dict[int, Outcome]()
    try:
        with Journal(table.with_name(table.name + JOURNAL), restart=restart) as journal, terminated_like_interrupted():
            _answer(listed, journal, limits, executor, outcomes, quiet=quiet)
    except BaseException as error:
        # A disk that is full for the journal is full for the table as well: the first error says what to do.
        with contextlib.suppress(InputError, OSError):
            _write_table(listed, outcomes, table)
        if isinstance(error, KeyboardInterrupt):
            raise typer.Abort from None
        raise
    rows = _write_table(listed, outcomes, table)
    compared = None if compare is None else against(rows, compare)
    document = _document(instances, listed, outcomes, limits, time.monotonic() - started)
    if output is not None:
        json.write(document, output)
    if cactus is not None:
        own = {"wdaverify": [o.seconds for o in outcomes.values() if o.verdict in DECIDED]}
        save_cactus(own if compared is None else compared.times, cactus)
    _show(instances, listed, outcomes, compared, table)
    if report is not None:
        _write_page(document, report, output, compared)
    return 1 if compared is not None and compared.contradictions else 0


def _write_table(listed: Sequence[Instance], outcomes: dict[int, Outcome], table: Path) -> list[tuple[str, ...]]:
    """Write the rows that are there, if any, and return them."""
    rows = [row(instance, outcomes[instance.row]) for instance in listed if instance.row in outcomes]
    if rows:
        json.write_bytes(as_csv(rows), table)
    return rows


def _answer(
    listed: Sequence[Instance],
    journal: Journal,
    limits: Limits,
    address: str | None,
    outcomes: dict[int, Outcome],
    *,
    quiet: bool,
) -> None:
    """Answer every instance, in processes of this machine or at an address."""
    from wdaverify.parallel.remote import remote_executor

    with contextlib.ExitStack() as stack:
        executor = None
        if address is not None:
            with opt.about("--executor"):
                executor, hands = stack.enter_context(remote_executor(address))
            limits = dataclasses.replace(limits, workers=hands)
        advance = stack.enter_context(progress.instance_bar(len(listed), quiet=quiet))

        def finished(instance: Instance, outcome: Outcome) -> None:
            outcomes[instance.row] = outcome
            advance(f"{instance.row} {instance}: {outcome.verdict}")

        run_instances(listed, journal, limits=limits, executor=executor, finished=finished)


def _document(
    path: Path, listed: Sequence[Instance], outcomes: dict[int, Outcome], limits: Limits, seconds: float
) -> records.BenchDocument:
    """The JSON file."""
    return records.BenchDocument(
        file=json.file_name(str(path)),
        sha256=file_digest(path),
        options={"workers": limits.workers, "memory_limit": limits.memory},
        versions=json.versions(),
        seconds=seconds,
        instances=[
            records.InstanceRecord(
                instance=i.row,
                command=i.command,
                model=i.model,
                subject=i.subject,
                options=dict(i.options),
                timeout=i.timeout,
                verdict=outcomes[i.row].verdict,
                lower=list(outcomes[i.row].lower),
                upper=list(outcomes[i.row].upper),
                seconds=outcomes[i.row].seconds,
                error=outcomes[i.row].error,
            )
            for i in listed
        ],
    )


def _write_page(document: records.BenchDocument, report: Path, output: Path | None, compared: Comparison | None) -> None:
    """The page for people."""
    from wdaverify.report.page.material import Material
    from wdaverify.report.page.save import decoded, save_page

    comparison = None if compared is None else dataclasses.asdict(compared)
    name = None if output is None else output.name
    save_page(Material(document=decoded(document, None), certificate=name, comparison=comparison), report)
    text.line(f"report: {report}")


def _show(path: Path, listed: Sequence[Instance], outcomes: dict[int, Outcome], compared: Comparison | None, table: Path) -> None:
    """The table of verdicts, and what a comparison found."""
    text.table(COLUMNS[:-1], [shown(instance, outcomes[instance.row]) for instance in listed])
    for instance in listed:
        if outcomes[instance.row].error:
            text.line(f"instance {instance.row}: {outcomes[instance.row].error}")
    counts = Counter(outcome.verdict for outcome in outcomes.values())
    total = sum(outcome.seconds for outcome in outcomes.values())
    text.line(
        f"{path}: {len(listed)} instances, {', '.join(f'{n} {verdict}' for verdict, n in sorted(counts.items()))}; {total:.1f} s"
    )
    if compared is not None:
        text.line(f"compared: {compared.matched} found in the other file, {compared.agreeing} agree")
        for each in compared.contradictions:
            text.line(f"contradiction: {each}")
    text.line(f"results: {table}")
