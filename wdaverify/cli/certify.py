"""``wdaverify certify MODEL [--data FILE]``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wdaverify._errors import InputError
from wdaverify._numbers import parse_number
from wdaverify._tolerances import DEFAULT_GAP
from wdaverify.cli import options as opt
from wdaverify.cli.growth import certify_growth
from wdaverify.report import progress, text
from wdaverify.transport import WassersteinBall

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

DEFAULT_RADIUS = "0.05"

Order = Annotated[str, typer.Option("--order", metavar="P", help="Order of the Wasserstein distance: a number >= 1, or inf.")]
Radius = Annotated[str, typer.Option("--radius", metavar="R[,R...]", help="Radii; several give the whole curve from one run.")]
Loss = Annotated[
    str, typer.Option("--loss", metavar="zero-one|margin|hinge|cross-entropy", help="The loss whose expectation is the risk.")
]


def certify(
    model: opt.Model,
    data: opt.OptionalData = None,
    samples: opt.Samples = None,
    order: Order = "1",
    radius: Radius = DEFAULT_RADIUS,
    loss: Loss = "zero-one",
    gap: opt.Gap = DEFAULT_GAP,
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
    """Certify the worst-case risk over every distribution within the radius of the data.

    Without --data: exact Lipschitz constants, and how fast any risk can grow (within 60 seconds unless --time-limit says more).
    """
    search = opt.search_options(
        norm=norm,
        domain=domain,
        time_limit=time_limit,
        workers=workers,
        executor=executor,
        seed=seed,
        device=device,
        gap=gap,
        engine=engine,
        solver=solver,
    )
    threat = _threat(radius, order, loss, search)
    files = opt.files(model, domain=domain, output=output, quiet=quiet, data=data, samples=samples, report=report)
    return certify_growth(files, search, proof=not no_proof) if data is None else _risk(files, search, threat, proof=not no_proof)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Threat:
    """A ball, the radii of its curve, and the loss."""

    ball: WassersteinBall
    radii: tuple[float, ...]
    loss: str


def _threat(radius: str, order: str, loss: str, search: opt.Search) -> _Threat:
    """The question, checked before anything is loaded."""
    from wdaverify.risk.certify import check_loss

    with opt.about("--loss"):
        check_loss(loss)
    try:
        power = parse_number(order)
    except ValueError:
        raise InputError(f"--order '{order}': give a number >= 1, or inf") from None
    with opt.about("--order"):
        WassersteinBall(radius=0.0, order=power)
    radii = opt.read_numbers(radius, "--radius")
    with opt.about("--radius"):
        balls = [WassersteinBall(radius=r, order=power, norm=search.norm) for r in radii]
    return _Threat(ball=balls[0], radii=radii, loss=loss)


def _risk(files: opt.Files, search: opt.Search, threat: _Threat, *, proof: bool) -> int:
    """The worst-case risk."""
    from wdaverify.risk.certify import certify as certify_risk

    network = files.network(search.domain)
    samples = files.samples_for(network, search.domain)
    by_distances = threat.loss == "zero-one"
    largest = replace(threat.ball, radius=max(threat.radii))
    deadline, quiet = search.options.deadline, files.quiet
    bar: AbstractContextManager[Callable[[Any], None]] = (
        progress.distance_bar(samples, quiet=quiet, deadline=deadline, ball=largest)
        if by_distances
        else progress.bracket_line(quiet=quiet, gap=search.options.gap, deadline=deadline)
    )
    with text.shown_warnings(quiet=quiet), bar as advance:
        certificate = certify_risk(
            network,
            samples,
            threat.ball,
            loss=threat.loss,
            radii=threat.radii,
            domain=search.domain,
            options=search.options,
            progress=advance,
        )
    for row in text.certificate_lines(certificate):
        text.line(row)
    text.line("upper bounds of the same risk by Lipschitz constants, for comparison:")
    text.table(*text.comparison_table(certificate))
    for bound in certificate.bounds:
        if bound.note:
            text.line(f"{bound.name}: {bound.note}")
    if files.output is not None:  # the answer is printed before: a full disk, or Ctrl-C among the proofs, does not take it away
        with progress.stage("proofs", quiet=quiet):
            reason = certificate.save(files.output, proof=proof)
        text.no_proof(reason, files.output, quiet=quiet)
    if files.report is not None:
        from wdaverify.report.page.results import risk_material
        from wdaverify.report.page.save import save_page

        save_page(risk_material(certificate, file=files.output), files.report)
        text.line(f"report: {files.report}")
    return 130 if certificate.interrupted else 0
