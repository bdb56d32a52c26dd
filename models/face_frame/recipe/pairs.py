"""Draws pairs for training and calibration: a real face and its forgery after the same call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from chain import camera, draw_call, through_call
from data import Faces
from forge import Forger


@dataclass(frozen=True)
class Pairs:
    """Real and forged inputs, uint8 (N, 128, 128, 3) each, row by row the same face and call."""

    real: np.ndarray
    fake: np.ndarray
    methods: list[str]


def draw_pairs(forger: Forger, faces: Faces, methods: list[str], rng: np.random.Generator) -> Pairs:
    """Return one pair per entry of ``methods``; both of a pair share camera and call."""
    real, fake = [], []
    for method in methods:
        face = faces.faces[int(rng.integers(len(faces.faces)))]
        picture = camera(face.image, rng)
        call = draw_call(rng)
        forged = forger.forge(face, picture, method, rng)
        real.append(through_call(picture, face.points, faces.indices, call))
        fake.append(through_call(forged, face.points, faces.indices, call))
    return Pairs(np.stack(real), np.stack(fake), methods)
