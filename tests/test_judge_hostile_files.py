"""Hostile properties and data files: refused with one line, in time."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests import judge_drafts as dr
from tests import judge_examples as ex
from tests.judge_refusal import refused

PROPERTIES = {
    "disjuncts": ("(assert (or (<= Y_0 0) (<= Y_0 1)))" * 40, "limit"),
    "rows": ("(assert (<= X_0 1))" * 5000 + "(assert (or (<= Y_0 0) (<= Y_0 1)))" * 12, "limit"),
    "parenthesis": ("(assert (<= Y_0 0)", "never closed"),
    "depth": ("(assert (<= Y_0 " + "(+ " * 10**5, "limit"),
    "exponent": ("(assert (<= Y_0 1e99999))", "no number"),
    "digits": (f"(assert (<= Y_0 {'9' * 10**5}))", "no number"),
    "product": ("(assert (<= (* Y_0 X_0) 1))", "not linear"),
    "undeclared": ("(assert (<= Y_1 0))", "not declared"),
    "declared twice": ("(declare-const Y_0 Real)(assert (<= Y_0 0))", "no new"),
    "nothing": ("", "asserts nothing"),
    "strange": ("(assert (not (<= Y_0 0)))", "not supported"),
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_hostile_properties(name: str, tmp_path: Path) -> None:
    document = ex.sat(tmp_path)
    text, word = PROPERTIES[name]
    (tmp_path / "property.vnnlib").write_text("(declare-const X_0 Real)(declare-const Y_0 Real)" + text)
    document["property"] = dr.reference(tmp_path / "property.vnnlib")
    refused(dr.write(tmp_path, document), word)


HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1), }"


def npy(header: str = HEADER, body: bytes = bytes(8), version: bytes = b"\x01\x00") -> bytes:
    """A `.npy` member."""
    text = header.encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text + body


def archive(x: bytes, *, compression: int = zipfile.ZIP_STORED, twice: bool = False) -> bytes:
    """A data file whose array x is given."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        file.writestr("x.npy", x)
        file.writestr("y.npy", npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }"))
        if twice:
            with pytest.warns(UserWarning, match="Duplicate"):
                file.writestr("x.npy", x)
    return content.getvalue()


DATA_CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "not a zip": (lambda: b"PK\x03\x04 nonsense", "npz"),
    "objects": (lambda: archive(npy(HEADER.replace("<f8", "|O"))), "header"),
    "Fortran order": (lambda: archive(npy(HEADER.replace("False", "True"))), "Fortran"),
    "lying header": (lambda: archive(npy(HEADER.replace("(1, 1)", "(1, 10000000000)"))), "announce"),
    "code in the header": (lambda: archive(npy("__import__('os').system('touch /tmp/x')")), "header"),
    "negative": (lambda: archive(npy(HEADER.replace("(1, 1)", "(-1, -1)"))), "header"),
    "nan": (lambda: archive(npy(body=np.float64("nan").tobytes())), "finite"),
    "bomb": (
        lambda: archive(npy(HEADER.replace("(1, 1)", "(1, 12500000)"), bytes(10**8)), compression=zipfile.ZIP_DEFLATED),
        "limit",
    ),
    "twice": (lambda: archive(npy(), twice=True), "twice"),
    "version 3": (lambda: archive(npy(version=b"\x03\x00")), "npy"),
    "pickle": (lambda: (dr.DATA / "hostile" / "d01_pickle.npz").read_bytes(), ""),
    "negative weight": (lambda: (dr.DATA / "hostile" / "d10_weights.npz").read_bytes(), ""),
    "lengths": (lambda: (dr.DATA / "hostile" / "d05_rows_mismatch.npz").read_bytes(), "shape"),
}


@pytest.mark.parametrize("name", DATA_CASES)
def test_hostile_data(name: str, tmp_path: Path) -> None:
    document = ex.distance(tmp_path)
    make, word = DATA_CASES[name]
    (tmp_path / "data.npz").write_bytes(make())
    document["data"] = {**dr.reference(tmp_path / "data.npz"), "samples": 1}
    refused(dr.write(tmp_path, document), word)
