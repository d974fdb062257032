"""The claims of one report while they are proved: what they say, what proves them, and which brackets rest on them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wdaverify.proof.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wdaverify._deadline import Deadline
    from wdaverify.program.backend import Backend

    Emit = Callable[[dict[str, Any]], None]

FORMAT = "wdaverify-proof/1"


@dataclass(slots=True, eq=False)
class Ledger:
    """Claims in the order in which they are proved.

    Attributes
    ----------
    folder, stem
        Where streams become files, and how their names begin.
    backend, deadline
        For the programs of proofs.
    changes
        JSON pointers into the report, with what is to stand there once the judge accepts: evidence, and ends that a proof moves.
    rests
        JSON pointer of a bracket to the claims that it needs.
    """

    folder: Path
    stem: str
    backend: Backend
    deadline: Deadline
    claims: list[dict[str, Any]] = field(default_factory=list)
    streams: list[dict[str, Any]] = field(default_factory=list)
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    rests: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _count: int = 0

    def claim(self, kind: str, *, about: tuple[str, str] | None = None, **fields: Any) -> str:
        """Add a claim that needs no stream; its id. Names that Python reserves end with an underscore."""
        name = f"c{self._count}"
        self._count += 1
        said = {"id": name, "kind": kind, **{key.rstrip("_"): value for key, value in fields.items()}}
        self.claims.append({**said, "about": list(about)} if about is not None else said)
        return name

    def prove(
        self, work: Callable[[Emit], bool], kind: str, *, about: tuple[str, str] | None = None, **fields: Any
    ) -> str | None:
        """Add a claim with the records that `work` emits; its id, or ``None`` if the work fails or the time is over."""
        if self.deadline.passed:
            return None
        stream = Stream(self.folder / f"{self.stem}.c{self._count}.jsonl.gz")
        try:
            done = work(stream.emit)
        except Exception as error:  # whatever fails, the search's own answer stands
            warnings.warn(f"a proof was given up: {type(error).__name__}: {error}", RuntimeWarning, stacklevel=2)
            done = False
        except BaseException:
            stream.drop()
            raise
        if not done:
            stream.drop()
            return None
        name = self.claim(kind, about=about, **fields)
        self.streams.append(stream.finish(name))
        return name

    def rest(self, pointer: str, claims: tuple[str, ...], **ends: Any) -> None:
        """Mark a bracket (or the report's verdict, pointer ``""``) as proved by claims, perhaps with ends moved outward."""
        self.rests[pointer] = claims
        self.changes[pointer] = {**ends, "evidence": "proved"}

    def without(self, claim: str) -> None:
        """Take back a claim that the judge refuses, what rests on it, and what refers to it."""
        gone = {claim}
        for other in self.claims:  # claims name only earlier ones
            if gone & _named(other):
                gone.add(other["id"])
        self.claims = [c for c in self.claims if c["id"] not in gone]
        self.streams = [s for s in self.streams if s["claim"] not in gone]
        for pointer in [p for p, needed in self.rests.items() if gone.intersection(needed)]:
            self.unmark(pointer)

    def unmark(self, pointer: str) -> None:
        """Leave a bracket as the search reported it."""
        self.rests.pop(pointer, None)
        self.changes.pop(pointer, None)

    def proof(self, stages: list[str]) -> dict[str, Any]:
        """The field of the report: the claims that brackets rest on, and no others."""
        needed = {c for claims in self.rests.values() for c in claims}
        for said in reversed(self.claims):
            if said["id"] in needed:
                needed |= _named(said)
        claims = [c for c in self.claims if c["id"] in needed]
        streams = [s for s in self.streams if s["claim"] in needed]
        return {"format": FORMAT, "program": stages, "claims": claims, "streams": streams}


def _named(claim: dict[str, Any]) -> set[str]:
    """The claims that a claim refers to."""
    found = {value for value in (claim.get("terms") or []) if isinstance(value, str)} | set(claim.get("of") or [])
    for term in claim.get("terms") or []:
        if isinstance(term, dict):
            found |= {pair[0] for pair in term.get("price", [])} | ({term["lip"]} if "lip" in term else set())
    found |= {claim["within"]["lip"]} if "within" in claim else set()
    return found | set(claim.get("constants") or [])
