"""Verdicts on published properties, against those that are known."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import wdaverify as wv
from benchmarks.arithmetic import spread
from benchmarks.published import Instance, instances
from benchmarks.results import bullets, seconds
from benchmarks.settings import Benchmark, Section, Settings
from benchmarks.warm import warm_up_verify

if TYPE_CHECKING:
    from collections.abc import Sequence

FAMILIES = ("acasxu", "mnist_fc", "rl_benchmarks", "oval21")
DECIDED = ("sat", "unsat")
SLOWEST = 5

MEASURED = """CPU seconds (user and system, all threads) of `wv.verify` for each instance, reading the property included and
loading the network excluded; the wall limit of an instance is the smaller of the run's and the published one. `right` and
`wrong` are against the published verdicts, `undecided` is everything else: `timeout`, `unknown`, and errors. `sat` and `unsat`
are rigorous."""

HEADER = ("family", "instances", "right", "wrong", "undecided", "sum s", "median", "max")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict, or the name of an error, and what it took."""

    instance: Instance
    verdict: str
    seconds: float

    @property
    def decided(self) -> bool:
        """Whether there is an answer."""
        return self.verdict in DECIDED

    @property
    def right(self) -> bool:
        """Whether the answer is the published one."""
        return self.verdict == self.instance.expected


def run(settings: Settings) -> Section:
    """Decide every wanted instance."""
    chosen = instances(settings, *FAMILIES)
    warm_up_verify()
    outcomes = []
    for instance in chosen:
        outcomes.append(decide(instance, min(settings.limit, instance.timeout)))
        print(f"{instance.name}: {outcomes[-1].verdict} in {outcomes[-1].seconds:.2f} s", flush=True)
    families = {family: [one for one in outcomes if one.instance.family == family] for family in FAMILIES}
    rows = tuple(row(family, found) for family, found in families.items() if found)
    return Section(measured=MEASURED, header=HEADER, rows=rows, summary=summary(outcomes))


def decide(instance: Instance, limit: float) -> Outcome:
    """Decide one instance in this process."""
    started = time.process_time()
    try:
        network = wv.load(instance.model)
        started = time.process_time()
        verdict = str(wv.verify(network, instance.question, time_limit=limit).verdict)
    except wv.WdaverifyError as error:
        verdict = type(error).__name__
    return Outcome(instance, verdict, time.process_time() - started)


def row(name: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """The line of a family."""
    return (name, *counts(outcomes), *(seconds(value) for value in spread([one.seconds for one in outcomes])))


def counts(outcomes: Sequence[Outcome]) -> tuple[str, str, str, str]:
    """How many there are, how many are right, wrong, and undecided."""
    right, decided = sum(one.right for one in outcomes), sum(one.decided for one in outcomes)
    return str(len(outcomes)), str(right), str(decided - right), str(len(outcomes) - decided)


def summary(outcomes: Sequence[Outcome]) -> str:
    """The line below the table, the slowest instances, and everything that is wrong."""
    total, right, wrong, undecided = counts(outcomes)
    spent = seconds(spread([one.seconds for one in outcomes])[0])
    slowest = sorted(outcomes, key=lambda one: -one.seconds)[:SLOWEST]
    return bullets(
        f"{right} of {total} right, {wrong} wrong, {undecided} undecided, in {spent} s; the slowest, and whatever is wrong:",
        [
            *(f"{one.instance.name}: {one.verdict}, {seconds(one.seconds)} s" for one in slowest),
            *(f"WRONG: {one.instance.name}: {one.verdict}" for one in outcomes if one.decided and not one.right),
        ],
    )


BENCHMARK = Benchmark("Verdicts on published properties", run)
