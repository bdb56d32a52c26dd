"""A person of 468 points and a drawn patch who moves exactly as told, for tests of the judges.

The points are those FaceMesh finds in the demo's customer (guard/demo/clips/SOURCES.toml) at rest; every
movement is an exact rotation, scaling or shift of them. The patch is drawn: eyes, mouth and shading where
``Sight.patch`` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guard.challenge.commands import Command, Gesture, Judgement, Observed, Sight, Step
from guard.challenge.gestures import LIMIT_S, gesture_judge

SILENT = np.empty(0, np.float32)
RATE_HZ = 15.0
_UPPER = (13, 82, 312, 81, 311, 80, 310)
_LOWER = (14, 87, 317, 178, 402, 88, 318)


@dataclass(frozen=True)
class Posed:
    """How the person is held; left is the person's own, as is every positive angle's direction."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    scale: float = 1.0
    mouth: float = 0.0
    shut: float = 0.0
    hand: str = ""
    x: float = 0.0


Moves = Callable[[float], Posed]


@cache
def neutral() -> NDArray[np.float64]:
    """Return float64 (468, 3), the face at rest, its origin between the eyes."""
    return np.asarray(np.load(Path(__file__).parent / "neutral_face.npy"), np.float64)


def rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Return the (3, 3) rotation that rolls first and turns last, with the signs of ``pose``."""
    y, p, r = np.radians([yaw, pitch, roll])
    turn = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    nod = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    lean = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return np.asarray(turn @ nod @ lean)


def points(posed: Posed, dice: np.random.Generator | None = None) -> NDArray[np.float32]:
    """Return float32 (468, 3), pixels of a 640x360 picture; ``dice`` adds FaceMesh's trembling."""
    face = neutral().copy()
    face[list(_LOWER), 1] += 40.0 * posed.mouth
    for upper, lower in (((159, 158, 160), (145, 153, 144)), ((386, 385, 387), (374, 380, 373))):
        gap = face[list(lower)] - face[list(upper)]
        face[list(upper)] += 0.8 * posed.shut * gap
    moved = posed.scale * face @ rotation(posed.yaw, posed.pitch, posed.roll).T
    moved[:, :2] += (320.0 + posed.x, 150.0)
    if dice is not None:
        moved += dice.normal(0, 0.25, moved.shape)
    return moved.astype(np.float32)


def patch(posed: Posed, dice: np.random.Generator, *, face: int = 0) -> NDArray[np.uint8]:
    """Return uint8 (64, 64, 3): the drawn cut-out with noise; ``face`` draws another person."""
    luma = _drawn(round(posed.mouth, 2), round(posed.shut, 2), posed.hand, face) + dice.normal(
        0, 1.5, (64, 64)
    )
    return np.asarray(np.clip(luma[..., None] * np.array([1.05, 1.0, 0.9]), 0, 255), np.uint8)


@cache
def _drawn(mouth: float, shut: float, hand: str, face: int) -> NDArray[np.float64]:
    y, x = np.mgrid[:64, :64].astype(np.float64)
    spots = np.random.default_rng(face).normal(0, 30.0 if face else 3.0, (8, 8))
    luma = 150.0 - 0.02 * ((x - 32) ** 2 + (y - 30) ** 2) + np.kron(spots, np.ones((8, 8)))
    for middle in (20, 44):
        luma -= 45.0 * np.exp(-(((x - middle) / 7) ** 2) - ((y - 16) / 1.5) ** 2)  # brow
        luma -= (1 - shut) * 95.0 * np.exp(-(((x - middle) / 4) ** 2) - ((y - 24) / 2) ** 2)
        luma -= shut * 60.0 * np.exp(-(((x - middle) / 6) ** 2) - (y - 27) ** 2)
    luma -= 60.0 * np.exp(-(((x - 32) / 9) ** 2) - ((y - 47) / 1.5) ** 2)
    inside = ((x - 32) / 8) ** 2 + ((y - 49) / max(9.0 * mouth, 0.1)) ** 2 < 1
    luma = np.where(inside & (y > 46), 25.0, luma)
    hands = {"mouth": (32, 54, 26, 17), "left_eye": (48, 30, 14, 24), "right_eye": (16, 30, 14, 24)}
    if hand:
        at_x, at_y, wide, high = hands[hand]
        over = (np.abs(x - at_x) < wide) & (np.abs(y - at_y) < high)
        luma = np.where(over, 165.0 + 6.0 * np.sin(x / 3.0), luma)
    return luma


def film(
    moves: Moves,
    *,
    seconds: float = 6.0,
    rate_hz: float = RATE_HZ,
    seed: int = 0,
    lost: float = 0.0,
    jitter_s: float = 0.0,
    face: Callable[[float], int] = lambda _: 0,
) -> list[Sight]:
    """Return the pictures from 2 s before the command (0 s) to ``seconds`` after it."""
    dice = np.random.default_rng(seed)
    out = []
    for index in range(round((2.0 + seconds) * rate_hz)):
        due_s = (index + 0.5) / rate_hz - 2.0
        posed = moves(due_s)
        sight = Sight(
            time_s=due_s + float(dice.uniform(-jitter_s, jitter_s)),
            size=(640, 360),
            faces=1,
            points=points(posed, dice),
            patch=patch(posed, dice, face=face(due_s)),
            face_rgb=np.array([150.0, 120.0, 100.0], np.float32),
            around_rgb=np.array([90.0, 90.0, 90.0], np.float32),
        )
        if dice.random() >= lost:
            out.append(sight)
    return out


def bump(time_s: float, start_s: float, hold_s: float = 0.8, way_s: float = 0.5) -> float:
    """Return 0 before ``start_s``, 1 after ``way_s`` for ``hold_s``, 0 again: smooth edges."""
    up = np.clip((time_s - start_s) / way_s, 0, 1)
    down = np.clip((start_s + 2 * way_s + hold_s - time_s) / way_s, 0, 1)
    value = float(min(up, down))
    return value * value * (3 - 2 * value)


def resting(time_s: float) -> Posed:
    """Sway a little, as everybody does."""
    return Posed(
        yaw=1.2 * np.sin(time_s * 1.3), pitch=0.8 * np.sin(time_s * 0.9 + 1), roll=0.6 * np.sin(time_s)
    )


FULL = {
    Gesture.TURN_LEFT: {"yaw": 26.0},
    Gesture.TURN_RIGHT: {"yaw": -26.0},
    Gesture.TURN_FAR_LEFT: {"yaw": 42.0},
    Gesture.TURN_FAR_RIGHT: {"yaw": -42.0},
    Gesture.TILT_LEFT: {"roll": 20.0},
    Gesture.TILT_RIGHT: {"roll": -20.0},
    Gesture.LOOK_UP: {"pitch": 18.0},
    Gesture.LOOK_DOWN: {"pitch": -18.0},
    Gesture.OPEN_MOUTH: {"mouth": 0.8},
    Gesture.MOVE_CLOSER: {"scale": 0.4},
}


def doing(gesture: Gesture, *, at_s: float = 0.7, amount: float = 1.0, way_s: float = 0.5) -> Moves:
    """Return the movement that a command asks for, ``amount`` times as large as usual."""

    def moves(time_s: float) -> Posed:
        rest = resting(time_s)
        held = bump(time_s, at_s, way_s=way_s)
        if gesture is Gesture.BLINK_TWICE:
            return replace(
                rest, shut=max(bump(time_s, at_s, 0.25, 0.08), bump(time_s, at_s + 0.8, 0.25, 0.08))
            )
        if gesture is Gesture.COVER_MOUTH:
            return replace(rest, hand="mouth" if held > 0.5 else "")
        if gesture is Gesture.COVER_EYE:
            return replace(rest, hand="left_eye" if held > 0.5 else "")
        if gesture is Gesture.FOLLOW_DOT:
            return _following(rest, time_s, at_s)
        ((name, size),) = FULL[gesture].items()
        return replace(rest, **{name: getattr(rest, name) + amount * size * held})

    return moves


DOTS = (
    Step(0.0, dot=(0.5, 0.5)),
    Step(1.7, dot=(0.06, 0.5)),
    Step(3.6, dot=(0.5, 0.06)),
    Step(5.4, dot=(0.94, 0.5)),
)


def _following(rest: Posed, time_s: float, late_s: float) -> Posed:
    x = y = 0.0
    for step in DOTS:
        assert step.dot is not None
        gone = float(np.clip((time_s - step.at_s - late_s) / 0.4, 0, 1))
        x, y = x + gone * (0.5 - step.dot[0] - x), y + gone * (0.5 - step.dot[1] - y)
    return replace(rest, yaw=rest.yaw + 25.0 * x, pitch=rest.pitch + 16.0 * y)


def command(gesture: Gesture) -> Command:
    """Return the command as it is drawn."""
    if gesture is Gesture.FOLLOW_DOT:
        return Command(gesture, 8.0, DOTS)
    return Command(gesture, LIMIT_S[gesture])


def judged(gesture: Gesture, sights: Sequence[Sight], *, shown_s: float = 0.0) -> Judgement:
    """Return what the judge says, asked at every third picture and once when the time is over."""
    judge, asked = gesture_judge(gesture), command(gesture)
    before = [sight for sight in sights if shown_s - 2.0 <= sight.time_s < shown_s]
    after = [sight for sight in sights if shown_s <= sight.time_s <= shown_s + asked.limit_s]
    steps_s = [shown_s + step.at_s for step in asked.steps]
    for count in range(1, len(after) + 1, 3):
        shown = tuple(at_s for at_s in steps_s if at_s <= after[count - 1].time_s) or (shown_s,)
        found = judge.judge(asked, Observed(shown, before, after[:count], SILENT, 0.0), over=False)
        if found is not None:
            return found
    found = judge.judge(asked, Observed(tuple(steps_s), before, after, SILENT, 0.0), over=True)
    assert found is not None
    return found
