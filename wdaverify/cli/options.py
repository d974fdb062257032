"""The options that commands share: declared once, checked once, with messages that name the option."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wdaverify._errors import InputError
from wdaverify._numbers import parse_number
from wdaverify.domain_file import parse_domain
from wdaverify.report.json import check_writable
from wdaverify.transport import parse_norm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from wdaverify._types import Norm
    from wdaverify.dataset import Dataset
    from wdaverify.domain import Box
    from wdaverify.feature_domain import Domain
    from wdaverify.ir.network import Network
    from wdaverify.risk.adversarial import DistanceOptions

_DATA = typer.Option(
    "--data", metavar="FILE", help=".npz with x, y and perhaps weights, or .csv with the label last.", show_default=False
)

Data = Annotated[Path, _DATA]
OptionalData = Annotated[Path | None, _DATA]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="The network, an ONNX file.", show_default=False)]
DomainOption = Annotated[
    str,
    typer.Option("--domain", metavar="LO,HI|FILE|Rn", help="The inputs that exist: a box, a .npz or .toml file, or R^n."),
]
NormOption = Annotated[str, typer.Option("--norm", metavar="linf|l1|l2", help="How far a sample moves.")]
TimeLimit = Annotated[
    float | None, typer.Option("--time-limit", metavar="SECONDS", help="For the whole command.", show_default="none")
]
Workers = Annotated[int, typer.Option("--workers", metavar="N", help="Processes that share the work.")]
ExecutorOption = Annotated[
    str | None,
    typer.Option("--executor", metavar="dask://HOST:PORT", help="Workers of a scheduler, on any machines.", show_default=False),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Of random starts.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where attacks run.")]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="search|milp",
        help="Branch and bound with rigorous leaves, or one MILP per class or disjunct as second opinion.",
        show_default="search, with --solver cbc milp",
    ),
]
Solver = Annotated[str, typer.Option("--solver", metavar="highs|cbc", help="The solver of the engine's programs.")]
Gap = Annotated[float, typer.Option("--gap", metavar="G", help="Relative width below which a bracket counts as exact.")]
Output = Annotated[Path | None, typer.Option("--output", metavar="FILE.json", help="Also write the result as JSON.")]
Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.html", help="Also write a page for people, one file that works offline.")
]
NoProof = Annotated[bool, typer.Option("--no-proof", help="Write no proofs into --output FILE.json, nor beside it.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, no warnings.")]
Samples = Annotated[int | None, typer.Option("--samples", metavar="N", help="Only the first N samples.", show_default="all")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The checked values of the options that control a search over samples; the clock runs since they were read."""

    norm: Norm
    domain: Box | Domain
    options: DistanceOptions


def search_options(*, norm: str, domain: str, engine: str | None, solver: str, **values: Any) -> Search:
    """Check the values of the search options.

    Raises
    ------
    InputError
        If a value is out of its range; the message names the option.
    """
    from wdaverify.risk.adversarial import DistanceOptions
    from wdaverify.search.engine_names import engine_for

    check_one_by_one(DistanceOptions, values)
    with about("--engine, --solver"):
        engine = engine_for(engine, solver)
    ground = read_norm(norm)
    options = DistanceOptions(engine=engine, solver=solver, **values).started()
    return Search(norm=ground, domain=read_domain(domain), options=options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What a command reads and writes."""

    model: Path
    data: Path | None = None
    samples: int | None = None
    output: Path | None = None
    report: Path | None = None
    quiet: bool = False

    def network(self, domain: Box | Domain) -> Network:
        """Import the model; what the importer changed is printed as a warning."""
        from wdaverify.ir.load import load
        from wdaverify.report import text

        with about(str(self.model)):
            try:
                network = load(self.model)
            except OSError as error:
                raise InputError(f"cannot be read: {error.strerror or error}") from None
        with about("--domain"):
            domain.sized(network.inputs)
        if not self.quiet:
            for note in network.notes:
                text.warning(f"{self.model}: {note}")
        return network

    def samples_for(self, network: Network, domain: Box | Domain) -> Dataset:
        """Read the data and check that it fits the network and the domain."""
        from wdaverify.dataset import Dataset

        if self.data is None:
            raise InputError("--data is missing")
        with about(str(self.data)):
            data = Dataset.load(self.data)
            if self.samples is not None:
                data = data.first(self.samples)
            return data.checked_against(network, domain)


def files(
    model: Path,
    *,
    domain: str,
    output: Path | None,
    quiet: bool,
    data: Path | None = None,
    samples: int | None = None,
    report: Path | None = None,
) -> Files:
    """The files of a command, after a check that output and report can be written: before any work, not after it.

    Raises
    ------
    InputError
        If one cannot, or is one of the files that the command reads.
    """
    box: list[str | Path] = [domain] if domain.lower().endswith((".npz", ".toml")) else []
    read: list[str | Path] = [model, *box, *([] if data is None else [data])]
    if output is not None:
        check_writable(output, inputs=read)
    if report is not None:
        check_report(report, output, read)
    return Files(model=model, data=data, samples=samples, output=output, report=report, quiet=quiet)


def check_report(report: Path, output: Path | None, read: Sequence[str | Path]) -> None:
    """Check that the page of ``--report`` can be written, and is none of the other files.

    Raises
    ------
    InputError
        If it cannot.
    """
    from wdaverify.report.page.target import check_page

    check_page(report, inputs=read)
    if output is not None and report.resolve() == output.resolve():
        raise InputError(f"--report {report}: is also the file of --output; give two names")


def check_one_by_one(record: Callable[..., object], values: Mapping[str, Any]) -> None:
    """Let an options record check each value alone, so that the message can name the option."""
    for name, value in values.items():
        with about(f"--{name.replace('_', '-')}"):
            record(**{name: value})


def read_norm(text: str) -> Norm:
    """The value of ``--norm``."""
    with about("--norm"):
        return parse_norm(text)


def read_domain(text: str) -> Box | Domain:
    """The value of ``--domain``."""
    with about("--domain"):
        return parse_domain(text)


def read_numbers(text: str, option: str) -> tuple[float, ...]:
    """A comma-separated list of numbers.

    Raises
    ------
    InputError
        If a part is not a number; the message names the option.
    """
    try:
        return tuple(parse_number(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} '{text}': give numbers separated by commas") from None


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Let every input error of the block begin with its subject, a file or an option."""
    try:
        yield
    except InputError as error:
        if subject in str(error):
            raise
        raise type(error)(f"{subject}: {error}") from error
