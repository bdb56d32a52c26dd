"""Detectors: one file each, a literal table, one door to each runtime."""
