"""Samples, labels and weights, and what is wrong with them."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.networks import mlp
from wdaverify._errors import DataError, DomainError
from wdaverify.dataset import Dataset
from wdaverify.domain import Box

HOSTILE = Path(__file__).parent / "data" / "hostile"


def test_samples_are_flattened_in_c_order_and_kept_read_only():
    images = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    data = Dataset(images, np.array([0.0, 3.0]))
    np.testing.assert_array_equal(data.x, images.reshape(2, 6))
    assert (data.count, data.size, data.x.dtype, data.y.tolist()) == (2, 6, np.float64, [0, 3])
    with pytest.raises(ValueError, match="read-only"):
        data.x[0, 0] = 1.0


def test_weights_are_normalised_exactly():
    data = Dataset(np.zeros((3, 1)), [0, 1, 0], weights=[0.1, 0.2, 0.3])
    assert sum(data.fractions) == 1
    assert data.fractions[0] == Fraction(0.1) / (Fraction(0.1) + Fraction(0.2) + Fraction(0.3))
    assert Dataset(np.zeros((3, 1)), [0, 1, 0]).fractions == (Fraction(1, 3),) * 3
    assert data.first(2).fractions == (
        Fraction(0.1) / (Fraction(0.1) + Fraction(0.2)),
        Fraction(0.2) / (Fraction(0.1) + Fraction(0.2)),
    )


@pytest.mark.parametrize(
    ("x", "y", "weights", "words"),
    [
        ([[0.0, np.nan]], [0], None, r"x\[0, 1\] is NaN"),
        ([[np.inf]], [0], None, r"x\[0, 0\] is not finite"),
        ([["a"]], [0], None, "not numbers"),
        ([[1j]], [0], None, "not numbers"),
        ([[1.0], [1.0, 2.0]], [0, 1], None, "ragged"),
        ([[2**63 - 1]], [0], None, r"x\[0, 0\] does not fit"),
        (np.zeros((2, 0)), [0, 1], None, "without coordinates"),
        (1.0, [0], None, "single number"),
        (np.zeros((5, 1)), [0, 1, 0, 1], None, "5 rows but y has 4"),
        (np.zeros((0, 1)), [], None, "empty"),
        (np.zeros((2, 1)), [0, 0.5], None, r"y\[1\] = 0.5 is not a whole"),
        (np.zeros((2, 1)), [0, -1], None, r"y\[1\] = -1 is negative"),
        (np.zeros((2, 1)), [0, 1e300], None, "is no label"),
        (np.zeros((2, 1)), [0, np.nan], None, r"y\[1\] is NaN"),
        (np.zeros((2, 1)), np.eye(2), None, "one label per sample"),
        (np.zeros((2, 1)), [0, 1], [1.0, -0.5], r"weights\[1\] = -0.5 is negative"),
        (np.zeros((2, 1)), [0, 1], [0.0, 0.0], "all weights are zero"),
        (np.zeros((2, 1)), [0, 1], [1.0, np.nan], r"weights\[1\] is NaN"),
        (np.zeros((2, 1)), [0, 1], [1.0], "one per sample"),
    ],
)
def test_bad_values_are_named(x, y, weights, words):
    with pytest.raises(DataError, match=words):
        Dataset(x, y, weights)


def test_load_records_the_file_and_its_digest(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.zeros((2, 3)), y=[0, 1], weights=[1, 3])
    data = Dataset.load(path)
    assert data.fractions == (Fraction(1, 4), Fraction(3, 4))
    assert data.source.file == str(path)
    assert data.source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "content",
    [
        b"0.5,1,0\n0.25,-2e-3,2\n",
        b"\xef\xbb\xbf0.5,1,0\r\n0.25,-2e-3,2\r\n",
        b"a,b,label\n0.5,1,0\n\n0.25,-2e-3,2",
        b" a, b ,label\n0.5 , 1,0.0\n0.25,-2e-3,2\n",
    ],
)
def test_csv(tmp_path, content):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    data = Dataset.load(path)
    np.testing.assert_array_equal(data.x, [[0.5, 1.0], [0.25, -2e-3]])
    assert data.y.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"a,b\n", "empty"),
        (b"1\n2\n", "one column"),
        (b"1,2,0\n1,0\n", "line 2 has 2 columns, the first line has 3"),
        (b"1,x,0\n1,2,0\n", "line 1, column 2: 'x'"),
        # One damaged cell must not turn the first sample into a header.
        (b"0,1,O\n0.5,1,0\n", "line 1, column 3: 'O' is not a number"),
        (b"a,b,0\n0.5,1,0\n", "line 1, column 1: 'a' is not a number"),
        (b"1,2,0\n1_0,2,0\n", "line 2, column 1: '1_0' is not a number"),
        ("1,2,0\n1,\u0663,0\n".encode(), "line 2, column 2: '.' is not a number"),
        (b"a,b,c\n1,2,0\n1,,0\n", "line 3, column 2: ''"),
        (b"1,nan,0\n", r"x\[0, 1\] is NaN"),
        (b"1,2,0.5\n", r"y\[0\] = 0.5"),
        (b"\xff\xfe1,2", "not UTF-8"),
        (b'1,"2,0\n', "not a sound CSV"),
    ],
)
def test_bad_csv(tmp_path, content, words):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        Dataset.load(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("d01_pickle.npz", "pickle"),
        ("d02_nan.npz", r"x\[3, 1\] is NaN"),
        ("d05_rows_mismatch.npz", "5 rows but y has 4"),
        ("d10_weights.npz", "negative"),
        ("missing.npz", "no such file"),
        ("missing.csv", "no such file"),
        ("two_class.onnx", "not a sound .npz"),
    ],
)
def test_hostile_files(name, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        Dataset.load(HOSTILE / name)
    assert name in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_first_wants_a_possible_number():
    data = Dataset(np.zeros((3, 1)), [0, 1, 0])
    assert data.first(3).count == 3
    for count in (0, -1, 4):
        with pytest.raises(DataError, match="from 1 to 3"):
            data.first(count)


def test_checked_against_network_and_domain():
    network = mlp([np.eye(2)], [np.zeros(2)])
    data = Dataset([[0.0, 1.0], [0.5, 0.5]], [0, 1])
    assert data.checked_against(network, Box(0, 1)) is data
    with pytest.raises(DomainError, match=r"sample 0 lies outside the domain: x\[0, 1\] = 1.0 is not in"):
        data.checked_against(network, Box(0, 0.75))
    with pytest.raises(DataError, match="2 coordinates, the network has 3 inputs"):
        data.checked_against(mlp([np.ones((2, 3))], [np.zeros(2)]), Box(0, 1))
    with pytest.raises(DataError, match="at least two"):
        data.checked_against(mlp([np.ones((1, 2))], [np.zeros(1)]), Box(0, 1))
    with pytest.raises(DataError, match="sample 1 has label 2, the network has outputs 0 to 1"):
        Dataset(data.x, [0, 2]).checked_against(network, Box(0, 1))
