"""The JSON files: reals that survive the round trip, and writing that is all or nothing.

The objects are in `report.records`. Infinite reals are the strings ``"inf"`` and ``"-inf"``, because JSON has no
infinity; finite reals are written with as many digits as bring the same float64 back.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
import os
import platform
import secrets
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from wdaverify._errors import InputError
from wdaverify.feature_domain import Domain
from wdaverify.report.records import AtomRecord, BracketRecord, DataRecord, Document, ModelRecord, PlanRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO

    from wdaverify._types import Matrix
    from wdaverify.bracket import Bracket
    from wdaverify.dataset import Dataset
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network
    from wdaverify.report.records import BenchDocument, Document, Real
    from wdaverify.transport import TransportPlan

INLINE_COORDINATES = 20_000
"""Plans with more coordinates than this keep their points in an `.npz` beside the JSON."""


def real(value: float) -> Real:
    """The value as JSON can hold it.

    Raises
    ------
    ValueError
        For NaN, which no result may contain.

    Examples
    --------
    >>> real(0.1), real(float("inf"))
    (0.1, 'inf')
    """
    number = float(value)
    if math.isnan(number):
        raise ValueError("NaN is not a result")
    # Adding 0 turns -0.0 into 0.0.
    return number + 0.0 if math.isfinite(number) else ("inf" if number > 0 else "-inf")


def reals(values: Iterable[float] | None) -> list[Real] | None:
    """Each value as JSON can hold it; ``None`` stays ``None``. Float outputs of a model may be NaN: they become strings."""
    return None if values is None else ["nan" if math.isnan(v) else real(v) for v in map(float, values)]


def coordinates(point: Iterable[float] | None) -> list[float] | None:
    """A point as a list of floats; ``None`` stays ``None``."""
    return None if point is None else [float(v) + 0.0 for v in point]


def bracket_record(bracket: Bracket) -> BracketRecord:
    """The JSON form of a bracket."""
    return BracketRecord(
        lower=real(bracket.lower), upper=real(bracket.upper), status=bracket.status, evidence=str(bracket.evidence)
    )


def model_record(network: Network) -> ModelRecord:
    """The JSON form of the model's identity."""
    source = network.source
    return ModelRecord(
        file=None if source is None else file_name(source.file),
        sha256=None if source is None else source.sha256,
        inputs=network.inputs,
        outputs=network.outputs,
        relus=network.relus,
    )


def data_record(data: Dataset) -> DataRecord:
    """The JSON form of the data's identity."""
    source = data.source
    return DataRecord(
        file=None if source is None else file_name(source.file),
        sha256=None if source is None else source.sha256,
        samples=data.count,
    )


def file_name(name: str) -> str:
    """A file name as JSON can hold it, without its folder: files are looked for beside the report, and their digests decide.

    Bytes that are no UTF-8 are escaped.

    Examples
    --------
    >>> file_name("data/test.npz")
    'test.npz'
    """
    return Path(name).name.encode("utf-8", "backslashreplace").decode("utf-8")


def domain_record(domain: Box | Domain) -> dict[str, Any] | str:
    """The JSON form of a domain: ``"Rn"``, or its ends (numbers if all coordinates share them) and what constrains it further.

    Only what is there is said: ``frozen`` and ``integer`` list features, ``one_hot`` lists groups of them, ``weights`` are one
    per feature, and each of the ``rows`` is ``{features, coefficients, at_most}``.
    """
    if isinstance(domain, Domain):
        further = _constraint_records(domain)
        return {**_ends(domain.box), **further} if further else domain_record(domain.box)
    if domain.unbounded_everywhere:
        return "Rn"
    return _ends(domain)


def _ends(domain: Box) -> dict[str, Any]:
    """The ends of a box."""
    ends: dict[str, Any] = {}
    for name, end in (("lower", domain.lower), ("upper", domain.upper)):
        same = end.ndim == 0 or bool((end == end.flat[0]).all())
        ends[name] = real(float(end.flat[0])) if same else reals(end)
    return ends


def _constraint_records(domain: Domain) -> dict[str, Any]:
    """What constrains the points of a domain beside its ends."""
    constraints = domain.constraints
    rows = [(np.flatnonzero(row), row, limit) for row, limit in zip(constraints.rows, constraints.limits, strict=True)]
    fields = {
        "frozen": np.flatnonzero(domain.frozen).tolist(),
        "weights": [] if domain.weights is None else reals(domain.weights),
        "integer": np.flatnonzero(constraints.integer).tolist(),
        "one_hot": [list(group) for group in constraints.one_hot],
        "rows": [{"features": k.tolist(), "coefficients": reals(row[k]), "at_most": real(limit)} for k, row, limit in rows],
    }
    return {name: value for name, value in fields.items() if value}


def plan_record(plan: TransportPlan, points: str | None = None) -> PlanRecord:
    """The JSON form of a plan; with `points`, the name of the `.npz` that holds its points."""
    atoms = [
        AtomRecord(
            source=atom.source,
            label=atom.label,
            mass=atom.mass,
            cost=real(atom.cost),
            point=None if points is not None else coordinates(atom.point),
        )
        for atom in plan.atoms
    ]
    return PlanRecord(atoms=atoms, points=points)


def is_large(plan: TransportPlan) -> bool:
    """Whether the plan's points belong into an `.npz` beside the JSON."""
    return sum(len(atom.point) for atom in plan.atoms) > INLINE_COORDINATES


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that take part in an answer."""
    found = {"python": platform.python_version()}
    for package in ("wdaverify", "numpy", "scipy", "highspy", "pulp", "torch", "onnx"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def encode(document: Document | BenchDocument) -> bytes:
    """The document as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def encode_with(report: dict[str, Any], compact: dict[str, Any]) -> bytes:
    """An indented object whose last fields stand on one line each."""
    content = msgspec.json.format(msgspec.json.encode(report), indent=1).rstrip()[:-2]
    fields = (b",\n " + msgspec.json.encode(name) + b": " + msgspec.json.encode(value) for name, value in compact.items())
    return content + b"".join(fields) + b"\n}\n"


def check_writable(path: str | Path, *, inputs: Iterable[str | Path] = ()) -> Path:
    """The path, after a check that a file can be written there; called before hours of work, it writes nothing lasting.

    Parameters
    ----------
    path
        Of the file; a link stays a link, what it points to is written.
    inputs
        Files that must not be overwritten, by whatever name.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written, the path is there but no regular file, or it is an input.
    """
    target = Path(path)
    try:
        mode = target.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{target}: is a folder; give the name of a file")
        if not stat.S_ISREG(mode):
            raise InputError(f"{target}: is no regular file (a device or a pipe), which is never replaced")
        for name in inputs:
            if _is_same(target, Path(name)):
                raise InputError(f"{target}: is an input of this command ({name}), which is not overwritten")
    except FileNotFoundError:
        pass
    except OSError as error:
        raise InputError(f"{target}: cannot write there: {error.strerror or error}") from None
    try:
        with tempfile.TemporaryFile(dir=_real_path(target).parent):
            pass
    except OSError as error:
        raise InputError(f"{target}: cannot write there: {error.strerror or error}") from None
    return target


def _is_same(target: Path, other: Path) -> bool:
    """Whether two names are one file; a name that leads nowhere is not the target."""
    try:
        return target.samefile(other)
    except OSError:
        return False


def _real_path(path: Path) -> Path:
    """The file behind all links, there or not (`Path.resolve` fails on loops in a way of its own)."""
    return Path(os.path.realpath(path))


def write(document: Document | BenchDocument, path: str | Path) -> None:
    """Write a document, all or nothing.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    write_bytes(encode(document), path)


def write_bytes(content: bytes, path: str | Path) -> None:
    """Write a file, all or nothing; errors as `write`."""
    _write_whole(check_writable(path), lambda stream: stream.write(content))


def write_points(points: Matrix, path: str | Path) -> None:
    """Write the points of a plan as array ``points`` of an `.npz`, all or nothing."""
    _write_whole(check_writable(path), lambda stream: np.savez_compressed(stream, points=points))


def _write_whole(target: Path, write_to: Callable[[BinaryIO], object]) -> None:
    """Write to a temporary file in the same folder and move it into place: readers see the old file or the new one."""
    try:
        file = _real_path(target)
        temporary = file.with_name(f".wdaverify-{secrets.token_hex(8)}")
        # A result file is an ordinary file, with the access that the user's mask gives (`tempfile` gives less).
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            with os.fdopen(handle, "wb") as stream:
                write_to(stream)
            temporary.replace(file)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from None
