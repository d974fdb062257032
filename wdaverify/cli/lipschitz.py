"""``wdaverify lipschitz MODEL``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from wdaverify._tolerances import DEFAULT_GAP
from wdaverify.cli import options as opt
from wdaverify.report import json, progress, text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wdaverify.domain import Box
    from wdaverify.growth.options import LipschitzOptions
    from wdaverify.growth.record import LipschitzConstant
    from wdaverify.ir.network import Network
    from wdaverify.report import records

Functionals = Annotated[
    list[str] | None,
    typer.Option(
        "--functional",
        metavar="NAME",
        help="Repeatable: logit:K, margin:J-Y (f_J - f_Y), label:Y (the largest margin:J-Y), loss:margin:Y, loss:hinge:Y, "
        "loss:cross-entropy:Y, or all (every margin pair).",
        show_default="label:Y for every Y",
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="search|milp",
        help="Branch and bound over activation cells, or one MILP per form as second opinion.",
        show_default="search, with --solver cbc milp",
    ),
]


def lipschitz(
    model: opt.Model,
    functional: Functionals = None,
    norm: opt.NormOption = "linf",
    domain: opt.DomainOption = "0,1",
    time_limit: opt.TimeLimit = None,
    gap: opt.Gap = DEFAULT_GAP,
    workers: opt.Workers = 1,
    seed: opt.Seed = 0,
    engine: Engine = None,
    solver: opt.Solver = "highs",
    output: opt.Output = None,
    report: opt.Report = None,
    no_proof: opt.NoProof = False,
    quiet: opt.Quiet = False,
) -> int:
    """Find exact Lipschitz constants: the largest dual norm of a gradient over the activation cells that really exist.

    With --domain Rn also the slopes at infinity, and whether they coincide with the constants.
    """
    from wdaverify.growth.any_risk import growth_functionals
    from wdaverify.growth.document import lipschitz_document, options_record

    started = time.monotonic()
    options = read_options(time_limit=time_limit, gap=gap, seed=seed, workers=workers, engine=engine, solver=solver)
    ground, box = opt.read_norm(norm), read_box(domain)
    files = opt.files(model, domain=domain, output=output, quiet=quiet, report=report)
    network = files.network(box)
    names = functional or growth_functionals(network.outputs)
    constants, interrupted = find_constants(network, names, norm, box, options, quiet=quiet)
    document = lipschitz_document(
        network,
        constants,
        domain=box,
        options=options_record(ground, options),
        seconds=time.monotonic() - started,
        interrupted=interrupted,
    )
    text.line(f"model: {network}")
    text.line(f"domain: {box}")
    show_constants(constants, interrupted=interrupted)
    if output is not None:
        with progress.stage("proofs", quiet=quiet):
            write_constants(
                document, output, network, constants, box, options, proof=not no_proof and not interrupted, quiet=quiet
            )
    write_report(document, files)
    return 130 if interrupted else 0


def write_constants(
    document: records.LipschitzDocument,
    output: Path,
    network: Network,
    constants: Sequence[LipschitzConstant],
    box: Box,
    options: LipschitzOptions,
    *,
    proof: bool,
    quiet: bool,
) -> None:
    """The JSON file, with proofs of the constants unless they are not wanted."""
    from wdaverify.proof.constants import prove_constants
    from wdaverify.proof.save import Sources, save_proved

    if not proof:
        json.write(document, output)
        return
    sized = box.sized(network.inputs)
    deadline = options.deadline
    reason = save_proved(
        document, output, network, lambda ledger: prove_constants(ledger, constants, sized), sources=Sources(), deadline=deadline
    )
    text.no_proof(reason, output, quiet=quiet)


def write_report(document: records.LipschitzDocument, files: opt.Files) -> None:
    """The page, if it is wanted."""
    if files.report is None:
        return
    from wdaverify.report.page.material import Material
    from wdaverify.report.page.save import decoded, save_page

    name = None if files.output is None else files.output.name
    save_page(Material(document=decoded(document, files.output), certificate=name), files.report)
    text.line(f"report: {files.report}")


def read_options(*, engine: str | None, solver: str, **values: float | None) -> LipschitzOptions:
    """Check the values of the options and start the clock.

    Raises
    ------
    InputError
        If a value is out of its range; the message names the option.
    """
    from wdaverify.growth.options import LipschitzOptions
    from wdaverify.search.engine_names import engine_for

    opt.check_one_by_one(LipschitzOptions, values)
    with opt.about("--engine, --solver"):
        engine = engine_for(engine, solver)
    return LipschitzOptions(engine=engine, solver=solver, **values).started()  # type: ignore[arg-type]


def read_box(text: str) -> Box:
    """The value of ``--domain``, which must be nothing but a box, or R^n."""
    from wdaverify.feature_domain import plain_box

    with opt.about("--domain"):
        return plain_box(opt.read_domain(text), "exact Lipschitz constants")


def find_constants(
    network: Network, names: Sequence[str], norm: str, box: Box, options: LipschitzOptions, *, quiet: bool
) -> tuple[tuple[LipschitzConstant, ...], bool]:
    """The constants in one norm, and whether Ctrl-C ended the search before it was through."""
    from wdaverify.functionals import expand_functionals
    from wdaverify.growth import constants
    from wdaverify.growth.ground import check_domain
    from wdaverify.growth.record import Interrupted

    with opt.about("--domain"):
        check_domain(box, network.inputs)
    try:
        with opt.about("--functional"):
            total = len(expand_functionals(names, network.outputs))
            with progress.constant_bar(total, quiet=quiet, deadline=options.deadline) as advance:
                found = constants.lipschitz_constants(network, names, domain=box, norms=[norm], options=options, progress=advance)
            return found, False
    except Interrupted as stop:
        return stop.constants, True


def show_constants(constants: Sequence[LipschitzConstant], *, interrupted: bool) -> None:
    """One line per constant, on R^n with its slope, and what they mean together."""
    from wdaverify.bracket import Evidence
    from wdaverify.growth.exactness import sentences

    for constant in constants:
        text.line(str(constant))
    for sentence in sentences(constants):
        text.line(sentence)
    exact = sum(constant.value.exact for constant in constants)
    word = ", upper ends by a solver's word" if any(c.value.evidence is Evidence.SOLVER for c in constants) else ""
    text.line(f"constants: {exact} of {len(constants)} exact{word}")
    if interrupted:
        text.line("interrupted: the brackets hold, but are wider than they could be")
