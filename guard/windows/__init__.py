"""Frames of a track to fixed windows."""
