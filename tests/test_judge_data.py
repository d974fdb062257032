"""Data files that two readers could take for different samples: the judge refuses them, and agrees about the others."""

from __future__ import annotations

import csv
import io
import random
import zipfile
from fractions import Fraction

import numpy as np
import pytest

from wdaverify.check.data import read_samples
from wdaverify.check.num import Unreadable

TWO_READINGS = {
    "no-number-in-the-first-row": b"nan,inf,nan\n1,2,0\n",
    "quoted-line-end": b'"a","b\n1,2"\n3,4\n',
    "quoted-comma": b'"1,2",0\n',
    "quote-after-a-blank": b' "1", "0"\n2,1\n',
    "doubled-quotes": b'""1"",0\n',
    "form-feed": b"1,2\x0c3,4\n5,6\n",
    "line-separator": "1,0\u20282,1\n".encode(),
    "next-line": "1,0\x852,1\n".encode(),
    "blank-of-another-script": "\u00a01,0\n".encode(),
    "header-of-another-width": b"a,b,c\n1,0\n",
    "header-that-begins-like-a-number": b"0x10,y\n1,0\n",
}


@pytest.mark.parametrize("name", TWO_READINGS)
def test_tables_of_two_readings_are_refused(name: str) -> None:
    with pytest.raises(Unreadable):
        read_samples(TWO_READINGS[name], csv=True, count=None)


def members(*names: str) -> bytes:
    """An archive with samples and labels, and further members."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            array = io.BytesIO()
            np.save(array, np.array([0]) if name.startswith("y") else np.array([[len(name)]], dtype=float))
            archive.writestr(name, array.getvalue())
    return content.getvalue()


@pytest.mark.parametrize("names", [("x", "x.npy", "y.npy"), ("x.npy", "x", "y.npy"), ("x.npy", "y.npy", "weights")])
def test_members_of_two_names_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(Unreadable):
        read_samples(members(*names), csv=False, count=None)


@pytest.mark.parametrize("shape", ["(1 1)", "(1)", "(1,,1)", "(1, 1,)x"])
def test_shapes_that_are_no_tuples_are_refused(shape: str) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(members("x.npy", "y.npy"))) as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data.replace(b"(1, 1)", shape.encode().ljust(6)) if name == "x.npy" else data)
    with pytest.raises(Unreadable):
        read_samples(content.getvalue(), csv=False, count=None)


CELLS = ["1", "-0", "3.5", "1e-3", ".5", "5.", "+1", "1E2", "007", " 2 ", '"2"', '" 2"']
ODD = ["nan", "", '"', '1"2', "x", "1 2", "--1", "1_0", ' "2"', '"1,2"', "\x0c1"]


def test_what_is_read_is_what_others_read() -> None:
    rng, read = random.Random(5), 0
    for _ in range(1500):
        width = rng.randint(2, 3)
        rows = [[rng.choice(CELLS) for _ in range(width - 1)] + [rng.choice("012")] for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.3:
            rows.insert(0, [rng.choice(("a", '"b"', "", "x1", "e5")) for _ in range(width)])
        if rng.random() < 0.2:
            rows[rng.randrange(len(rows))][rng.randrange(width)] = rng.choice(ODD)
        text = rng.choice(("\n", "\r\n", "\r")).join(",".join(row) for row in rows)
        try:
            samples = read_samples(text.encode(), csv=True, count=None)
        except Unreadable:
            continue
        read += 1
        table = [row for row in csv.reader(io.StringIO(text, newline="")) if any(c.strip() for c in row)]
        table = table[len(table) - len(samples.labels) :]
        assert len(table) == sum(row[-1] in ("0", "1", "2") for row in rows)
        for i, row in enumerate(table):
            assert [*samples.point(i), samples.labels[i]] == [Fraction(float(c)) for c in row]
    assert read > 800


@pytest.mark.parametrize(
    "kind", ["<f8", ">f8", "<f4", ">f4", "<f2", ">f2", "|i1", "|u1", "|b1", "<i2", ">i4", "<i8", ">u8", "<u4"]
)
def test_every_element_type_is_read_as_numpy_reads_it(kind: str) -> None:
    x = np.array([[[0, 1], [1, 1]], [[1, 0], [0, 1]], [[1, 1], [0, 0]]]).astype(kind)
    x = x * x.dtype.type(1.625) if x.dtype.kind == "f" else x
    labels = np.array([1, 0, 1]).astype(kind if x.dtype.kind != "f" else "<i8")
    content = io.BytesIO()
    np.savez_compressed(content, x=x, y=labels, weights=np.array([1, 2, 5]).astype(kind if kind != "|b1" else "<i8"))
    samples = read_samples(content.getvalue(), csv=False, count=2)
    assert [samples.point(i) for i in range(2)] == [tuple(map(Fraction, x[i].ravel().tolist())) for i in range(2)]
    assert samples.labels == [1, 0]
    assert samples.weights == [Fraction(1, 3), Fraction(2, 3)]
