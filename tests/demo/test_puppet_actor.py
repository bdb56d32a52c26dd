"""What the scripted people do, by time alone: no pictures."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from guard.challenge.commands import Gesture
from guard.demo.puppet import Pose
from guard.demo.puppet_actor import Actor, Manner, Performer, colour_of
from guard.demo.puppet_attack import Early, Frozen, Ignores, InTurn, OldLight, Replay

FPS = 30
STILL = Manner(sway_deg=0.0, blink_every_s=(1e6, 2e6))


def command(gesture: Gesture, number: int = 1, step: int = 0, **more: Any) -> dict[str, Any]:
    head = {"v": 1, "type": "command", "id": "c", "attempt": 1, "number": number, "step": step}
    return {**head, "gesture": gesture.value, "colour": None, "dot": None, "limit_s": 9.0, **more}


def over(attempt: int = 1) -> dict[str, Any]:
    return {"v": 1, "type": "check_over", "id": "c", "attempt": attempt, "result": "fail", "again": True}


def play(person: Performer, start_s: float, last_s: float) -> list[Pose]:
    return [person.pose(start_s + index / FPS) for index in range(round(last_s * FPS))]


def answered(gesture: Gesture, seed: int = 1) -> list[Pose]:
    person = Actor(seed, STILL)
    play(person, 9.0, 1.0)
    person.take(command(gesture), 10.0)
    return play(person, 10.0, 4.0)


@pytest.mark.parametrize(
    ("gesture", "channel", "least"),
    [
        (Gesture.TURN_LEFT, "yaw_deg", 24),
        (Gesture.TURN_RIGHT, "yaw_deg", -24),
        (Gesture.TURN_FAR_LEFT, "yaw_deg", 38),
        (Gesture.TURN_FAR_RIGHT, "yaw_deg", -38),
        (Gesture.TILT_LEFT, "roll_deg", 15),
        (Gesture.TILT_RIGHT, "roll_deg", -15),
        (Gesture.LOOK_UP, "pitch_deg", 17),
        (Gesture.LOOK_DOWN, "pitch_deg", -17),
        (Gesture.OPEN_MOUTH, "mouth", 0.7),
        (Gesture.MOVE_CLOSER, "closer", 1.3),
        (Gesture.COVER_MOUTH, "cover", 0.9),
        (Gesture.COVER_EYE, "cover", 0.9),
    ],
)
def test_a_command_is_done_after_a_human_reaction_and_undone(
    gesture: Gesture, channel: str, least: float
) -> None:
    poses = answered(gesture)
    values = [getattr(pose, channel) for pose in poses]
    rest = values[0]
    assert max(values, key=abs) / least > 1
    assert all(value == rest for value in values[: int(0.4 * FPS)])
    assert values[-1] == pytest.approx(rest, abs=1e-9)
    hands = {Gesture.COVER_MOUTH: "mouth", Gesture.COVER_EYE: "left_eye"}
    assert {pose.hand for pose in poses} - {None} == ({hands[gesture]} if gesture in hands else set())


def test_two_blinks_are_two_and_long_enough_for_fifteen_pictures_a_second() -> None:
    shut = [pose.eyes > 0.9 for pose in answered(Gesture.BLINK_TWICE)]
    begins = [i for i in range(1, len(shut)) if shut[i] and not shut[i - 1]]
    assert len(begins) == 2
    for begin in begins:
        assert all(shut[begin : begin + int(0.2 * FPS)])
    assert (begins[1] - begins[0]) / FPS < 1.5


def test_the_head_follows_the_dot_to_each_side_and_comes_back() -> None:
    person = Actor(2, STILL)
    places = ((0.94, 0.5), (0.06, 0.5), (0.5, 0.06), (0.5, 0.94))
    ends = []
    for step, place in enumerate(places):
        person.take(command(Gesture.FOLLOW_DOT, step=step, dot=list(place)), 10.0 + 2 * step)
        ends.append(play(person, 10.0 + 2 * step, 2.0)[-1])
    assert ends[0].yaw_deg < -10 < 10 < ends[1].yaw_deg
    assert ends[3].pitch_deg < -10 < 10 < ends[2].pitch_deg
    assert play(person, 18.0, 1.0)[-1].pitch_deg == ends[3].pitch_deg
    assert play(person, 19.0, 2.0)[-1].pitch_deg == pytest.approx(0, abs=1e-9)


def test_a_message_that_comes_twice_is_done_once() -> None:
    person = Actor(1, STILL)
    for at_s in (10.0, 10.1):
        person.take(command(Gesture.TURN_LEFT), at_s)
        play(person, at_s, 0.05)
    assert max(pose.yaw_deg for pose in play(person, 10.2, 4.0)) < 28


def test_the_screens_colour_reaches_the_face_late_and_leaves_it_with_the_check() -> None:
    person = Actor(1, STILL)
    person.take(command(Gesture.SCREEN_LIGHT, colour="#ff8000"), 10.0)
    poses = play(person, 10.0, 0.2)
    lit = [pose.light == colour_of("#ff8000") for pose in poses]
    assert not lit[0]
    assert lit[-1]
    assert STILL.screen_lag_s <= lit.index(True) / FPS <= STILL.screen_lag_s + 1 / FPS
    person.take(command(Gesture.SCREEN_LIGHT, step=1, colour="#0080ff"), 10.5)
    assert play(person, 10.5, 0.2)[-1].light == colour_of("#0080ff")
    person.take(over(), 11.0)
    assert play(person, 11.0, 0.2)[-1].light == (0.0, 0.0, 0.0)


def test_the_camera_answers_a_brighter_screen_with_less_gain_slowly() -> None:
    person = Actor(1, STILL)
    person.take(command(Gesture.SCREEN_LIGHT, colour="#ffffff"), 10.0)
    gains = [pose.exposure for pose in play(person, 10.0, 4.0)]
    assert gains[0] == 1.0
    assert gains[FPS // 4] > 0.97
    assert gains[-1] == pytest.approx(1 / (1 + 0.35 * STILL.light_share), abs=0.01)


def test_a_person_sways_and_blinks_unasked() -> None:
    poses = play(Actor(3), 0.0, 20.0)
    assert 0.2 < max(pose.yaw_deg for pose in poses) < 3
    shut = [pose.eyes > 0.5 for pose in poses]
    assert 3 <= sum(b and not a for a, b in pairwise(shut)) <= 8


def test_equal_seeds_do_the_same_and_others_do_not() -> None:
    assert answered(Gesture.TURN_LEFT, seed=5) == answered(Gesture.TURN_LEFT, seed=5)
    assert answered(Gesture.TURN_LEFT, seed=5) != answered(Gesture.TURN_LEFT, seed=6)


def test_a_frozen_picture_stops_at_the_first_command() -> None:
    person = Frozen(1)
    assert not person.frozen(9.9)
    person.take(command(Gesture.TURN_LEFT), 10.0)
    assert person.frozen(10.0)


def test_a_replay_shows_the_same_whatever_is_asked() -> None:
    shown = []
    for gesture in (Gesture.TURN_LEFT, Gesture.COVER_EYE):
        person = Replay(4, STILL)
        person.take(command(gesture), 10.0)
        shown.append(play(person, 10.0, 18.0))
    assert shown[0] == shown[1]
    assert sum(pose != shown[0][0] for pose in shown[0]) > 2 * FPS


def test_one_who_answers_early_moves_before_any_command() -> None:
    assert any(pose != Pose(light_share=STILL.light_share) for pose in play(Early(1, STILL), 0.0, 3.0))


def test_one_who_only_talks_moves_the_mouth_and_no_more() -> None:
    person = Ignores(1, STILL)
    person.take(command(Gesture.TURN_LEFT), 1.0)
    poses = play(person, 1.0, 5.0)
    assert 0.1 < max(pose.mouth for pose in poses) < 0.4
    assert {pose.yaw_deg for pose in poses} == {0.0}


def test_an_older_light_response_does_what_is_asked_in_the_wrong_light() -> None:
    earlier = ((0.0, (1.0, 0.0, 0.0)), (0.5, (0.0, 0.0, 1.0)))
    person = OldLight(1, earlier, STILL)
    person.take(command(Gesture.SCREEN_LIGHT, colour="#00ff00"), 10.0)
    assert play(person, 10.0, 0.3)[-1].light == (1.0, 0.0, 0.0)
    assert play(person, 10.6, 0.3)[-1].light == (0.0, 0.0, 1.0)
    person.take(command(Gesture.TURN_LEFT, number=2), 12.0)
    poses = play(person, 12.0, 4.0)
    assert max(pose.yaw_deg for pose in poses) > 20
    assert poses[-1].light == (0.0, 0.0, 0.0)


def test_one_with_several_ways_tries_the_next_after_an_attempt() -> None:
    person = InTurn([Replay(1), Frozen(1), Ignores(1)])
    person.take(command(Gesture.TURN_LEFT), 10.0)
    assert not person.frozen(10.0)
    person.take(over(1), 12.0)
    person.take(command(Gesture.TURN_RIGHT), 15.0)
    assert person.frozen(15.0)
    for attempt in (2, 3):
        person.take(over(attempt), 20.0)
    assert not person.frozen(20.0)
