"""Long runs: lists of instances, each in its own process, with a journal that survives any end."""
