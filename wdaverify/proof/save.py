"""Write a report with its proofs: the judge reads the finished files before anything is marked as proved.

Everything is made in a scratch folder beside the report. The judge sees the report as it is to be, with the streams and plans
beside it; what it refuses is taken back, and asked again. Then the files move into place, the report last. An error or
an interrupt leaves nothing but, at worst, the plain report that was asked for.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from wdaverify._deadline import Deadline
from wdaverify.program.backend import get_backend
from wdaverify.proof.judge import Verdict, ask
from wdaverify.proof.ledger import Ledger
from wdaverify.proof.stages import seconds_to_lower, stages_of
from wdaverify.report import json

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify.ir.network import Network
    from wdaverify.report.records import Document

_REFUSALS = 8
"""Refusals that are taken back one by one; after that there is no proof at all."""

_PROVERS_PART = 0.5
"""Part of the time left in which proofs are found; the rest is the judge's."""

_WAIT = 0.5
"""Seconds past the deadline that the judge may take."""

_CLAIM, _POINTER = re.compile(r"claim (c\d+)[,:]"), re.compile(r": (/[a-z_]+(?:/[0-9]+/[a-z_]+)?)[: ]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the files are that a report names; the model is in memory."""

    data: str | None = None
    property: str | None = None


def save_proved(
    document: Document,
    path: str | Path,
    network: Network,
    prove: Callable[[Ledger], None],
    *,
    sources: Sources,
    solver: str = "highs",
    deadline: Deadline | None = None,
    beside: tuple[Path, ...] = (),
) -> str | None:
    """Write a report with every proof that is found and accepted; without any it is the plain report.

    Parameters
    ----------
    prove
        Fills a ledger.
    deadline
        Of the command: when it has passed there are no proofs, and of the time that is left the judge gets a part.
    beside
        Files already beside the report that it names, which the judge reads too.

    Returns
    -------
    str or None
        Why the file holds no proof, in a line for people; ``None`` if it holds one.

    Raises
    ------
    InputError
        If a file cannot be written.
    KeyboardInterrupt
        After the plain report was written.
    """
    target = json.check_writable(path)
    limit = deadline or Deadline()
    stages = _judged_stages(network, limit)
    if isinstance(stages, str):
        json.write(document, target)
        return stages

    def judged(candidate: Path) -> Verdict | None:
        if limit.passed:
            return None
        seconds = None if limit.unlimited else limit.remaining + _WAIT
        return ask(candidate, network, data=sources.data, property_file=sources.property, time_limit=seconds)

    try:
        with tempfile.TemporaryDirectory(prefix=".wdaverify-", dir=target.resolve().parent) as scratch:
            folder = Path(scratch)
            ledger = Ledger(folder, target.stem, get_backend(solver), _part(limit))
            prove(ledger)
            for file in beside:
                (folder / file.name).symlink_to(file.resolve())
            content = _accepted(document, ledger, stages, target, judged)
            if isinstance(content, str):
                json.write(document, target)
                return content
            used = {stream["file"] for stream in ledger.proof(stages)["streams"] if "file" in stream}
            for name in sorted(used):
                (folder / name).replace(target.resolve().parent / name)
            json.write_bytes(content, target)
            return None
    except KeyboardInterrupt:
        json.write(document, target)
        raise
    except OSError as error:  # of the scratch folder: the disk is full, and the answer may fit without its proof
        json.write(document, target)
        return f"it could not be written: {error.strerror or error}"


def _judged_stages(network: Network, limit: Deadline) -> list[str] | str:
    """The stages that a proof names, or why there can be none."""
    if limit.passed:
        return "the time limit left no time for one"
    source = network.source
    if source is None:
        return "the model did not come from a file"
    if hashlib.sha256(source.content).hexdigest() != source.sha256:  # weights were put into the content when it was read
        return f"{source.file} keeps weights in a file beside it, and a proof is about one file; export with external_data=False"
    if seconds_to_lower(network) > limit.remaining:
        return "the time limit leaves no time to read the model as the judge does"
    return stages_of(network)


def _part(deadline: Deadline) -> Deadline:
    """The part of a deadline that finding proofs may take: the judge reads them all again."""
    return deadline if deadline.unlimited else Deadline.after(_PROVERS_PART * deadline.remaining)


def _accepted(
    document: Document, ledger: Ledger, stages: list[str], target: Path, judged: Callable[[Path], Verdict | None]
) -> bytes | str:
    """The report that the judge accepts, or why there is none."""
    message = ""
    for _ in range(_REFUSALS):
        if not ledger.rests:
            late = ledger.deadline.passed
            return "the time limit left too little time for one" if late else message or "nothing could be proved"
        content = _with_proof(document, ledger, stages)
        candidate = ledger.folder / target.name
        candidate.write_bytes(content)
        verdict = judged(candidate)
        if verdict is None:
            return "the time limit left no time to check it"
        if verdict.accepted:
            return content
        message = f"the judge said {verdict.message}"
        claim, pointer = _CLAIM.search(verdict.message), _POINTER.search(verdict.message)
        if claim is not None and any(c["id"] == claim[1] for c in ledger.claims):
            ledger.without(claim[1])
        elif pointer is not None and pointer[1] in ledger.rests:
            ledger.unmark(pointer[1])
        else:
            break
    return message


def _with_proof(document: Document, ledger: Ledger, stages: list[str]) -> bytes:
    """The report with the ledger's changes and its proof."""
    report: dict[str, Any] = msgspec.to_builtins(document)
    for pointer, fields in ledger.changes.items():
        place: Any = report
        for part in pointer.split("/")[1:] if pointer != "/verdict" else []:
            place = place[int(part)] if isinstance(place, list) else place[part]
        place.update(fields)
    return json.encode_with(report, {"proof": ledger.proof(stages)})
