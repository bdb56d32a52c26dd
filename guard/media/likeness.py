"""How alike two pictures in little are, whatever the light: their correlation."""

from __future__ import annotations

import numpy as np

from guard.types import FloatArray

# standard deviation, of 255, below which a picture is too flat to tell what it shows
MIN_CONTRAST = 4.0


def likeness(a: FloatArray, b: FloatArray) -> float | None:
    """Return the correlation of two pictures (N,); None where one of them is too flat to tell."""
    a, b = a - a.mean(), b - b.mean()
    contrast = float(np.sqrt(min(np.mean(a**2), np.mean(b**2))))
    if contrast < MIN_CONTRAST:
        return None
    return float((a @ b) / np.sqrt((a @ a) * (b @ b)))
