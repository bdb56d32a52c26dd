"""Pictures that are no live answer: frozen, cut in, looped, recorded for another dot, or of somebody else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from guard.challenge.commands import Answer, Command, Gesture, Observed, Sight, Step
from guard.challenge.gestures import LIMIT_S, gesture_judge
from tests.challenge.mesh_person import DOTS, FULL, SILENT, Posed, doing, film, judged, neutral, resting

SECONDS = 8.5
SOME = (Gesture.TURN_LEFT, Gesture.OPEN_MOUTH, Gesture.BLINK_TWICE, Gesture.COVER_MOUTH, Gesture.FOLLOW_DOT)


@pytest.mark.parametrize("gesture", LIMIT_S)
def test_a_frozen_video_is_found_out(gesture: Gesture) -> None:
    sights = film(resting, seconds=SECONDS)
    still = next(sight for sight in sights if sight.time_s > 0.3)
    frozen = [s if s.time_s < 0.3 else replace(still, time_s=s.time_s) for s in sights]
    found = judged(gesture, frozen)
    assert (found.answer, found.reason) == (Answer.MISMATCHED, "frozen_video")


def test_half_a_second_of_the_same_picture_is_not_frozen() -> None:
    sights = film(doing(Gesture.TURN_LEFT, at_s=1.2), seconds=SECONDS)
    still = next(sight for sight in sights if sight.time_s > 0.3)
    short = [replace(still, time_s=s.time_s) if 0.3 < s.time_s < 0.8 else s for s in sights]
    assert judged(Gesture.TURN_LEFT, short).answer is Answer.MATCHED


@pytest.mark.parametrize("gesture", SOME)
def test_a_cut_to_another_place_in_the_picture_is_found_out(gesture: Gesture) -> None:
    moves = doing(gesture)
    cut = film(lambda t: replace(moves(t), x=110.0 if t > 0.4 else 0.0), seconds=SECONDS)
    found = judged(gesture, cut)
    assert (found.answer, found.reason) == (Answer.MISMATCHED, "picture_jumped")


def test_a_cut_to_a_face_already_turned_is_found_out() -> None:
    cut = film(lambda t: replace(resting(t), yaw=-34.0 if 1.0 < t < 2.0 else 0.0), seconds=SECONDS)
    found = judged(Gesture.TURN_RIGHT, cut)
    assert (found.answer, found.reason) == (Answer.MISMATCHED, "picture_jumped")


@pytest.mark.parametrize("gesture", [g for g in LIMIT_S if g is not Gesture.FOLLOW_DOT])
@pytest.mark.parametrize("phase_s", [0.0, 0.6, 1.2, 1.8])
def test_a_loop_of_the_right_answer_began_before_the_command(gesture: Gesture, phase_s: float) -> None:
    moves = doing(gesture, at_s=0.3)
    looped = film(lambda t: moves((t + phase_s) % 2.4), seconds=SECONDS)
    found = judged(gesture, looped)
    if found.answer is Answer.MATCHED:
        # only where by chance the loop comes to the answer just after the command
        assert found.onset_s is not None
        assert phase_s in (0.0, 1.8)


@pytest.mark.parametrize("gesture", [*FULL, Gesture.BLINK_TWICE])
def test_somebody_else_who_answers_is_found_out(gesture: Gesture) -> None:
    other = film(doing(gesture, at_s=1.0), seconds=SECONDS, face=lambda t: 7 if t > 0.3 else 0)
    found = judged(gesture, other)
    assert found.answer is Answer.MISMATCHED
    if gesture is not Gesture.BLINK_TWICE:
        assert found.reason == "other_face"


@pytest.mark.parametrize("gesture", SOME)
def test_a_second_face_in_view_leaves_it_open_who_answered(gesture: Gesture) -> None:
    sights = [replace(s, faces=2) if s.time_s > 0.2 else s for s in film(doing(gesture), seconds=SECONDS)]
    found = judged(gesture, sights)
    assert (found.answer, found.reason, found.llr) == (Answer.UNSEEN, "several_faces", 0.0)


def test_one_wrongly_counted_face_changes_nothing() -> None:
    sights = film(doing(Gesture.TURN_LEFT), seconds=SECONDS)
    sights[40] = replace(sights[40], faces=2)
    assert judged(Gesture.TURN_LEFT, sights).answer is Answer.MATCHED


@pytest.mark.parametrize("order", [(3, 1, 2), (2, 3, 1), (3, 2, 1), (1, 3, 2), (2, 1, 3)])
def test_an_answer_to_another_way_of_the_dot_is_no_answer(order: tuple[int, int, int]) -> None:
    steps = (DOTS[0], *(Step(DOTS[k + 1].at_s, dot=DOTS[place].dot) for k, place in enumerate(order)))
    sights = film(doing(Gesture.FOLLOW_DOT), seconds=SECONDS)
    before = [s for s in sights if s.time_s < 0]
    after = [s for s in sights if 0 <= s.time_s < 8.0]
    shown = tuple(step.at_s for step in steps)
    found = gesture_judge(Gesture.FOLLOW_DOT).judge(
        Command(Gesture.FOLLOW_DOT, 8.0, steps), Observed(shown, before, after, SILENT, 0.0), over=True
    )
    assert found is not None
    assert (found.answer, found.reason) == (Answer.MISMATCHED, "not_followed")


@pytest.mark.parametrize(
    "gesture", [Gesture.LOOK_UP, Gesture.LOOK_DOWN, Gesture.TILT_LEFT, Gesture.MOVE_CLOSER]
)
def test_a_hand_under_which_the_points_nod_and_lean_is_no_movement(gesture: Gesture) -> None:
    """FaceMesh was seen to invent 18 degrees of pitch under a hand, and a face half as small."""

    def moves(time_s: float) -> Posed:
        held = 1.0 if 1.0 < time_s < 2.5 else 0.0
        ((name, size),) = FULL[gesture].items()
        return replace(Posed(), **{name: getattr(Posed(), name) + size * held}, hand="mouth" if held else "")

    smooth = [s for s in film(moves, seconds=SECONDS) if not 0.95 < s.time_s < 1.05]
    assert judged(gesture, smooth).answer is Answer.MISMATCHED


@pytest.mark.parametrize("gesture", [Gesture.TILT_LEFT, Gesture.LOOK_UP])
def test_points_bent_out_of_a_faces_shape_are_no_movement(gesture: Gesture) -> None:
    bent = (
        np.random.default_rng(1).normal(0, 0.13 * float(np.ptp(neutral()[:, 0])), (468, 3)).astype(np.float32)
    )
    sights: list[Sight] = []
    for sight in film(doing(gesture), seconds=SECONDS):
        assert sight.points is not None
        away = 0.7 < sight.time_s < 2.6
        sights.append(replace(sight, points=sight.points + bent) if away else sight)
    assert judged(gesture, sights).answer is not Answer.MATCHED


def test_a_turned_head_does_not_cover_an_eye() -> None:
    def moves(time_s: float) -> Posed:
        turned = doing(Gesture.TURN_RIGHT)(time_s)
        return replace(turned, hand="right_eye" if turned.yaw < -15 else "")

    assert judged(Gesture.COVER_EYE, film(moves, seconds=SECONDS)).answer is Answer.MISMATCHED
