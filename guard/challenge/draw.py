"""Draws the commands of an attempt, so that nobody can know them before they are shown.

The generator is the caller's; in a call it is ``secrets.SystemRandom``. A command is not asked twice
in a session: where a person's needs leave too few others, the draw says so and no attempt is made.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from guard.challenge.commands import CheckKind, Command, Gesture, Need, Step

HEAD = (
    Gesture.TURN_LEFT,
    Gesture.TURN_RIGHT,
    Gesture.TILT_LEFT,
    Gesture.TILT_RIGHT,
    Gesture.LOOK_UP,
    Gesture.LOOK_DOWN,
)
HANDS = (Gesture.COVER_MOUTH, Gesture.COVER_EYE)
FAR = (Gesture.TURN_FAR_LEFT, Gesture.TURN_FAR_RIGHT)

POOLS: Mapping[CheckKind, tuple[Gesture, ...]] = {
    CheckKind.VISUAL: (
        *HEAD,
        *HANDS,
        Gesture.BLINK_TWICE,
        Gesture.OPEN_MOUTH,
        Gesture.MOVE_CLOSER,
        Gesture.FOLLOW_DOT,
        Gesture.SAY_WORDS,
        Gesture.SCREEN_LIGHT,
    ),
    CheckKind.LIGHT: (Gesture.SCREEN_LIGHT,),
    CheckKind.OCCLUSION: (*HANDS, *FAR),
    CheckKind.WORDS: (Gesture.SAY_WORDS,),
}

# what a person with this need is not asked for
EXCLUDED: Mapping[Need, frozenset[Gesture]] = {
    Need.NO_HANDS: frozenset(HANDS),
    Need.NO_SIGHT: frozenset({Gesture.FOLLOW_DOT, Gesture.SCREEN_LIGHT}),
    Need.NO_HEARING: frozenset({Gesture.SAY_WORDS}),
    Need.NO_SPEECH: frozenset({Gesture.SAY_WORDS}),
    Need.HEAD_COVERING: frozenset({Gesture.OPEN_MOUTH, *HANDS, Gesture.SCREEN_LIGHT}),
    Need.GLASSES: frozenset({Gesture.BLINK_TWICE, Gesture.COVER_EYE}),
    Need.LIGHT_SENSITIVE: frozenset({Gesture.SCREEN_LIGHT}),
    Need.NO_TURNING: frozenset({*HEAD, *FAR, Gesture.FOLLOW_DOT}),
}

# what such a person is asked for besides, where a kind would leave too little
INSTEAD: Mapping[tuple[CheckKind, Need], tuple[Gesture, ...]] = {
    (CheckKind.OCCLUSION, Need.NO_TURNING): (
        Gesture.OPEN_MOUTH,
        Gesture.MOVE_CLOSER,
        Gesture.BLINK_TWICE,
    ),
}

# these are drawn anew each time, so that asking for one again is another command
VARIED = frozenset({Gesture.FOLLOW_DOT, Gesture.SAY_WORDS, Gesture.SCREEN_LIGHT})


class Exhausted(Exception):
    """Too few commands are left that this person has not been asked and can follow."""


@dataclass(slots=True)
class Used:
    """What one participant of one session has been asked so far; it outlives the check.

    ``failed`` counts the failed attempts since the last check that came to a result, so that nobody wins
    new attempts by leaving a check and coming back.
    """

    gestures: set[Gesture] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Drawing:
    """How commands are made.

    Args:
        limit_s: seconds to do each gesture.
        words: draws three words of a language that are not among those used.
        light: draws the steps of a screen-light code.
    """

    limit_s: Mapping[Gesture, float]
    words: Callable[[random.Random, str, Collection[str]], tuple[str, ...]]
    light: Callable[[random.Random], tuple[Step, ...]]


def choices(kind: CheckKind, needs: Collection[Need], without: Collection[Gesture] = ()) -> list[Gesture]:
    """Return what may be asked in a check of this kind, of a person with these needs.

    Args:
        kind: of the check.
        needs: of the person.
        without: what this site cannot judge.
    """
    barred = set(without).union(*(EXCLUDED[need] for need in needs))
    besides = [gesture for need in needs for gesture in INSTEAD.get((kind, need), ())]
    return [gesture for gesture in (*POOLS[kind], *besides) if gesture not in barred]


def unasked(pool: Collection[Gesture], used: Used) -> list[Gesture]:
    """Return what of the pool can still be asked in this session."""
    return [gesture for gesture in pool if gesture in VARIED or gesture not in used.gestures]


def draw(
    dice: random.Random,
    pool: Sequence[Gesture],
    used: Used,
    count: int,
    *,
    language: str,
    drawing: Drawing,
) -> list[Command]:
    """Return ``count`` commands of different gestures, and note them as used.

    Args:
        dice: the source of chance.
        pool: the gestures to choose from (``choices``).
        used: what was asked before; what is drawn is added.
        count: how many.
        language: of words to be read.
        drawing: how each is made.

    Raises:
        Exhausted: fewer than ``count`` are left.
    """
    fresh = unasked(pool, used)
    if len(fresh) < count:
        raise Exhausted(f"{count} commands wanted, {len(fresh)} left")
    commands = [_make(dice, gesture, used, language, drawing) for gesture in dice.sample(fresh, count)]
    used.gestures.update(command.gesture for command in commands)
    used.words.update(word for command in commands for word in command.words)
    return commands


def _make(dice: random.Random, gesture: Gesture, used: Used, language: str, drawing: Drawing) -> Command:
    limit_s = drawing.limit_s[gesture]
    if gesture is Gesture.SAY_WORDS:
        words = drawing.words(dice, language, used.words)
        return Command(gesture, limit_s, words=words, language=language)
    if gesture is Gesture.SCREEN_LIGHT:
        steps = drawing.light(dice)
        return Command(gesture, max(limit_s, steps[-1].at_s), steps, language=language)
    if gesture is Gesture.FOLLOW_DOT:
        steps = _dot_path(dice)
        return Command(gesture, max(limit_s, steps[-1].at_s + _DOT_STAY_S), steps, language=language)
    return Command(gesture, limit_s, language=language)


_DOT_STAY_S = 1.6
_DOT_PLACES = ((0.06, 0.5), (0.94, 0.5), (0.5, 0.06), (0.5, 0.94))
_CENTRE = (0.5, 0.5)


def _dot_path(dice: random.Random) -> tuple[Step, ...]:
    """Return a way of the dot: from the middle to three edges of the screen in an unknown order, and back.

    The way back leaves the head at rest, which is what the next command's answer is compared with.
    """
    places = [_CENTRE, *dice.sample(_DOT_PLACES, 3), _CENTRE]
    times_s = [0.0]
    for _ in places[1:]:
        times_s.append(times_s[-1] + _DOT_STAY_S + dice.uniform(0.0, 0.5))
    return tuple(Step(round(at_s, 3), dot=place) for at_s, place in zip(times_s, places, strict=True))
