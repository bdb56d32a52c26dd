"""Detectors looked at from outside: what they cost, and what they say of a crop without its face."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from guard.inference.lanes import Listening, Remembering
from guard.types import (
    Abstain,
    AudioWindow,
    Detector,
    FaceWindow,
    Finding,
    FloatArray,
    ImageArray,
    Signal,
    Window,
)

# FaceMesh's outline of the face, chin to forehead and back
_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
# beyond the outline: a swap's feathered edge and most of the forehead lie outside it
_MASK_GROWTH = 1.3

OnWindow = Callable[[Window], None]


class Watched:
    """A detector whose CPU time is counted, and whose windows are shown to a listener.

    Whatever else the detector has (an enrolled reference, say) is reached through it. ``cpu_s`` are the
    detector's process seconds so far, ``shown_s`` the listener's.
    """

    def __init__(self, detector: Detector, on_window: OnWindow | None = None) -> None:
        self._detector = detector
        self._on_window = on_window
        self.cpu_s = 0.0
        self.shown_s = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detector, name)

    @property
    def signal(self) -> Signal:
        """The signal it scores."""
        return self._detector.signal

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Return what the detector returns."""
        begun = time.process_time()
        if self._on_window is not None:
            self._on_window(window)
        started = time.process_time()
        self.shown_s += started - begun
        try:
            return self._detector.prepare(window)
        finally:
            self.cpu_s += time.process_time() - started

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        """Return what the detector returns; raises what it raises."""
        started = time.process_time()
        try:
            return self._detector.score(batch, windows)
        finally:
            self.cpu_s += time.process_time() - started

    def hear(self, window: AudioWindow) -> None:
        """Let the detector hear a voice, if it listens."""
        if isinstance(self._detector, Listening):
            started = time.process_time()
            try:
                self._detector.hear(window)
            finally:
                self.cpu_s += time.process_time() - started

    def forget(self, session: str, participant: str) -> None:
        """Have the detector forget, if it remembers."""
        if isinstance(self._detector, Remembering):
            self._detector.forget(session, participant)


class Masked(Watched):
    """A detector that is shown every window without its face."""

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Return what the detector makes of the window without its face."""
        return super().prepare(_faceless(window))

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        """Return what the detector finds in the windows without their faces."""
        return super().score(batch, [_faceless(window) for window in windows])


def face_area(window: FaceWindow) -> NDArray[np.bool_]:
    """Return bool (224, 224): the face, its edge and the forehead in the window's crop."""
    outline = window.landmarks[list(_OVAL)].astype(np.float64)
    middle = outline.mean(axis=0)
    grown = middle + _MASK_GROWTH * (outline - middle)
    picture = Image.new("1", (window.crop.shape[1], window.crop.shape[0]))
    ImageDraw.Draw(picture).polygon([(float(x), float(y)) for x, y in grown], fill=1)
    return np.asarray(picture, dtype=np.bool_)


def without_face(window: FaceWindow) -> ImageArray:
    """Return the crop with the face filled in the mean colour of what is round it."""
    area = face_area(window)
    crop = window.crop.copy()
    around = crop[~area]
    crop[area] = np.round(around.mean(axis=0)) if len(around) else 128
    return crop


def _faceless(window: Window) -> Window:
    """Return the window with a faceless crop and no points of the face between the looks."""
    if not isinstance(window, FaceWindow):
        return window
    glimpses = tuple(replace(glimpse, points=None) for glimpse in window.glimpses)
    return replace(window, crop=without_face(window), glimpses=glimpses)
