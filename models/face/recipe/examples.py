"""Draws docs/images/face_examples.png and the crops of the golden test from the demo's clips.

Runs in guard's own environment:  python models/face/recipe/examples.py [--golden]

Each row is one clip: the crop, what the net is given, and where hiding a patch moves the score
(red: the patch spoke for spoof; blue: against it). No picture of a training set is used.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))
from guard.codec.files import read_file  # noqa: E402
from guard.detectors.card import load_card  # noqa: E402
from guard.detectors.face_frame import FaceFrame  # noqa: E402
from guard.resources import clips_dir, models_dir  # noqa: E402
from guard.types import Abstain, FaceWindow, Kind, TrackKey, VideoFrame  # noqa: E402
from guard.windows.face_models import load_face_models  # noqa: E402
from guard.windows.faces import FaceWindowConfig, FaceWindows  # noqa: E402

CLIPS = {"customer_genuine": "genuine", "customer_synthetic": "swapped", "agent_genuine": "still"}
_LOOK = 7  # the look at the face that is drawn: 1.4 s into the clip
_PATCH_PX, _STRIDE_PX = 24, 8


def main() -> None:
    """Draw the page; with ``--golden`` also save the crops that the golden test reads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--golden", action="store_true")
    golden = parser.parse_args().golden
    detector = FaceFrame.from_card(load_card(models_dir() / "face_frame"))
    rows = []
    for name, short in CLIPS.items():
        window = _window(clips_dir() / f"{name}.webm")
        if golden and short != "still":
            Image.fromarray(window.crop).save(ROOT / "tests" / "detectors" / "data" / f"face_{short}.png")
        rows.append(_row(name, window, detector))
    page = np.concatenate(rows, axis=0)
    Image.fromarray(page).quantize(200).save(ROOT / "docs" / "images" / "face_examples.png", optimize=True)


def _window(path: Path) -> FaceWindow:
    key = TrackKey("examples", "file", Kind.VIDEO)
    stage = FaceWindows(key, FaceWindowConfig(), load_face_models(models_dir()))
    found: list[FaceWindow] = []
    for frame in read_file(path):
        if isinstance(frame, VideoFrame):
            found += [item for item in stage.push(frame) if isinstance(item, FaceWindow)]
        if len(found) > _LOOK:
            return found[_LOOK]
    sys.exit(f"{path.name} shows no face that can be judged")


def _llr(row: np.ndarray, window: FaceWindow, detector: FaceFrame) -> float:
    (found,) = detector.score(row[None], [window])
    if isinstance(found, Abstain):
        sys.exit(f"the detector abstains ({found.reason})")
    return found.llr


def _row(name: str, window: FaceWindow, detector: FaceFrame) -> np.ndarray:
    given = detector.prepare(window)
    if not isinstance(given, np.ndarray):
        sys.exit(f"{name}: the detector abstains ({given.reason})")
    seen = (given.transpose(1, 2, 0) * 255).round().astype(np.uint8)
    llr = _llr(given, window, detector)
    heat = _heat(given, lambda row: _llr(row, window, detector), llr)
    tiles = [window.crop, _large(seen), _large(heat)]
    row = Image.fromarray(np.concatenate(tiles, axis=1))
    ImageDraw.Draw(row).text(
        (6, 208), f"{name}: llr {llr:+.2f}", fill=(255, 255, 255), stroke_width=2, stroke_fill=0
    )
    return np.asarray(row)


def _heat(given: np.ndarray, llr_of: Callable[[np.ndarray], float], llr: float) -> np.ndarray:
    """Return uint8 (128, 128, 3): the input in grey, coloured by what hiding each patch changes."""
    size = given.shape[1]
    weight, count = np.zeros((size, size)), np.zeros((size, size))
    soft = given.mean(axis=(1, 2), keepdims=True)
    for top in range(0, size - _PATCH_PX + 1, _STRIDE_PX):
        for left in range(0, size - _PATCH_PX + 1, _STRIDE_PX):
            spot = (slice(top, top + _PATCH_PX), slice(left, left + _PATCH_PX))
            hidden = given.copy()
            hidden[:, spot[0], spot[1]] = soft
            weight[spot] += llr - llr_of(hidden)
            count[spot] += 1
    weight /= np.maximum(count, 1)
    strength = np.clip(weight / max(float(np.abs(weight).max()), 0.2), -1, 1)[..., None]
    grey = np.repeat(given.mean(axis=0)[..., None], 3, axis=2) * 255
    colour = np.where(strength > 0, np.array([255.0, 40, 40]), np.array([60.0, 90, 255]))
    share = np.abs(strength) * 0.6
    return (grey * (1 - share) + colour * share).astype(np.uint8)


def _large(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((224, 224), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    main()
