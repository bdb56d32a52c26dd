"""Short clips of calls, made of stills: a head that moves, blinks and talks in a room, a camera, a codec.

Training pictures are single chips. Here a chip is turned and bent a little (a shallow ellipsoid stands
for the head's depth), its jaw and lids are moved, and it is laid over a body and a room; exposure, noise,
a shaking hand, real VP8 or H.264 and lost pictures follow. What differs between a genuine clip and its
forgery is done by temporal_fakes.py to the camera's picture, before the codec.
"""

from __future__ import annotations

import fractions
from dataclasses import dataclass

import av
import cv2
import numpy as np
from data import Face

WIDTH, HEIGHT, CHIP = 640, 360, 200
CODECS = ("vp8", "h264")
_OVAL = 36
_EYES = ((33, 133, 159, 145), (362, 263, 386, 374))
_MOUTH = (61, 291, 0, 17)
_TICK = 90_000
_Y, _X = np.mgrid[0:CHIP, 0:CHIP].astype(np.float32)
# what happens in a genuine call that a detector of events must bear
GENUINE_EVENTS = ("none", "hiccup", "network", "background", "light", "rocking", "still")


@dataclass(frozen=True)
class Path:
    """What moves, one value per picture: places and shakes in pixels, turns in radians, the rest in 0..1."""

    x: np.ndarray
    y: np.ndarray
    scale: np.ndarray
    roll: np.ndarray
    yaw: np.ndarray
    pitch: np.ndarray
    mouth: np.ndarray
    blink: np.ndarray
    shake: np.ndarray
    gain: np.ndarray


def smooth(times: np.ndarray, size: float, fastest_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Return a slow random movement (T,) of about ``size`` to either side."""
    waves = [
        np.sin(2 * np.pi * rng.uniform(0.04, fastest_hz) * times + rng.uniform(0, 2 * np.pi))
        for _ in range(4)
    ]
    return size * sum(waves) / 2


def draw_path(times: np.ndarray, event: str, rng: np.random.Generator) -> Path:
    """Return how head, face, hand and exposure move through the clip."""
    liveliness = float(rng.uniform(0.15, 1.3)) * (0.05 if event == "still" else 1.0)
    fastest = float(rng.uniform(0.3, 0.9))
    x, y = smooth(times, 14 * liveliness, fastest, rng), smooth(times, 8 * liveliness, fastest, rng)
    if event == "rocking":
        turn = 2 * np.pi * rng.uniform(0.3, 0.8) * times
        x, y = x * 0.3 + rng.uniform(8, 25) * np.sin(turn), y * 0.3 + rng.uniform(0, 6) * np.cos(turn)
    talking = float(rng.uniform(0, 1)) * (event != "still")
    syllables = np.abs(np.sin(2 * np.pi * rng.uniform(1.2, 2.4) * times + smooth(times, 2.0, 0.5, rng)))
    shaken = rng.random() < 0.25
    shake = [smooth(times, 2.5, 1.5, rng) + rng.normal(0, 0.25, len(times)) for _ in range(2)]
    return Path(
        x, y,
        scale=np.exp(smooth(times, 0.03 * liveliness, 0.4, rng)),
        roll=smooth(times, 0.05 * liveliness, fastest, rng),
        yaw=smooth(times, 0.12 * liveliness, fastest, rng),
        pitch=smooth(times, 0.07 * liveliness, fastest, rng),
        mouth=talking * syllables * (smooth(times, 1.0, 0.4, rng) > -0.3),
        blink=_blinks(times, rng) * (event != "still"),
        shake=np.stack(shake, axis=1) * shaken,
        gain=np.exp(smooth(times, 0.03, 0.4, rng) + (event == "light") * 0.25 * (times > times[-1] * 0.55)),
    )  # fmt: skip


class Scene:
    """One person before one camera.

    Args:
        face: the chip.
        indices: FaceMesh index of each landmark of it.
        path: the movement.
        rng: draws room, body, camera and place.
        background_at: picture from which the room is another one, as when a virtual background is switched.
    """

    def __init__(
        self,
        face: Face,
        indices: list[int],
        path: Path,
        rng: np.random.Generator,
        background_at: int | None = None,
    ) -> None:
        self.face, self.path = face, path
        row = {index: at for at, index in enumerate(indices)}
        self._eyes = [face.points[[row[i] for i in eye if i in row]] for eye in _EYES]
        self._mouth = face.points[[row[i] for i in _MOUTH]]
        self._depth, self._radius = _depth(face.points[:_OVAL])
        self._alpha = _alpha(face.points[:_OVAL])
        self._rooms = [_room(rng) for _ in range(2)]
        self._background_at = background_at
        self._body = _body(rng)
        self._size = float(rng.uniform(0.65, 1.25))
        self._place = np.array([WIDTH / 2 + rng.normal(0, 40), HEIGHT * rng.uniform(0.38, 0.5)])
        self._tint = (1 + rng.uniform(-0.1, 0.1, 3)).astype(np.float32) * np.float32(rng.uniform(0.6, 1.1))
        self._gamma = float(rng.uniform(0.8, 1.25))
        self._noise = _Noise(rng)
        self._blur = float(rng.choice([0.0, rng.uniform(0.4, 1.2)]))
        self._denoise = float(rng.choice([0.0, rng.uniform(0.2, 0.6)]))
        self._last: np.ndarray | None = None

    def picture(self, at: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the camera's picture, the (2, 3) matrix from chip to picture, and the chip's points there.

        Pictures are to be asked for in order: the camera's own noise filter remembers the last one.
        """
        p = self.path
        chip, points = self._animated(at)
        shake = np.asarray(p.shake[at])
        scale, turn = self._size * p.scale[at], p.roll[at]
        linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        place = self._place + np.array([p.x[at], p.y[at]]) + shake
        matrix = np.column_stack([linear, place - linear @ (CHIP / 2, CHIP / 2)])
        room = self._rooms[int(self._background_at is not None and at >= self._background_at)]
        out = cv2.warpAffine(room, _shift(shake), (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        below = self._place + 0.6 * np.array([p.x[at], p.y[at]]) + shake - (WIDTH / 2, HEIGHT / 2)
        body = cv2.warpAffine(self._body, _shift(below), (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        out = _over(out, body[..., :3], body[..., 3:] / 255)
        head = cv2.warpAffine(chip, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        alpha = cv2.warpAffine(self._alpha, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        return self._camera(_over(out, head, alpha[..., None]), at), matrix, points

    def _animated(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        p, z = self.path, self._depth
        x = _X - p.yaw[at] * z * self._radius[0]
        y = _Y - p.pitch[at] * z * self._radius[1]
        down = np.zeros_like(z)
        centre, wide = self._mouth.mean(axis=0), np.ptp(self._mouth[:, 0])
        jaw = np.exp(-(((_X - centre[0]) / wide) ** 2) - ((_Y - centre[1] - wide / 2) / wide) ** 2)
        down += p.mouth[at] * 9 * jaw * (centre[1] < _Y)
        for eye in self._eyes:
            centre, wide = eye.mean(axis=0), np.ptp(eye[:, 0]) / 2
            lid = np.exp(-(((_X - centre[0]) / wide) ** 2) - ((_Y - centre[1]) / (0.6 * wide)) ** 2)
            down += p.blink[at] * 0.7 * wide * lid
        chip = cv2.remap(
            self.face.image, x.astype(np.float32), (y - down).astype(np.float32), cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )  # fmt: skip
        near = np.clip(np.round(self.face.points).astype(int), 0, CHIP - 1)
        deep, low = z[near[:, 1], near[:, 0]], down[near[:, 1], near[:, 0]]
        moved = [p.yaw[at] * deep * self._radius[0], p.pitch[at] * deep * self._radius[1] + low]
        return chip, (self.face.points + np.stack(moved, axis=1)).astype(np.float32)

    def _camera(self, picture: np.ndarray, at: int) -> np.ndarray:
        out = (picture.astype(np.float32) / 255 * (self._tint * self.path.gain[at])).clip(0, 1)
        out = out**self._gamma * 255
        if self._blur:
            out = cv2.GaussianBlur(out, (0, 0), self._blur)
        out = out + self._noise()
        if self._denoise and self._last is not None:
            near = np.abs(out - self._last).max(axis=2, keepdims=True) < 12
            out = np.where(near, out + (self._last - out) * self._denoise, out)
        self._last = out
        return np.clip(np.round(out), 0, 255).astype(np.uint8)


def coded(
    pictures: list[np.ndarray],
    times_s: list[float],
    codec: str,
    kbps: int,
    options: dict[str, str] | None = None,
) -> list[np.ndarray]:
    """Return the pictures after a real encoder at a call's bit rate and its decoder.

    ``options`` are the encoder's, beside those of a call; the x264 of this recipe smooths no edges of blocks
    unless they say so.
    """
    encoder = av.CodecContext.create("libvpx" if codec == "vp8" else "libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.thread_count, encoder.bit_rate = fractions.Fraction(1, _TICK), 1, kbps * 1000
    encoder.framerate = fractions.Fraction(round(len(times_s) / max(times_s[-1], 1e-3)), 1)
    encoder.options = (
        {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}
        if codec == "vp8"
        else {"preset": "ultrafast", "tune": "zerolatency"}
    ) | (options or {})
    decoder = av.CodecContext.create(codec, "r")
    decoder.thread_count = 1
    packets = []
    for picture, time_s in zip(pictures, times_s, strict=True):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = round(time_s * _TICK), encoder.time_base
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    if len(frames) != len(pictures):
        raise ValueError(f"{codec} gave {len(frames)} pictures for {len(pictures)}")
    return [frame.to_ndarray(format="rgb24") for frame in frames]


class _Noise:
    """Fresh camera noise for each picture, cut by chance out of one large field."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = np.random.default_rng(int(rng.integers(2**32)))
        field = self._rng.normal(0, 1, (HEIGHT + 128, WIDTH + 128, 3)).astype(np.float32)
        if rng.random() < 0.6:  # sensors with a colour filter have noise that hangs together
            field = cv2.GaussianBlur(field, (0, 0), 0.7) * np.float32(1.7)
        self._field = field * np.float32(rng.choice([rng.uniform(0.3, 2), rng.uniform(2, 7)]))

    def __call__(self) -> np.ndarray:
        top, left = self._rng.integers(0, 128, 2)
        return self._field[top : top + HEIGHT, left : left + WIDTH] * self._rng.choice([-1.0, 1.0])


def _blinks(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    out = np.zeros(len(times))
    for start in rng.uniform(0, times[-1], int(rng.poisson(times[-1] / 4))):
        out = np.maximum(out, np.clip(1 - np.abs(times - start) / 0.12, 0, 1))
    return out


def _depth(oval: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 (200, 200) in 0..1, highest amid the face, and the face's radii."""
    centre, radius = oval.mean(axis=0), np.ptp(oval, axis=0) / 2
    around = 1 - ((_X - centre[0]) / (1.25 * radius[0])) ** 2 - ((_Y - centre[1]) / (1.3 * radius[1])) ** 2
    return np.sqrt(np.maximum(around, 0)).astype(np.float32), radius


def _alpha(oval: np.ndarray) -> np.ndarray:
    """Return float32 (200, 200): 1 on head and hair, softly 0 at the chip's border."""
    centre, radius = oval.mean(axis=0), np.ptp(oval, axis=0) / 2
    far = np.hypot((_X - centre[0]) / (1.3 * radius[0]), (_Y - centre[1]) / (1.35 * radius[1]))
    border = np.minimum(np.minimum(_X, CHIP - 1 - _X), np.minimum(_Y, CHIP - 1 - _Y))
    return (np.clip((1.12 - far) / 0.16, 0, 1) * np.clip(border / 8, 0, 1)).astype(np.float32)


def _room(rng: np.random.Generator) -> np.ndarray:
    """Return uint8 (360, 640, 3): a wall with boards, frames and lamps, near or far out of focus."""
    room = np.full((HEIGHT, WIDTH, 3), _paint(rng), np.float32)
    room += np.linspace(-25, 25, WIDTH)[None, :, None] * rng.uniform(-1, 1)
    for _ in range(int(rng.integers(3, 16))):
        x, y, w, h = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(10, 220), rng.uniform(10, 160)
        box = slice(int(y), int(y + h)), slice(int(x), int(x + w))
        room[box] = _paint(rng)
    coarse = rng.normal(0, 1, (int(rng.integers(9, 90)), int(rng.integers(16, 160)), 3)).astype(np.float32)
    room += cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) * float(rng.uniform(0, 14))
    return np.clip(cv2.GaussianBlur(room, (0, 0), float(rng.uniform(0.5, 6))), 0, 255).astype(np.uint8)


def _body(rng: np.random.Generator) -> np.ndarray:
    """Return uint8 (360, 640, 4): neck and shoulders as they stand below a head in the middle, with alpha."""
    body = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    cloth = rng.normal(0, 1, (60, 100, 3)).astype(np.float32)
    cloth = cv2.resize(cloth, (WIDTH, HEIGHT)) * float(rng.uniform(0, 20)) + _paint(rng)
    body[..., :3] = np.clip(cloth, 0, 255).astype(np.uint8)
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    wide, neck = int(rng.integers(130, 210)), int(rng.integers(30, 45))
    cv2.ellipse(alpha, (WIDTH // 2, HEIGHT + 30), (wide, 130), 0, 0, 360, 255, -1)
    cv2.rectangle(alpha, (WIDTH // 2 - neck, HEIGHT // 2), (WIDTH // 2 + neck, HEIGHT), 255, -1)
    body[..., 3] = cv2.GaussianBlur(alpha, (0, 0), 2.0)
    return body


def _paint(rng: np.random.Generator) -> np.ndarray:
    return np.clip(rng.uniform(15, 235) + rng.normal(0, 18, 3), 0, 255)


def _shift(by: np.ndarray) -> np.ndarray:
    return np.array([[1, 0, by[0]], [0, 1, by[1]]], np.float32)


def _over(under: np.ndarray, on_top: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return under + (on_top.astype(np.float32) - under) * alpha.astype(np.float32)
