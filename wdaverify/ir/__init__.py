"""The network as a graph: ops, evaluation, import and export."""
