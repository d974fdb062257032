"""Train the shipped networks and write their test data: ``python instances/train.py [--out DIR] [--only NAME ...]``.

Every network has its own seed and is trained on one thread with deterministic kernels, so that a second run on the same
machine with the same versions writes the same bytes. Another processor or another version of torch may round
differently: ``manifest.json`` speaks about the files beside it, not about any rebuild.

Needs the ``dev`` extra (scikit-learn for the data, onnxruntime for the accuracies).
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import torch
from samples import SOURCES, SPLIT_SEED
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from samples import Samples

OPSET = 18
BATCH_SIZE = 64
PGD_STEPS = 10
TORCH_VERSION = torch.__version__.split("+")[0]  # the release, without the tag of the build


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One network: its data set, its layers, and how it is trained.

    Parameters
    ----------
    source
        Key of `SOURCES`; also the folder the files go to.
    build
        Makes the untrained module.
    architecture
        The layers in words, for the manifest.
    seed
        Seeds the initial weights, the order of the batches and the random starts.
    epochs, learning_rate, weight_decay
        Of AdamW on the cross-entropy; the rate follows a cosine down to zero.
    adversarial_radius
        Radius of the linf ball for adversarial training; 0 trains on the samples themselves.
    shape
        Shape of one input; the empty tuple means flat.
    """

    source: str
    build: Callable[[], nn.Module]
    architecture: str
    seed: int
    epochs: int = 60
    learning_rate: float = 3e-3
    weight_decay: float = 0.5
    adversarial_radius: float = 0.0
    shape: tuple[int, ...] = ()


class ResidualNet(nn.Module):
    """Convolution, a residual block of two convolutions, a strided convolution, and a linear head, for (N, 1, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, kernel_size=3, stride=2, padding=1)
        self.first = nn.Conv2d(4, 4, kernel_size=3, padding=1)
        self.second = nn.Conv2d(4, 4, kernel_size=3, padding=1)
        self.down = nn.Conv2d(4, 8, kernel_size=3, stride=2, padding=1)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (N, 10)."""
        h = torch.relu(self.stem(x))
        h = torch.relu(h + self.second(torch.relu(self.first(h))))
        h = torch.relu(self.down(h))
        logits: torch.Tensor = self.head(torch.flatten(h, 1))
        return logits


def mlp(*widths: int) -> Callable[[], nn.Module]:
    """Return a builder of the fully connected ReLU network with these widths, the input and the classes included."""

    def build() -> nn.Module:
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    return build


SPECS = {
    "digits/digits-64-32-16": Spec(source="digits", build=mlp(64, 32, 16, 10), architecture="64-32-16-10", seed=11),
    "digits/digits-64-64-64": Spec(source="digits", build=mlp(64, 64, 64, 10), architecture="64-64-64-10", seed=12),
    "digits/digits-64-128-128": Spec(source="digits", build=mlp(64, 128, 128, 10), architecture="64-128-128-10", seed=13),
    "digits/digits-64-50x6": Spec(source="digits", build=mlp(64, *[50] * 6, 10), architecture="64-50x6-10", seed=14),
    "digits/digits-conv": Spec(
        source="digits",
        build=ResidualNet,
        architecture="1x8x8, conv 4 3x3 stride 2, residual block of two conv 4 3x3, conv 8 3x3 stride 2, linear 10",
        seed=15,
        shape=(1, 8, 8),
    ),
    "digits/digits-64-64-64-adversarial": Spec(
        source="digits", build=mlp(64, 64, 64, 10), architecture="64-64-64-10", seed=16, adversarial_radius=0.1
    ),
    "iris/iris-16-16": Spec(source="iris", build=mlp(4, 16, 16, 3), architecture="4-16-16-3", seed=17, epochs=1000),
    "cancer/cancer-16-8": Spec(source="cancer", build=mlp(30, 16, 8, 2), architecture="30-16-8-2", seed=19, epochs=200),
    "planar/moons-16-16": Spec(
        source="planar",
        build=mlp(2, 16, 16, 2),
        architecture="2-16-16-2",
        seed=18,
        epochs=300,
        learning_rate=1e-2,
        weight_decay=0.05,
    ),
}


def tensor(x: NDArray[np.float64], shape: tuple[int, ...]) -> torch.Tensor:
    """Return the samples as float32, each in the shape that the network reads."""
    return torch.from_numpy(x.astype(np.float32)).reshape(len(x), *(shape or (-1,)))


def project(x: torch.Tensor, center: torch.Tensor, radius: float) -> torch.Tensor:
    """Return the nearest point of the linf ball about `center`, cut to [0,1]."""
    return torch.clamp(torch.minimum(torch.maximum(x, center - radius), center + radius), 0.0, 1.0)


def perturb(module: nn.Module, x: torch.Tensor, y: torch.Tensor, radius: float) -> torch.Tensor:
    """Projected gradient ascent on the cross-entropy in the linf ball, from a random start (Madry et al. 2018)."""
    moved = project(x + radius * (2 * torch.rand_like(x) - 1), x, radius)
    for _ in range(PGD_STEPS):
        moved = moved.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(module(moved), y), moved)
        moved = project(moved.detach() + 2.5 * radius / PGD_STEPS * gradient.sign(), x, radius)
    return moved.detach()


def train(spec: Spec, samples: Samples) -> nn.Module:
    """Train one network from its seed."""
    torch.manual_seed(spec.seed)
    module = spec.build()
    x, y = tensor(samples.x, spec.shape), torch.from_numpy(samples.y)
    optimizer = torch.optim.AdamW(module.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, spec.epochs)
    for _ in range(spec.epochs):
        for batch in torch.randperm(len(x)).split(BATCH_SIZE):
            inputs = x[batch]
            if spec.adversarial_radius > 0:
                inputs = perturb(module, inputs, y[batch], spec.adversarial_radius)
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(inputs), y[batch]).backward()
            optimizer.step()
        schedule.step()
    return module.eval()


def export(module: nn.Module, example: torch.Tensor, path: Path) -> None:
    """Write the module as float32 ONNX with a dynamic batch, without the exporter's notes about source lines."""
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # raised inside the exporter, about its own code
        program = torch.onnx.export(
            module,
            (example,),
            input_names=["x"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamic_shapes=({0: batch},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    model.doc_string = graph.doc_string = ""
    model.producer_version = TORCH_VERSION
    for item in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def accuracy(path: Path, samples: Samples, shape: tuple[int, ...]) -> float:
    """Share of the samples that the file classifies correctly in onnxruntime's float32, to four decimals."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"x": tensor(samples.x, shape).numpy()})
    return round(float(np.mean(logits.argmax(axis=1) == samples.y)), 4)


def sha256(path: Path) -> str:
    """Return the file's digest in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_network(name: str, out: Path) -> dict[str, object]:
    """Train and export one network; return its entry in the manifest."""
    spec = SPECS[name]
    training, test = SOURCES[spec.source].load()
    path = out / f"{name}.onnx"
    module = train(spec, training)
    export(module, tensor(training.x[:2], spec.shape), path)
    return {
        "file": f"{name}.onnx",
        "sha256": sha256(path),
        "architecture": spec.architecture,
        "input_shape": list(spec.shape or training.x.shape[1:]),
        "parameters": sum(p.numel() for p in module.parameters()),
        "seed": spec.seed,
        "epochs": spec.epochs,
        "learning_rate": spec.learning_rate,
        "weight_decay": spec.weight_decay,
        "adversarial_radius": spec.adversarial_radius,
        "train_accuracy": accuracy(path, training, spec.shape),
        "test_accuracy": accuracy(path, test, spec.shape),
        "test_data": SOURCES[spec.source].file,
        "licence": "MIT",
        "data_origin": SOURCES[spec.source].origin,
        "data_licence": SOURCES[spec.source].licence,
    }


def write_data(source: str, out: Path) -> dict[str, object]:
    """Write the test samples of one data set; return their entry in the manifest."""
    training, test = SOURCES[source].load()
    path = out / SOURCES[source].file
    np.savez_compressed(path, x=test.x, y=test.y)
    return {
        "file": SOURCES[source].file,
        "sha256": sha256(path),
        "samples": len(test.x),
        "training_samples": len(training.x),
        "split_seed": SPLIT_SEED,
        "origin": SOURCES[source].origin,
        "licence": SOURCES[source].licence,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and write what is asked for; the manifest is written only by a complete run."""
    parser = argparse.ArgumentParser(description="Train the shipped networks and write their test data.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to (default: this one)")
    parser.add_argument("--only", nargs="+", choices=list(SPECS), help="train only these networks and write no manifest")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns that torchvision is not installed
    torch.use_deterministic_algorithms(True)
    for source in SOURCES:
        (options.out / source).mkdir(parents=True, exist_ok=True)
    networks = []
    for name in options.only or SPECS:
        networks.append(write_network(name, options.out))
        print(name, networks[-1]["train_accuracy"], networks[-1]["test_accuracy"], flush=True)
    if options.only is None:
        manifest = {"torch": TORCH_VERSION, "networks": networks, "data": [write_data(s, options.out) for s in SOURCES]}
        (options.out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
