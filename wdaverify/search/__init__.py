"""Exact search: branch and bound over activation patterns, every leaf closed by a rigorous dual bound."""
