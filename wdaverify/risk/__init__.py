"""Minimum adversarial distances and the worst-case risk."""
