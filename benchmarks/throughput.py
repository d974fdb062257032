"""How fast attacks step beside the fastest that the network allows: its own passes forward and backward."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

import wdaverify as wv
from benchmarks.results import bullets, seconds
from benchmarks.settings import Benchmark, Section, Settings, Unavailable
from wdaverify.attack.device import device_of
from wdaverify.attack.noise import content_keys
from wdaverify.attack.objectives import OBJECTIVES
from wdaverify.attack.pgd import ascend_in_ball
from wdaverify.attack.rows import Rows
from wdaverify.ir.to_torch import to_torch

if TYPE_CHECKING:
    from collections.abc import Callable

INSTANCES = Path(__file__).resolve().parents[1] / "instances"

MEASURED = """One thread of the processor (CPU seconds), or one GPU (wall seconds between synchronisations); median of three runs
after a warm-up; random images in [0, 1]^n, linf radius 0.03. `limit` is the network's own: passes forward and backward to the
input per image and second in float32, weights without gradients. `steps` are gradients per image and second of the ascent that
WDA, PGD and A3-WDA share (objective, gradient, steepest step, projection, best iterate), and their share of the limit. `attack`
is `wv.attack` as a whole with `pgd` and that many steps, float64 verdicts and the line search to the first crossing (up to 60
evaluations in float64 per image) included: images per second, and the share of the limit that its gradients reach. ResNet-18 has
the shape of CIFAR (3 x 32 x 32, ten classes) and random weights; its whole attacks are single runs."""

HEADER = ("network", "device", "batch", "limit", "steps", "share", "attack steps", "attack: images/s", "share")

BATCHES = {
    ("digits-64-32-16", "cpu"): (1, 16, 128, 1024),
    ("resnet-18", "cpu"): (1, 4, 16),
    ("digits-64-32-16", "cuda"): (1024, 16384, 131072),
    ("resnet-18", "cuda"): (16, 128, 1024, 4096),
}
PASSES = {"digits-64-32-16": 50, "resnet-18": 10}
RADIUS, RUNS = 0.03, 3


class Block(nn.Module):
    """Two convolutions and a shortcut (He et al., "Deep residual learning for image recognition", CVPR 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        same = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.second(self.first(x)) + self.shortcut(x))


def resnet18(seed: int = 0) -> nn.Module:
    """ResNet-18 as it is usual for CIFAR: a stem of one 3 x 3 convolution, no pooling before the last."""
    torch.manual_seed(seed)
    sizes = (64, 64, 128, 128, 256, 256, 512, 512)
    blocks = [Block(a, b, 1 + (a < b)) for a, b in zip((64, *sizes[:-1]), sizes, strict=True)]
    stem = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)).eval()


def run(settings: Settings) -> Section:
    """Measure both networks on the device asked for, batch by batch while memory lasts."""
    torch.set_num_threads(1)
    device = device_of(settings.device)
    digits, resnet = wv.load(INSTANCES / "digits/digits-64-32-16.onnx"), resnet18()
    rows = []
    for name, model, shape in (("digits-64-32-16", digits, (64,)), ("resnet-18", resnet, (3, 32, 32))):
        for batch in BATCHES[name, device.type]:
            if not settings.wants(f"{name} {batch}"):
                continue
            try:
                rows.append(_row(name, model, shape, batch, device))
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                break
            print(*rows[-1], sep=" | ", flush=True)
    if not rows:
        raise Unavailable(f"no case contains any of {', '.join(settings.only)}")
    shares = [f"{name}: steps reach {best(rows, name, 5)}, whole attacks {best(rows, name, 8)}" for name in PASSES]
    return Section(
        measured=MEASURED, header=HEADER, rows=tuple(rows), summary=bullets("The largest shares of the limit:", shares)
    )


def best(rows: list[tuple[str, ...]], name: str, column: int) -> str:
    """The largest share of a network in a column."""
    return max((row[column] for row in rows if row[0] == name), default="-", key=float)


def _row(name: str, model: wv.Network | nn.Module, shape: tuple[int, ...], batch: int, device: torch.device) -> tuple[str, ...]:
    steps = PASSES[name]
    plain = to_torch(model, dtype=torch.float32) if isinstance(model, wv.Network) else model
    module = plain.to(device).requires_grad_(requires_grad=False)
    images = np.random.default_rng(0).random((batch, *shape))
    inputs = torch.tensor(images, device=device, dtype=torch.float32)
    with torch.no_grad():
        labels = torch.cat([module(part).argmax(1) for part in inputs.split(256)])

    def limit() -> None:
        for _ in range(steps):
            leaf = inputs.detach().requires_grad_()
            torch.autograd.grad(module(leaf).sum(), leaf)

    flat = inputs.flatten(1)
    keys = torch.tensor(content_keys(images.reshape(batch, -1)), device=device)
    ends = torch.zeros_like(flat[0]), torch.ones_like(flat[0])
    rows = Rows(
        logits=lambda points: module(points.reshape(-1, *shape)), samples=flat, labels=labels, rivals=(labels + 1) % 10,
        lower=ends[0], upper=ends[1], norm=wv.WassersteinBall(RADIUS).norm, keys=keys,
    )  # fmt: skip
    radius = torch.full_like(flat[:, 0], RADIUS)
    data = wv.Dataset(images, labels.cpu().numpy())
    fastest = batch * steps / _time(limit, device)
    stepped = (
        batch * steps / _time(lambda: ascend_in_ball(rows, radius, flat, objective=OBJECTIVES["margin"], steps=steps), device)
    )
    found = []
    ball = wv.WassersteinBall(RADIUS, order=np.inf)
    options = {"method": "pgd", "steps": steps, "input_shape": shape, "device": device.type, "batch_size": batch}
    whole = _time(lambda: found.append(wv.attack(model, data, ball, **options)), device, 1 if name == "resnet-18" else RUNS)
    share = found[-1].backward / whole / fastest
    numbers = seconds(fastest), seconds(stepped), seconds(stepped / fastest)
    return name, device.type, str(batch), *numbers, str(steps), seconds(batch / whole), seconds(share)


def _time(work: Callable[[], object], device: torch.device, runs: int = RUNS) -> float:
    """Median seconds of some runs after a warm-up."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    taken = []
    for run_number in range(runs + 1):
        _wait(device)
        started = clock()
        work()
        _wait(device)
        if run_number or runs == 1:
            taken.append(clock() - started)
    return statistics.median(taken[-runs:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


BENCHMARK = Benchmark("Throughput of attacks", run)
