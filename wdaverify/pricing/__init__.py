"""Pricing: how much loss a sample can gain for a price per unit of transport cost, bounded for all prices at once."""
