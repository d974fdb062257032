"""``wdaverify distance MODEL --data FILE``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from wdaverify.cli import options as opt
from wdaverify.report import json, progress, text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wdaverify.dataset import Dataset
    from wdaverify.ir.network import Network
    from wdaverify.report import records
    from wdaverify.risk.adversarial import AdversarialDistance


def distance(
    model: opt.Model,
    data: opt.Data,
    samples: opt.Samples = None,
    norm: opt.NormOption = "linf",
    domain: opt.DomainOption = "0,1",
    time_limit: opt.TimeLimit = None,
    workers: opt.Workers = 1,
    executor: opt.ExecutorOption = None,
    seed: opt.Seed = 0,
    device: opt.Device = "auto",
    engine: opt.Engine = None,
    solver: opt.Solver = "highs",
    output: opt.Output = None,
    report: opt.Report = None,
    no_proof: opt.NoProof = False,
    quiet: opt.Quiet = False,
) -> int:
    """Find the minimum adversarial distance of every sample: how far the nearest point is that is not its class."""
    search = opt.search_options(
        norm=norm,
        domain=domain,
        time_limit=time_limit,
        workers=workers,
        executor=executor,
        seed=seed,
        device=device,
        engine=engine,
        solver=solver,
    )
    files = opt.files(model, domain=domain, output=output, quiet=quiet, data=data, samples=samples, report=report)
    return _distance(files, search, proof=not no_proof)


def _distance(files: opt.Files, search: opt.Search, *, proof: bool) -> int:
    """Search, save, print."""
    from wdaverify.risk.adversarial import Interrupted
    from wdaverify.risk.distance import distances
    from wdaverify.risk.document import distance_document, options_record

    started = time.monotonic()
    network = files.network(search.domain)
    samples = files.samples_for(network, search.domain)
    interrupted = False
    bar = progress.distance_bar(samples, quiet=files.quiet, deadline=search.options.deadline)
    with text.shown_warnings(quiet=files.quiet), bar as advance:
        try:
            found = distances(network, samples, norm=search.norm, domain=search.domain, options=search.options, progress=advance)
        except Interrupted as stop:
            found, interrupted = stop.distances, True
    document = distance_document(
        network,
        samples,
        found,
        domain=search.domain,
        options=options_record(search.norm, search.options),
        seconds=time.monotonic() - started,
    )
    document = msgspec.structs.replace(document, interrupted=interrupted)
    for record in found:
        text.line(str(record))
    text.line(text.distance_summary(found))
    if files.output is not None:
        if proof and not interrupted:
            with progress.stage("proofs", quiet=files.quiet):
                _save_proved(document, files.output, network, samples, found, search, quiet=files.quiet)
        else:
            json.write(document, files.output)
    if files.report is not None:
        _write_page(document, files, samples)
    return 130 if interrupted else 0


def _write_page(document: records.DistanceDocument, files: opt.Files, samples: Dataset) -> None:
    """The page for people."""
    from wdaverify.report.page.material import Material
    from wdaverify.report.page.save import decoded, save_page

    assert files.report is not None
    name = None if files.output is None else files.output.name
    save_page(Material(document=decoded(document, files.output), data=samples, certificate=name), files.report)
    text.line(f"report: {files.report}")


def _save_proved(
    document: records.DistanceDocument,
    output: Path,
    network: Network,
    samples: Dataset,
    found: Sequence[AdversarialDistance],
    search: opt.Search,
    *,
    quiet: bool,
) -> None:
    """The JSON file with proofs of the distances."""
    from wdaverify.proof.distances import save_distances

    reason = save_distances(
        document, output, network, samples, found, domain=search.domain, norm=search.norm, options=search.options
    )
    text.no_proof(reason, output, quiet=quiet)
