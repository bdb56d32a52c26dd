"""The demo's three faces, frame by frame: a genuine caller, the same caller with another face, an agent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))
from guard.windows.face_models import FaceModels, load_face_models  # noqa: E402

WIDTH_PX, HEIGHT_PX, RATE_HZ = 640, 360, 24
SEED = 7


def customer(footage: Path, frames: int) -> Iterator[np.ndarray]:
    """Yield the caller: real footage of 2.4 s, run forth and back between chance turning points.

    The window over the picture drifts a little, as a hand-held telephone does; nothing in the
    face is touched.
    """
    with av.open(str(footage)) as container:
        stock = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    rng = np.random.default_rng(SEED)
    place, way, until = 0, 1, len(stock) - 1
    sway = _sway(frames, rng)
    for index in range(frames):
        yield _window_over(stock[place], sway[index])
        if place == until:
            way = -way
            low, high = (0, len(stock) // 3) if way < 0 else (2 * len(stock) // 3, len(stock) - 1)
            until = int(rng.integers(low, high))
        place += way if place != until else 0


def agent(portrait: Path, frames: int) -> Iterator[np.ndarray]:
    """Yield the agent: a still portrait that sways a little and moves its mouth (an animated still)."""
    picture = cv2.cvtColor(cv2.imread(str(portrait)), cv2.COLOR_BGR2RGB)
    picture = cv2.resize(picture[66:354], (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    points = find_points(models(), picture)
    rng = np.random.default_rng(SEED + 1)
    sway, talk = _sway(frames, rng), _talk(frames, rng)
    chin, upper = points[152], points[13]
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX].astype(np.float32)
    reach = np.exp(-(((x - chin[0]) / 70) ** 2) - ((y - (chin[1] + upper[1]) / 2) / 45) ** 2).astype(
        np.float32
    )
    reach[y < upper[1]] *= 0.3
    for index in range(frames):
        down = (y - reach * talk[index] * 3).astype(np.float32)
        moved = cv2.remap(picture, x, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        yield _window_over(moved, sway[index])


def models() -> FaceModels:
    """Return guard's own face finder and mesh."""
    return load_face_models(ROOT / "models")


def find_points(finder: FaceModels, picture: np.ndarray) -> np.ndarray:
    """Return float32 (468, 2) points of the one face in the picture.

    Raises:
        SystemExit: no face was found.
    """
    found = finder.find(picture)
    if not found:
        sys.exit("no face in a picture of the demo's recipe")
    mesh = finder.mesh(picture, found[0].region())
    return finder.mesh(picture, mesh.region()).points[:, :2].astype(np.float32)


def _sway(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return (frames, 3): slow shift in x and y (px) and turn (degrees)."""
    time = np.arange(frames) / RATE_HZ
    out = np.zeros((frames, 3))
    for axis, size in enumerate((5.0, 3.0, 0.7)):
        for _ in range(3):
            out[:, axis] += size / 2 * np.sin(2 * np.pi * rng.uniform(0.05, 0.4) * time + rng.uniform(0, 6.3))
    return out


def _talk(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return (frames,) in [0, 1]: how far the mouth is open, in bursts of syllables."""
    time = np.arange(frames) / RATE_HZ
    syllables = np.abs(np.sin(2 * np.pi * 2.1 * time + np.cumsum(rng.normal(0, 0.15, frames))))
    phrases = np.convolve(rng.random(frames) < 0.06, np.hanning(30), mode="same")
    return syllables * np.clip(phrases, 0, 1)


def _window_over(picture: np.ndarray, sway: np.ndarray) -> np.ndarray:
    centre = WIDTH_PX / 2, HEIGHT_PX / 2
    matrix = cv2.getRotationMatrix2D(centre, float(sway[2]), 1.05)
    matrix[:, 2] += sway[:2]
    return cv2.warpAffine(
        picture, matrix, (WIDTH_PX, HEIGHT_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
