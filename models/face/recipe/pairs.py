"""Draws pairs for training and calibration: a real face and its forgery after the same call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from chain import Surroundings
from data import Faces
from forge import WHOLE, Forger


@dataclass(frozen=True)
class Pairs:
    """Real and forged inputs, uint8 (N, 128, 128, 3) each, row by row the same face and call.

    ``names`` has the face's file name of every row, ``finishes`` how the forgery was finished.
    """

    real: np.ndarray
    fake: np.ndarray
    methods: list[str]
    finishes: list[str]
    names: list[str]


def draw_pairs(
    forger: Forger,
    faces: Faces,
    methods: list[str],
    rng: np.random.Generator,
    surroundings: Surroundings,
) -> Pairs:
    """Return one pair per entry of ``methods``; both of a pair share camera and call.

    A forgery of the whole picture may come before the camera (a generated picture is then spoilt as
    the real one is) or after it (the camera's picture drives a generator); the inner face always
    after it, as live tools work.
    """
    rows = []
    for method in methods:
        face = faces.faces[int(rng.integers(len(faces.faces)))]
        camera_seed = int(rng.integers(2**32))
        picture = surroundings.camera(face.image, np.random.default_rng(camera_seed), face.points)
        if method in WHOLE and rng.random() < 0.5:
            forged, finish = forger.forge_and_name(face, face.image, method, rng)
            forged = surroundings.camera(forged, np.random.default_rng(camera_seed), face.points)
        else:
            forged, finish = forger.forge_and_name(face, picture, method, rng)
        call = surroundings.call(face.points, faces.indices, rng)
        rows.append((call(picture), call(forged), finish, face.name))
    real, fake, finishes, names = zip(*rows, strict=True)
    return Pairs(np.stack(real), np.stack(fake), methods, list(finishes), list(names))
