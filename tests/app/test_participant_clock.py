"""When media arrived: what a sender's clock cannot do, and what a bad network must not."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest

from guard.app.participant_clock import LATE_FOR_S, MAX_LATE_S, ParticipantClock
from guard.challenge.commands import Answer, Gesture, Judgement, Observed, Sight
from guard.challenge.gestures import gesture_judge
from guard.challenge.late import judge_late
from guard.challenge.light import LIMIT_S as LIGHT_S
from guard.challenge.light import LightJudge
from guard.types import Kind, TrackKey, VideoFrame
from tests.challenge import light_faces, mesh_person

CAMERA = TrackKey("s", "p", Kind.VIDEO)
PICTURE = np.zeros((2, 2, 3), np.uint8)
START_S = 1000.0
GESTURES = (
    Gesture.TURN_LEFT,
    Gesture.TILT_RIGHT,
    Gesture.LOOK_UP,
    Gesture.BLINK_TWICE,
    Gesture.OPEN_MOUTH,
    Gesture.MOVE_CLOSER,
    Gesture.COVER_MOUTH,
    Gesture.FOLLOW_DOT,
)


@dataclass(frozen=True)
class Network:
    """Delays and losses of one direction; what comes later waits behind what comes earlier.

    ``stalls`` are moments, in seconds of capture, at which nothing goes through for up to ``stall_s``.
    """

    jitter_s: float = 0.03
    stall_s: float = 0.0
    stalls: tuple[float, ...] = ()
    lost: float = 0.0
    drift: float = 0.0
    base_s: float = 0.08

    def carry(self, captured_s: Sequence[float], dice: random.Random) -> Iterator[tuple[int, float, float]]:
        """Yield number, media time by the sender's clock, and arrival of what is not lost."""
        last_s, losing = float("-inf"), 0
        for n, at_s in enumerate(captured_s):
            losing = max(0, losing - 1)
            if self.lost and dice.random() < self.lost / 5:
                losing = dice.randrange(1, 10)
            through_s = at_s + self.base_s + min(dice.expovariate(1 / self.jitter_s), 10 * self.jitter_s)
            for stall_s in self.stalls:
                if stall_s <= at_s < stall_s + self.stall_s:
                    through_s = max(through_s, stall_s + self.stall_s + self.base_s)
            last_s = max(last_s + 0.001, through_s)
            if not losing:
                yield n, (at_s - captured_s[0]) * (1 + self.drift), last_s


def dated(clock: ParticipantClock, media_s: float, arrival_s: float) -> float | None:
    """Place one picture; returns when it is taken to have arrived, None where it is late."""
    at_s = placed(clock, media_s, arrival_s)
    return None if clock.late(CAMERA) else at_s


def placed(clock: ParticipantClock, media_s: float, arrival_s: float) -> float:
    frame = clock.place(VideoFrame(CAMERA, media_s, PICTURE), arrival_s)
    return clock.arrived_s(CAMERA, frame.time_s)


@pytest.mark.parametrize("seed", range(40))
def test_no_clock_of_a_sender_makes_a_picture_older_than_half_a_second(seed: int) -> None:
    """Timestamps that hurry, stand and leap as they like; arrivals as they come."""
    dice, clock = random.Random(seed), ParticipantClock()
    media_s, now, shown = 0.0, START_S, 0
    for _ in range(2000):
        now += dice.choice((0.001, 1 / 30, 1 / 30, 0.2))
        media_s += dice.choice((1e-4, 1 / 90, 1 / 30, 1 / 10, 0.4, 3.0 if dice.random() < 0.1 else 0.0))
        at_s = dated(clock, media_s, now)
        if at_s is not None:
            shown += 1
            assert now - MAX_LATE_S - 1e-6 <= at_s <= now + 1e-6
    assert shown


def test_three_seconds_of_pictures_in_the_first_gain_nothing_afterwards() -> None:
    clock = ParticipantClock()
    for n in range(31):
        dated(clock, n / 10, START_S + n / 30)
    begun_s, gains = START_S + 3.0, list[tuple[float, float]]()
    for n in range(1, 600):
        now = begun_s + n / 30
        at_s = dated(clock, 3.0 + n / 30, now)
        if at_s is not None:
            gains.append((now - begun_s, now - at_s))
    assert max(gain_s for _, gain_s in gains) < 0.01
    assert LATE_FOR_S < gains[0][0] < LATE_FOR_S + 0.1, "then it goes on with the pictures as they come"


def test_a_connection_that_becomes_slow_for_good_is_followed() -> None:
    clock, late = ParticipantClock(), list[float]()
    for n in range(900):
        media_s = n / 30
        arrival_s = START_S + media_s + (0.1 if media_s < 10 else 1.3)
        if dated(clock, media_s, arrival_s) is None:
            late.append(media_s)
    assert late[0] == pytest.approx(10.0, abs=0.05)
    assert late[-1] == pytest.approx(10.0 + LATE_FOR_S, abs=0.1)


@pytest.mark.parametrize("drift", [-5e-4, -5e-5, 0.0, 5e-5, 5e-4])
@pytest.mark.parametrize("seed", range(6))
def test_bursts_jitter_and_drift_neither_squeeze_nor_stretch_what_was_seen(seed: int, drift: float) -> None:
    dice = random.Random(seed)
    stalls = tuple(dice.uniform(10, 170) for _ in range(12))
    network = Network(stall_s=dice.uniform(0.2, 2.5), stalls=stalls, lost=0.1, drift=drift)
    captured_s = [START_S + n / 15 for n in range(2700)]
    clock, late, errors = ParticipantClock(), 0, list[float]()
    for n, media_s, arrival_s in network.carry(captured_s, dice):
        at_s = dated(clock, media_s, arrival_s)
        if at_s is None:
            late += 1
            assert arrival_s - captured_s[n] > MAX_LATE_S, "only what is late is called late"
        elif n > 150:  # ten seconds: the quickest has come
            errors.append(at_s - captured_s[n] - network.base_s)
    assert max(map(abs, errors)) < 0.06
    assert max(abs(b - a) for a, b in pairwise(errors)) < 0.02
    assert late < 12 * 2.0 * 15


def test_a_late_start_is_no_lateness() -> None:
    """The first three seconds of a camera come at once, behind a keyframe that took its time."""
    clock = ParticipantClock()
    clock.place(VideoFrame(TrackKey("s", "p", Kind.AUDIO), 0.0, PICTURE), START_S)
    for n in range(450):
        captured_s = n / 15
        arrival_s = START_S + 2.0 + max(captured_s + 0.1, 3.0 + n / 1000)
        at_s = dated(clock, captured_s, arrival_s)
        assert at_s is not None
        assert arrival_s - 0.06 <= at_s <= arrival_s + 1e-6


BAD_NETWORKS: dict[str, Callable[[random.Random], Network]] = {
    "jitter": lambda dice: Network(jitter_s=0.06, drift=dice.uniform(-3e-4, 3e-4)),
    "loss": lambda dice: Network(lost=0.15, drift=dice.uniform(-3e-4, 3e-4)),
    "short stalls": lambda dice: Network(stall_s=0.45, stalls=(dice.uniform(0, 2), dice.uniform(3, 6))),
    "long stalls": lambda dice: Network(stall_s=dice.uniform(0.8, 2.0), stalls=(dice.uniform(-1, 4),)),
    "slow from now on": lambda dice: Network(stall_s=30.0, stalls=(dice.uniform(0, 4),), jitter_s=0.05),
}


@dataclass(frozen=True)
class Received:
    """A picture as it came: when, dated as the analysis process does, and whether it came late."""

    arrival_s: float
    sight: Sight
    late: bool


def received(
    pictures: Sequence[Sight], network: Network, dice: random.Random, end_s: float
) -> list[Received]:
    """Return what came until ``end_s``; twelve seconds of the call went before."""
    warm_s = [pictures[0].time_s - 12.0 + n / 15 for n in range(180)]
    captured_s = [*warm_s, *(picture.time_s for picture in pictures)]
    clock, out = ParticipantClock(), list[Received]()
    for n, media_s, arrival_s in network.carry(captured_s, dice):
        at_s = placed(clock, media_s, arrival_s)
        if n >= len(warm_s) and arrival_s <= end_s:
            sight = replace(pictures[n - len(warm_s)], time_s=at_s)
            out.append(Received(arrival_s, sight, clock.late(CAMERA)))
    return out


def judged(gesture: Gesture, network: Network, dice: random.Random) -> Judgement:
    """Judge a person who does what is asked, picture after picture as they come."""
    command = mesh_person.command(gesture)
    moves = mesh_person.doing(gesture)
    film = mesh_person.film(moves, seconds=command.limit_s, seed=dice.randrange(999))
    pictures = received(film, network, dice, command.limit_s)
    judge, before = gesture_judge(gesture), [one.sight for one in pictures if one.arrival_s < 0]
    came = [one for one in pictures if one.arrival_s >= 0]
    for count in range(1, len(came) + 2):
        now = came[count - 1].arrival_s if count <= len(came) else command.limit_s
        shown = tuple(step.at_s for step in command.steps if step.at_s <= now)
        after = [one.sight for one in came[:count]]
        in_time = [one.sight for one in came[:count] if not one.late]
        seen = Observed(shown, before, after, np.empty(0, np.float32), 0.0)
        found = judge_late(judge, command, seen, in_time, over=count > len(came))
        if found is not None:
            return found
    raise AssertionError("a judge says something when the time is over")


@pytest.mark.parametrize("name", BAD_NETWORKS)
def test_no_network_makes_an_honest_answer_a_wrong_one(name: str) -> None:
    dice, answers = random.Random(7), Counter[Answer]()
    for gesture in GESTURES:
        if name == "loss" and gesture is Gesture.OPEN_MOUTH:
            continue  # the drawn face with an open mouth, in most of the pictures left, is another one
        for _ in range(2):
            found = judged(gesture, BAD_NETWORKS[name](dice), dice)
            answers[found.answer] += 1
            assert found.answer is not Answer.MISMATCHED, (gesture, found)
    if name in ("jitter", "loss", "short stalls"):
        assert answers[Answer.MATCHED] >= 0.8 * answers.total(), answers


def light(delay_s: float, network: Network, dice: random.Random, ahead_s: float = 0.0) -> Judgement:
    """Judge a face that follows the screen ``delay_s`` late, by a clock that ran ``ahead_s`` ahead first."""
    asked = light_faces.command(dice.randrange(999))
    film = light_faces.sights(asked.steps, 0.2, lag_s=0.15 + delay_s, seed=dice.randrange(999), start_s=0.0)
    clock = ParticipantClock()
    for n in range(round(30 * ahead_s)):  # that many seconds of media in no time
        placed(clock, n / 30, -2.0 - ahead_s + n / 1000)
    warm = [replace(film[0], time_s=-1.5 + n / 15) for n in range(22)]
    captured_s, after = [picture.time_s for picture in (*warm, *film)], list[Sight]()
    in_time = list[Sight]()
    for n, media_s, arrival_s in network.carry(captured_s, dice):
        at_s = placed(clock, ahead_s + media_s, arrival_s)
        if n >= len(warm) and arrival_s <= LIGHT_S:
            after.append(replace(film[n - len(warm)], time_s=at_s))
            in_time += [] if clock.late(CAMERA) else after[-1:]
    seen = light_faces.observed(asked.steps, after, 0.0)
    found = judge_late(LightJudge(), asked, seen, in_time, over=True)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(5))
def test_who_needs_two_seconds_to_paint_the_light_gains_nothing_by_a_clock_that_ran_ahead(seed: int) -> None:
    dice = random.Random(seed)
    assert light(0.0, Network(), dice).answer is Answer.MATCHED
    assert light(2.0, Network(), dice).answer is Answer.UNSEEN
    assert light(2.0, Network(), dice, ahead_s=2.0).answer is Answer.UNSEEN


@pytest.mark.parametrize("name", BAD_NETWORKS)
def test_no_network_makes_an_honest_light_a_wrong_one(name: str) -> None:
    dice, answers = random.Random(11), Counter[Answer]()
    for _ in range(12):
        answers[light(0.0, BAD_NETWORKS[name](dice), dice).answer] += 1
    assert not answers[Answer.MISMATCHED]
    if name in ("jitter", "loss", "short stalls"):
        assert answers[Answer.MATCHED] >= 10, answers
