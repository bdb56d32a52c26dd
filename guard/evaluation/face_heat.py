"""Shows the analyst what a detector looks at: where hiding a patch of a face moves its score.

Source: Zeiler and Fergus, Visualizing and understanding convolutional networks, ECCV 2014 (occlusion).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from guard.evaluation.face_data import KEY, Item, frames_of
from guard.evaluation.face_measure import LOOKS_FPS, Measured
from guard.media.timeline import Thinner
from guard.types import Abstain, Detector, FaceWindow, Finding, ImageArray, Signal, VideoFrame
from guard.windows.face_models import FaceModels
from guard.windows.faces import FaceWindowConfig, FaceWindows

LOOKS_AT = Signal.FACE_FRAME
"""The signal whose examples are drawn: it judges single crops."""
PATCH_PX, STRIDE_PX = 32, 16
# a change of llr that is coloured fully even where nothing changes more
_FULL_LLR = 0.2
_ROUNDING_LLR = 1e-6
_AGAINST, _FOR = np.array([60.0, 90.0, 255.0]), np.array([255.0, 40.0, 40.0])


@dataclass(frozen=True, slots=True)
class Example:
    """One face: a PNG of the crop beside the heat map (red: the patch spoke for spoof), and words for it."""

    png: bytes
    words: str


def examples(
    measured: Sequence[Measured], detector: Detector, faces: FaceModels, config: FaceWindowConfig
) -> list[Example]:
    """Return the faces of both classes that the detector got most right and most wrong.

    Args:
        measured: clean files.
        detector: one that judges single crops and remembers nothing.
    """
    out: list[Example] = []
    own = [(llr, m.item) for m in measured if (llr := m.llr(detector.signal)) is not None]
    for is_spoof, name in ((False, "genuine"), (True, "spoof")):
        ranked = sorted((x for x in own if x[1].is_spoof is is_spoof), key=lambda x: (x[0], str(x[1].path)))
        picked = [(-1, "lowest", ranked[0])] if ranked else []
        picked += [(1, "highest", ranked[-1])] if len(ranked) > 1 else []
        for side, which, (file_llr, item) in picked:
            found = example(Extreme(item, file_llr, side), detector, faces, config)
            if found is not None:
                png, llr = found
                about = f"{name}, {item.method}, {which} {detector.signal}: {item.path.name}"
                out.append(Example(png, f"{about}, file {file_llr:+.2f}, this face {llr:+.2f}"))
    return out


@dataclass(frozen=True, slots=True)
class Extreme:
    """A file that was lowest (``side`` -1) or highest (1) by its ``llr``, the mean over its looks."""

    item: Item
    llr: float
    side: int


def example(
    extreme: Extreme, detector: Detector, faces: FaceModels, config: FaceWindowConfig
) -> tuple[bytes, float] | None:
    """Return a PNG of the look that stands for a file, and its llr; None where none can be scored.

    Raises:
        MediaError: the file cannot be read.
    """
    stage, thinner = FaceWindows(KEY, config, faces), Thinner(LOOKS_FPS)
    windows: list[FaceWindow] = []
    for frame in frames_of(extreme.item):
        if isinstance(frame, VideoFrame) and thinner.keep(frame.time_s):
            windows += [found for found in stage.push(frame) if isinstance(found, FaceWindow)]
    llrs = _llrs(detector, windows)
    scored = [(window, llr) for window, llr in zip(windows, llrs, strict=True) if llr is not None]
    if not scored:
        return None
    window, llr = scored[typical([(w.face, found) for w, found in scored], extreme.llr, extreme.side)]
    picture = np.concatenate([window.crop, heat_map(detector, window, llr)], axis=1)
    out = io.BytesIO()
    Image.fromarray(picture).save(out, format="PNG", optimize=True)
    return out.getvalue(), llr


def typical(looks: Sequence[tuple[int, float]], file_llr: float, side: int) -> int:
    """Return which look, given as (face, llr), shows a file best: the one nearest to the file's llr.

    Of several faces it is one of the face that the file's llr is of. Only looks at least as low (``side`` -1)
    or as high (1) as the file are taken, so that the faces drawn stand in the same order as their files; a
    mean always has such a look.
    """
    by_face: dict[int, list[float]] = {}
    for face, llr in looks:
        by_face.setdefault(face, []).append(llr)
    means = {face: float(np.mean(own)) for face, own in by_face.items()}
    counted = min(means, key=lambda face: (abs(means[face] - file_llr), face))

    def distance(n: int) -> tuple[bool, bool, float]:
        face, llr = looks[n]
        return face != counted, side * (llr - file_llr) < -_ROUNDING_LLR, abs(llr - file_llr)

    return min(range(len(looks)), key=distance)


def heat_map(detector: Detector, window: FaceWindow, llr: float) -> ImageArray:
    """Return uint8 (224, 224, 3): the crop in grey, coloured by what hiding each patch changes."""
    change = changes(detector, window, llr)
    strength = np.clip(change / max(float(np.abs(change).max()), _FULL_LLR), -1, 1)[..., None]
    grey = np.repeat(window.crop.mean(axis=2, keepdims=True), 3, axis=2)
    share = 0.6 * np.abs(strength)
    return np.asarray(grey * (1 - share) + np.where(strength > 0, _FOR, _AGAINST) * share, np.uint8)


def changes(detector: Detector, window: FaceWindow, llr: float) -> NDArray[np.float64]:
    """Return float64 (224, 224): by how much hiding a pixel's patches lowers the llr, in the mean.

    A patch is filled in the mean colour of the crop; one that makes the detector abstain counts nothing.
    """
    side = window.crop.shape[0]
    total, count = np.zeros((side, side)), np.zeros((side, side))
    fill = np.round(window.crop.mean(axis=(0, 1))).astype(np.uint8)
    places = range(0, side - PATCH_PX + 1, STRIDE_PX)
    for top in places:
        spots = [np.s_[top : top + PATCH_PX, left : left + PATCH_PX] for left in places]
        hidden = []
        for spot in spots:
            crop = window.crop.copy()
            crop[spot] = fill
            hidden.append(replace(window, crop=crop))
        for spot, found in zip(spots, _llrs(detector, hidden), strict=True):
            if found is not None:
                total[spot] += llr - found
                count[spot] += 1
    return total / np.maximum(count, 1)


def _llrs(detector: Detector, windows: Sequence[FaceWindow]) -> list[float | None]:
    out: list[float | None] = []
    for window in windows:
        row = detector.prepare(window)
        found = row if isinstance(row, Abstain) else detector.score(row[None], [window])[0]
        out.append(found.llr if isinstance(found, Finding) else None)
    return out
