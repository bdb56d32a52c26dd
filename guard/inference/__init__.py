"""Lanes: one per model, newest window of every stream first, with a deadline."""
