"""What a scripted person does about the commands on their screen. Pure: time is an argument.

The person reads ``command`` and ``check_over`` messages (docs/challenges.md) as a page would show them,
and answers by moving. Nothing else reaches them. ``guard.demo.puppet_attack`` has those who cheat.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from guard.challenge.commands import Gesture
from guard.demo.puppet import REST, Covered, Pose

Colour = tuple[float, float, float]
_DARK: Colour = (0.0, 0.0, 0.0)


class Performer(Protocol):
    """Somebody in front of a camera."""

    def take(self, message: Mapping[str, Any], now: float) -> None:
        """See a message that the page shows from ``now`` on, monotonic seconds."""

    def pose(self, now: float) -> Pose:
        """Return what the camera sees; ``now`` never goes back."""

    def frozen(self, now: float) -> bool:
        """Tell whether the last picture is sent again instead of a new one."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a person moves and what their screen and camera are like.

    Args:
        reaction_s: shortest and longest time from a command to the beginning of the answer.
        move_s: shortest and longest time of a movement one way.
        hold_s: shortest and longest time it is held.
        turn_deg: how far the head turns.
        far_deg: how far where it is asked to turn far.
        lean_deg: how far it leans.
        nod_deg: how far it nods.
        mouth: how far it opens, of what it can.
        closer: how many times as large the face becomes.
        dot_deg: turn for a dot at the screen's edge.
        sway_deg: size of the small movements nobody can leave off.
        blink_every_s: shortest and longest time between two blinks.
        screen_lag_s: from a message to the light of the screen.
        light_share: light of the white screen on the face against the room's.
        exposure_s: time constant of the camera's exposure control; None switches it off.
    """

    reaction_s: tuple[float, float] = (0.4, 0.9)
    move_s: tuple[float, float] = (0.5, 0.8)
    hold_s: tuple[float, float] = (0.6, 1.0)
    turn_deg: float = 27.0
    far_deg: float = 42.0
    lean_deg: float = 17.0
    nod_deg: float = 19.0
    mouth: float = 0.8
    closer: float = 1.4
    dot_deg: float = 17.0
    sway_deg: float = 0.7
    blink_every_s: tuple[float, float] = (2.5, 6.0)
    screen_lag_s: float = 0.06
    light_share: float = 0.25
    exposure_s: float | None = 0.7


@dataclass(frozen=True, slots=True)
class _Step:
    """One channel changes by ``size`` within ``last_s`` from ``start_s`` on."""

    channel: str
    start_s: float
    last_s: float
    size: float

    def at(self, now: float) -> float:
        return self.size * ease((now - self.start_s) / self.last_s)


def ease(part: float) -> float:
    """Return how much of a movement is done after a part of its time, 0 before and 1 after it.

    Source: Flash and Hogan, J. Neurosci. 5(7), 1985: the hand moves with the least jerk.
    """
    t = min(max(part, 0.0), 1.0)
    return t**3 * (10 - 15 * t + 6 * t * t)


class Movements:
    """Overlapping changes of a few numbers in time, each of which starts at 0."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        self._done: dict[str, float] = {}

    def move(self, channel: str, start_s: float, last_s: float, size: float) -> None:
        """Change a channel by ``size`` within ``last_s`` seconds."""
        self._steps.append(_Step(channel, start_s, last_s, size))

    def there_and_back(
        self, channel: str, start_s: float, times_s: tuple[float, float, float], size: float
    ) -> float:
        """Go, stay and come back within those three times; returns when it is over."""
        go_s, stay_s, back_s = times_s
        self.move(channel, start_s, go_s, size)
        self.move(channel, start_s + go_s + stay_s, back_s, -size)
        return start_s + sum(times_s)

    def values(self, now: float) -> dict[str, float]:
        """Return every channel that is not at rest; ``now`` never goes back."""
        for step in [s for s in self._steps if now >= s.start_s + s.last_s]:
            self._done[step.channel] = self._done.get(step.channel, 0.0) + step.size
            self._steps.remove(step)
        out = dict(self._done)
        for step in self._steps:
            out[step.channel] = out.get(step.channel, 0.0) + step.at(now)
        return out

    def until_s(self, channel: str) -> float:
        """Return when the last change of a channel ends; minus infinity where none is left."""
        ends = (s.start_s + s.last_s for s in self._steps if s.channel == channel)
        return max(ends, default=-math.inf)


@dataclass(slots=True)
class Sway:
    """The small movements of a living head, and its blinks."""

    dice: random.Random
    manner: Manner
    _waves: list[tuple[str, float, float, float]] = field(init=False)
    _blink_s: float = field(init=False, default=-1.0)

    def __post_init__(self) -> None:
        sizes = {"yaw_deg": 1.0, "pitch_deg": 0.7, "roll_deg": 0.6, "shift_x": 0.012, "shift_y": 0.008}
        self._waves = [
            (name, size * self.manner.sway_deg / 2, self.dice.uniform(0.05, 0.35), self.dice.uniform(0, 6.3))
            for name, size in sizes.items()
            for _ in range(2)
        ]

    def values(self, now: float) -> dict[str, float]:
        """Return how far each channel is off its rest."""
        out: dict[str, float] = {}
        for name, size, rate_hz, phase in self._waves:
            out[name] = out.get(name, 0.0) + size * math.sin(2 * math.pi * rate_hz * now + phase)
        return out

    def blink(self, now: float, movements: Movements) -> None:
        """Begin a blink where one is due."""
        if self._blink_s < 0:
            self._blink_s = now + self.dice.uniform(*self.manner.blink_every_s)
        if now >= self._blink_s:
            if movements.until_s("eyes") < now:
                movements.there_and_back("eyes", now, (0.08, 0.05, 0.12), 1.0)
            self._blink_s = now + self.dice.uniform(*self.manner.blink_every_s)


class Screen:
    """What the page shows: the colour of the whole screen and the camera's answer to it."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._due: deque[tuple[float, Colour]] = deque()
        self._colour = _DARK
        self._exposure, self._measured_s = 1.0, -1.0

    def show(self, colour: Colour | None, now: float) -> None:
        """Show a colour once the screen's lag is over; None shows the page again."""
        self._due.append((now + self._manner.screen_lag_s, colour or _DARK))

    def light(self, now: float) -> tuple[Colour, float]:
        """Return the screen's colour and the camera's gain; ``now`` never goes back."""
        while self._due and self._due[0][0] <= now:
            self._colour = self._due.popleft()[1]
        return self._colour, self._exposed(now)

    def _exposed(self, now: float) -> float:
        """Follow the light with a delay, as a camera that keeps the middle of the picture equally bright."""
        if self._manner.exposure_s is None:
            return 1.0
        bright = sum(w * c**2.2 for w, c in zip((0.21, 0.72, 0.07), self._colour, strict=True))
        wanted = 1.0 / (1.0 + _METERED * self._manner.light_share * bright)
        past_s = 0.0 if self._measured_s < 0 else now - self._measured_s
        self._measured_s = now
        self._exposure += (wanted - self._exposure) * (1 - math.exp(-past_s / self._manner.exposure_s))
        return self._exposure


# the part of what the camera measures that is the face
_METERED = 0.35
# down, shut, up: slowly and clearly
_SLOW_BLINK_S = (0.15, 0.4, 0.15)
_HANDS: Mapping[Gesture, Covered] = {Gesture.COVER_MOUTH: "mouth", Gesture.COVER_EYE: "left_eye"}


class Actor:
    """A person who does what the commands ask.

    Args:
        seed: of reaction times, sway and blinks.
        manner: how they move.
    """

    def __init__(self, seed: int, manner: Manner | None = None) -> None:
        self.manner = manner or Manner()
        self._dice = random.Random(seed)
        self._movements = Movements()
        self._sway = Sway(self._dice, self.manner)
        self._screen = Screen(self.manner)
        self._seen: tuple[object, ...] = ()
        self._dot: tuple[float, float] = (0.0, 0.0)
        self._dot_until_s = math.inf
        self._hand: Covered = "mouth"

    def take(self, message: Mapping[str, Any], now: float) -> None:
        """See a message of the page; the same step twice counts once."""
        if message["type"] == "check_over":
            self._screen.show(None, now)
            self._dot_until_s = now
            return
        if message["type"] != "command":
            return
        place = [int(message[key]) for key in ("attempt", "number", "step")]
        step = (str(message["id"]), *place)
        if step == self._seen:
            return
        self._seen = step
        gesture = Gesture(message["gesture"])
        self.see_colour(message, now)
        if gesture is Gesture.FOLLOW_DOT:
            if place[-1] == 0:
                self._dot_until_s = now + float(message["limit_s"])
            self._look_at(tuple(message["dot"]), now)
        elif place[-1] == 0:
            self._look_at((0.5, 0.5), now)
            self.do(gesture, now + self._dice.uniform(*self.manner.reaction_s))

    def pose(self, now: float) -> Pose:
        """Return what the camera sees."""
        self._sway.blink(now, self._movements)
        if now >= self._dot_until_s:
            self._look_at((0.5, 0.5), now)
        value = self._movements.values(now)
        for name, size in self._sway.values(now).items():
            value[name] = value.get(name, 0.0) + size
        colour, exposure = self._screen.light(now)
        cover = _part(value, "cover")
        return replace(
            REST,
            yaw_deg=value.get("yaw_deg", 0.0),
            pitch_deg=value.get("pitch_deg", 0.0),
            roll_deg=value.get("roll_deg", 0.0),
            mouth=_part(value, "mouth"),
            eyes=_part(value, "eyes"),
            closer=1.0 + value.get("closer", 0.0),
            shift=(value.get("shift_x", 0.0), value.get("shift_y", 0.0)),
            hand=self._hand if cover > 0 else None,
            cover=cover,
            light=colour,
            light_share=self.manner.light_share,
            exposure=exposure,
        )

    def frozen(self, now: float) -> bool:
        """Return False: a living person is never the same picture twice."""
        del now
        return False

    def see_colour(self, message: Mapping[str, Any], now: float) -> None:
        """Have the screen show the message's colour."""
        self._screen.show(None if message["colour"] is None else colour_of(message["colour"]), now)

    def do(self, gesture: Gesture, start_s: float) -> float:
        """Begin a gesture at a time; returns when it is over, or ``start_s`` where nothing is to be done."""
        if gesture is Gesture.BLINK_TWICE:
            self._movements.there_and_back("eyes", start_s, _SLOW_BLINK_S, 1.0)
            return self._movements.there_and_back("eyes", start_s + 1.15, _SLOW_BLINK_S, 1.0)
        end_s = start_s
        for channel, size in self._sizes(gesture):
            end_s = self._movements.there_and_back(channel, start_s, self._times(), size)
        self._hand = _HANDS.get(gesture, self._hand)
        return end_s

    def _sizes(self, gesture: Gesture) -> Iterator[tuple[str, float]]:
        manner = self.manner
        done = {
            Gesture.TURN_LEFT: ("yaw_deg", manner.turn_deg),
            Gesture.TURN_RIGHT: ("yaw_deg", -manner.turn_deg),
            Gesture.TURN_FAR_LEFT: ("yaw_deg", manner.far_deg),
            Gesture.TURN_FAR_RIGHT: ("yaw_deg", -manner.far_deg),
            Gesture.TILT_LEFT: ("roll_deg", manner.lean_deg),
            Gesture.TILT_RIGHT: ("roll_deg", -manner.lean_deg),
            Gesture.LOOK_UP: ("pitch_deg", manner.nod_deg),
            Gesture.LOOK_DOWN: ("pitch_deg", -manner.nod_deg),
            Gesture.OPEN_MOUTH: ("mouth", manner.mouth),
            Gesture.MOVE_CLOSER: ("closer", manner.closer - 1.0),
            Gesture.COVER_MOUTH: ("cover", 1.0),
            Gesture.COVER_EYE: ("cover", 1.0),
        }
        if gesture in done:
            channel, size = done[gesture]
            yield channel, size * self._dice.uniform(0.93, 1.0)

    def _times(self) -> tuple[float, float, float]:
        go, stay = self.manner.move_s, self.manner.hold_s
        return self._dice.uniform(*go), self._dice.uniform(*stay), self._dice.uniform(*go)

    def _look_at(self, dot: tuple[float, ...], now: float) -> None:
        """Turn the head toward a place of the screen; the screen's right is the person's right."""
        wanted = (
            -2 * (dot[0] - 0.5) * self.manner.dot_deg,
            -2 * (dot[1] - 0.5) * self.manner.dot_deg,
        )
        if wanted == self._dot:
            return
        self._dot_until_s = math.inf if dot == (0.5, 0.5) else self._dot_until_s
        start_s = now + self._dice.uniform(0.25, 0.45)
        last_s = self._dice.uniform(*self.manner.move_s)
        for channel, size, old in zip(("yaw_deg", "pitch_deg"), wanted, self._dot, strict=True):
            self._movements.move(channel, start_s, last_s, size - old)
        self._dot = wanted


def colour_of(text: str) -> Colour:
    """Return sRGB in [0, 1] of ``#rrggbb``.

    Raises:
        ValueError: it is none.
    """
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red / 255, green / 255, blue / 255


def _part(value: Mapping[str, float], name: str) -> float:
    return min(max(value.get(name, 0.0), 0.0), 1.0)
