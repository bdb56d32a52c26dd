"""A rendered call in front of a screen that changes colour: the ground truth for the screen light.

SIMULATED, and said so wherever its numbers stand. A portrait is lit by the room and by the screen:

    light of a pixel = room * (1 - near * share) + screen colour * near * share

``share`` is the screen's part of the light on the face while it shows its neutral colour, ``near`` how much
of that a place gets (1 on the face, 0.6 on the shoulders, ``wall`` behind). Skin and wall are Lambertian. The
camera has exposure control and a white balance (grey world) with time constants, shot and read noise that
grow as the light falls, and sRGB coding; the picture goes through VP8 in real time and back, and the face is
found in what comes out. The head drifts, and its shading wanders as a talking head's does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from guard.challenge.commands import Sight, Step
from guard.challenge.light_code import NEUTRAL, at_times, to_linear
from guard.challenge.sight import SightMemory, make_sight
from guard.codec.encode import VideoEncoder
from guard.codec.video import PictureDecoder, rgb
from guard.types import FloatArray, ImageArray
from guard.windows.face_models import FaceModels
from guard.windows.face_track import FaceTrackConfig, FaceTracker

PORTRAIT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "astronaut.jpg"
WIDTH, HEIGHT = 640, 360
FPS = 15.0
LEAD_S = 2.0
# place and size of the head in the scaled portrait, in pixels
_HEAD = (281.0, 155.0, 95.0, 125.0)

Colours = Callable[[float], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Scene:
    """One call in front of a screen.

    Args:
        share: part of the light on the face that is the screen's, 0 for a face that does not respond.
        wall: part of that light which reaches the wall behind.
        lag_s: from the sending of a colour to the arrival of a picture that shows it.
        snr_db: of a mid-grey pixel; a webcam has about 38 in daylight and 26 in the evening.
        kbit_s: of VP8; None leaves it out.
        room: red, green and blue of the room's light.
        lost: share of pictures that do not arrive.
        exposure_s: time constant of the exposure control.
        balance_s: of the white balance.
        whole: the tint lies over the whole picture, as a filter would put it.
        television: change of the light on the face by another screen, as a part of all light.
    """

    share: float
    wall: float = 0.15
    lag_s: float = 0.3
    snr_db: float = 32.0
    kbit_s: int | None = 500
    room: tuple[float, float, float] = (1.15, 1.0, 0.75)
    lost: float = 0.02
    exposure_s: float = 0.8
    balance_s: float = 5.0
    whole: bool = False
    television: float = 0.0


@cache
def _portrait() -> FloatArray:
    """Return the portrait as linear light, float32 (360, 640, 3)."""
    photo = Image.open(PORTRAIT).convert("RGB").resize((WIDTH, WIDTH), Image.Resampling.BICUBIC)
    picture = np.asarray(photo, np.float64)[:HEIGHT]
    return to_linear(picture / 255).astype(np.float32)


@cache
def _nearness(wall: float) -> FloatArray:
    """Return float32 (H, W, 1): how much of the screen's light on the face each place gets."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    x0, y0, a, b = _HEAD
    head = 1 / (1 + np.exp(12 * (np.hypot((x - x0) / a, (y - y0) / b) - 1.1)))
    body = 1 / (1 + np.exp(-0.1 * (y - y0 - b))) / (1 + np.exp(0.05 * (np.abs(x - x0) - 210)))
    near = np.maximum(np.maximum(head, 0.6 * body), wall)
    return np.asarray(near[..., None], np.float32)


def colours_of(steps: Sequence[Step], sent_s: Sequence[float], lag_s: float) -> Colours:
    """Return what the screen shows over time, as linear light against its neutral colour."""
    shown = np.array([step.colour for step in steps[: len(sent_s)]], np.float64)
    change = to_linear(shown) / NEUTRAL[0] - 1
    starts_s = np.array(sent_s) + lag_s
    return lambda time_s: 1 + at_times(np.array([time_s]), starts_s, change)[0]


@dataclass(slots=True)
class _Camera:
    """Exposure, white balance, noise and sRGB."""

    scene: Scene
    rng: np.random.Generator
    exposure: float = 0.0
    balance: NDArray[np.float64] = field(default_factory=lambda: np.ones(3))
    last_s: float = 0.0

    def take(self, light: FloatArray, time_s: float) -> ImageArray:
        mean = light[::8, ::8].reshape(-1, 3).mean(axis=0).astype(np.float64)
        wanted, grey = 0.19 / float(mean.mean()), float(mean.mean()) / mean
        if self.exposure == 0.0:
            self.exposure, self.balance = wanted, grey**0.7
        passed_s = time_s - self.last_s
        self.last_s = time_s
        fast, slow = (1 - np.exp(-passed_s / t) for t in (self.scene.exposure_s, self.scene.balance_s))
        self.exposure *= (wanted / self.exposure) ** fast
        self.balance = self.balance * (grey**0.7 / self.balance) ** slow
        gain = (self.exposure * self.balance).astype(np.float32)
        value = light * gain
        # shot noise as its square root, read noise as a constant, together ``snr_db`` at mid grey (0.2)
        spread = 0.2 * 10 ** (-self.scene.snr_db / 20)
        noise = self.rng.standard_normal(value.shape, dtype=np.float32)
        shot = 0.8 * spread**2 * np.maximum(value, 0) / 0.2
        value += noise * np.sqrt(shot + 0.2 * spread**2) * np.sqrt(gain)
        return np.asarray(_coded()[np.clip(value * 4095, 0, 4095).astype(np.uint16)], np.uint8)


@cache
def _coded() -> ImageArray:
    """Return the sRGB byte of each of 4096 levels of linear light."""
    level = np.arange(4096) / 4095
    srgb = np.where(level <= 0.0031308, 12.92 * level, 1.055 * level ** (1 / 2.4) - 0.055)
    return np.round(255 * srgb).astype(np.uint8)


@dataclass(slots=True)
class _Head:
    """Drift of the head in pixels and of its shading, as Ornstein-Uhlenbeck processes."""

    rng: np.random.Generator
    place: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    shade: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    other: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    cut_s: float = 0.0

    def move(self, passed_s: float) -> None:
        keep = np.exp(-passed_s / 1.5)
        kick = np.sqrt(1 - keep**2)
        self.place = keep * self.place + kick * self.rng.normal(0, 3.0, 2)
        # brightness by 3 %, its colour by 0.3 %: a face that turns a little sees another part of the room
        common = self.rng.normal(0, 0.03)
        self.shade = keep * self.shade + kick * (common + self.rng.normal(0, 0.003, 3))

    def watch(self, time_s: float) -> NDArray[np.float64]:
        """Return the light of a television: another picture every second or four."""
        if time_s >= self.cut_s:
            self.cut_s = time_s + self.rng.uniform(1.0, 4.0)
            self.other = self.rng.uniform(0.1, 1.0) * (1 + self.rng.normal(0, 0.15, 3))
        return self.other


def film(
    scene: Scene, colours: Colours, length_s: float, rng: np.random.Generator, models: FaceModels
) -> list[Sight]:
    """Return the sights of a call from ``-LEAD_S`` to ``length_s``, as the check gets them."""
    camera, head = _Camera(scene, rng), _Head(rng)
    wire = None if scene.kbit_s is None else _Wire(scene.kbit_s)
    tracker, memory = FaceTracker(FaceTrackConfig(), models), SightMemory()
    sights: list[Sight] = []
    for index in range(round((LEAD_S + length_s) * FPS)):
        time_s = index / FPS - LEAD_S
        head.move(1 / FPS)
        picture = camera.take(_lit(scene, colours(time_s), head, time_s), time_s + LEAD_S)
        picture = picture if wire is None else wire.send(picture)
        if rng.random() < scene.lost:
            continue
        faces = [face.mesh.points for face in tracker.push(picture, time_s + LEAD_S)]
        sights.append(make_sight(time_s + float(rng.normal(0, 0.008)), picture, faces, memory))
    return sights


def _lit(scene: Scene, colour: NDArray[np.float64], head: _Head, time_s: float) -> FloatArray:
    """Return the light that reaches the camera, float32 (H, W, 3)."""
    near = np.ones_like(_nearness(scene.wall)) if scene.whole else _nearness(scene.wall)
    shift = tuple(int(v) for v in np.round(head.place))
    change = scene.share * (colour - 1) / np.array(scene.room)
    if scene.television:
        change = change + scene.television * head.watch(time_s)
    lit = 1 + near * change.astype(np.float32)
    face = (near > 0.9).astype(np.float32) if not scene.whole else np.zeros_like(near)
    lit *= 1 + face * head.shade.astype(np.float32)
    return np.asarray(np.roll(_portrait() * lit, shift, axis=(1, 0)) * np.array(scene.room, np.float32))


@dataclass(slots=True)
class _Wire:
    """VP8 there and back; the encoder counts 30 pictures a second, half as many are sent."""

    kbit_s: int
    encoder: VideoEncoder = field(init=False)
    decoder: PictureDecoder = field(init=False)
    last: ImageArray | None = None

    def __post_init__(self) -> None:
        rate = round(self.kbit_s * 1000 * 30 / FPS)
        self.encoder = VideoEncoder("vp8", WIDTH, HEIGHT, bit_rate=rate)
        self.decoder = PictureDecoder("vp8")

    def send(self, picture: ImageArray) -> ImageArray:
        """Return the picture as it arrives; the one before where the encoder left it out."""
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        coded, _ = self.encoder.encode(np.asarray(frame.to_ndarray(), np.uint8))
        decoded = self.decoder.decode(coded) if coded else None
        if decoded is not None:
            self.last = rgb(decoded)
        return picture if self.last is None else self.last
