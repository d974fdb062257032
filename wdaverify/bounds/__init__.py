"""Bounds of pre-activations over regions: intervals and backward linear bounds."""
