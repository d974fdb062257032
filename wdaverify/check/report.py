"""Judge a certificate: read its files, check every claim and every stream, compare the report with what was proved."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

from .binding import Binding
from .claims import OF_SAMPLES, Case, Claim, parse
from .data import Samples, read_arrays, read_samples
from .domain import Region, hull, region
from .model import program_of
from .num import Limits, Rejected, Unreadable, shown, whole
from .points import EVALUATED
from .questions import conclude, question
from .risk import risk_lower, risk_upper
from .stream import Reader, loads, unpacked
from .tree import Tree
from .vnnlib import read_property

_PIECE = 1 << 20

_KINDS = ("risk", "distance", "lipschitz", "property")
"""What files with proofs are about."""

_WITHOUT_PROOF = {
    "attack": "what an attack found is a lower bound by evaluation alone: certify proves the risk",
    "bench": "check the certificates of its instances",
    "inspect": "it claims nothing",
}


@dataclass(frozen=True)
class Verdict:
    """What the judge says: `status` 0 accepted, 1 rejected, 2 unreadable; `message` is its last line.

    `lines` holds one statement per proved claim, `claims` and `brackets` count what was accepted.
    """

    accepted: bool
    status: int
    message: str
    lines: tuple[str, ...] = ()
    claims: int = 0
    brackets: int = 0

    def __str__(self) -> str:
        return self.message


def check(
    path: str | Path,
    *,
    model: str | Path | None = None,
    data: str | Path | None = None,
    property: str | Path | None = None,  # noqa: A002
    time_limit: float | None = None,
    max_bits: int | None = None,
    line: Callable[[str], None] | None = None,
) -> Verdict:
    """Re-prove a certificate; never raises for what a file contains.

    Parameters
    ----------
    path
        The certificate.
    model, data, property
        Where these files are; by default beside the certificate, under the names in it. Digests decide in either case.
    time_limit
        Seconds after which the certificate is rejected.
    max_bits
        Largest integer that is computed with, at most 2^20 bits.
    line
        Called with each statement when it is proved.

    Returns
    -------
    Verdict
        Accepted means: every end of every bracket marked ``proved`` in the file, and its verdict, is a theorem about the model as
        stored, in real arithmetic. The rules are those of the certificate format; each is stated where it is implemented.

    Examples
    --------
    >>> print(check("missing.json"))
    UNREADABLE missing.json: 'missing.json' is no file
    """
    name, said = shown(Path(path).name)[1:-1], []  # type: tuple[str, list[str]]
    limit = Limits.max_bits
    try:
        if max_bits is not None:
            Limits.max_bits = min(limit, max_bits)
        judge = _Judge(Path(path), {"model": model, "data": data, "property": property}, time_limit, said, line)
        claims, brackets = judge.run()
        return Verdict(True, 0, f"ACCEPT {claims} claims, {brackets} brackets", tuple(said), claims, brackets)
    except Rejected as error:
        return Verdict(False, 1, _one_line(f"REJECT {name}: {error}"), tuple(said))
    except Unreadable as error:
        return Verdict(False, 2, _one_line(f"UNREADABLE {name}: {error}"), tuple(said))
    except (RecursionError, MemoryError) as error:
        return Verdict(False, 1, f"REJECT {name}: limit: {type(error).__name__}", tuple(said))
    except Exception as error:  # whatever a hostile file provokes is a rejection, not a traceback
        return Verdict(False, 1, f"REJECT {name}: internal {type(error).__name__}", tuple(said))
    finally:
        Limits.max_bits = limit


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:400])


class _Judge:
    """The state of one check."""

    def __init__(
        self,
        path: Path,
        given: dict[str, str | Path | None],
        time_limit: float | None,
        said: list[str],
        line: Callable[[str], None] | None,
    ) -> None:
        self.path, self.given, self.said, self.line = path, given, said, line
        self.deadline = None if time_limit is None else time.monotonic() + time_limit

    def run(self) -> tuple[int, int]:
        """Numbers of claims and brackets; raises `Rejected` or `Unreadable`."""
        report = loads(self._bytes(self.path, Limits.certificate), exact=False)
        if type(report) is not dict or report.get("schema") != "wdaverify/1" or report.get("semantics") != "real":
            raise Rejected("is no report of schema wdaverify/1 with semantics real")
        kind, proof = report.get("kind"), report.get("proof")
        if type(kind) is str and kind in _WITHOUT_PROOF:
            raise Rejected(f"is a file of kind {shown(kind)}, which carries no proof; {_WITHOUT_PROOF[kind]}")
        if kind not in _KINDS:
            raise Rejected(f"is a file of kind {shown(kind)}; proofs are in files of kind {', '.join(_KINDS)}")
        if proof is None:
            raise Rejected("has no proof: it was written without one, or nothing in it could be proved")
        if type(proof) is not dict or set(proof) != {"format", "program", "claims", "streams"}:
            raise Rejected("has no proof with the fields format, program, claims, streams")
        if proof["format"] != "wdaverify-proof/1":
            raise Rejected(f"proof format {shown(proof['format'])}")
        case = self._case(report)
        if proof["program"] != case.program.names():
            raise Rejected(f"the program of the model is {case.program.names()[:12]}, not {shown(str(proof['program']))}")
        streams = self._streams(proof["streams"])
        if type(proof["claims"]) is not list or not proof["claims"]:
            raise Rejected("there are no claims")
        for raw in proof["claims"]:
            claim = parse(raw)
            if claim.id in case.claims:
                raise Rejected(f"claim {shown(claim.id)} is there twice")
            try:
                self._claim(case, claim, streams.pop(claim.id, None))
            except Rejected as error:
                raise Rejected(f"claim {shown(claim.id)[1:-1]}, {error}") from None
            case.claims[claim.id] = claim
            self._say(claim)
        if streams:
            raise Rejected(f"a stream for {shown(next(iter(streams)))}, which is no claim that needs one")
        return len(case.claims), Binding(case, report).run()

    def _say(self, claim: Claim) -> None:
        leaves = f" [{claim.outcome.leaves} leaves]" if claim.outcome else ""
        text = f"proved {claim.text()}{leaves}"
        self.said.append(text)
        if self.line is not None:
            self.line(text)

    def _claim(self, case: Case, claim: Claim, stream: dict[str, Any] | None) -> None:
        if claim.kind not in OF_SAMPLES and not case.region.plain:
            raise Rejected(f"there is no rule for {claim.kind} on a domain that is more than a box")
        if claim.streamed != (stream is not None):
            raise Rejected("has no stream" if claim.streamed else "has a stream that it does not need")
        if stream is not None:
            reader = Reader(self._named, stream)
            tree = Tree(question(case, claim), self.deadline, reader.part)
            outcome = tree.run(reader.records())
            reader.finish(outcome)
            conclude(claim, outcome)
        elif claim.kind == "risk_upper":
            risk_upper(case, claim)
        elif claim.kind == "risk_lower":
            risk_lower(case, claim, lambda reference: self._points(case, reference))
        else:
            EVALUATED[claim.kind](case, claim)

    def _streams(self, value: Any) -> dict[str, dict[str, Any]]:
        if type(value) is not list:
            raise Rejected("streams is no list")
        found: dict[str, dict[str, Any]] = {}
        for stream in value:
            if type(stream) is not dict or type(stream.get("claim")) is not str or stream["claim"] in found:
                raise Rejected("a stream names no claim, or one that has a stream")
            found[stream["claim"]] = stream
        return found

    def _case(self, report: dict[str, Any]) -> Case:
        content, name = self._file(report, "model")
        program = program_of(content, name)
        declared = report["model"]
        if declared.get("inputs") != program.inputs or declared.get("outputs") != len(program.outputs):
            raise Rejected(f"the model has {program.inputs} inputs and {len(program.outputs)} outputs, not what the report says")
        case = Case(program)
        if report.get("data") is not None:
            content, name = self._file(report, "data")
            count, file = report["data"].get("samples"), self.given["data"] or report["data"]["file"]
            csv = Path(file).suffix.lower() == ".csv"  # of the whole name: `name` is cut for messages
            case.samples = _readable(name, lambda: _samples(content, count, csv=csv))
        if report.get("property") is not None:
            content, name = self._file(report, "property")
            case.disjuncts = _readable(name, lambda: read_property(content, program.inputs, len(program.outputs)))
            if report.get("domain") not in (None, "property"):
                raise Rejected("names a property and another domain")
            case.region = Region(*hull(case.disjuncts or [], program.inputs))
        else:
            case.region = region(report.get("domain"), program.inputs)
        return case

    def _points(self, case: Case, reference: Any) -> Callable[[int], list[Fraction]]:
        """Rows of the array `points` of an `.npz` file."""
        content = self._named(reference, Limits.file)
        array = _readable("points", lambda: read_arrays(content, ("points",))).get("points")
        n = case.program.inputs
        if array is None or len(array.shape) != 2 or array.shape[1] != n or array.form != "d":
            raise Rejected("the points are no float64 array with a row per atom")
        rows = array.shape[0]
        return lambda k: array.rows(whole(k, "row of points", rows), 1, n)

    def _file(self, report: dict[str, Any], role: str) -> tuple[bytes, str]:
        """The bytes of the model, data or property, whose digest must be the one in the report."""
        entry = report.get(role)
        if type(entry) is not dict:
            raise Rejected(f"the report names no {role}")
        other = self.given[role]
        return self._named({"file": entry.get("file"), "sha256": entry.get("sha256")}, Limits.file, role, other), (
            shown(Path(other).name if other else entry["file"])[1:-1]
        )

    def _named(self, reference: Any, limit: int, role: str = "file", other: str | Path | None = None) -> bytes:
        """The bytes of a file named with its digest, beside the certificate unless another place is given."""
        if type(reference) is not dict or set(reference) != {"file", "sha256"}:
            raise Rejected(f"a {role} is no {{file, sha256}}")
        name, digest = reference["file"], reference["sha256"]
        if type(digest) is not str or not re.fullmatch("[0-9a-f]{64}", digest):
            raise Unreadable(f"the sha256 of the {role} is missing")
        if other is None:
            if type(name) is not str or not name or "\0" in name or Path(name).name != name or name in (".", ".."):
                hint = f"; say where it is by --{role}" if role in self.given else ""
                raise Rejected(f"{role} {shown(name)} is no plain file name{hint}")
            other = self.path.parent / name
        content = self._bytes(Path(other), limit)
        if role in ("model", "property") and Path(other).suffix.lower() == ".gz":
            content = unpacked(content, limit)
        if hashlib.sha256(content).hexdigest() != digest:
            raise Rejected(f"{role} {shown(Path(other).name)} is not the file of the certificate: its sha256 differs")
        return content

    def _bytes(self, path: Path, limit: int) -> bytes:
        try:
            if not path.is_file():
                raise Unreadable(f"{shown(path.name)} is no file")
            with path.open("rb") as stream:
                # One large read would reserve the memory of the largest file, which a limited process may not have.
                pieces = iter(lambda: stream.read(_PIECE), b"")
                content = b"".join(islice(pieces, limit // _PIECE + 1))
        except (OSError, ValueError) as error:
            raise Unreadable(f"{shown(path.name)} cannot be read ({type(error).__name__})") from None
        if len(content) > limit:
            raise Rejected(f"limit: {shown(path.name)} is larger than {limit} bytes")
        return content


def _samples(content: bytes, count: Any, *, csv: bool) -> Samples:
    if count is not None and (type(count) is not int or count < 1):
        raise Rejected(f"samples {shown(count)} is no number from 1")
    return read_samples(content, csv=csv, count=count)


def _readable(name: str, action: Callable[[], Any]) -> Any:
    """Run a reader; its errors name the file."""
    try:
        return action()
    except Unreadable as error:
        raise Unreadable(f"{name}: {error}") from None
