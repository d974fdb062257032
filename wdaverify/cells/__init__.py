"""Activation cells: the polyhedra on which a network is affine, and which of them have an interior."""
