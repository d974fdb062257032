"""Certificates made to break the judge: one line, exit status 1 or 2, quickly, in little memory, nothing written."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests import judge_drafts as dr
from tests import judge_examples as ex
from tests.judge_refusal import refused
from wdaverify.check.report import check

JUDGE = Path(__file__).parents[1] / "wdaverify" / "check"

Text = Callable[[str], str]


@pytest.fixture
def sound(tmp_path: Path) -> dict[str, Any]:
    return ex.lipschitz(tmp_path)


def test_truncated_anywhere(sound: dict[str, Any], tmp_path: Path) -> None:
    whole = dr.write(tmp_path, sound).read_bytes()
    assert check(tmp_path / "certificate.json").accepted
    for end in range(0, len(whole) - 1, 13):
        (tmp_path / "cut.json").write_bytes(whole[:end])
        refused(tmp_path / "cut.json")


_STREAM = '"records": [{"t": "split", "n": 0}'
_COUNTS = '"records": 7, "leaves": 4'
_LAST, _END = ', {"t": "leaf", "k": "jac"}', ', {"t": "end"'
_FORWARD = '{"id": "x", "kind": "all", "of": ["c0"], "value": 1}'


def counted(text: str, records: int, leaves: int) -> str:
    """The text with another footer."""
    return text.replace(_COUNTS, f'"records": {records}, "leaves": {leaves}')


TEXTS: dict[str, tuple[Text, str]] = {
    "NaN": (lambda t: t.replace('"value": 1,', '"value": NaN,', 1), "NaN"),
    "Infinity": (lambda t: t.replace('"value": 1,', '"value": Infinity,', 1), "Infinity"),
    "float": (lambda t: t.replace('"value": 1,', '"value": 1.5,', 1), "no number of the format"),
    "true": (lambda t: t.replace('"value": 1,', '"value": true,', 1), "no number of the format"),
    "null": (lambda t: t.replace('"value": 1,', '"value": null,', 1), "no number of the format"),
    "huge integer": (lambda t: t.replace('"value": 1,', f'"value": {"9" * 10**6},', 1), "limit"),
    "huge digits": (lambda t: t.replace('"value": 1,', f'"value": "{"9" * 10**6}",', 1), "no number of the format"),
    "hex exponent": (lambda t: t.replace('"value": 1,', '"value": "0x1p1000000000",', 1), "no number of the format"),
    "hex exponent of five digits": (lambda t: t.replace('"value": 1,', '"value": "0x1p99999",', 1), "no number of the format"),
    "zero denominator": (lambda t: t.replace('"value": 1,', '"value": "1/0",', 1), "no number of the format"),
    "exponent": (lambda t: t.replace('"value": 1,', '"value": "1e9",', 1), "no number of the format"),
    "duplicate key": (lambda t: t.replace('"value": 1,', '"value": 1, "value": 1,', 1), "twice"),
    "duplicate key outside": (lambda t: t.replace('"kind": "lip', '"kind": "x", "kind": "lip', 1), "twice"),
    "unknown key": (lambda t: t.replace('"value": 1,', '"value": 1, "trust": "me",', 1), "wrong fields"),
    "nesting": (lambda t: t.replace('"value": 1,', f'"value": {"[" * 10**5}{"]" * 10**5},', 1), "limit"),
    "quotes without end": (lambda t: t + ' "' + '\\"' * 10**6 + "\\", "JSON"),
    "nesting objects": (lambda t: '{"a":' * 10**5 + "1" + "}" * 10**5, "limit"),
    "neuron -1": (lambda t: t.replace(_STREAM, _STREAM.replace("0}", "-1}"), 1), "neuron"),
    "neuron huge": (lambda t: t.replace(_STREAM, _STREAM.replace("0}", "99999999999}"), 1), "neuron"),
    "neuron fractional": (lambda t: t.replace(_STREAM, _STREAM.replace("0}", "0.5}"), 1), "neuron"),
    "neuron true": (lambda t: t.replace(_STREAM, _STREAM.replace("0}", "true}"), 1), "neuron"),
    "split twice": (lambda t: t.replace('{"t": "split", "n": 1}', '{"t": "split", "n": 0}', 1), "fixed already"),
    "input at the border": (lambda t: t.replace(_STREAM, '"records": [{"t": "input", "j": 0, "at": 1}', 1), "inside its range"),
    "missing child": (lambda t: counted(t.replace(_LAST + _END, _END), 6, 3), "open"),
    "extra child": (lambda t: counted(t.replace(_END, _LAST + _END), 8, 5), "nothing is open"),
    "wrong footer": (lambda t: t.replace('"leaves": 4', '"leaves": 3', 1), "footer"),
    "two footers": (lambda t: t.replace('{"t": "end"', f'{{"t": "end", {_COUNTS}}}, {{"t": "end"', 1), "follows the footer"),
    "no footer": (lambda t: t.replace(', {"t": "end", "records": 7, "leaves": 4}', "", 1), "no footer"),
    "forward claim": (lambda t: t.replace('"claims": [', f'"claims": [{_FORWARD}, ', 1), "earlier claim"),
    "claim twice": (lambda t: t.replace('"id": "c1"', '"id": "c0"', 1), "twice"),
    "path traversal": (lambda t: t.replace("model.onnx", "../model.onnx", 1), "plain file name"),
    "absolute path": (lambda t: t.replace("model.onnx", "/etc/passwd", 1), "plain file name"),
    "device": (lambda t: t.replace("model.onnx", "nul\\u0000", 1), "plain file name"),
    "wrong digest": (lambda t: t.replace('"sha256": "', '"sha256": "0', 1).replace('"', '"', 1), "sha256"),
    "other semantics": (lambda t: t.replace('"semantics": "real"', '"semantics": "float32"', 1), "semantics"),
    "program": (lambda t: t.replace('"A2"', '"A3"', 1), "program"),
    "not JSON": (lambda t: "\\x00\\x01", "JSON"),
    "list": (lambda t: "[]", "report"),
    "number": (lambda t: "7", "report"),
    "infinite domain": (lambda t: t.replace('"lower": -1.0', '"lower": "inf"', 1), "wrong sign"),
    "empty domain": (lambda t: t.replace('"lower": -1.0', '"lower": 5.0', 1), "empty"),
    "float overflow": (lambda t: t.replace('"lower": -1.0', '"lower": -1e999', 1), "float64"),
    "constraint": (lambda t: t.replace('"lower": -1.0', '"tied": [0], "lower": -1.0', 1), "constraints that are known"),
    "frozen": (lambda t: t.replace('"lower": -1.0', '"frozen": [0], "lower": -1.0', 1), "more than a box"),
    "frozen nowhere": (lambda t: t.replace('"lower": -1.0', '"frozen": [2], "lower": -1.0', 1), "coordinate of the domain"),
    "frozen twice": (lambda t: t.replace('"lower": -1.0', '"frozen": [0, 0], "lower": -1.0', 1), "twice"),
    "weight 0": (lambda t: t.replace('"lower": -1.0', '"weights": [0], "lower": -1.0', 1), "positive"),
    "row": (lambda t: t.replace('"lower": -1.0', '"rows": [[1]], "lower": -1.0', 1), "row of the domain"),
    "stream of no claim": (lambda t: t.replace('"streams": [', '"streams": [{"claim": "c7", "records": []}, ', 1), "c7"),
    "message": (lambda t: t.replace('"id": "c0"', '"id": "c\\n\\u001b[2J0"', 1), "no stream"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_hostile_text(name: str, sound: dict[str, Any], tmp_path: Path) -> None:
    change, word = TEXTS[name]
    original = json.dumps(sound)
    text = change(original)
    assert text != original
    (tmp_path / "certificate.json").write_text(text)
    refused(tmp_path / "certificate.json", word)


def packed(sound: dict[str, Any], folder: Path, content: bytes) -> Path:
    """The certificate with its stream in a file of this content, whose digest is right."""
    (folder / "s.gz").write_bytes(content)
    stream = {"claim": "c0", "file": "s.gz", "sha256": hashlib.sha256(content).hexdigest()}
    return dr.write(folder, {**sound, "proof": {**sound["proof"], "streams": [stream]}})


def test_hostile_streams(sound: dict[str, Any], tmp_path: Path) -> None:
    records = sound["proof"]["streams"][0]["records"][:-1]
    good = dr.packed_lines(*records)
    assert check(packed(sound, tmp_path, good)).accepted
    plain = gzip.decompress(good)
    footer = {"t": "end", "records": 7, "leaves": 4}
    cases = {
        "gzip": plain,
        "cut": good[:-9],
        "follow": good + gzip.compress(b"{}\n"),
        "footer": gzip.compress(plain.replace(b'"leaves": 4', b'"leaves": 6')),
        "digest": dr.packed_lines(*records, footer={"sha256": "0" * 64}),
        "no footer": gzip.compress(plain[: plain.rindex(b'{"t": "end"')]),
        "follows the footer": gzip.compress(plain + b"{}\n"),
        "last line": gzip.compress(plain[:-1]),
        "fields": gzip.compress(plain[: plain.rindex(b'{"t": "end"')] + json.dumps(footer).encode() + b"\n"),
        "JSON": gzip.compress(b"\n" + plain),
        "line is too long": gzip.compress(b'{"t": "' + b"a" * (5 << 20)),
    }
    for word, content in cases.items():
        refused(packed(sound, tmp_path, content), word)
    for end in range(0, len(good), 7):
        refused(packed(sound, tmp_path, good[:end]))


def test_a_part_that_contains_itself_or_another(sound: dict[str, Any], tmp_path: Path) -> None:
    inner = dr.packed_lines({"t": "part", "file": "inner.gz", "sha256": "0" * 64})
    (tmp_path / "inner.gz").write_bytes(inner)
    refused(packed(sound, tmp_path, dr.packed_lines({"t": "part", **dr.reference(tmp_path / "inner.gz")})), "part inside a part")


def test_deep_trees(sound: dict[str, Any], tmp_path: Path) -> None:
    splits = [{"t": "input", "j": 0, "at": str(Fraction(1, k + 2))} for k in range(10_050)]
    refused(packed(sound, tmp_path, dr.packed_lines(*splits)), "limit", seconds=10)


def files(folder: Path) -> list[Path]:
    """All files but Python's own cache of the program that it was told to run."""
    return sorted(p for p in folder.rglob("*") if "__pycache__" not in p.parts)


def test_alone_in_an_empty_folder(tmp_path: Path) -> None:
    """Copied alone, isolated, without site packages: same verdicts, and nothing but the standard library is loaded."""
    shutil.copytree(JUDGE, tmp_path / "judge", ignore=shutil.ignore_patterns("__pycache__"))
    program = f"""
import runpy, sys
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in sys.stdlib_module_names | {{"wdacheck", "__main__"}}:
            raise ImportError("the judge imports " + name)
sys.meta_path.insert(0, Guard())
sys.argv = ["check", *sys.argv[1:]]
try:
    runpy.run_path({str(tmp_path / "judge")!r}, run_name="__main__")
finally:
    print(sorted({{n.split(".")[0] for n in sys.modules}} - set(sys.stdlib_module_names) - {{"wdacheck"}}))
"""
    for name in ("lipschitz", "cross_entropy"):
        folder = tmp_path / name
        folder.mkdir()
        path = dr.write(folder, ex.EXAMPLES[name](folder))
        before = files(tmp_path)
        run = subprocess.run([sys.executable, "-I", "-S", "-c", program, str(path)], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        *lines, modules = run.stdout.splitlines()
        assert modules in ("[]", "['__main__']")
        direct = subprocess.run(
            [sys.executable, "-I", "-S", str(tmp_path / "judge"), str(path)], capture_output=True, text=True, check=False
        )
        verdict = check(path)
        assert direct.stdout.splitlines() == lines == [*verdict.lines, verdict.message]
        path.write_text(path.read_text().replace('"value": 1', '"value": 0').replace("9742/10000", "9742/100000"))
        direct = subprocess.run(
            [sys.executable, "-I", "-S", str(tmp_path / "judge"), str(path)], capture_output=True, text=True, check=False
        )
        assert direct.returncode == 1
        assert direct.stderr.startswith("REJECT certificate.json: claim ")
        assert len(direct.stderr.splitlines()) == 1
        assert files(tmp_path) == before


def test_bombs_in_little_memory(sound: dict[str, Any], tmp_path: Path) -> None:
    """A gzip bomb of 1 GiB against an address space of 400 MiB."""
    line = b'{"t": "refresh"}\n'
    packer = io.BytesIO()
    with gzip.GzipFile(fileobj=packer, mode="wb", compresslevel=9) as stream:
        for _ in range(256):
            stream.write(line[:1] + b" " * (1 << 20))
    path = packed(sound, tmp_path, packer.getvalue())
    run = subprocess.run(
        [sys.executable, "-I", "-S", str(JUDGE), str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20)),
    )
    assert run.returncode == 1
    assert "limit" in run.stderr
    assert len(run.stderr.splitlines()) == 1
