"""From raw scores to calibrated evidence and a verdict."""
