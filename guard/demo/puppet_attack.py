"""Scripted people who cheat in a check: each in one way, all by encoded pictures. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from guard.challenge.commands import Gesture
from guard.demo.puppet import Pose
from guard.demo.puppet_actor import Actor, Colour, Manner, Performer, Screen

# what an earlier check may have asked
_EARLIER = (
    *(Gesture.TURN_LEFT, Gesture.TURN_RIGHT, Gesture.TILT_LEFT, Gesture.TILT_RIGHT, Gesture.LOOK_UP),
    *(Gesture.LOOK_DOWN, Gesture.OPEN_MOUTH, Gesture.MOVE_CLOSER, Gesture.COVER_MOUTH),
)


class Replay(Actor):
    """Plays a recording of an earlier check: right answers, to other commands.

    The recording begins with the first command, as if it had been cut to it.

    Args:
        seed: of what the recording shows.
        manner: as of Actor.
        every_s: from one recorded movement to the next.
    """

    def __init__(self, seed: int, manner: Manner | None = None, *, every_s: float = 6.0) -> None:
        super().__init__(seed, manner)
        self._order = random.Random(seed).sample(_EARLIER, len(_EARLIER))
        self._every_s = every_s

    def take(self, message: Mapping[str, Any], now: float) -> None:
        """Start the recording at the first command of an attempt; what it asks is not looked at."""
        if message["type"] == "command" and message["number"] == 1 and message["step"] == 0 and self._order:
            # the recording goes on where it was: nobody has another one at hand
            for place, gesture in enumerate(self._order[:3]):
                start_s = now + self._dice.uniform(*self.manner.reaction_s)
                self.do(gesture, start_s + place * self._every_s)
            self._order = self._order[3:] + self._order[:3]


class Frozen(Actor):
    """Sends the same picture again and again once commands come."""

    _since_s: float | None = None

    def take(self, message: Mapping[str, Any], now: float) -> None:
        """Stop at the first command."""
        if message["type"] == "command" and self._since_s is None:
            self._since_s = now

    def frozen(self, now: float) -> bool:
        """Tell whether it has stopped."""
        return self._since_s is not None and now >= self._since_s


class Early(Actor):
    """Moves about without waiting for commands: every few seconds something that might be asked."""

    _next_s = -1.0

    def take(self, message: Mapping[str, Any], now: float) -> None:
        """Look at nothing."""

    def pose(self, now: float) -> Pose:
        """Begin the next movement where the last is over."""
        if now >= self._next_s:
            self._next_s = self.do(self._dice.choice(_EARLIER), now) + self._dice.uniform(0.1, 0.5)
        return super().pose(now)


class Ignores(Actor):
    """Talks and does not care what is asked."""

    _word_s = -1.0

    def take(self, message: Mapping[str, Any], now: float) -> None:
        """Look at nothing."""

    def pose(self, now: float) -> Pose:
        """Say the next syllable where the last is over."""
        if now >= self._word_s:
            size, stay_s = self._dice.uniform(0.1, 0.35), self._dice.uniform(0.02, 0.1)
            end_s = self._movements.there_and_back("mouth", now, (0.08, stay_s, 0.1), size)
            self._word_s = end_s + self._dice.choice((0.0, 0.0, 0.05, 0.4))
        return super().pose(now)


class OldLight(Actor):
    """Does what is asked, but the light on the face is that of an earlier screen-light code.

    Args:
        seed: as of Actor.
        earlier: seconds from the first step and colour, sRGB in [0, 1], of the older code.
        manner: as of Actor.
    """

    def __init__(
        self, seed: int, earlier: Sequence[tuple[float, Colour]], manner: Manner | None = None
    ) -> None:
        super().__init__(seed, manner)
        self._earlier = tuple(earlier)
        self._recorded = Screen(self.manner)

    def see_colour(self, message: Mapping[str, Any], now: float) -> None:
        """Play the older code once where a code begins; the true screen does not reach the camera."""
        if message["gesture"] == Gesture.SCREEN_LIGHT.value and message["step"] == 0:
            for at_s, colour in self._earlier:
                self._recorded.show(colour, now + at_s)
        elif message["gesture"] != Gesture.SCREEN_LIGHT.value:
            self._recorded.show(None, now)

    def pose(self, now: float) -> Pose:
        """Return the true pose in the recorded light."""
        colour, exposure = self._recorded.light(now)
        return replace(super().pose(now), light=colour, exposure=exposure)


class InTurn:
    """One who tries something else in every attempt; the last way is kept.

    Args:
        ways: in order.
    """

    def __init__(self, ways: Sequence[Performer]) -> None:
        self._ways = list(ways)

    def take(self, message: Mapping[str, Any], now: float) -> None:
        """Pass it on; after an attempt the next way is tried."""
        if message["type"] == "check_over" and len(self._ways) > 1:
            del self._ways[0]
        self._ways[0].take(message, now)

    def pose(self, now: float) -> Pose:
        """Return what the way that is tried now shows."""
        return self._ways[0].pose(now)

    def frozen(self, now: float) -> bool:
        """Tell whether it is frozen now."""
        return self._ways[0].frozen(now)
