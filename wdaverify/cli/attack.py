"""``wdaverify attack MODEL --data FILE``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify._numbers import parse_number
from wdaverify.cli import options as opt
from wdaverify.cli.certify import DEFAULT_RADIUS, Order, Radius
from wdaverify.report import progress, text
from wdaverify.transport import WassersteinBall

_STEPS, _RESTARTS = "Gradient steps of each ascent or walk.", "How many there are per sample."
_JOURNAL = "Folder of finished batches: an interrupted attack goes on from there."
_KAPPA = "wda: 1/kappa of the mass moves kappa^(1/p) times as far."
_THREADS = "Threads of the processor."
_OWN = "the method's"

Method = Annotated[str, typer.Option("--method", metavar="wda|wda++|a3-wda|pgd|apgd|nearest", help="The attack.")]
Steps = Annotated[int | None, typer.Option("--steps", metavar="N", help=_STEPS, show_default=_OWN)]
Restarts = Annotated[int | None, typer.Option("--restarts", metavar="N", help=_RESTARTS, show_default=_OWN)]
BatchSize = Annotated[int | None, typer.Option("--batch-size", metavar="N", help="Samples at a time.", show_default="by memory")]
Kappa = Annotated[float, typer.Option("--kappa", metavar="K", help=_KAPPA)]
JournalFolder = Annotated[Path | None, typer.Option("--journal", metavar="FOLDER", help=_JOURNAL, show_default="none")]
Threads = Annotated[int, typer.Option("--workers", metavar="N", help=_THREADS)]


def attack(
    model: opt.Model,
    data: opt.Data,
    samples: opt.Samples = None,
    method: Method = "wda++",
    order: Order = "1",
    radius: Radius = DEFAULT_RADIUS,
    norm: opt.NormOption = "linf",
    domain: opt.DomainOption = "0,1",
    steps: Steps = None,
    restarts: Restarts = None,
    batch_size: BatchSize = None,
    kappa: Kappa = 1.0,
    journal: JournalFolder = None,
    time_limit: opt.TimeLimit = None,
    workers: Threads = 1,
    seed: opt.Seed = 0,
    device: opt.Device = "auto",
    output: opt.Output = None,
    report: opt.Report = None,
    quiet: opt.Quiet = False,
) -> int:
    """Look for distributions near the data that the network gets wrong: lower ends of the worst-case risk.

    What is found is evaluated again in float64. How bad it can get at most, an attack cannot say: see certify.
    """
    import torch

    from wdaverify.attack.distributional import attack as run
    from wdaverify.attack.document import save_attack

    if workers < 1:
        raise InputError(f"--workers {workers} is not a whole number >= 1")
    balls = _balls(radius, order, norm)
    region = opt.read_domain(domain)
    files = opt.files(model, domain=domain, output=output, quiet=quiet, data=data, samples=samples, report=report)
    network = files.network(region)
    dataset = files.samples_for(network, region)
    torch.set_num_threads(workers)
    with progress.attack_bar(dataset.count, quiet=quiet, deadline=Deadline.after(time_limit)) as advance:
        found = run(
            network,
            dataset,
            balls[0],
            method=method,
            domain=region,
            radii=[ball.radius for ball in balls],
            steps=steps,
            restarts=restarts,
            batch_size=batch_size,
            device=device,
            seed=seed,
            kappa=kappa,
            journal=journal,
            time_limit=time_limit,
            progress=advance,
        )
    for row in text.attack_lines(found, str(network)):
        text.line(row)
    if output is not None:
        save_attack(found, output, network=network)
    if report is not None:
        from wdaverify.report.page.results import attack_material
        from wdaverify.report.page.save import save_page

        save_page(attack_material(found, network, file=output), report)
        text.line(f"report: {report}")
    return 130 if found.interrupted else 0


def _balls(radius: str, order: str, norm: str) -> list[WassersteinBall]:
    """The threats, checked before anything is loaded."""
    ground = opt.read_norm(norm)
    try:
        power = parse_number(order)
    except ValueError:
        raise InputError(f"--order '{order}': give a number >= 1, or inf") from None
    with opt.about("--order"):
        WassersteinBall(radius=0.0, order=power)
    with opt.about("--radius"):
        return [WassersteinBall(radius=r, order=power, norm=ground) for r in opt.read_numbers(radius, "--radius")]
