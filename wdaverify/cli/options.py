"""The options that commands share: declared once, checked once, with messages that name the option."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify.domain import Box, parse_domain
from wdaverify.report.json import check_writable
from wdaverify.transport import parse_norm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._types import Norm
    from wdaverify.dataset import Dataset
    from wdaverify.ir.network import Network
    from wdaverify.risk.adversarial import DistanceOptions

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="The network, an ONNX file.", show_default=False)]
DomainOption = Annotated[
    str, typer.Option("--domain", metavar="LO,HI|FILE.npz|Rn", help="The inputs that exist: a box, or all of R^n.")
]
NormOption = Annotated[str, typer.Option("--norm", metavar="linf|l1|l2", help="How far a sample moves.")]
TimeLimit = Annotated[
    float | None, typer.Option("--time-limit", metavar="SECONDS", help="For the whole command.", show_default="none")
]
Workers = Annotated[int, typer.Option("--workers", metavar="N", help="Processes that share the samples.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Of random starts.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where attacks run.")]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="search|milp",
        help="Branch and bound with rigorous leaves, or one MILP per class as second opinion.",
        show_default="search, with --solver cbc milp",
    ),
]
Solver = Annotated[str, typer.Option("--solver", metavar="highs|cbc", help="The solver of the engine's programs.")]
Output = Annotated[Path | None, typer.Option("--output", metavar="FILE.json", help="Also write the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, no warnings.")]
Samples = Annotated[int | None, typer.Option("--samples", metavar="N", help="Only the first N samples.", show_default="all")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The checked values of the options that control a search over samples."""

    norm: Norm
    domain: Box
    time_limit: float | None
    deadline: Deadline
    workers: int
    seed: int
    device: str
    engine: str
    solver: str

    def distance_options(self) -> DistanceOptions:
        """The options as the library takes them; the clock runs since the command line was read."""
        from wdaverify.risk.adversarial import DistanceOptions

        return DistanceOptions(
            engine=self.engine,
            solver=self.solver,
            deadline=self.deadline,
            workers=self.workers,
            seed=self.seed,
            device=self.device,
        )

    def as_json(self) -> dict[str, Any]:
        """The options as the JSON file records them."""
        names = ("time_limit", "workers", "seed", "device", "engine", "solver")
        return {"norm": str(self.norm), **{name: getattr(self, name) for name in names}}


def search_options(**values: Any) -> Search:
    """Check the values of the search options.

    Raises
    ------
    InputError
        If a value is out of its range; the message names the option.
    """
    from wdaverify.risk.engines import engine_for

    limit = values["time_limit"]
    if limit is not None and not (math.isfinite(limit) and limit > 0):
        raise InputError(f"--time-limit {limit}: give a positive number of seconds")
    if values["workers"] < 1:
        raise InputError(f"--workers {values['workers']}: give at least 1")
    if values["seed"] < 0:
        raise InputError(f"--seed {values['seed']}: give a number from 0")
    if values["device"] not in {"auto", "cpu", "cuda"}:
        raise InputError(f"--device {values['device']}: give auto, cpu or cuda")
    with about("--engine, --solver"):
        values["engine"] = engine_for(values["engine"], values["solver"])
    with about("--norm"):
        norm = parse_norm(values.pop("norm"))
    return Search(norm=norm, domain=read_domain(values.pop("domain")), deadline=Deadline.after(limit), **values)


def read_domain(text: str) -> Box:
    """The value of ``--domain``."""
    with about("--domain"):
        return parse_domain(text)


def read_output(path: Path | None) -> Path | None:
    """The value of ``--output``, after a check that the file can be written: before any work, not after it."""
    return None if path is None else check_writable(path)


def read_numbers(text: str, option: str) -> tuple[float, ...]:
    """A comma-separated list of numbers.

    Raises
    ------
    InputError
        If a part is not a number; the message names the option.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} '{text}': give numbers separated by commas") from None


def read_network(path: Path, *, quiet: bool) -> Network:
    """Import the model; what the importer changed is printed as a warning."""
    from wdaverify.ir.load import load
    from wdaverify.report import text

    with about(str(path)):
        network = load(path)
    if not quiet:
        for note in network.notes:
            text.warning(f"{path}: {note}")
    return network


def read_data(path: Path, samples: int | None, network: Network, domain: Box) -> Dataset:
    """Read the data and check that it fits the network and the domain."""
    from wdaverify.dataset import Dataset

    with about(str(path)):
        data = Dataset.load(path)
        if samples is not None:
            data = data.first(samples)
        return data.checked_against(network, domain)


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Let every input error of the block begin with its subject, a file or an option."""
    try:
        yield
    except InputError as error:
        if subject in str(error):
            raise
        raise type(error)(f"{subject}: {error}") from error
