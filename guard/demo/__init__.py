"""The demonstration: a whole call through the real relay, with a switch to synthetic media."""
