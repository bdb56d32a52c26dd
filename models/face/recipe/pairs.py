"""Draws pairs for training and calibration: a real face and its forgery after the same call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from chain import camera, draw_call, through_call
from data import Faces
from forge import WHOLE, Forger


@dataclass(frozen=True)
class Pairs:
    """Real and forged inputs, uint8 (N, 128, 128, 3) each, row by row the same face and call.

    ``names`` has the face's file name of every row.
    """

    real: np.ndarray
    fake: np.ndarray
    methods: list[str]
    names: list[str]


def draw_pairs(forger: Forger, faces: Faces, methods: list[str], rng: np.random.Generator) -> Pairs:
    """Return one pair per entry of ``methods``; both of a pair share camera and call.

    A forgery of the whole picture may come before the camera (a generated picture is then spoilt as
    the real one is) or after it (the camera's picture drives a generator); the inner face always
    after it, as live tools work.
    """
    real, fake, names = [], [], []
    for method in methods:
        face = faces.faces[int(rng.integers(len(faces.faces)))]
        camera_seed = int(rng.integers(2**32))
        picture = camera(face.image, np.random.default_rng(camera_seed))
        call = draw_call(rng)
        if method in WHOLE and rng.random() < 0.5:
            forged = camera(forger.forge(face, face.image, method, rng), np.random.default_rng(camera_seed))
        else:
            forged = forger.forge(face, picture, method, rng)
        real.append(through_call(picture, face.points, faces.indices, call))
        fake.append(through_call(forged, face.points, faces.indices, call))
        names.append(face.name)
    return Pairs(np.stack(real), np.stack(fake), methods, names)
