"""``wdaverify inspect MODEL``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from wdaverify.cli import options as opt
from wdaverify.feature_domain import Domain
from wdaverify.report import json, records, text

if TYPE_CHECKING:
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network


def inspect(model: opt.Model, domain: opt.DomainOption = "0,1", output: opt.Output = None, quiet: opt.Quiet = False) -> int:
    """Show the imported graph: layers, shapes, ReLUs, and the ReLUs that are unstable over the domain."""
    started = time.monotonic()
    said, files = opt.read_domain(domain), opt.files(model, domain=domain, output=output, quiet=quiet)
    network = files.network(said)
    unstable = unstable_relus(network, said)
    layers = [
        records.LayerRecord(
            name=name,
            op=type(network.op(name)).__name__.lower(),
            size=network.size(name),
            sources=list(network.sources(name)),
            unstable=None if unstable is None else unstable.get(name),
        )
        for name in network.order
    ]
    if files.output is not None:
        document = records.InspectDocument(
            model=json.model_record(network),
            domain=json.domain_record(said),
            options={},
            versions=json.versions(),
            seconds=time.monotonic() - started,
            input_shape=list(network.input_shape),
            notes=list(network.notes),
            layers=layers,
        )
        json.write(document, files.output)
    _show(network, said, layers, unstable)
    return 0


def _show(network: Network, domain: Box | Domain, layers: list[records.LayerRecord], unstable: dict[str, int] | None) -> None:
    """Print the graph."""
    text.line(f"model: {network}")
    if network.source is not None:
        text.line(f"file: {network.source.file}")
        text.line(f"sha256: {network.source.sha256}")
    text.line(f"input shape: {list(network.input_shape)}")
    for note in network.notes:
        text.line(f"note: {note}")
    text.line(_unstable_text(network, domain, unstable))
    rows = [
        [layer.name, layer.op, str(layer.size), "-" if layer.unstable is None else str(layer.unstable), ", ".join(layer.sources)]
        for layer in layers
    ]
    text.table(["layer", "op", "size", "unstable", "reads"], rows)


def unstable_relus(network: Network, domain: Box | Domain) -> dict[str, int] | None:
    """For each ReLU node, how many of its neurons may have either sign over the domain; ``None`` if it is unbounded."""
    from wdaverify.bounds.crown import crown_bounds
    from wdaverify.domain import Regions

    sized = domain.sized(network.inputs)
    box = sized.box if isinstance(sized, Domain) else sized  # what else constrains the inputs can only make fewer unstable
    if not box.bounded:
        return None
    bounds = crown_bounds(network, Regions.of_box(box, network.inputs))
    return {name: int(bounds.unstable(network.sources(name)[0]).sum()) for name in network.relu_nodes}


def unstable_line(network: Network, domain: Box | Domain) -> str:
    """One line about the unstable ReLUs over the domain."""
    return _unstable_text(network, domain, unstable_relus(network, domain))


def _unstable_text(network: Network, domain: Box | Domain, unstable: dict[str, int] | None) -> str:
    if unstable is None:
        return f"unstable ReLUs: not bounded, the domain {domain} is not"
    return f"unstable ReLUs over {domain}: at most {sum(unstable.values())} of {network.relus}"
