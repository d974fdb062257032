"""Distributional attacks: how close they come to exact answers, and how fast they are beside a loop over samples."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

import wdaverify as wv
from benchmarks.results import bullets, seconds
from benchmarks.settings import Benchmark, Section, Settings, Unavailable
from wdaverify.ir.to_torch import to_torch
from wdaverify.risk.adversarial import DistanceOptions

INSTANCES = Path(__file__).resolve().parents[1] / "instances"

MEASURED = """CPU seconds (user and system) on one core, first N test samples, domain [0, 1]^n, order 1. `risk found` is the
zero-one risk of the distribution that `wv.attack` (wda++) found, `certified` the bracket of the exact worst case, `ratio` the
mean over the samples with an exact distance of distance found / exact distance, `worst` the largest one. `exact: s` is the
exact search. The last column compares speed at an equal number of gradients per image: `wda`, batched, against the same ascent
written as a loop over samples and steps in torch (one rival, sign or normalised step, projection, best iterate kept), in images
per second."""

HEADER = ("network", "norm", "N", "radius", "risk found", "certified", "ratio", "worst", "attack: s", "exact: s", "wda / loop")

CASES = (
    ("planar/moons-16-16", "planar/moons-test", 100, {"linf": 0.05, "l2": 0.05, "l1": 0.05}),
    ("iris/iris-16-16", "iris/iris-test", 45, {"linf": 0.05, "l2": 0.1, "l1": 0.1}),
    ("digits/digits-64-32-16", "digits/digits-test", 50, {"linf": 0.03, "l2": 0.15, "l1": 0.4}),
    ("digits/digits-64-64-64", "digits/digits-test", 20, {"linf": 0.03, "l1": 0.4}),
    ("digits/digits-conv", "digits/digits-test", 10, {"linf": 0.03}),
    ("digits/digits-64-64-64-adversarial", "digits/digits-test", 10, {"linf": 0.05}),
)

STEPS, IMAGES = 40, 100


def run(settings: Settings) -> Section:
    """Attack all cases, and search them exactly."""
    torch.set_num_threads(1)
    rows, ratios = [], []
    for model, data, samples, radii in CASES:
        for norm, radius in radii.items():
            if settings.wants(f"{model} {norm}"):
                rows.append(_row(model, data, samples, norm, radius, settings.limit))
                ratios.append(float(rows[-1][-1]))
                print(*rows[-1], sep=" | ", flush=True)
    if not rows:
        raise Unavailable(f"no case contains any of {', '.join(settings.only)}")
    return Section(
        measured=MEASURED,
        header=HEADER,
        rows=tuple(rows),
        summary=bullets(f"wda / loop from {seconds(min(ratios))} to {seconds(max(ratios))}.", []),
    )


def _row(model: str, data: str, samples: int, norm: str, radius: float, limit: float) -> tuple[str, ...]:
    network = wv.load(INSTANCES / f"{model}.onnx")
    whole = wv.Dataset.load(INSTANCES / f"{data}.npz")
    some, ball = whole.first(samples), wv.WassersteinBall(radius, order=1, norm=norm)
    started = time.process_time()
    found = wv.attack(network, some, ball, device="cpu")
    attacked = time.process_time()
    proved = wv.certify(network, some, ball, options=DistanceOptions(time_limit=limit * samples), comparison_time=0.0)
    searched = time.process_time()
    pairs = [(f, d.distance) for f, d in zip(found.distances, proved.distances, strict=True) if d.distance.exact]
    ratios = [f / d.upper for f, d in pairs if 0 < d.upper < np.inf]
    risk = proved.curve[0].risk
    speed = _speed(network, whole.first(min(IMAGES, whole.count)), norm, radius)
    return (
        model.split("/")[1], norm, str(samples), f"{radius:g}", f"{1 - found.worst_case_accuracy:.6f}",
        f"[{risk.lower:.6f}, {risk.upper:.6f}]", f"{np.mean(ratios):.5f}", f"{max(ratios):.4f}",
        seconds(attacked - started), seconds(searched - attacked), f"{speed:.1f}",
    )  # fmt: skip


def _speed(network: wv.Network, data: wv.Dataset, norm: str, radius: float) -> float:
    """How many times more images per second `wda` attacks than the loop, at as many gradients per image."""
    ball = wv.WassersteinBall(radius, order=np.inf, norm=norm)
    started = time.process_time()
    found = wv.attack(network, data, ball, method="wda", steps=STEPS, restarts=1, device="cpu")
    batched = (time.process_time() - started) / max(found.backward, 1)
    module = to_torch(network, dtype=torch.float32)
    some = data.first(min(10, data.count))
    started, gradients = time.process_time(), 0
    for x, label in zip(some.x, some.y, strict=True):
        gradients += loop_over_steps(module, x, int(label), norm, radius)
    return ((time.process_time() - started) / gradients) / batched


def loop_over_steps(module: torch.nn.Module, x: np.ndarray, label: int, norm: str, radius: float) -> int:
    """The ascent of WDA for one sample, one gradient at a time; returns the number of gradients."""
    center = torch.tensor(x, dtype=torch.float32)[None]
    logits = module(center)[0]
    rival = int(torch.argsort(logits, descending=True)[0 if int(logits.argmax()) != label else 1])
    point, best, step = center.clone(), -float("inf"), 2.0 * radius / STEPS
    for _ in range(STEPS):
        point = point.detach().requires_grad_()
        output = module(point)[0]
        margin = output[rival] - output[label]
        best = max(best, float(margin.detach()))
        (gradient,) = torch.autograd.grad(margin, point)
        if norm == "linf":
            moved = (point + step * gradient.sign() - center).clamp(-radius, radius)
        else:
            length = gradient.norm(p=2 if norm == "l2" else 1).clamp_min(1e-12)
            moved = point + step * gradient / length - center
            moved = moved * (radius / moved.norm(p=2 if norm == "l2" else 1).clamp_min(radius))
        point = (center + moved).clamp(0.0, 1.0)
    return STEPS


BENCHMARK = Benchmark("Distributional attacks", run)
