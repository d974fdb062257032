"""Domain files: what they mean, and one line for every way in which they can be wrong."""

from __future__ import annotations

import numpy as np
import pytest

import wdaverify as wv
from wdaverify.domain_file import parse_domain

TOML = """
lower = 0
upper = 10.0

[[features]]
name = "age"
upper = 120
integer = true

[[features]]
name = "born"
frozen = true

[[features]]
name = "income"
weight = 0.25

[[features]]
name = "red"
[[features]]
name = "green"

[[one_hot]]
features = ["red", 4]

[[rows]]
coefficients = { income = 2.0, "0" = -1.0 }
at_most = 5
at_least = -200.5
"""


def written(tmp_path, text, name="domain.toml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_toml_file_says_all_there_is(tmp_path):
    domain = wv.load_domain(written(tmp_path, TOML))
    assert domain.box.lower.tolist() == [0, 0, 0, 0, 0]
    assert domain.box.upper.tolist() == [120, 10, 10, 1, 1]
    assert domain.frozen.tolist() == [False, True, False, False, False]
    assert domain.weights.tolist() == [1, 1, 0.25, 1, 1]
    assert domain.constraints.integer.tolist() == [True, False, False, True, True]
    assert domain.constraints.one_hot == ((3, 4),)
    assert domain.constraints.rows.tolist() == [[-1, 0, 2, 0, 0], [1, 0, -2, 0, 0]]
    assert domain.constraints.limits.tolist() == [5, 200.5]
    assert domain.names == ("age", "born", "income", "red", "green")
    assert domain.broken([30, 3, 4, 0, 1]) is None
    assert "'income'" in domain.broken([30, 3, 40, 0, 1])


def test_a_npz_file_says_the_same(tmp_path):
    path = tmp_path / "domain.npz"
    np.savez(
        path, lower=np.zeros(5), upper=[120, 10, 10, 1, 1], frozen=[0, 1, 0, 0, 0], weights=[1, 1, 0.25, 1, 1],
        integer=np.array([True, False, False, False, False]), one_hot=[-1, -1, -1, 0, 0],
        rows=[[-1, 0, 2, 0, 0], [1, 0, -2, 0, 0.0]], limits=[5, 200.5],
    )  # fmt: skip
    one, other = wv.load_domain(path), wv.load_domain(written(tmp_path, TOML))
    for name in ("frozen", "weights"):
        assert (getattr(one, name) == getattr(other, name)).all()
    for name in ("integer", "rows", "limits"):
        assert (getattr(one.constraints, name) == getattr(other.constraints, name)).all()
    assert one.constraints.one_hot == other.constraints.one_hot


def test_only_ends_are_a_plain_box(tmp_path):
    path = tmp_path / "box.npz"
    np.savez(path, lower=[0.0, 1.0], upper=[1.0, np.inf])
    assert isinstance(parse_domain(str(path)), wv.Box)
    box = parse_domain(str(written(tmp_path, "inputs = 3\nlower = -1\nupper = 2.5")))
    assert isinstance(box, wv.Box)
    assert box.lower.tolist() == [-1, -1, -1]
    assert isinstance(parse_domain("-1,2"), wv.Box)
    assert parse_domain("Rn").unbounded_everywhere


def test_indices_serve_where_features_are_many(tmp_path):
    text = (
        "inputs = 100\nlower = 0\nupper = 1\n[[features]]\nindices = [3, 99]\nfrozen = true\n[[features]]\nindex = 5\nweight = 2"
    )
    domain = wv.load_domain(written(tmp_path, text))
    assert np.flatnonzero(domain.frozen).tolist() == [3, 99]
    assert domain.weights[5] == 2
    assert domain.weights.sum() == 101


def test_frozen_features_need_no_ends(tmp_path):
    domain = wv.load_domain(written(tmp_path, "[[features]]\nfrozen = true\n[[features]]\nlower = 0\nupper = 1"))
    assert domain.bounded
    assert not domain.box.bounded
    region = domain.box_about([7.5, 0.5])
    assert (region.lower.tolist(), region.upper.tolist()) == ([7.5, 0.0], [7.5, 1.0])


F = "[[features]]\nlower = 0\nupper = 1\n"
H = "[[features]]\nlower = 0\nupper = 0.5\n"
BAD_TOML = {
    "": "no feature",
    "x =": "not a TOML file",
    "\x00": "not a TOML file",
    "a = " + "[" * 5000: "nested too deeply",
    "lowest = 0": "unknown key 'lowest'",
    "features = 3": r"write \[\[features\]\]",
    "inputs = 0": "inputs is 0",
    "inputs = true": "inputs is True",
    "inputs = 99999999999": "whole number from 1",
    "inputs = 2\nlower = 0\nupper = nan": "upper is nan, not a number",
    "inputs = 2\nlower = 'a'\nupper = 1": "lower is 'a', not a number",
    "inputs = 2\nlower = 0": "feature 0 has no upper end",
    "inputs = 2\nlower = 2\nupper = 1": "coordinate 0 has lower end 2.0 above upper end 1.0",
    "inputs = 3\n" + F: "inputs is 3, but there are 1",
    F + "colour = 1": r"features\[0\] has the unknown key 'colour'",
    F + "frozen = 1": r"features\[0\].frozen is 1; give true or false",
    F + "weight = 0": r"features\[0\].weight is 0",
    F + "weight = inf": "not a finite number",
    F + "weight = -1.5": r"weight is -1.5",
    F + "integer = 'yes'": r"features\[0\].integer is 'yes'",
    F + "name = 3": r"features\[0\].name is 3",
    F + "name = '3'": "text that is not a number",
    F + "name = 'a'\n" + F + "name = 'a'": "is the name of feature 0 already",
    F + "index = 0": "inputs is missing",
    "inputs = 2\n" + F + "index = 2": r"features\[0\].index is 2",
    "inputs = 2\n" + F + "index = 0\nindices = [1]": "both index and indices",
    "inputs = 2\n" + F + "index = 0\n" + F: r"features\[1\] has no index",
    "inputs = 2\n" + F + "index = 0\n" + F + "index = 0": "describes feature 0 once more",
    "inputs = 2\n" + F + "indices = [0, 0]": "names a feature twice",
    "inputs = 2\n" + F + "indices = []": "give features in brackets",
    F + f"upper2 = {10**400}": "unknown key",
    "[[features]]\nlower = 0\nupper = " + "9" * 5000: "not a TOML file|not a number|no float64",
    "[[features]]\nlower = 0\nupper = 9007199254740993": "which no float64 holds exactly",
    "[[features]]\nlower = 0.25\nupper = 0.75\ninteger = true": "holds no whole number",
    F + F + "[[one_hot]]\nfeatures = [0]": "has 1 features; give at least two",
    F + F + "[[one_hot]]\nfeatures = [0, 2]": "names 2, which is no feature",
    F + F + "[[one_hot]]\nfeatures = [0, 0]": "named by the one-hot groups 0 and 0",
    F + F + "[[one_hot]]\nfeatures = [0, true]": "names True",
    F + F + "[[one_hot]]\nmembers = [0, 1]": r"one_hot\[0\] has the unknown key 'members'",
    F + F + F + "[[one_hot]]\nfeatures = [0, 1]\n[[one_hot]]\nfeatures = [1, 2]": "named by the one-hot groups 0 and 1",
    H + H + "[[one_hot]]\nfeatures = [0, 1]": "cannot have exactly",
    F + "[[rows]]\ncoefficients = { a = 1 }\nat_most = 0": "names 'a', which is no feature",
    F + "[[rows]]\ncoefficients = { 0 = 1 }": r"rows\[0\] has no limit",
    F + "[[rows]]\ncoefficients = {}\nat_most = 0": "missing or empty",
    F + "[[rows]]\ncoefficients = { 0 = nan }\nat_most = 0": r"rows\[0\].coefficients.0 is nan",
    F + "[[rows]]\ncoefficients = { 0 = 1 }\nat_most = inf": r"rows\[0\].at_most is inf",
    F + "name = 'a'\n[[rows]]\ncoefficients = { a = 1, 0 = 2 }\nat_most = 0": "names feature 0 twice",
    F + "[[rows]]\ncoefficients = { 0 = 1 }\nat_most = -0.5": "row 0 holds nowhere in the box",
}  # fmt: skip


@pytest.mark.parametrize("number", range(len(BAD_TOML)))
def test_what_is_wrong_in_a_toml_file_is_said_in_one_line(tmp_path, number):
    text, message = list(BAD_TOML.items())[number]
    path = written(tmp_path, text)
    with pytest.raises(wv.DomainError, match=message) as error:
        wv.load_domain(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 400


BAD_NPZ = {
    "lower is missing": ({"upper": [1.0]}, "no array 'lower'"),
    "unknown": ({"frosen": [1]}, "array 'frosen' is unknown"),
    "NaN": ({"upper": [np.nan, 1]}, r"upper\[0\] is NaN"),
    "contradicting": ({"upper": [-1.0, 1]}, "lower end 0.0 above upper end -1.0"),
    "lengths": ({"frozen": [1]}, r"frozen has shape \(1,\)"),
    "mask": ({"integer": [0, 2]}, "integer has the value 2"),
    "half a mask": ({"frozen": [0, 0.5]}, "frozen has the value 0.5"),
    "weights": ({"weights": [1.0, -2]}, r"weights\[1\] is -2"),
    "tiny weight": ({"weights": [1.0, 1e-100]}, r"weights\[1\] is 1e-100"),
    "endless weight": ({"weights": [1.0, np.inf]}, r"weights\[1\] is inf"),
    "rows alone": ({"rows": [[1.0, 0]]}, "belong together"),
    "rows": ({"rows": [[1.0]], "limits": [0.0]}, "rows have shape"),
    "flat rows": ({"rows": [1.0, 2.0], "limits": [0.0]}, "rows have shape"),
    "limits": ({"rows": [[1.0, 0]], "limits": [0.0, 1]}, "limits have shape"),
    "NaN row": ({"rows": [[1.0, np.nan]], "limits": [0.0]}, r"rows\[0, 1\] is nan"),
    "groups": ({"one_hot": [0, 0.5]}, r"one_hot\[1\] is 0.5"),
    "short groups": ({"one_hot": [0]}, "one_hot has shape"),
    "lonely": ({"one_hot": [0, -1]}, "has 1 features"),
    "pickle": ({"frozen": np.array([None, 1])}, "Python objects"),
    "text": ({"frozen": np.array(["a", "b"])}, "not numbers"),
    "empty": ({"lower": [], "upper": [], "frozen": []}, "no feature"),
}


@pytest.mark.parametrize("name", BAD_NPZ)
def test_what_is_wrong_in_a_npz_file_is_said_in_one_line(tmp_path, name):
    arrays, message = BAD_NPZ[name]
    path = tmp_path / "domain.npz"
    np.savez(path, **({"lower": [0.0, 0], "upper": [1.0, 1]} | arrays if name != "lower is missing" else arrays))
    with pytest.raises(wv.InputError, match=message) as error:
        wv.load_domain(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_files_that_are_no_files(tmp_path):
    for name in ("gone.toml", "gone.npz"):
        with pytest.raises(wv.DomainError, match="no such file"):
            wv.load_domain(tmp_path / name)
    with pytest.raises(wv.DomainError, match="cannot be read"):
        wv.load_domain(tmp_path.with_suffix(".toml")) if tmp_path.with_suffix(".toml").mkdir() is None else None
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(wv.DomainError, match="byte 0 is not UTF-8"):
        wv.load_domain(tmp_path / "binary.toml")
    (tmp_path / "huge.toml").write_bytes(b"#" * (9 << 20))
    with pytest.raises(wv.DomainError, match="larger than"):
        wv.load_domain(tmp_path / "huge.toml")
    (tmp_path / "text.npz").write_text("lower = 0")
    with pytest.raises(wv.DomainError, match=r"not a sound \.npz"):
        wv.load_domain(tmp_path / "text.npz")
    with pytest.raises(wv.DomainError, match=r"give LO,HI, Rn, or a file.npz or file.toml"):
        parse_domain("domain.json")
