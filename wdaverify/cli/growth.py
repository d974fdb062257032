"""``wdaverify certify MODEL`` without data: exact Lipschitz constants, and how fast any risk can grow."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from wdaverify.cli import options as opt
from wdaverify.cli.inspect import unstable_line
from wdaverify.cli.lipschitz import find_constants, show_constants, write_constants, write_report
from wdaverify.report import progress, text

if TYPE_CHECKING:
    from wdaverify.cli.options import Files, Search

DEFAULT_TIME_LIMIT = 60.0
"""Seconds that the command takes where ``--time-limit`` says nothing."""

_PRODUCT = "product of operator norms"


def certify_growth(files: Files, search: Search, *, proof: bool) -> int:
    """The constant of every label, what it says about any risk, and the product of norms beside it."""
    from wdaverify.bounds.operator_norms import lipschitz_bound
    from wdaverify.feature_domain import plain_box
    from wdaverify.growth.any_risk import growth_functionals, growth_sentence, printed_up
    from wdaverify.growth.document import lipschitz_document
    from wdaverify.growth.options import LipschitzOptions
    from wdaverify.risk.document import options_record

    started = time.monotonic()
    chosen = search.options
    if chosen.time_limit is None:
        chosen = replace(chosen, time_limit=DEFAULT_TIME_LIMIT).started()
    names = ("engine", "solver", "gap", "time_limit", "seed", "workers", "deadline")
    options = LipschitzOptions(**{name: getattr(chosen, name) for name in names})
    with opt.about("--domain"):
        box = plain_box(search.domain, "exact Lipschitz constants")
    network = files.network(box)
    functionals = growth_functionals(network.outputs)
    constants, interrupted = find_constants(network, functionals, search.norm, box, options, quiet=files.quiet)
    products = {name: lipschitz_bound(network, name, norm=search.norm) for name in functionals}
    document = lipschitz_document(
        network,
        constants,
        domain=box,
        options=options_record(search.norm, chosen),
        seconds=time.monotonic() - started,
        interrupted=interrupted,
        bounds={_PRODUCT: products},
    )
    text.line(f"model: {network}")
    text.line(unstable_line(network, box))
    show_constants(constants, interrupted=interrupted)
    text.line(growth_sentence(constants, box))
    text.line(f"for comparison, upper bound by {_PRODUCT}: {printed_up(max(products.values()))} * r, on all of R^n")
    if files.output is not None:
        with progress.stage("proofs", quiet=files.quiet):
            write_constants(
                document, files.output, network, constants, box, options, proof=proof and not interrupted, quiet=files.quiet
            )
    write_report(document, files)
    return 130 if interrupted else 0
