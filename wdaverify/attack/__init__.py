"""Attacks: points, and so distributions, that raise the risk. What they find are lower ends; they prove no absence."""
