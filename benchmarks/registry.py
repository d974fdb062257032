"""The table of benchmarks: one module with a `BENCHMARK`, and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import attacks, certificates, constants, distances, gap, marabou, peers, proofs, risks, throughput, verdicts

if TYPE_CHECKING:
    from benchmarks.settings import Benchmark

BENCHMARKS: dict[str, Benchmark] = {
    "distances": distances.BENCHMARK,
    "verdicts": verdicts.BENCHMARK,
    "marabou": marabou.BENCHMARK,
    "constants": constants.BENCHMARK,
    "peers": peers.BENCHMARK,
    "gap": gap.BENCHMARK,
    "risks": risks.BENCHMARK,
    "certificates": certificates.BENCHMARK,
    "attacks": attacks.BENCHMARK,
    "proofs": proofs.BENCHMARK,
    "throughput": throughput.BENCHMARK,
}
