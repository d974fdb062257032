"""Malformed and malicious properties: one line that names file and cause, soon; and what is large but sound."""

from __future__ import annotations

import gzip
import json
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property_text import BOX, HEAD, boxed, parse, refusal
from wdaverify._errors import PropertyError
from wdaverify.property.property import LinearRow
from wdaverify.property.vnnlib import MAX_BYTES, load_property

HOSTILE = Path(__file__).parent / "data" / "hostile"
CASES = {k: v for k, v in json.loads((HOSTILE / "expected.json").read_text())["cases"].items() if v["kind"] == "vnnlib"}


@pytest.mark.parametrize("name", sorted(CASES))
def test_hostile_cases(name):
    case = CASES[name]
    if case["expect"] == "reject":
        with pytest.raises(PropertyError) as caught:
            load_property(HOSTILE / name, inputs=2, outputs=1)
        message = str(caught.value)
        assert message.startswith(name)
        assert all(word in message for word in case["message_must_contain"])
        assert any(word in message for word in case["message_must_contain_any_of"])
        return
    parsed = load_property(HOSTILE / name, inputs=2, outputs=1)
    assert bool(parsed.warnings) == case.get("warning_required", False)
    assert all(name in line and "X_0" in line for line in parsed.warnings)
    tenth = Fraction(float(np.float32(0.1)))
    holds = {y: parsed.holds([0, 0], [y]) for y in (Fraction(1, 10), tenth, Fraction(3, 2), Fraction(2), Fraction(201, 100))}
    expected = {
        "good.vnnlib": [False, False, True, True, True],
        "v04_empty_box.vnnlib": [False] * 5,
        "v07_strict.vnnlib": [False, False, False, False, True],
        "v11_decimal_exact.vnnlib": [True, False, False, False, False],
    }
    assert list(holds.values()) == expected[name]
    assert parsed.disjuncts[0].empty == (name == "v04_empty_box.vnnlib")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "declares no variable"),
        ("; only a comment", "declares no variable"),
        (b"\x7fELF\0\0", "binary"),
        (b"\xff\xfe(\0", "not a text"),
        (HEAD + "(assert (<= X_0 1)\n(assert (>= X_0 0))", "line 6: 'assert' stands inside.*parenthesis"),
        (HEAD + BOX + ")", "line 7: '\\)' closes nothing.*parenthesis"),
        (HEAD + "(assert\n(<= X_0 1)", "line 5: the parenthesis that opens here"),
        (HEAD + "(assert (<= 0 X_0 1)) (assert (<= X_1 1))", "X_1 has no lower bound"),
        (HEAD + "(assert (<= 0 X_0 1)) (assert (or (<= 0 X_1 1) (<= X_1 1)))", "X_1 has no lower bound in disjunct 1"),
        (boxed("(<= X_2 1)"), "line 7: variable X_2 is not declared"),
        (boxed("(<= Z 1)"), "unknown symbol 'Z'"),
        (boxed("(<= \u00d7\n 1)"), r"unknown symbol '\\xd7'"),
        (boxed("(<= (* X_0 X_1) 1)"), "nonlinear term.*X_0 and X_1"),
        (boxed("(<= (/ 1 X_1) 1)"), "nonlinear term.*X_1"),
        (boxed("(<= (/ X_1 0.0) 1)"), "division by zero"),
        (boxed("(<= (sin X_1) 1)"), "unknown operator 'sin'"),
        (boxed("(not (<= X_1 1))"), "unknown operator 'not'"),
        (boxed("(<= X_0 Y_0)"), "mixes inputs and outputs .X_0 and Y_0"),
        (boxed("(<= X_0)"), "needs two operands"),
        (boxed("(and)"), "needs comparisons"),
        (boxed("(and X_0)"), "needs comparisons"),
        (boxed("(<= X_0 (<= X_1 1))"), "needs numbers"),
        (boxed("X_0"), "needs comparisons"),
        (boxed("(<= X_0 1) (<= X_0 2)"), "one formula, not 2"),
        (boxed("()"), "empty parentheses"),
        (boxed("((<= X_0 1))"), "where an operator is expected"),
        (HEAD + "(check-sat)", "unknown command 'check-sat'"),
        (HEAD + "X_0", "outside all parentheses"),
        (HEAD + "(declare-const X_0 Real)", "X_0 is declared twice"),
        (HEAD + "(declare-const X_2 Real)", "declares 3 inputs .X_k., the network has 2"),
        (HEAD.replace("Y_1", "Y_3"), "declares Y_3, but the 2 outputs must be Y_0 to Y_1"),
        ("(declare-const X_0 Int)", "declared as 'Int'"),
        ("(declare-const X_00 Real)", "'X_00' is declared; variables are called"),
        ("(declare-const X_0 (Real))", "a declaration is"),
        *((boxed(f"(<= X_0 {bad})"), "not a finite number") for bad in ("nan", "-NaN", "inf", "+Infinity")),
        *((boxed(f"(<= X_0 {bad})"), "too long") for bad in ("1e999999999", "-1e-999999999", "1" * 10**6, "1e" + "9" * 10**5)),
        (boxed("(<= X_0 1e309)"), "beyond the range"),
        (boxed("(<= X_0 (* 1e300 1e300))"), "beyond the range"),
        (boxed(f"(<= X_0 {'(* 1e300 ' * 100}1{')' * 100})"), "more than 16384 bits"),
        (HEAD + "(" * 10**5, "where an operator"),
        (HEAD + "(assert " + "(and " * 10**5, "nested more than"),
        (HEAD + BOX + "(assert (or (> Y_0 0) (> Y_1 0)))" * 17, "more than 100,000 disjuncts"),
        (HEAD + BOX + f"(assert {'(and (or (> Y_0 0) (> Y_1 0)) ' * 200}(> Y_0 1){')' * 200})", "more than 100,000 disjuncts"),
    ],
)  # fmt: skip
def test_bad_files_are_named_quickly(tmp_path, text, words):
    start = time.process_time()
    with pytest.raises(PropertyError, match=words) as caught:
        parse(tmp_path, text)
    assert time.process_time() - start < 2
    assert str(caught.value).startswith("p.vnnlib: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_every_truncation_is_refused_or_a_whole_file(tmp_path):
    text = HEAD + BOX + "(assert (or (and (> Y_0 (* 2.5e-1 Y_1)) (< Y_1 0)) (= Y_0 (/ 1 3))))\n"
    messages = {text[:length].strip(): refusal(tmp_path, text[:length]) for length in range(len(text))}
    assert all(message is None or message.startswith("p.vnnlib: ") for message in messages.values())
    accepted = {part for part, message in messages.items() if message is None}
    assert accepted == {(HEAD + BOX).strip(), text.strip()}


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 400), st.binary(max_size=4))
def test_damaged_files_never_crash(tmp_path_factory, position, noise):
    text = boxed("(or (and (> Y_0 (* 2.5e-1 Y_1)) (< Y_1 0)) (= Y_0 (/ 1 3)))").encode()
    damaged = text[:position] + noise + text[position + len(noise) :]
    message = refusal(tmp_path_factory.mktemp("p"), damaged)
    assert message is None or message.startswith("p.vnnlib: ")


def test_unreadable_files(tmp_path):
    with pytest.raises(PropertyError, match=r"^no\.vnnlib: .*does not exist"):
        load_property(tmp_path / "no.vnnlib", inputs=1, outputs=1)
    (tmp_path / "folder").mkdir()
    with pytest.raises(PropertyError, match="folder: cannot be read"):
        load_property(tmp_path / "folder", inputs=1, outputs=1)
    packed = gzip.compress(boxed("(> Y_0 0)").encode())
    for content in (b"plain", packed[:-9], packed[:30] + b"\xff\xff" + packed[32:]):
        with pytest.raises(PropertyError, match=r"p\.vnnlib\.gz: cannot be read"):
            parse(tmp_path, content, name="p.vnnlib.gz")
    bomb = gzip.compress(b" " * (MAX_BYTES + 1), compresslevel=1)
    with pytest.raises(PropertyError, match="larger than the limit of 64 MiB"):
        parse(tmp_path, bomb, name="p.vnnlib.gz")


def test_deep_nesting_within_the_limit(tmp_path):
    depth = 9_000
    (disjunct,) = parse(tmp_path, boxed(f"(<= {'(+ Y_0 ' * depth}Y_1{')' * depth} 0)")).disjuncts
    assert disjunct.output_rows == (LinearRow(((0, Fraction(-depth)), (1, Fraction(-1))), Fraction(0)),)
    assert len(parse(tmp_path, boxed(f"{'(or (> Y_0 0) (and ' * 4000}(> Y_1 0){'))' * 4000}")).disjuncts) == 4001


def test_large_properties_are_read_fast(tmp_path):
    def bounds(count: int, shift: int) -> str:
        return " ".join(f"(<= X_{i} {0.5 + i / 7919 + shift!r}) (>= X_{i} {-0.5 - i / 7919!r})" for i in range(count))

    images = "".join(f"(declare-const X_{i} Real)" for i in range(3072)) + "(declare-const Y_0 Real)"
    unions = "".join(f"(declare-const X_{i} Real)" for i in range(5)) + "(declare-const Y_0 Real)"
    start = time.process_time()
    parsed = parse(tmp_path, f"{images}(assert (and {bounds(3072, 0)} (> Y_0 0)))", inputs=3072, outputs=1)
    assert parsed.disjuncts[0].upper[3071] == Fraction(repr(0.5 + 3071 / 7919))
    boxes = " ".join(f"(and {bounds(5, k)})" for k in range(500))
    parsed = parse(tmp_path, f"{unions}(assert (or {boxes})) (assert (or (> Y_0 0) (< Y_0 -1)))", inputs=5, outputs=1)
    assert len(parsed.disjuncts) == 1000
    assert time.process_time() - start < 2
