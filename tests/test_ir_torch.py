"""Torch modules in and out."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from tests.onnx_models import model, node, runtime
from wdaverify._errors import ModelError, UnsupportedOpError
from wdaverify.ir.evaluate import forward
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.from_onnx import from_onnx
from wdaverify.ir.from_torch import from_torch
from wdaverify.ir.ops import Affine
from wdaverify.ir.to_torch import to_torch


class Residual(nn.Module):
    """Convolution, batch normalization, a residual branch, two kinds of pooling, and a clamp."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.second = nn.Conv2d(3, 3, 3, padding=1, groups=3)
        self.last = nn.Linear(12, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.norm(self.first(x)))
        h = h + nn.functional.leaky_relu(self.second(h), 0.25)
        h = nn.functional.max_pool2d(h, 2) - nn.functional.avg_pool2d(h, 2)
        result: torch.Tensor = self.last(torch.clamp(h.flatten(1), -0.5, 0.75))
        return result


def randomized(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.is_floating_point():
            tensor.data = torch.rand_like(tensor) + 0.1 * torch.randn_like(tensor)
    return module


def test_a_convolutional_network_with_batch_normalization(capfd: pytest.CaptureFixture[str]) -> None:
    module = randomized(Residual()).double().train()
    module.norm.eval()
    network = from_torch(module, (1, 4, 4))
    assert module.training
    assert not module.norm.training
    assert capfd.readouterr() == ("", "")
    assert network.input_shape == (1, 4, 4)
    x = torch.randn(5, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = module.eval()(x).detach().numpy()
    np.testing.assert_allclose(forward(network, x.reshape(5, -1).numpy()), expected, rtol=0, atol=1e-9)


def test_float64_weights_are_kept() -> None:
    module = nn.Linear(1, 1).double()
    module.weight.data.fill_(0.1)
    module.bias.data.fill_(2.0**-40)
    assert exact_forward(from_torch(module, (1,)), [1]) == (Fraction(0.1) + Fraction(1, 2**40),)


def test_modules_that_are_not_piecewise_linear() -> None:
    with pytest.raises(UnsupportedOpError, match=r"^Sequential: .*Sigmoid"):
        from_torch(nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 2)), (2,))
    with pytest.raises(ModelError, match=r"^Linear: torch cannot export"):
        from_torch(nn.Linear(2, 2), (3,))


def test_a_wrong_input_shape_is_named_with_the_cause() -> None:
    with pytest.raises(ModelError) as caught:
        from_torch(nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU()), (64,))
    message = str(caught.value)
    assert "for an input of shape [1, 64]" in message
    assert "conv2d" in message  # what torch says, and none of the exporter's advice
    assert message.isprintable()


def test_cast_like_is_the_identity_between_floats() -> None:
    like = np.zeros(1, dtype=np.float64)
    nodes = [node("CastLike", ["X", "like"], ["d"]), node("CastLike", ["d", "X"])]
    content = model(nodes, {"like": like}, (1, 2), opset=15)
    assert exact_forward(from_onnx(content), [Fraction(1, 3), 2]) == (Fraction(1, 3), 2)
    assert runtime(content, np.ones((1, 2), dtype=np.float32)).tolist() == [1, 1]


def test_to_torch_is_differentiable_in_both_storage_forms() -> None:
    network = from_torch(randomized(nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(28, 2))), (1, 16))
    matrices = [m for name in network.order if isinstance(op := network.op(name), Affine) for m in op.matrices]
    assert {m.nnz > 0.25 * m.shape[0] * m.shape[1] for m in matrices} == {True, False}
    module = to_torch(network)
    x = torch.randn(3, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,))
    assert list(module.parameters()) == []
    assert to_torch(network, dtype=torch.float32)(x.float()).dtype == torch.float32
