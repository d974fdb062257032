"""Sound files of every kind: what mutations begin with."""

from __future__ import annotations

import gzip
import hashlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx

from tests import judge_drafts, judge_examples
from tests.onnx_cases import CASES
from tests.onnx_models import model
from tests.property_text import BOX, HEAD
from wdaverify.bench.journal import Entry
from wdaverify.bench.outcome import Outcome

DATA = Path(__file__).parent.parent / "data"
INSTANCES = DATA.parent.parent / "instances"
DIGEST = "ab" * 32

Case = dict[str, bytes]
"""Files by name; the first is the one that is read."""


def _files(folder: str, pattern: str, largest: int = 20_000) -> list[Case]:
    files = sorted(DATA.glob(f"{folder}/{pattern}"))
    return [{f.name: f.read_bytes()} for f in files if f.stat().st_size < largest]


def models() -> list[Case]:
    seeds = _files("hostile", "*.onnx") + _files("traps", "*.onnx") + _files("golden", "*.onnx")
    for name, case, opsets in CASES:
        for opset in (opsets[0], opsets[-1]):
            nodes, weights, shape = case(np.random.default_rng(opset), opset)
            seeds.append({f"{name}.onnx": model(nodes, weights, shape, opset=min(opset, 19))} if opset < 20 else seeds[0])
    return seeds


def external_models() -> list[Case]:
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


def data() -> list[Case]:
    x = np.array([[0.5, 1.0], [2.0, -1.0], [0.0, 0.25]])
    kinds = [x, x.astype(np.float32), x.reshape(3, 1, 2), x.astype(np.int8), np.asfortranarray(x)]
    own = [{"d.npz": _npz(x=kind, y=np.array([0, 1, 1]), weights=np.array([1, 2, 0.5]))} for kind in kinds]
    return own + _files("hostile", "d*.npz") + _files("golden", "g*.npz")


def tables() -> list[Case]:
    return [{"d.csv": text.encode()} for text in ("a,b,label\n0.5,1,0\n1e-3,-2,1\n", "1,2,0\r\n\r\n3,4,1\r\n", '"1","2","0"\n')]


def domains() -> list[Case]:
    ends = {"lower": np.zeros(4), "upper": np.array([1, 1, 3, np.inf])}
    more = {
        "frozen": np.array([0, 0, 0, 1]), "integer": np.array([0, 0, 1, 0]), "weights": np.array([1, 2, 0.5, 1]),
        "one_hot": np.array([0, 0, -1, -1]), "rows": np.array([[1.0, 0, -1, 0]]), "limits": np.array([2.0]),
    }  # fmt: skip
    return [{"d.npz": _npz(**ends)}, {"d.npz": _npz(**ends, **more)}, *_files("lipschitz", "*.box.npz")]


def domain_texts() -> list[Case]:
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


def properties() -> list[Case]:
    asserts = (
        "(or (and (<= Y_0 Y_1) (>= X_0 0.5)) (> Y_1 (+ (* 2 Y_0) -0.25 1e-3)))",
        "(and (<= 0 (- Y_0 Y_1) 1) (or (< Y_0 (- 0.5)) (>= (+ Y_0 Y_1) 3)))",
        "(= (* 0.5 X_0) (+ X_1 1/2))",
    )
    texts = [f"; a property\n{HEAD}{BOX}(assert {formula})\n" for formula in asserts]
    return [{"p.vnnlib": text.encode()} for text in texts]


_LISTED = dict.fromkeys(("m.onnx", "p.vnnlib", "d.npz", "box.npz"), b"")


def lists() -> list[Case]:
    texts = [
        "m.onnx,p.vnnlib,10\n./m.onnx,p.vnnlib\n",
        "command,model,data,samples,radius,domain,timeout\ncertify,m.onnx,d.npz,5,0.1,box.npz,60\ndistance,m.onnx,d.npz\n",
        'command,model,functional,domain,timeout\nlipschitz,m.onnx,margin:0-1;all,"0,1",2.5\n',
    ]
    return [{"list.csv": text.encode(), **_LISTED} for text in texts]


def published() -> list[Case]:
    texts = [
        "onnx,vnnlib,verdict,tool_a_s,tool_b_s\nx/m.onnx,y/p.vnnlib,sat,1.5,20\n",
        "instance,command,model,property,verdict,lower,upper,seconds,error\n1,verify,m.onnx,p.vnnlib,sat,,,0.2,\n"
        "2,certify,m.onnx,d.npz radius=0.1,exact,0.3;0.6,0.3;0.6,1,\n",
    ]
    return [{"verdicts.csv": text.encode()} for text in texts]


def journals() -> list[Case]:
    outcomes = [
        Outcome(verdict="sat", seconds=1.25),
        Outcome(verdict="bracket", lower=(0.25, "-inf"), upper=(0.5, "inf"), seconds=3.0),
        Outcome(verdict="error", error="no memory"),
    ]
    records = [msgspec.json.encode(Entry(f"{i:064x}", outcome)) for i, outcome in enumerate(outcomes)]
    return [{"t.journal": b"".join(signed(record) for record in records)}]


def signed(record: bytes) -> bytes:
    return hashlib.sha256(record).hexdigest()[:16].encode() + b" " + record + b"\n"


def batches() -> list[Case]:
    """Of an attack on four samples in the plane."""
    nowhere = [np.nan, np.nan]
    batch = {
        "digest": np.frombuffer(bytes.fromhex(DIGEST), dtype=np.uint8), "index": np.array([1, 2]),
        "distances": np.array([0.5, np.inf]), "targets": np.array([1, -1]), "points": np.array([[0.0, 1.0], nowhere]),
        "parts": np.array([0, -1]), "at_samples": np.zeros((2, 2)), "at_points": np.array([[0.0, 1.0], nowhere]),
        "counts": np.array([10, 20]),
    }  # fmt: skip
    return [{"batch-000000001-2.npz": _npz(**batch)}]


def certificates() -> list[Case]:
    seeds = []
    for make in judge_examples.EXAMPLES.values():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            judge_drafts.write(folder, make(folder))
            seeds.append({"certificate.json": b""} | {f.name: f.read_bytes() for f in sorted(folder.iterdir())})
    return seeds


def gzipped(seeds: Callable[[], list[Case]]) -> Callable[[], list[Case]]:
    """The same with the file that is read packed."""

    def make() -> list[Case]:
        cases = []
        for seed in seeds():
            (name, content), *rest = seed.items()
            cases.append({f"{name}.gz": gzip.compress(content, mtime=0), **dict(rest)})
        return cases

    return make
