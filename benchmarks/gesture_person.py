"""A RENDERED person who does what is asked, for counting how often the judges see it.

The puppet of ``guard.demo.puppet`` is drawn, encoded as VP8, decoded again and looked at by the same networks
as a call. How fast, how far and how late it moves is drawn anew for every trial from ranges wider than what
a person takes who follows a command without haste.
"""

from __future__ import annotations

import math

import av
import numpy as np

from guard.challenge.commands import Gesture, Sight, Step
from guard.challenge.sight import SightMemory, make_sight
from guard.codec.encode import VideoEncoder
from guard.codec.video import PictureDecoder, rgb
from guard.demo.puppet import Covered, Pose, Puppet
from guard.types import ImageArray
from guard.windows.face_models import FaceModels
from guard.windows.face_track import FaceTrackConfig, FaceTracker

BEFORE_S = 2.0

# channel of the puppet, and between which sizes a trial is drawn
_AMOUNTS: dict[Gesture, tuple[str, float, float]] = {
    Gesture.TURN_LEFT: ("yaw_deg", 24.0, 45.0),
    Gesture.TURN_RIGHT: ("yaw_deg", -24.0, -45.0),
    Gesture.TURN_FAR_LEFT: ("yaw_deg", 38.0, 70.0),
    Gesture.TURN_FAR_RIGHT: ("yaw_deg", -38.0, -70.0),
    Gesture.TILT_LEFT: ("roll_deg", 14.0, 30.0),
    Gesture.TILT_RIGHT: ("roll_deg", -14.0, -30.0),
    Gesture.LOOK_UP: ("pitch_deg", 16.0, 28.0),
    Gesture.LOOK_DOWN: ("pitch_deg", -16.0, -28.0),
    Gesture.OPEN_MOUTH: ("mouth", 0.8, 1.0),
    Gesture.MOVE_CLOSER: ("closer", 1.3, 1.6),
    Gesture.COVER_MOUTH: ("cover", 1.0, 1.0),
    Gesture.COVER_EYE: ("cover", 1.0, 1.0),
}
# a turn too small to be a far one
LITTLE: dict[Gesture, tuple[str, float, float]] = {
    Gesture.TURN_LEFT: ("yaw_deg", 14.0, 24.0),
    Gesture.TURN_RIGHT: ("yaw_deg", -14.0, -24.0),
}
_HANDS: dict[Gesture, tuple[Covered, ...]] = {
    Gesture.COVER_MOUTH: ("mouth",),
    Gesture.COVER_EYE: ("left_eye", "right_eye"),
}


class Acts:
    """What the rendered person does over time, from a seed; ``pose(t)`` with the command at 0 s."""

    def __init__(
        self,
        gesture: Gesture | None,
        seed: int,
        steps: tuple[Step, ...] = (),
        *,
        late_s: float = 0.0,
        little: bool = False,
    ) -> None:
        dice = np.random.default_rng(seed)
        self._sway = (
            dice.uniform(0.3, 1.0, (4, 2)),
            dice.uniform(0, math.tau, (4, 2)),
            dice.uniform(0.1, 0.5, (4, 2)),
        )
        gaps = dice.exponential(4.0, 12) + 0.6
        self._blinks = [(t, dice.uniform(0.05, 0.2)) for t in np.cumsum(gaps) - 4.0]
        self._gesture, self._steps = gesture, steps
        self._start_s = late_s + dice.uniform(0.35, 1.3)
        self._rise_s, self._back_s = dice.uniform(0.35, 1.0, 2)
        self._hold_s = dice.uniform(0.3, 1.2)
        amounts = LITTLE if little else _AMOUNTS
        name, low, high = amounts.get(gesture, ("", 0.0, 0.0)) if gesture is not None else ("", 0.0, 0.0)
        self._name, self._amount = name, dice.uniform(min(low, high), max(low, high))
        hands = _HANDS.get(gesture, ()) if gesture is not None else ()
        self._hand = hands[int(dice.integers(len(hands)))] if hands else None
        self._apart_s = dice.uniform(0.25, 0.7)
        self._shut_s = dice.uniform(0.2, 0.4, 2)
        self._reach = dice.uniform(8.0, 18.0), dice.uniform(5.0, 12.0)
        self._lag_s = dice.uniform(0.25, 0.55)
        self._dot_rise_s = dice.uniform(0.25, 0.6)

    def pose(self, time_s: float) -> Pose:
        """Return the pose at a moment."""
        speed, phase, size = self._sway
        sway = (size * np.sin(speed * time_s * math.tau / 2 + phase)).sum(axis=1)
        head = {"yaw_deg": 3.0 * sway[0], "pitch_deg": 2.0 * sway[1], "roll_deg": 1.5 * sway[2]}
        if self._gesture is Gesture.FOLLOW_DOT:
            x, y = self._dot(time_s)
            head["yaw_deg"] -= x * self._reach[0] * 2
            head["pitch_deg"] -= y * self._reach[1] * 2
        there_s = self._start_s + self._rise_s
        held = _bump(time_s, there_s, there_s + self._hold_s, self._rise_s, self._back_s)
        if self._name in head:
            head[self._name] += self._amount * held
        cover = held if self._name == "cover" else 0.0
        return Pose(
            yaw_deg=float(head["yaw_deg"]),
            pitch_deg=float(head["pitch_deg"]),
            roll_deg=float(head["roll_deg"]),
            eyes=self._eyes(time_s),
            mouth=self._amount * held if self._name == "mouth" else 0.0,
            closer=1 + (self._amount - 1) * held if self._name == "closer" else 1.0,
            hand=self._hand if cover > 0 else None,
            cover=cover,
        )

    def _eyes(self, time_s: float) -> float:
        """Return how shut the eyes are: by themselves now and then, and as asked."""
        eyes = max((_bump(time_s, at, at + long, 0.06) for at, long in self._blinks), default=0.0)
        if self._gesture is not Gesture.BLINK_TWICE:
            return eyes
        first = self._start_s
        both = (first, first + self._shut_s[0] + self._apart_s)
        answers = (_bump(time_s, at, at + long, 0.1) for at, long in zip(both, self._shut_s, strict=True))
        return max(*answers, eyes if time_s < first - 0.5 else 0.0)

    def _dot(self, time_s: float) -> tuple[float, float]:
        """Return where the nose points, in screens from the middle: at each place a while after it showed."""
        x = y = 0.0
        for step in self._steps:
            if step.dot is not None:
                done = _smooth((time_s - step.at_s - self._lag_s) / self._dot_rise_s)
                x += (step.dot[0] - 0.5 - x) * done
                y += (step.dot[1] - 0.5 - y) * done
        return x, y


class Studio:
    """Draws, encodes, decodes and looks: one at a time."""

    def __init__(self, models: FaceModels, *, rate_hz: float = 15.0, bit_rate: int = 600_000) -> None:
        self._models, self._rate_hz, self._bit_rate = models, rate_hz, bit_rate

    def record(self, acts: Acts, seconds: float, seed: int) -> tuple[Sight, ...]:
        """Return what is seen of ``acts`` from ``BEFORE_S`` before the command to ``seconds`` after it."""
        puppet = Puppet.bundled(self._models, seed=seed)
        tracker, memory = FaceTracker(FaceTrackConfig(), self._models), SightMemory()
        dice = np.random.default_rng(seed + 1)
        line: Line | None = None
        out: list[Sight] = []
        for index in range(round((BEFORE_S + seconds) * self._rate_hz)):
            due_s = index / self._rate_hz - BEFORE_S
            time_s = due_s + float(dice.uniform(-0.01, 0.01))
            picture = puppet.frame(acts.pose(due_s))
            line = line or Line(picture.shape[1], picture.shape[0], self._bit_rate)
            image = line.carry(picture)
            if image is None or dice.random() < 0.02:
                continue
            faces = tracker.push(image, due_s)
            out.append(make_sight(time_s, image, [face.mesh.points for face in faces], memory))
        return tuple(out)


class Line:
    """VP8 at a call's bit rate, there and back."""

    def __init__(self, width: int, height: int, bit_rate: int) -> None:
        self._encoder = VideoEncoder("vp8", width, height, bit_rate=bit_rate)
        self._decoder = PictureDecoder("vp8")

    def carry(self, picture: ImageArray) -> ImageArray | None:
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        planar = frame.to_ndarray(format="yuv420p").astype(np.uint8, copy=False)
        data, _ = self._encoder.encode(planar)
        decoded = self._decoder.decode(data) if data else None
        return None if decoded is None else rgb(decoded)


def _smooth(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)


def _bump(time_s: float, start_s: float, end_s: float, rise_s: float, fall_s: float | None = None) -> float:
    """Return 1 from start to end, with smooth edges outside."""
    up = _smooth((time_s - start_s + rise_s) / rise_s)
    down = _smooth((end_s - time_s + (fall_s or rise_s)) / (fall_s or rise_s))
    return min(up, down)
