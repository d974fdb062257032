"""Reading `.npz` files that lie."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from wdaverify import _npz
from wdaverify._errors import DataError
from wdaverify._npz import read_arrays


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


def archive(path, members: dict[str, bytes]):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_round_trip_and_order(tmp_path):
    x = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.savez_compressed(tmp_path / "a.npz", x=x, y=np.array([1, 2], dtype=np.uint8), other=np.array("text"))
    arrays = read_arrays(tmp_path / "a.npz", required=("x",), optional=("y", "weights"))
    assert sorted(arrays) == ["x", "y"]
    np.testing.assert_array_equal(arrays["x"], x)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"y.npy": npy(np.zeros(2))}, "no array 'x'; found y"),
        ({"x.npy": npy(np.array([{}], dtype=object))}, "pickle"),
        ({"x.npy": npy(np.array(["a"]))}, "not numbers"),
        ({"x.npy": npy(np.zeros(3, dtype=[("a", float)]))}, "not numbers"),
        ({"x.npy": npy(np.zeros(3, dtype=complex))}, "not numbers"),
        ({"x.npy": npy(np.zeros(3))[:-8]}, "declares shape"),
        ({"x.npy": npy(np.zeros(3)).replace(b"(3,)", b"(4,)")}, "declares shape"),
        ({"x.npy": npy(np.zeros(3)).replace(b"(3,), }                  ", b"(4611686018427387904,), }")}, "declares shape"),
        ({"x.npy": b"not numpy"}, "not a sound .npy"),
        ({"x.npy": b""}, "not a sound .npy"),
    ],
)
def test_bad_members_are_refused_by_name(tmp_path, members, words):
    path = archive(tmp_path / "bad.npz", members)
    with pytest.raises(DataError) as caught:
        read_arrays(path, required=("x",))
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("pair", [("x.npy", "x.npy"), ("x.npy", "x"), ("x", "x.npy")])
def test_a_wanted_array_that_is_there_twice_is_refused(tmp_path, pair):
    path = tmp_path / "twice.npz"
    with zipfile.ZipFile(path, "w") as file:
        for name in (*pair, "y.npy"):
            file.writestr(name, npy(np.zeros(2)))
    with pytest.raises(DataError, match=r"twice.npz: array 'x' is there twice"):
        read_arrays(path, required=("x",))
    assert list(read_arrays(path, required=("y",))) == ["y"]


def test_files_that_are_no_archive(tmp_path):
    for name, content in (("a.npz", b"hello"), ("b.npz", npy(np.zeros(2))), ("c.npz", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}.*not a sound"):
            read_arrays(tmp_path / name, required=("x",))
    with pytest.raises(DataError, match="no such file"):
        read_arrays(tmp_path / "missing.npz", required=("x",))
    with pytest.raises(DataError, match="cannot be read"):
        read_arrays(tmp_path, required=("x",))


def test_a_damaged_member_is_refused(tmp_path):
    path = archive(tmp_path / "a.npz", {"x.npy": npy(np.random.default_rng(0).normal(size=1000))})
    content = bytearray(path.read_bytes())
    content[3000] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a sound"):
        read_arrays(path, required=("x",))


def test_limits_are_checked_before_reading(tmp_path, monkeypatch):
    path = archive(tmp_path / "bomb.npz", {"x.npy": npy(np.zeros(200_000))})
    assert len(read_arrays(path, required=("x",))["x"]) == 200_000
    monkeypatch.setattr(_npz, "SMALL_BYTES", 1000)
    with pytest.raises(DataError, match="zip bomb"):
        read_arrays(path, required=("x",))
    monkeypatch.setattr(_npz, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="more than the limit"):
        read_arrays(path, required=("x",))
