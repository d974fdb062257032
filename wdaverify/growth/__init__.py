"""Lipschitz constants of networks, and how steep they are at infinity."""
