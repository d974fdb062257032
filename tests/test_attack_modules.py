"""Any torch module can be attacked: convolutions, smooth activations, half-trained ones, and those that cannot say no clearly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import wdaverify as wv
from tests.attack_cases import FAST, NAMES, check
from tests.networks import mlp
from wdaverify._errors import InputError, ModelError
from wdaverify.attack.run import Run


def _conv(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.GELU(),
        torch.nn.Dropout(0.5),
        torch.nn.Flatten(),
        torch.nn.Linear(100, 4),
    )


def _labels(module, x, shape):
    module = module.eval().double()
    with torch.no_grad():
        return module(torch.as_tensor(x).reshape(-1, *shape)).argmax(1).numpy()


@pytest.mark.parametrize("method", NAMES)
def test_a_smooth_convolutional_network_is_attacked_in_float64_verdicts(method):
    x = np.random.default_rng(1).random((6, 1, 5, 5))
    data = wv.Dataset(x, _labels(_conv(), x, (1, 5, 5)))
    found = wv.attack(_conv(), data, wv.WassersteinBall(0.2), method=method, input_shape=(1, 5, 5), **FAST)
    assert np.isfinite(found.distances).sum() >= 3
    check(None, data, found, wv.Box(0, 1))
    reference = _conv().eval().double()
    known = np.isfinite(found.distances)
    with torch.no_grad():
        outputs = reference(torch.as_tensor(found.points[known]).reshape(-1, 1, 5, 5)).numpy()
    rows = np.arange(known.sum())
    assert (outputs[rows, found.targets[known]] >= outputs[rows, data.y[known]]).all()


def test_the_module_is_left_as_it_was():
    module = _conv().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    wv.attack(module, wv.Dataset(np.full((2, 25), 0.5), [0, 1]), wv.WassersteinBall(0.1), input_shape=(1, 5, 5), **FAST)
    assert all(part.training for part in module.modules())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(value.requires_grad and value.grad is None and value.dtype is torch.float32 for value in module.parameters())


def test_a_module_and_the_network_of_its_weights_give_the_same_distances():
    generator = np.random.default_rng(3)
    weights, biases = [generator.normal(size=(9, 5)), generator.normal(size=(3, 9))], [generator.normal(size=9), np.zeros(3)]
    module = torch.nn.Sequential(torch.nn.Linear(5, 9), torch.nn.ReLU(), torch.nn.Linear(9, 3)).double()
    with torch.no_grad():
        for layer, w, b in zip((module[0], module[2]), weights, biases, strict=True):
            layer.weight.copy_(torch.as_tensor(w))
            layer.bias.copy_(torch.as_tensor(b))
    x = generator.random((5, 5))
    data = wv.Dataset(x, _labels(module, x, (5,)))
    ball = wv.WassersteinBall(0.3, norm="l2")
    one, other = (wv.attack(model, data, ball, device="cpu") for model in (module, mlp(weights, biases)))
    assert one.distances == pytest.approx(other.distances, rel=1e-6)
    assert one.worst_case_accuracy == pytest.approx(other.worst_case_accuracy, rel=1e-6)


class _Single(torch.nn.Module):
    """Computes in float32 whatever its weights are."""

    def forward(self, x):
        return torch.stack([x[:, 0], 1 - x[:, 0]], dim=1).float()


class _Steps(torch.nn.Module):
    """Has no gradient."""

    def forward(self, x):
        return torch.cat([(x > 0.5).to(x.dtype), 1 - (x > 0.5).to(x.dtype)], dim=1)


class _InPlace(torch.nn.Module):
    """Begins by changing its input."""

    def forward(self, x):
        x.sub_(0.5)
        return torch.cat([x.sum(1, keepdim=True), -x.sum(1, keepdim=True)], dim=1)


def test_a_module_that_works_in_place_does_not_move_the_points():
    data = wv.Dataset([[0.75, 0.75], [0.5, 0.75]], [0, 0])
    found = wv.attack(_InPlace(), data, wv.WassersteinBall(0.5), device="cpu")
    assert found.distances == pytest.approx([0.25, 0.125])
    check(None, data, found, wv.Box(0, 1))


def test_too_large_batches_are_halved_unless_their_size_was_asked_for(monkeypatch):
    data = wv.Dataset(np.linspace(0.6, 1, 7)[:, None] * np.ones(2), [0] * 7)
    whole = wv.attack(_InPlace(), data, wv.WassersteinBall(0.5), device="cpu")
    attack, sizes = Run._attack, []

    def limited(self, index):
        if len(index) > 2:
            raise torch.OutOfMemoryError("out of memory")
        sizes.append(len(index))
        attack(self, index)

    monkeypatch.setattr(Run, "_attack", limited)
    parts = wv.attack(_InPlace(), data, wv.WassersteinBall(0.5), device="cpu")
    assert sum(sizes) == 7
    assert parts.distances == pytest.approx(whole.distances)
    with pytest.raises(InputError, match="smaller batch_size"):
        wv.attack(_InPlace(), data, wv.WassersteinBall(0.5), batch_size=5, device="cpu")


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (torch.nn.Linear(3, 2), None, "check input_shape"),
        (torch.nn.Linear(2, 2), (3,), "does not hold the 2 coordinates"),
        (torch.nn.Linear(2, 1), None, "at least two classes"),
        (torch.nn.Flatten(0), None, "no logits"),
        (_Single(), None, "verdicts need float64"),
        (_Steps(), None, "no gradient"),
    ],
)
def test_modules_that_cannot_be_judged_are_refused_in_one_line(module, shape, message):
    with pytest.raises(ModelError, match=message) as caught:
        wv.attack(module, wv.Dataset([[0.5, 0.5]], [0]), wv.WassersteinBall(0.1), input_shape=shape, device="cpu")
    assert "\n" not in str(caught.value)


class _Dropping(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.linear(torch.nn.functional.dropout(x, 0.5, training=True))


class _Undefined(_Dropping):
    def forward(self, x):
        return self.linear(x) * torch.nan


def test_logits_that_are_no_function_of_the_input_are_refused():
    statistics = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3, track_running_stats=False))
    data = wv.Dataset(np.linspace(0.1, 0.9, 8).reshape(2, 4), [0, 1])
    for module, said in ((_Dropping(), "chance"), (statistics, "batch"), (_Undefined(), "not numbers")):
        with pytest.raises(ModelError, match=said):
            wv.attack(module, data, wv.WassersteinBall(0.1), **FAST)


@pytest.mark.parametrize("method", NAMES)
def test_a_radius_beyond_float32_is_attacked(method):
    data = wv.Dataset([[0.5, 0.5]], [0])
    found = wv.attack(
        mlp([np.array([[1.0, 0.0], [0.0, 1.0]])], [np.array([0.25, 0.0])]), data, wv.WassersteinBall(1e300), method=method, **FAST
    )
    assert found.distances[0] <= 0.5
