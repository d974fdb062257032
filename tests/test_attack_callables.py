"""What is no module can be attacked if it can be called, and what cannot be used is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import wdaverify as wv
from tests.attack_cases import FAST, NAMES, check
from wdaverify._errors import InputError

BALL = wv.WassersteinBall(0.4)


def _module(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).eval()


def _data(function, count=8, dtype=torch.float32):
    x = np.random.default_rng(3).random((count, 4))
    with torch.no_grad():
        return wv.Dataset(x, function(torch.as_tensor(x, dtype=dtype)).argmax(1).numpy())


def _rounded_verdicts(module, found):
    """Whether the module errs at the float32 roundings of the points found."""
    known = np.isfinite(found.distances)
    with torch.no_grad():
        outputs = module(torch.as_tensor(found.points[known], dtype=torch.float32)).numpy()
    rows = np.arange(known.sum())
    return known.sum(), outputs[rows, found.targets[known]] >= outputs[rows, found.data.y[known]]


@pytest.mark.parametrize("method", NAMES)
def test_a_function_in_float32_errs_at_the_points_found_as_anyone_computes_it(method):
    module = _module()
    data = _data(module)
    found = wv.attack(lambda x: module(x), data, BALL, method=method, **FAST)
    check(None, data, found, wv.Box(0, 1))
    count, errs = _rounded_verdicts(module, found)
    assert count >= 3
    assert errs.all()
    same = wv.attack(module, data, BALL, method=method, **FAST)
    assert found.distances == pytest.approx(same.distances, rel=1e-3)
    assert found.model == "the function"
    assert all(weight.grad is None for weight in module.parameters())


def test_a_function_in_float64_gives_what_its_module_gives():
    module = _module().double()
    data = _data(module, dtype=torch.float64)
    found = wv.attack(module.forward, data, BALL, device="cpu")
    assert found.distances == pytest.approx(wv.attack(module, data, BALL, device="cpu").distances, rel=1e-9)


class _Toolkit:
    """A model of another toolkit: callable, with bounds and preprocessing, images in."""

    bounds = (0.0, 255.0)

    def __init__(self):
        self.module = _module()

    def __call__(self, images):
        assert images.shape[1:] == (1, 2, 2)
        return self.module((images / 255.0).flatten(1))


def test_a_model_of_another_toolkit_brings_its_bounds():
    model = _Toolkit()
    x = 255 * np.random.default_rng(4).random((6, 1, 2, 2))
    with torch.no_grad():
        data = wv.Dataset(x, model(torch.as_tensor(x, dtype=torch.float32)).argmax(1).numpy())
    found = wv.attack(model, data, wv.WassersteinBall(50.0), input_shape=(1, 2, 2), **FAST)
    assert np.isfinite(found.distances).any()
    assert found.distances[np.isfinite(found.distances)].max() > 1  # in the unit of the pixels
    check(None, data, found, wv.Box(0, 255))
    narrower = wv.attack(model, data, wv.WassersteinBall(50.0), input_shape=(1, 2, 2), domain=wv.Box(-1, 256), **FAST)
    assert narrower.domain.upper.max() == 256
    model.bounds = ("a", 1)
    with pytest.raises(InputError, match="give a domain"):
        wv.attack(model, data, BALL, input_shape=(1, 2, 2), **FAST)


def _raising(error):
    def forward(self, x):
        raise error

    return type("Raising", (torch.nn.Module,), {"forward": forward})()


class _Uncopyable(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.stream = torch.nn.Linear(4, 3), (k for k in range(3))

    def forward(self, x):
        return self.linear(x)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (torch.nn.LazyLinear(3), "lazy layers"),
        (_raising(KeyError("a")), "KeyError"),
        (_raising(IndexError()), "IndexError"),
        (_raising(AttributeError("two\nlines")), "AttributeError: two"),
        (_raising(AssertionError()), "AssertionError"),
        (_Uncopyable(), "give it as a function"),
        (lambda x: x[0], "no logits"),
        (lambda x: x.detach(), "no gradient"),
        (lambda x: x.half(), "computes in torch.float16"),
        (lambda x: {}["b"], "KeyError"),
        (lambda: None, "TypeError"),
        (3, "a callable"),
    ],
)
def test_models_that_cannot_be_used_are_refused_in_one_line(model, said):
    with pytest.raises(InputError, match=said) as caught:
        wv.attack(model, wv.Dataset([[0.5] * 4], [0]), BALL, **FAST)
    assert "\n" not in str(caught.value)


def test_scripted_modules_are_attacked_and_uncopyable_ones_as_functions():
    data = _data(_module())
    plain = wv.attack(_module(), data, BALL, **FAST)
    scripted = wv.attack(torch.jit.trace(_module(), torch.zeros(2, 4)), data, BALL, **FAST)
    assert scripted.distances == pytest.approx(plain.distances, rel=1e-6)
    model = _Uncopyable()
    assert np.isfinite(wv.attack(lambda x: model(x), _data(model), BALL, **FAST).distances).any()


def test_shapes_and_radii_may_be_single_numbers():
    data = _data(_module())
    found = wv.attack(_module(), data, BALL, input_shape=4, radii=0.1, **FAST)
    assert [point.radius for point in found.curve] == [0.1, 0.4]
    listed = wv.attack(_module(), data, BALL, input_shape=[np.int64(4)], radii=np.array([0.1]), **FAST)
    assert np.array_equal(found.distances, listed.distances)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"time_limit": float("nan")}, "time_limit nan"),
        ({"time_limit": -1}, "time_limit -1"),
        ({"time_limit": 0}, "time_limit 0"),
        ({"time_limit": "1"}, "time_limit 1"),
        ({"input_shape": "4"}, "input_shape is '4'"),
        ({"input_shape": (-1, -4)}, "input_shape"),
        ({"input_shape": (4.0,)}, "input_shape"),
        ({"input_shape": ()}, "input_shape"),
        ({"input_shape": True}, "input_shape"),
        ({"input_shape": 2.5}, "input_shape"),
        ({"input_shape": 5}, "does not hold"),
        ({"radii": "x"}, "radius 'x'"),
        ({"radii": float("nan")}, "radius nan"),
        ({"radii": [0.1, -1]}, "radius -1"),
        ({"radii": [[0.1]]}, "radius"),
        ({"kappa": "2"}, "kappa"),
        ({"steps": True}, "steps"),
        ({"domain": (0, 1)}, "Box or a Domain"),
    ],
)
def test_options_that_cannot_be_used_are_refused_in_one_line(options, said):
    with pytest.raises(InputError, match=said) as caught:
        wv.attack(_module(), _data(_module()), BALL, **{**FAST, **options})
    assert "\n" not in str(caught.value)
