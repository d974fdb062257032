"""``wdaverify distance MODEL --data FILE``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from wdaverify.cli import options as opt
from wdaverify.report import json, text

Data = Annotated[
    Path,
    typer.Option(
        "--data", metavar="FILE", help=".npz with x, y and perhaps weights, or .csv with the label last.", show_default=False
    ),
]


def distance(
    model: opt.Model,
    data: Data,
    samples: opt.Samples = None,
    norm: opt.NormOption = "linf",
    domain: opt.DomainOption = "0,1",
    time_limit: opt.TimeLimit = None,
    workers: opt.Workers = 1,
    seed: opt.Seed = 0,
    device: opt.Device = "auto",
    engine: opt.Engine = None,
    solver: opt.Solver = "highs",
    output: opt.Output = None,
    quiet: opt.Quiet = False,
) -> int:
    """Find the minimum adversarial distance of every sample: how far the nearest point is that is not its class."""
    search = opt.search_options(
        norm=norm,
        domain=domain,
        time_limit=time_limit,
        workers=workers,
        seed=seed,
        device=device,
        engine=engine,
        solver=solver,
    )
    return _distance(model, (data, samples), search, opt.read_output(output), quiet=quiet)


def _distance(model: Path, data: tuple[Path, int | None], search: opt.Search, target: Path | None, *, quiet: bool) -> int:
    """Search, save, print."""
    from wdaverify.risk.adversarial import Interrupted
    from wdaverify.risk.distance import distances
    from wdaverify.risk.document import distance_document

    started = time.monotonic()
    network = opt.read_network(model, quiet=quiet)
    samples = opt.read_data(*data, network, search.domain)
    interrupted = False
    with text.progress_bar(samples.count, quiet=quiet) as progress:
        try:
            found = distances(
                network, samples, norm=search.norm, domain=search.domain, options=search.distance_options(), progress=progress
            )
        except Interrupted as stop:
            found, interrupted = stop.distances, True
    if target is not None:
        document = distance_document(
            network,
            samples,
            found,
            domain=search.domain,
            options=search.as_json(),
            seconds=time.monotonic() - started,
        )
        json.write(msgspec.structs.replace(document, interrupted=interrupted), target)
    for record in found:
        text.line(str(record))
    text.line(text.distance_summary(found))
    return 130 if interrupted else 0
