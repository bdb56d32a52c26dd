"""Measured error of the detectors on folders of labelled clips: guard eval."""
