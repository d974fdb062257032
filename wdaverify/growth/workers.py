"""Share functionals and norms over processes: each piece is a call of its own.

Pieces do not share no-goods and incumbents, as one call does; brackets that close are the same up to the last digits.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from wdaverify._errors import WorkerLostError
from wdaverify.parallel.executors import Limited, open_executor
from wdaverify.parallel.fanout import as_finished

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wdaverify._types import Norm
    from wdaverify.domain import Box
    from wdaverify.functionals import Functional
    from wdaverify.growth.options import LipschitzOptions
    from wdaverify.growth.record import LipschitzConstant
    from wdaverify.ir.network import Network

    Piece = tuple[tuple[Functional, ...], tuple[Norm, ...]]
    Solve = Callable[[Network, Box, Piece, LipschitzOptions], tuple[LipschitzConstant, ...]]


def pieces_of(functionals: Sequence[Functional], norms: Sequence[Norm], workers: int) -> list[Piece]:
    """Deal functionals to the workers, and norms too where there are fewer functionals than workers.

    Examples
    --------
    >>> from wdaverify._types import Norm
    >>> from wdaverify.functionals import expand_functionals
    >>> pieces = pieces_of(expand_functionals(["logit:0", "logit:1", "logit:2"], 3), [Norm.L1], 2)
    >>> [[f.name for f in functionals] for functionals, _ in pieces]
    [['logit:0', 'logit:2'], ['logit:1']]
    """
    groups = [tuple(functionals[k::workers]) for k in range(min(workers, len(functionals)))]
    if len(groups) >= workers:
        return [(group, tuple(norms)) for group in groups]
    return [(group, (norm,)) for group in groups for norm in norms]


def solve_in_processes(
    solve: Solve, network: Network, box: Box, pieces: Sequence[Piece], options: LipschitzOptions
) -> tuple[dict[tuple[str, Norm], LipschitzConstant], bool]:
    """Solve every piece in a process; what a lost one was to find is missing, with a warning.

    Returns
    -------
    found, interrupted
        The constants by functional and norm, and whether Ctrl-C ended the call.
    """
    found: dict[tuple[str, Norm], LipschitzConstant] = {}
    hands, alone = min(options.workers, len(pieces)), replace(options, workers=1)
    calls = [(k, Limited(partial(solve, network, box, piece, alone), options.deadline)) for k, piece in enumerate(pieces)]
    try:
        with open_executor(hands, shared=[network]) as executor:
            for number, future in as_finished(executor, calls, hands=hands):
                try:
                    found |= {(c.functional, c.norm): c for c in future.result()}
                except WorkerLostError as error:
                    names = ", ".join(functional.name for functional in pieces[number][0])
                    warnings.warn(f"{names}: left to products of operator norms: {error}", RuntimeWarning, stacklevel=2)
    except KeyboardInterrupt:
        return found, True
    return found, False
