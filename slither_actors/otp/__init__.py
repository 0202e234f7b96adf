"""Processes, their supervision, names and calls: knows nothing of items, batches or stores."""
