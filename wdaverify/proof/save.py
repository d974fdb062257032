"""Write a report with its proofs: the judge reads the finished files before anything is marked as proved.

Everything is made in a scratch folder beside the report. The judge sees the report as it is to be, with the streams and plans
beside it; what it refuses is taken back, and asked again. Then the files move into place, the report last. An error or
an interrupt leaves nothing but, at worst, the plain report that was asked for.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from wdaverify._deadline import Deadline
from wdaverify.program.backend import get_backend
from wdaverify.proof.judge import ask
from wdaverify.proof.ledger import Ledger
from wdaverify.proof.stages import stages_of
from wdaverify.report import json

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify.ir.network import Network
    from wdaverify.report.records import Document

_REFUSALS = 8
"""Refusals that are taken back one by one; after that there is no proof at all."""

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
) -> None:
    """Write a report with every proof that is found and accepted; without any it is the plain report.

    Parameters
    ----------
    prove
        Fills a ledger.
    deadline
        Of the proofs.
    beside
        Files already beside the report that it names, which the judge reads too.

    Raises
    ------
    InputError
        If a file cannot be written.
    KeyboardInterrupt
        After the plain report was written.
    """
    target = json.check_writable(path)
    stages = stages_of(network)
    if stages is None:
        json.write(document, target)
        return
    try:
        with tempfile.TemporaryDirectory(prefix=".wdaverify-", dir=target.resolve().parent) as scratch:
            folder = Path(scratch)
            ledger = Ledger(folder, target.stem, get_backend(solver), deadline or Deadline())
            prove(ledger)
            for file in beside:
                (folder / file.name).symlink_to(file.resolve())
            content = _accepted(document, network, ledger, stages, sources, target)
            if content is None:
                json.write(document, target)
                return
            used = {stream["file"] for stream in ledger.proof(stages)["streams"] if "file" in stream}
            for name in sorted(used):
                (folder / name).replace(target.resolve().parent / name)
            json.write_bytes(content, target)
    except KeyboardInterrupt:
        json.write(document, target)
        raise


def _accepted(
    document: Document, network: Network, ledger: Ledger, stages: list[str], sources: Sources, target: Path
) -> bytes | None:
    """The report that the judge accepts, or ``None``."""
    for _ in range(_REFUSALS):
        if not ledger.rests:
            return None
        content = _with_proof(document, ledger, stages)
        candidate = ledger.folder / target.name
        candidate.write_bytes(content)
        verdict = ask(candidate, network, data=sources.data, property_file=sources.property)
        if verdict.accepted:
            return content
        claim, pointer = _CLAIM.search(verdict.message), _POINTER.search(verdict.message)
        if claim is not None and any(c["id"] == claim[1] for c in ledger.claims):
            ledger.without(claim[1])
        elif pointer is not None and pointer[1] in ledger.rests:
            ledger.unmark(pointer[1])
        else:
            return None
    return None


def _with_proof(document: Document, ledger: Ledger, stages: list[str]) -> bytes:
    """The report with the ledger's changes and its proof."""
    report: dict[str, Any] = msgspec.to_builtins(document)
    for pointer, fields in ledger.changes.items():
        place: Any = report
        for part in pointer.split("/")[1:] if pointer != "/verdict" else []:
            place = place[int(part)] if isinstance(place, list) else place[part]
        place.update(fields)
    return json.encode_with(report, {"proof": ledger.proof(stages)})
