"""``wdaverify verify MODEL PROPERTY.vnnlib``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wdaverify.cli import options as opt
from wdaverify.report import json, records, text

if TYPE_CHECKING:
    from wdaverify.ir.network import Network
    from wdaverify.property.verify import PropertyAnswer
    from wdaverify.risk.adversarial import DistanceOptions

PropertyFile = Annotated[
    Path,
    typer.Argument(metavar="PROPERTY", help="What must not happen, a VNN-LIB file (.vnnlib, .vnnlib.gz).", show_default=False),
]


def verify(
    model: opt.Model,
    property_file: PropertyFile,
    time_limit: opt.TimeLimit = None,
    workers: opt.Workers = 1,
    seed: opt.Seed = 0,
    engine: opt.Engine = None,
    solver: opt.Solver = "highs",
    output: opt.Output = None,
    no_proof: opt.NoProof = False,
    quiet: opt.Quiet = False,
) -> int:
    """Decide whether an input satisfies a VNN-LIB property: sat, unsat, timeout or unknown on the first line.

    After sat follows the counterexample, which satisfies the property in exact arithmetic. With --engine milp unsat is a
    solver's word.
    """
    from wdaverify.domain import Box
    from wdaverify.property.verify import verify as decide

    chosen = opt.search_options(
        norm="linf", domain="Rn", time_limit=time_limit, workers=workers, seed=seed, device="auto", engine=engine, solver=solver
    ).options
    files = opt.files(model, domain="Rn", output=output, quiet=quiet, data=property_file)
    network = files.network(Box.whole_space())
    limit = None if time_limit is None else chosen.deadline.remaining
    with opt.about(str(property_file)), text.shown_warnings(quiet=quiet):
        answer = decide(network, property_file, time_limit=limit, seed=seed, engine=chosen.engine, solver=solver, workers=workers)
    if not quiet:
        for warning in answer.property.warnings:
            text.warning(warning)
    _show(answer)
    if output is not None:
        options: dict[str, object] = {"time_limit": time_limit, "seed": seed, "engine": chosen.engine, "solver": solver}
        options["workers"] = workers
        document = _document(network, answer, options)
        if no_proof:
            json.write(document, output)
        else:
            _save_proved(document, output, network, answer, str(property_file), chosen, quiet=quiet)
    return 0


def _save_proved(
    document: records.PropertyDocument,
    output: Path,
    network: Network,
    answer: PropertyAnswer,
    property_file: str,
    options: DistanceOptions,
    *,
    quiet: bool,
) -> None:
    """The JSON file with a proof of the verdict."""
    from wdaverify.proof.save import Sources, save_proved
    from wdaverify.proof.verdicts import prove_verdict

    sources = Sources(property=property_file)
    reason = save_proved(
        document,
        output,
        network,
        lambda ledger: prove_verdict(ledger, network, answer),
        sources=sources,
        deadline=options.deadline,
    )
    text.no_proof(reason, output, quiet=quiet)


def _document(network: Network, answer: PropertyAnswer, options: dict[str, object]) -> records.PropertyDocument:
    """The JSON file."""
    source, witness = answer.property.source, None
    if answer.witness is not None:
        witness = records.WitnessRecord(x=answer.witness.tolist(), y=json.reals(answer.outputs) or [])
    return records.PropertyDocument(
        model=json.model_record(network),
        domain="property",
        options=options,
        versions=json.versions(),
        seconds=answer.seconds,
        property=records.PropertyRecord(
            file=None if source is None else json.file_name(source.file), sha256=None if source is None else source.sha256
        ),
        verdict=str(answer.verdict),
        evidence=None if answer.evidence is None else str(answer.evidence),
        witness=witness,
        float_replay=json.reals(answer.float_replay),
        float_replay_holds=answer.replay_holds,
    )


def _show(answer: PropertyAnswer) -> None:
    """Print the verdict, and after ``sat`` the counterexample with what the float model says of it."""
    from wdaverify.property.counterexample import format_counterexample

    text.line(str(answer.verdict))
    if answer.witness is None or answer.outputs is None:
        return
    text.line(format_counterexample(answer.witness.tolist(), answer.outputs.tolist()))
    if answer.replay_holds is not None:
        text.warning(f"the original model's float outputs there {'also satisfy' if answer.replay_holds else 'do not satisfy'} it")
