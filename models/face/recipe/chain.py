"""What a call does to a picture: codec, scaling, cut-out. The same for both classes.

Drawn once per pair and applied to the real picture and to its forgery alike, so that nothing but
the forgery tells them apart. The camera (camera.py) comes before the forgery (a live tool works on
what the camera gave, its noise included), the call after it.
"""

from __future__ import annotations

import fractions
import sys
from collections.abc import Callable
from dataclasses import dataclass

import av
import cv2
import numpy as np
from camera import camera, unseen_camera
from data import ROOT
from finish import jpeg

sys.path.insert(0, str(ROOT))
from guard.media.align import align_matrix_from
from guard.media.warp import warp

INPUT_PX = 128
LEFT_PX, TOP_PX = 48, 51  # of the input in the 224 px crop: what a tight training picture covers
# eyes 82 px apart in a 200 px training picture: 0.36 is a face just large enough to be judged
_SCALES = (0.36, 1.0)

Camera = Callable[[np.ndarray, np.random.Generator, np.ndarray | None], np.ndarray]


@dataclass(frozen=True)
class Call:
    """One draw of everything after the forgery."""

    scale: float
    codec: str
    quality: int
    second_jpeg: int
    rescale: float
    shift: tuple[float, float]
    zoom: float
    turn_deg: float
    flip: bool


@dataclass(frozen=True)
class Surroundings:
    """A family of cameras and of calls.

    Args:
        camera: picture, generator and landmarks to the camera's picture.
        codecs: codec names of ``draw_call`` and how often each is drawn.
        side_px: of the input; another than the detector's for size.py alone.
    """

    camera: Camera
    codecs: dict[str, float]
    side_px: int = INPUT_PX

    def call(
        self, points: np.ndarray, indices: list[int], rng: np.random.Generator
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Draw a call and return what it makes of a picture: uint8 (side_px, side_px, 3)."""
        drawn = draw_call(rng, self.codecs)
        return lambda picture: through_call(picture, points, indices, drawn, self.side_px)


SEEN = Surroundings(camera, {"none": 0.12, "jpeg": 0.18, "vp8": 0.42, "h264": 0.28})
UNSEEN = Surroundings(unseen_camera, {"mpeg4": 0.5, "vp9": 0.5})


def draw_call(rng: np.random.Generator, codecs: dict[str, float]) -> Call:
    """Return one random call with one of ``codecs``."""
    codec = str(rng.choice(list(codecs), p=list(codecs.values())))
    return Call(
        scale=float(rng.uniform(*_SCALES)),
        codec=codec,
        quality=int(rng.integers(*_QUALITIES[codec])),
        second_jpeg=int(rng.integers(50, 96)) if rng.random() < 0.15 else 0,
        rescale=float(rng.uniform(0.55, 1.0)) if rng.random() < 0.2 else 1.0,
        shift=(float(rng.normal(0, 1.5)), float(rng.normal(0, 1.5))),
        zoom=float(rng.uniform(0.96, 1.05)),
        turn_deg=float(rng.normal(0, 2)),
        flip=bool(rng.random() < 0.5),
    )


def through_call(
    picture: np.ndarray, points: np.ndarray, indices: list[int], call: Call, side_px: int = INPUT_PX
) -> np.ndarray:
    """Return uint8 (side_px, side_px, 3): ``picture`` as a detector sees it at the other end of ``call``."""
    side = max(72, int(picture.shape[0] * call.scale) // 2 * 2)
    how = cv2.INTER_AREA
    out = cv2.resize(picture, (side, side), interpolation=how)
    out = _compress(out, call)
    if call.rescale < 1:
        small = max(64, int(side * call.rescale))
        out = cv2.resize(cv2.resize(out, (small, small), interpolation=how), (side, side))
    if call.second_jpeg:
        out = jpeg(out, call.second_jpeg)
    matrix = align_matrix_from((points * (side / picture.shape[0])).astype(np.float32), indices)
    return cut_input(out, _jitter(matrix, call), flip=call.flip, side_px=side_px)


def cut_input(
    picture: np.ndarray, matrix: np.ndarray, flip: bool = False, side_px: int = INPUT_PX
) -> np.ndarray:
    """Return the detector's input, out of the aligned crop, edges repeated where the picture ends.

    ``side_px`` other than 128 gives the same piece of the picture in other pixels.
    """
    pad, zoom = 24, side_px / INPUT_PX
    padded = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REFLECT_101)
    moved = matrix.copy()
    moved[:, 2] -= matrix[:, :2] @ np.array([pad, pad], np.float32)
    moved = zoom * moved
    moved[:, 2] -= zoom * np.array([LEFT_PX, TOP_PX], np.float32)
    cut = warp(padded, moved.astype(np.float32), side_px)
    return np.ascontiguousarray(cut[:, ::-1] if flip else cut)


def _jitter(matrix: np.ndarray, call: Call) -> np.ndarray:
    turn = np.deg2rad(call.turn_deg)
    a, b = call.zoom * np.cos(turn), call.zoom * np.sin(turn)
    centre = np.array([112.0, 115.0])
    linear = np.array([[a, -b], [b, a]])
    shift = centre - linear @ centre + np.array(call.shift)
    return np.column_stack([linear @ matrix[:, :2], linear @ matrix[:, 2] + shift]).astype(np.float32)


def _compress(picture: np.ndarray, call: Call) -> np.ndarray:
    if call.codec == "jpeg":
        return jpeg(picture, call.quality)
    if call.codec == "none":
        return picture
    return through_codec(picture, call.codec, call.quality)


def through_codec(picture: np.ndarray, codec: str, quality: int) -> np.ndarray:
    """Return the last of three frames, each moved by a pixel, after a real codec at one quantiser."""
    name, decoder_name, options = _CODECS[codec]
    encoder = av.CodecContext.create(name, "w")
    encoder.width, encoder.height = picture.shape[1], picture.shape[0]
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", fractions.Fraction(1, 25), 25
    encoder.thread_count = 1
    encoder.options = {key: value.format(q=quality) for key, value in options.items()}
    decoder = av.CodecContext.create(decoder_name, "r")
    decoder.thread_count = 1
    packets = []
    for index, (dx, dy) in enumerate(((2, 1), (1, 0), (0, 0))):
        frame = av.VideoFrame.from_ndarray(np.roll(picture, (dy, dx), (0, 1)), format="rgb24")
        frame.pts = index
        packets += encoder.encode(frame.reformat(format="yuv420p"))
    packets += encoder.encode(None)
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    return frames[-1].to_ndarray(format="rgb24")


_REALTIME = {"deadline": "realtime", "cpu-used": "8", "qmin": "{q}", "qmax": "{q}", "b": "1000000"}
_CODECS = {
    "vp8": ("libvpx", "vp8", _REALTIME),
    "h264": ("libx264", "h264", {"preset": "ultrafast", "tune": "zerolatency", "crf": "{q}"}),
    "vp9": ("libvpx-vp9", "vp9", {**_REALTIME, "lag-in-frames": "0"}),
    "mpeg4": ("mpeg4", "mpeg4", {"qmin": "{q}", "qmax": "{q}", "b": "1000000"}),
}
_QUALITIES = {
    "none": (0, 1),
    "jpeg": (35, 96),
    "vp8": (6, 50),
    "h264": (18, 38),
    "vp9": (10, 52),
    "mpeg4": (2, 14),
}
