"""The table of readers: what is read, from which seeds, changed in which ways."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx

from tests import judge_drafts, judge_examples, judge_mutations
from tests.fuzz.formats import mutate_npz, mutate_protobuf, packed
from tests.fuzz.mutations import Mutator, mixed, mutate_bytes, mutate_text
from tests.onnx_cases import CASES
from tests.onnx_models import model
from tests.property_text import BOX, HEAD
from wdaverify._errors import InputError
from wdaverify.attack.findings import Findings
from wdaverify.attack.findings import Journal as AttackJournal
from wdaverify.bench.compare import compare
from wdaverify.bench.instance_list import read_instances
from wdaverify.bench.journal import Entry, Journal
from wdaverify.bench.outcome import Outcome
from wdaverify.check import check
from wdaverify.dataset import Dataset
from wdaverify.domain_file import load_domain
from wdaverify.ir.load import load
from wdaverify.property.vnnlib import load_property

DATA = Path(__file__).parent.parent / "data"
INSTANCES = DATA.parent.parent / "instances"
DIGEST = "ab" * 32

Case = dict[str, bytes]
"""Files by name; the first is the one that is read."""


@dataclass(frozen=True)
class Reader:
    """One reader.

    `mutate` changes one file of a case, the read one or (rarely) another. `mend` makes digests right again after a change.
    `writes` is for journals, which are opened to be continued.
    """

    name: str
    read: Callable[[Path], object]
    seeds: Callable[[], list[Case]]
    mutate: Mutator
    mend: Callable[[random.Random, Case], Case] = lambda _, case: case
    writes: bool = False

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


def _files(folder: str, pattern: str, largest: int = 20_000) -> list[Case]:
    files = sorted(DATA.glob(f"{folder}/{pattern}"))
    return [{f.name: f.read_bytes()} for f in files if f.stat().st_size < largest]


def _models() -> list[Case]:
    seeds = _files("hostile", "*.onnx") + _files("traps", "*.onnx") + _files("golden", "*.onnx")
    for name, case, opsets in CASES:
        for opset in (opsets[0], opsets[-1]):
            nodes, weights, shape = case(np.random.default_rng(opset), opset)
            seeds.append({f"{name}.onnx": model(nodes, weights, shape, opset=min(opset, 19))} if opset < 20 else seeds[0])
    return seeds


def _external_models() -> list[Case]:
    weights = {"W": np.arange(8, dtype=np.float32).reshape(2, 4), "C": np.ones(4, np.float32)}
    nodes, _, _ = CASES[0][1](np.random.default_rng(0), 13)
    del nodes[0].attribute[:]
    content = onnx.ModelProto.FromString(model(nodes, weights, (1, 2)))
    with tempfile.TemporaryDirectory() as folder:
        options = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0, "convert_attribute": False}
        onnx.save_model(content, f"{folder}/m.onnx", **options)
        return [{"m.onnx": (Path(folder) / "m.onnx").read_bytes(), "w.bin": (Path(folder) / "w.bin").read_bytes()}]


def _npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _data() -> list[Case]:
    x = np.array([[0.5, 1.0], [2.0, -1.0], [0.0, 0.25]])
    kinds = [x, x.astype(np.float32), x.reshape(3, 1, 2), x.astype(np.int8), np.asfortranarray(x)]
    own = [{"d.npz": _npz(x=kind, y=np.array([0, 1, 1]), weights=np.array([1, 2, 0.5]))} for kind in kinds]
    return own + _files("hostile", "d*.npz") + _files("golden", "g*.npz")


def _tables() -> list[Case]:
    return [{"d.csv": text.encode()} for text in ("a,b,label\n0.5,1,0\n1e-3,-2,1\n", "1,2,0\r\n\r\n3,4,1\r\n", '"1","2","0"\n')]


def _domains() -> list[Case]:
    ends = {"lower": np.zeros(4), "upper": np.array([1, 1, 3, np.inf])}
    more = {
        "frozen": np.array([0, 0, 0, 1]), "integer": np.array([0, 0, 1, 0]), "weights": np.array([1, 2, 0.5, 1]),
        "one_hot": np.array([0, 0, -1, -1]), "rows": np.array([[1.0, 0, -1, 0]]), "limits": np.array([2.0]),
    }  # fmt: skip
    return [{"d.npz": _npz(**ends)}, {"d.npz": _npz(**ends, **more)}, *_files("lipschitz", "*.box.npz")]


def _domain_texts() -> list[Case]:
    texts = [
        'lower = 0.0\nupper = 10.0\n[[features]]\nname = "age"\nupper = 120\ninteger = true\n[[features]]\nfrozen = true\n'
        'weight = 2.5\n[[features]]\nname = "rent"\n[[features]]\n[[features]]\n[[one_hot]]\nfeatures = [3, 4]\n'
        "[[rows]]\ncoefficients = { age = 1.0, 2 = -3.0 }\nat_least = 0.0\n",
        "inputs = 6\nlower = -inf\nupper = 1e3\n[[features]]\nindices = [0, 2]\nlower = 0\ninteger = true\n[[features]]\n"
        "index = 5\nfrozen = true\n[[rows]]\ncoefficients = { 0 = 1, 1 = 2 }\nat_most = 4\nat_least = -4\n",
    ]
    return [{"d.toml": text.encode()} for text in texts] + [
        {"d.toml": file.read_bytes()} for file in sorted(INSTANCES.glob("*/*.toml"))
    ]


def _properties() -> list[Case]:
    asserts = (
        "(or (and (<= Y_0 Y_1) (>= X_0 0.5)) (> Y_1 (+ (* 2 Y_0) -0.25 1e-3)))",
        "(and (<= 0 (- Y_0 Y_1) 1) (or (< Y_0 (- 0.5)) (>= (+ Y_0 Y_1) 3)))",
        "(= (* 0.5 X_0) (+ X_1 1/2))",
    )
    texts = [f"; a property\n{HEAD}{BOX}(assert {formula})\n" for formula in asserts]
    return [{"p.vnnlib": text.encode()} for text in texts]


_LISTED = dict.fromkeys(("m.onnx", "p.vnnlib", "d.npz", "box.npz"), b"")


def _lists() -> list[Case]:
    texts = [
        "m.onnx,p.vnnlib,10\n./m.onnx,p.vnnlib\n",
        "command,model,data,samples,radius,domain,timeout\ncertify,m.onnx,d.npz,5,0.1,box.npz,60\ndistance,m.onnx,d.npz\n",
        'command,model,functional,domain,timeout\nlipschitz,m.onnx,margin:0-1;all,"0,1",2.5\n',
    ]
    return [{"list.csv": text.encode(), **_LISTED} for text in texts]


_ROWS = [
    ("1", "verify", "m.onnx", "p.vnnlib", "sat", "", "", "0.250", ""),
    ("2", "certify", "m.onnx", "d.npz radius=0.1", "bracket", "0.25;0.5", "0.5;1", "1.000", ""),
]


def _published() -> list[Case]:
    texts = [
        "onnx,vnnlib,verdict,tool_a_s,tool_b_s\nx/m.onnx,y/p.vnnlib,sat,1.5,20\n",
        "instance,command,model,property,verdict,lower,upper,seconds,error\n1,verify,m.onnx,p.vnnlib,sat,,,0.2,\n"
        "2,certify,m.onnx,d.npz radius=0.1,exact,0.3;0.6,0.3;0.6,1,\n",
    ]
    return [{"verdicts.csv": text.encode()} for text in texts]


def _journals() -> list[Case]:
    outcomes = [
        Outcome(verdict="sat", seconds=1.25),
        Outcome(verdict="bracket", lower=(0.25, "-inf"), upper=(0.5, "inf"), seconds=3.0),
        Outcome(verdict="error", error="no memory"),
    ]
    records = [msgspec.json.encode(Entry(f"{i:064x}", outcome)) for i, outcome in enumerate(outcomes)]
    return [{"t.journal": b"".join(_signed(record) for record in records)}]


def _signed(record: bytes) -> bytes:
    return hashlib.sha256(record).hexdigest()[:16].encode() + b" " + record + b"\n"


def _mend_journal(rng: random.Random, case: Case) -> Case:
    """Right digests for changed records, in most cases."""
    if rng.random() < 0.3:
        return case
    lines = case["t.journal"].split(b"\n")
    return {**case, "t.journal": b"".join(_signed(line.partition(b" ")[2]) for line in lines if line)}


def _read_journal(path: Path) -> None:
    with Journal(path) as journal:
        for outcome in journal.finished.values():
            outcome.brackets()


def _batches() -> list[Case]:
    batch = {
        "digest": np.frombuffer(bytes.fromhex(DIGEST), dtype=np.uint8), "index": np.array([1, 2]),
        "distances": np.array([0.5, np.inf]), "targets": np.array([1, -1]),
        "points": np.array([[0.0, 1.0], [np.nan, np.nan]]), "parts": np.array([0, -1]),
        "counts": np.array([10, 20]),
    }  # fmt: skip
    return [{"batch-000000001-2.npz": _npz(**batch)}]


def _read_batches(path: Path) -> None:
    findings = Findings.of(Dataset(np.zeros((4, 2)), [0, 1, 0, 1]))
    AttackJournal(path.parent, DIGEST).recall(findings)


def _certificates() -> list[Case]:
    seeds = []
    for make in judge_examples.EXAMPLES.values():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            judge_drafts.write(folder, make(folder))
            seeds.append({"certificate.json": b""} | {f.name: f.read_bytes() for f in sorted(folder.iterdir())})
    return seeds


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


_CERTIFICATES = _certificates()


def _judge(path: Path) -> None:
    verdict = check(path, time_limit=3.0)
    if ": internal " in verdict.message or not verdict.message.isprintable():
        raise RuntimeError(verdict.message)
    if not verdict.accepted:
        raise InputError(verdict.message if verdict.status in (1, 2) else "no status")


def _gz(seeds: Callable[[], list[Case]]) -> Callable[[], list[Case]]:
    return lambda: [{f"{n}.gz": gzip.compress(c, mtime=0) for n, c in list(seed.items())[:1]} for seed in seeds()]


def _two(path: Path) -> object:
    return load_property(path, inputs=2, outputs=2)


READERS: tuple[Reader, ...] = (
    Reader("onnx", load, _models, BY_SUFFIX[".onnx"]),
    Reader("onnx-gz", load, _gz(_models), packed(BY_SUFFIX[".onnx"])),
    Reader("onnx-external", load, _external_models, BY_SUFFIX[".onnx"]),
    Reader("data-npz", Dataset.load, _data, mutate_npz),
    Reader("data-csv", Dataset.load, _tables, BY_SUFFIX[".csv"]),
    Reader("domain-npz", load_domain, _domains, mutate_npz),
    Reader("domain-toml", load_domain, _domain_texts, mutate_text),
    Reader("vnnlib", _two, _properties, mixed(mutate_text, mutate_text, mutate_bytes)),
    Reader("vnnlib-gz", _two, _gz(_properties), packed(mutate_text)),
    Reader("list", read_instances, _lists, BY_SUFFIX[".csv"]),
    Reader("list-gz", read_instances, _gz(_lists), packed(mutate_text)),
    Reader("comparison", lambda path: compare(_ROWS, path), _published, BY_SUFFIX[".csv"]),
    Reader("bench-journal", _read_journal, _journals, mixed(mutate_text, mutate_bytes), _mend_journal, writes=True),
    Reader("attack-journal", _read_batches, _batches, mutate_npz),
    Reader("certificate", _judge, _certificates, _mutate_certificate, _mend_certificate),
)
"""Add a reader by a line."""
