"""The literal table of conditions a face is measured under, in the order of the report.

Videos run through a real encoder and decoder, picture by picture. A single picture is coded as a short clip
that sways a little under a little camera noise, at the share of the bit rate that its area has of the call's
picture; its last picture is scored. A still codes more easily than a person who moves, so this is the kind
side of the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from guard.codec.call_video import CallVideo, fit_in, scaled
from guard.media.timeline import Thinner
from guard.types import ImageArray, VideoFrame

CALL_PX = (640, 360)
MAX_FPS = 30.0
STILL_FPS = 25.0
_STILL_PICTURES = 10
_SWAY_PX = 2
_STILL_NOISE = 1.5
_SPARE_PX = 64
# a dark room: a tenth of the light, of which the camera's gain brings back less than half
_LIGHT, _GAIN = 0.1, 4.0
_READ_NOISE, _SHOT_NOISE = 0.004, 0.012
# by table: from a level to its light and the noise there, and from light in steps back to a level
_STEPS = 4095
_LIGHT_OF = (_LIGHT * (np.arange(256) / 255) ** 2.2).astype(np.float32)
_NOISE_OF = np.sqrt(_READ_NOISE**2 + _SHOT_NOISE**2 * _LIGHT_OF)
_LEVEL_OF = np.round(255 * (np.arange(_STEPS + 1) / _STEPS) ** (1 / 2.2)).astype(np.uint8)

Change = Callable[[ImageArray, np.random.Generator], ImageArray]


def half(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Return the picture with half as many pixels each way."""
    del rng
    return scaled(image, 0.5)


def low_light(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Return the picture as a camera in a dark room sees it: dim, with read and shot noise, gain 4.

    Noise is normal, in linear light (gamma 2.2); its variance is a constant plus one in proportion to the
    light. Source: Foi et al., Practical Poissonian-Gaussian noise modeling, IEEE TIP 17, 2008.
    """
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    seen = _GAIN * (_LIGHT_OF[image] + _NOISE_OF[image] * noise)
    return np.asarray(_LEVEL_OF[np.clip(seen * _STEPS, 0, _STEPS).astype(np.int32)], np.uint8)


@dataclass(frozen=True, slots=True)
class Condition:
    """One way a file reaches the detectors.

    Args:
        name: stable, the key in the report.
        label: for people.
        codec: ``vp8``, ``h264``; None for the file as it is.
        bit_rate: bits a second of a picture of 640x360.
        change: what happens to the picture before it is coded.
    """

    name: str
    label: str
    codec: str | None = None
    bit_rate: int = 0
    change: Change | None = None


CLEAN = Condition("clean", "clean")
VP8_500 = Condition("vp8_500k", "VP8 500 kbit/s, 640x360", "vp8", 500_000)
BARRED = (CLEAN, VP8_500)
"""The conditions that have bars: all that ``--quick`` measures."""
CONDITIONS = (
    *BARRED,
    Condition("h264_500k", "H.264 500 kbit/s, 640x360", "h264", 500_000),
    Condition("vp8_150k", "VP8 150 kbit/s, 640x360", "vp8", 150_000),
    Condition("half_size", "half size, then VP8 500 kbit/s", "vp8", 500_000, half),
    Condition("low_light", "low light, then VP8 500 kbit/s", "vp8", 500_000, low_light),
)


class Sender:
    """Carries the pictures of one file through a condition; those that are lost on the way are left out.

    Args:
        condition: what happens to them.
        name: of the file; chance follows from it and from the condition's name.
        fps: pictures a second of the file.
    """

    def __init__(self, condition: Condition, name: str, fps: float) -> None:
        self._condition = condition
        self._fps = min(fps, MAX_FPS)
        self._thinner = Thinner(MAX_FPS)
        self._rng = np.random.default_rng(crc32(f"{condition.name}/{name}".encode()))
        self._video: CallVideo | None = None
        self._pictures = 0
        self._grain: NDArray[np.int16] | None = None

    @property
    def kbit_s(self) -> float | None:
        """Kilobits a second sent so far; None where nothing is coded."""
        if self._video is None:
            return None
        return 8e-3 * self._video.bytes * self._fps / self._pictures

    def push(self, frame: VideoFrame) -> VideoFrame | None:
        """Return the picture as it arrives.

        Raises:
            MediaError: the codec failed.
        """
        if self._condition.codec is None:
            return frame
        if not self._thinner.keep(frame.time_s):
            return None
        image = self._arrives(self._changed(fit_in(frame.image, *CALL_PX)), self._condition.bit_rate)
        return None if image is None else replace(frame, image=image)

    def still(self, frame: VideoFrame) -> VideoFrame | None:
        """Return a single picture as the last of a short clip of it arrives.

        Raises:
            MediaError: the codec failed.
        """
        if self._condition.codec is None:
            return frame
        picture = fit_in(frame.image, *CALL_PX)
        share = picture.shape[0] * picture.shape[1] / (CALL_PX[0] * CALL_PX[1])
        arrived: ImageArray | None = None
        for n in range(_STILL_PICTURES):
            moved = self._changed(self._noisy(_swayed(picture, n)))
            arrived = self._arrives(moved, max(1, round(share * self._condition.bit_rate)))
        return None if arrived is None else replace(frame, image=arrived)

    def _changed(self, image: ImageArray) -> ImageArray:
        change = self._condition.change
        return image if change is None else change(image, self._rng)

    def _arrives(self, image: ImageArray, bit_rate: int) -> ImageArray | None:
        if self._video is None:
            codec = self._condition.codec
            assert codec is not None
            self._video = CallVideo(codec, bit_rate=bit_rate, fps=self._fps)
        self._pictures += 1
        return self._video.push(image)

    def _noisy(self, image: ImageArray) -> ImageArray:
        """Return the picture under a new part of the same field of noise, which is cheaper than new noise."""
        height, width = image.shape[:2]
        if self._grain is None:
            field = self._rng.standard_normal((height + _SPARE_PX, width + _SPARE_PX, 3), dtype=np.float32)
            self._grain = np.round(_STILL_NOISE * field).astype(np.int16)
        down, right = self._rng.integers(0, _SPARE_PX, 2).tolist()
        grain = self._grain[down : down + height, right : right + width]
        return np.asarray(np.clip(image + grain, 0, 255), np.uint8)


def _swayed(image: ImageArray, n: int) -> ImageArray:
    """Return the n-th picture of a clip of a picture: moved on a circle of 2 px, its edge drawn out."""
    angle = 2 * np.pi * n / (_STILL_PICTURES - 1)
    down, right = round(_SWAY_PX * np.sin(angle)), round(_SWAY_PX * (1 - np.cos(angle)))
    height, width = image.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return np.ascontiguousarray(image[rows][:, columns])
