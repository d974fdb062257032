"""A journal may be torn, edited, or come from other code: it is refused, or what it says is checked and found true."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

import wdaverify as wv
from tests.attack_cases import FAST, check, labelled
from tests.networks import random_mlp
from wdaverify._errors import InputError
from wdaverify.attack.settle import distances_up, leading
from wdaverify.attack.victim import Victim

BALL = wv.WassersteinBall(0.1, order=2)
NETWORK = random_mlp([4, 9, 3], 8)
DATA = labelled(NETWORK, np.random.default_rng(6).random((6, 4)))


def _attack(folder, model=NETWORK, **options):
    return wv.attack(model, DATA, BALL, journal=folder, **{**FAST, **options})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The result of a run, and the content of its only file."""
    folder = tmp_path_factory.mktemp("journal")
    found = _attack(folder)
    (file,) = folder.glob("batch-*.npz")
    return found, file.name, file.read_bytes()


def _edited(content, **changes):
    with np.load(io.BytesIO(content)) as arrays:
        edited = {name: arrays[name] for name in arrays.files}
    edited.update({name: change(edited[name].copy()) for name, change in changes.items()})
    stream = io.BytesIO()
    np.savez(stream, **edited)
    return stream.getvalue()


def _set(place, value):
    def change(array):
        array[place] = value
        return array

    return change


def test_a_file_cut_anywhere_is_refused_or_says_the_truth(written, tmp_path):
    found, name, content = written
    for end in [0, 1, 10, 100, *range(200, len(content), 397), len(content) - 30, len(content) - 1]:
        (tmp_path / name).write_bytes(content[:end])
        with pytest.raises(InputError, match="delete this file") as caught:
            _attack(tmp_path)
        assert "\n" not in str(caught.value)
    (tmp_path / name).write_bytes(content)
    (tmp_path / "batch-000000000-3.part").write_bytes(content[:500])  # what a run that was killed leaves behind
    assert np.array_equal(_attack(tmp_path).distances, found.distances)


def test_flipped_bytes_are_refused_or_change_nothing(written, tmp_path):
    found, name, content = written
    for place in range(0, len(content), 211):
        (tmp_path / name).write_bytes(content[:place] + bytes([content[place] ^ 0x20]) + content[place + 1 :])
        try:
            again = _attack(tmp_path)
        except InputError:
            continue
        assert np.array_equal(again.distances, found.distances)
        check(NETWORK, DATA, again, wv.Box(0, 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"distances": lambda a: a[:-1]},
        {"distances": lambda a: a.astype(np.float32)},
        {"distances": lambda a: a[:, None]},
        {"distances": _set(0, np.nan)},
        {"distances": _set(0, -1.0)},
        {"distances": _set(0, 1e-9)},
        {"distances": _set(0, np.inf)},
        {"points": lambda a: a[:, :-1]},
        {"points": _set((0, 0), np.nan)},
        {"points": _set((0, 0), np.inf)},
        {"points": _set((0, 0), 2.0)},
        {"points": lambda a: DATA.x.copy(), "distances": lambda a: np.zeros(6)},
        {"targets": lambda a: a.astype(float)},
        {"targets": lambda a: DATA.y.copy()},
        {"targets": _set(0, 7)},
        {"targets": _set(0, -5)},
        {"parts": _set(0, 9)},
        {"parts": _set(0, -7)},
        {"index": _set(0, -1)},
        {"index": _set(5, 6)},
        {"index": _set(1, 0)},
        {"index": lambda a: a[::-1].copy()},
        {"counts": lambda a: a[:1]},
        {"counts": _set(0, -3)},
        {"at_samples": lambda a: a + 1.0},
        {"at_points": _set((0, 0), np.nan)},
        {"at_points": lambda a: a[:, :-1]},
    ],
)
def test_files_that_were_edited_are_refused(written, tmp_path, changes):
    _, name, content = written
    (tmp_path / name).write_bytes(_edited(content, **changes))
    with pytest.raises(InputError, match="journal") as caught:
        _attack(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_error_outside_the_domain_is_refused(written, tmp_path):
    """Its distance and its logits are right; only the box speaks against it."""
    found, name, content = written
    victim = Victim(NETWORK, 4, device="cpu")
    beyond = DATA.x + 20 * (found.points - DATA.x)
    outputs = victim.judge(beyond)
    outside = ((beyond < 0) | (beyond > 1)).any(axis=1)
    (i, *_) = np.flatnonzero(victim.errs(beyond, DATA.y, outputs) & outside)
    values = {"points": beyond, "distances": distances_up(beyond, DATA.x, BALL.norm), "at_points": outputs}
    changes = {key: _set(i, value[i]) for key, value in values.items()} | {"targets": _set(i, leading(outputs, DATA.y)[i])}
    (tmp_path / name).write_bytes(_edited(content, **changes))
    with pytest.raises(InputError, match="outside the domain"):
        _attack(tmp_path)


def test_points_that_only_rounding_speaks_against_are_sought_again(written, tmp_path, monkeypatch):
    found, name, content = written
    (tmp_path / name).write_bytes(content)
    calls = []
    errs = Victim.errs

    def doubtful(self, points, labels, outputs):
        verdicts = errs(self, points, labels, outputs)
        calls.append(len(points))
        return verdicts if len(calls) != 2 else np.zeros_like(verdicts)  # the second call takes up the journal

    monkeypatch.setattr(Victim, "errs", doubtful)
    again = _attack(tmp_path)
    assert again.backward > found.backward
    assert np.array_equal(again.distances, found.distances)


class _Module(torch.nn.Module):
    """One structure and one set of weights, whatever is computed with them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = torch.nn.Linear(4, 8), torch.nn.Linear(8, 3)


class _Tanh(_Module):
    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


class _Sine(_Module):
    def forward(self, x):
        return self.second(torch.sin(self.first(x)))


_Sine.__name__ = _Sine.__qualname__ = "_Tanh"


def test_a_journal_of_other_code_is_refused(tmp_path):
    _attack(tmp_path / "modules", _Tanh())
    assert _attack(tmp_path / "modules", _Tanh()).attacked == 6
    with pytest.raises(InputError, match="computes something else"):
        _attack(tmp_path / "modules", _Sine())
    module = _Tanh()
    _attack(tmp_path / "functions", lambda x: module(x))
    with pytest.raises(InputError, match="computes something else"):
        _attack(tmp_path / "functions", lambda x: 0.99 * module(x))


def test_a_journal_belongs_to_one_run_at_a_time(tmp_path):
    def meanwhile(*_):
        with pytest.raises(InputError, match="another run"):
            _attack(tmp_path)

    _attack(tmp_path, progress=meanwhile)
    _attack(tmp_path)
