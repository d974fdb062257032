"""The table of readers: what is read, from which seeds, changed in which ways."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import judge_mutations
from tests.fuzz import seeds as sound
from tests.fuzz.formats import mutate_npz, mutate_protobuf, packed
from tests.fuzz.mutations import Mutator, mixed, mutate_bytes, mutate_text
from tests.fuzz.seeds import DIGEST, Case, gzipped
from wdaverify._errors import InputError
from wdaverify.attack.journal import Extent
from wdaverify.attack.journal import Journal as AttackJournal
from wdaverify.bench.compare import compare
from wdaverify.bench.instance_list import read_instances
from wdaverify.bench.journal import Journal
from wdaverify.check import check
from wdaverify.dataset import Dataset
from wdaverify.domain_file import load_domain
from wdaverify.ir.load import load
from wdaverify.property.vnnlib import load_property


@dataclass(frozen=True)
class Reader:
    """One reader.

    `mutate` changes one file of a case, the read one or (rarely) another. `mend` makes digests right again after a change.
    `writes` are the files that it may open to write: journals are opened to be continued, and locked.
    """

    name: str
    read: Callable[[Path], object]
    seeds: Callable[[], list[Case]]
    mutate: Mutator
    mend: Callable[[random.Random, Case], Case] = lambda _, case: case
    writes: tuple[str, ...] = ()

    def case(self, number: int, seeds: list[Case]) -> Case:
        """The mutated case of a number."""
        rng = random.Random(f"{self.name} {number}")
        case = dict(rng.choice(seeds))
        name = next(iter(case)) if rng.random() < 0.7 else rng.choice(list(case))
        others = [content for seed in rng.sample(seeds, min(3, len(seeds))) for n, content in seed.items() if n[-4:] == name[-4:]]
        mutate = self.mutate if name == next(iter(case)) else BY_SUFFIX[Path(name).suffix]
        for _ in range(rng.choice((1, 1, 1, 2))):
            case[name] = mutate(rng, case[name], others)
        return self.mend(rng, case)


BY_SUFFIX: dict[str, Mutator] = {
    ".onnx": mixed(mutate_protobuf, mutate_protobuf, mutate_protobuf, mutate_bytes),
    ".npz": mutate_npz,
    ".csv": mixed(mutate_text, mutate_text, mutate_bytes),
    ".toml": mutate_text,
    ".vnnlib": mutate_text,
    ".bin": mutate_bytes,
}


_ROWS = [
    ("1", "verify", "m.onnx", "p.vnnlib", "sat", "", "", "0.250", ""),
    ("2", "certify", "m.onnx", "d.npz radius=0.1", "bracket", "0.25;0.5", "0.5;1", "1.000", ""),
]


def _mend_journal(rng: random.Random, case: Case) -> Case:
    """Right digests for changed records, in most cases."""
    if rng.random() < 0.3:
        return case
    lines = case["t.journal"].split(b"\n")
    return {**case, "t.journal": b"".join(sound.signed(line.partition(b" ")[2]) for line in lines if line)}


def _read_journal(path: Path) -> None:
    with Journal(path) as journal:
        for outcome in journal.finished.values():
            outcome.brackets()


def _read_batches(path: Path) -> None:
    with AttackJournal(path.parent, DIGEST, Extent(samples=4, coordinates=2, classes=2, parts=1)) as journal:
        list(journal.batches())


def _mutate_certificate(rng: random.Random, content: bytes, others: Any) -> bytes:
    if rng.random() < 0.4:
        return mutate_text(rng, content, others)
    try:
        return json.dumps(judge_mutations.mutate(json.loads(content), rng)).encode()
    except (ValueError, AttributeError, KeyError, RecursionError):  # changed before, and no certificate any more
        return mutate_bytes(rng, content, others)


def _mend_certificate(rng: random.Random, case: Case) -> Case:
    """The digests of the files that it names, so that changed ones are read."""
    text = case["certificate.json"]
    original = next(seed for seed in _CERTIFICATES if set(seed) == set(case) and _same_files(seed, case) >= len(case) - 1)
    for name, content in original.items():
        text = text.replace(hashlib.sha256(content).hexdigest().encode(), hashlib.sha256(case[name]).hexdigest().encode())
    return {**case, "certificate.json": text}


def _same_files(one: Case, other: Case) -> int:
    return sum(one[name] == other[name] for name in one)


_CERTIFICATES = sound.certificates()


def _judge(path: Path) -> None:
    verdict = check(path, time_limit=3.0)
    if ": internal " in verdict.message or not verdict.message.isprintable():
        raise RuntimeError(verdict.message)
    if not verdict.accepted:
        raise InputError(verdict.message if verdict.status in (1, 2) else "no status")


def _two(path: Path) -> object:
    return load_property(path, inputs=2, outputs=2)


READERS: tuple[Reader, ...] = (
    Reader("onnx", load, sound.models, BY_SUFFIX[".onnx"]),
    Reader("onnx-gz", load, gzipped(sound.models), packed(BY_SUFFIX[".onnx"])),
    Reader("onnx-external", load, sound.external_models, BY_SUFFIX[".onnx"]),
    Reader("data-npz", Dataset.load, sound.data, mutate_npz),
    Reader("data-csv", Dataset.load, sound.tables, BY_SUFFIX[".csv"]),
    Reader("domain-npz", load_domain, sound.domains, mutate_npz),
    Reader("domain-toml", load_domain, sound.domain_texts, mutate_text),
    Reader("vnnlib", _two, sound.properties, mixed(mutate_text, mutate_text, mutate_bytes)),
    Reader("vnnlib-gz", _two, gzipped(sound.properties), packed(mutate_text)),
    Reader("list", read_instances, sound.lists, BY_SUFFIX[".csv"]),
    Reader("list-gz", read_instances, gzipped(sound.lists), packed(mutate_text)),
    Reader("comparison", lambda path: compare(_ROWS, path), sound.published, BY_SUFFIX[".csv"]),
    Reader(
        "bench-journal", _read_journal, sound.journals, mixed(mutate_text, mutate_bytes), _mend_journal, writes=("t.journal",)
    ),
    Reader("attack-journal", _read_batches, sound.batches, mutate_npz, writes=("journal.lock",)),
    Reader("certificate", _judge, sound.certificates, _mutate_certificate, _mend_certificate),
)
"""Add a reader by a line."""
