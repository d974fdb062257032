"""``wdaverify certify MODEL [--data FILE]``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wdaverify._errors import InputError
from wdaverify._tolerances import DEFAULT_GAP
from wdaverify.bracket import Bracket
from wdaverify.cli import options as opt
from wdaverify.report import json, records, text

if TYPE_CHECKING:
    from wdaverify.cli.options import Search
    from wdaverify.ir.network import Network

DEFAULT_RADIUS = "0.05"

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE", help=".npz with x, y and perhaps weights, or .csv with the label last."),
]
Order = Annotated[str, typer.Option("--order", metavar="P", help="Order of the Wasserstein distance: a number >= 1, or inf.")]
Radius = Annotated[str, typer.Option("--radius", metavar="R[,R...]", help="Radii; several give the whole curve from one run.")]
Loss = Annotated[str, typer.Option("--loss", metavar="zero-one", help="The loss (the only one so far).")]
Gap = Annotated[float, typer.Option("--gap", metavar="G", help="Relative width below which a bracket counts as exact.")]


def certify(
    model: opt.Model,
    data: Data = None,
    samples: opt.Samples = None,
    order: Order = "1",
    radius: Radius = DEFAULT_RADIUS,
    loss: Loss = "zero-one",
    gap: Gap = DEFAULT_GAP,
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
    """Certify the worst-case risk over every distribution within the radius of the data.

    Without --data: the graph, and bounds of its Lipschitz constants (how fast any risk can grow).
    """
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
    target = opt.read_output(output)
    if data is None:
        return _constants(opt.read_network(model, quiet=quiet), search, target)
    question = {"radii": opt.read_numbers(radius, "--radius"), "order": _order(order), "loss": loss, "gap": gap}
    return _risk(model, (data, samples), search, question, (target, quiet))


def _order(value: str) -> float:
    """The value of ``--order``."""
    try:
        return float(value)
    except ValueError:
        raise InputError(f"--order '{value}': give a number >= 1, or inf") from None


def _risk(
    model: Path, data: tuple[Path, int | None], search: Search, question: dict[str, Any], writing: tuple[Path | None, bool]
) -> int:
    """The worst-case risk."""
    from wdaverify.risk.certify import certify as certify_risk
    from wdaverify.transport import WassersteinBall

    radii = question.pop("radii")
    # All radii are checked before anything is loaded.
    balls = [WassersteinBall(radius=r, order=question["order"], norm=search.norm) for r in radii]
    question.pop("order")
    target, quiet = writing
    network = opt.read_network(model, quiet=quiet)
    samples = opt.read_data(*data, network, search.domain)
    with text.progress_bar(samples.count, quiet=quiet) as progress:
        certificate = certify_risk(
            network,
            samples,
            balls[0],
            radii=radii,
            domain=search.domain,
            options=search.distance_options(),
            progress=progress,
            **question,
        )
    if target is not None:
        certificate.save(target)
    for row in text.certificate_lines(certificate):
        text.line(row)
    return 130 if certificate.interrupted else 0


def _constants(network: Network, search: Search, target: Path | None) -> int:
    """The graph and the product-of-norms bounds."""
    from wdaverify.bounds.operator_norms import lipschitz_bound
    from wdaverify.cli.inspect import unstable_line

    started = time.monotonic()
    names = ["logit:0"] if network.outputs == 1 else [f"label:{y}" for y in range(network.outputs)]
    values = {name: lipschitz_bound(network, name, norm=search.norm) for name in names}
    text.line(f"model: {network}")
    text.line(unstable_line(network, search.domain))
    text.line(f"Lipschitz constants ({search.norm}): upper bounds by products of operator norms, valid on all of R^n")
    text.table(["functional", "constant at most"], [[name, f"{value:.9g}"] for name, value in values.items()])
    if target is not None:
        constants = [
            records.ConstantRecord(
                functional=name, norm=str(search.norm), value=json.bracket_record(Bracket(lower=0.0, upper=value))
            )
            for name, value in values.items()
        ]
        document = records.LipschitzDocument(
            model=json.model_record(network),
            domain=json.domain_record(search.domain),
            options={**search.as_json(), "method": "product of operator norms"},
            versions=json.versions(),
            seconds=time.monotonic() - started,
            constants=constants,
        )
        json.write(document, target)
    return 0
