"""The scripted people before the real judges, by rendered, encoded and decoded pictures alone."""

from __future__ import annotations

import random

import pytest

from guard.challenge.commands import Answer, CheckKind, Gesture, Result
from guard.challenge.light_code import draw_light
from guard.demo.puppet import Puppet
from guard.demo.puppet_actor import Actor, Performer
from guard.demo.puppet_attack import Early, Frozen, Ignores, OldLight, Replay
from guard.resources import models_dir
from guard.windows.face_models import FaceModels, load_face_models
from tests.demo.check_rig import Rig

# the whole course is slow: six seconds of CPU for an attempt that passes
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def models() -> FaceModels:
    return load_face_models(models_dir())


@pytest.fixture(scope="module")
def puppet(models: FaceModels) -> Puppet:
    return Puppet.bundled(models)


@pytest.mark.parametrize(
    "asked",
    [
        (Gesture.TURN_LEFT, Gesture.COVER_MOUTH, Gesture.BLINK_TWICE),
        (Gesture.FOLLOW_DOT, Gesture.TURN_RIGHT, Gesture.OPEN_MOUTH),
        (Gesture.LOOK_UP, Gesture.COVER_EYE, Gesture.TILT_LEFT),
        (Gesture.LOOK_DOWN, Gesture.MOVE_CLOSER, Gesture.TILT_RIGHT),
    ],
)
def test_who_does_what_is_asked_passes(
    puppet: Puppet, models: FaceModels, asked: tuple[Gesture, ...]
) -> None:
    rig = Rig(puppet, models, Actor(11), seed=11, first=asked)
    rig.run(60.0, attempts=1)
    attempt = rig.attempts[0]
    assert [one.command.gesture for one in attempt.commands][:3] == list(asked)
    judged = [one.judgement for one in attempt.commands]
    assert all(j is not None and j.answer is Answer.MATCHED for j in judged), judged
    assert attempt.result is Result.PASS


def test_the_screens_light_on_the_face_is_found(puppet: Puppet, models: FaceModels) -> None:
    rig = Rig(puppet, models, Actor(12), seed=12, first=(Gesture.SCREEN_LIGHT,))
    rig.run(60.0, attempts=1)
    judgement = rig.attempts[0].commands[0].judgement
    assert judgement is not None
    assert judgement.answer is Answer.MATCHED
    assert judgement.details["correlation"] > 0.8


def test_the_light_of_an_earlier_code_is_not_taken_for_this_one(puppet: Puppet, models: FaceModels) -> None:
    earlier = [(step.at_s, step.colour) for step in draw_light(random.Random(99)) if step.colour is not None]
    rig = Rig(puppet, models, OldLight(12, earlier), seed=12, first=(Gesture.SCREEN_LIGHT,))
    rig.run(60.0, attempts=1)
    judgement = rig.attempts[0].commands[0].judgement
    assert judgement is not None
    assert judgement.answer is not Answer.MATCHED


@pytest.mark.parametrize(
    "person", [Replay(3), Frozen(3), Early(3), Ignores(3)], ids=lambda p: type(p).__name__
)
def test_who_cheats_never_passes_and_fails_for_good(
    puppet: Puppet, models: FaceModels, person: Performer
) -> None:
    rig = Rig(puppet, models, person, seed=13, without=(Gesture.SCREEN_LIGHT,))
    rig.run(120.0)
    assert [attempt.result for attempt in rig.attempts] == [Result.FAIL] * 3
    assert not rig.attempts[-1].again


def test_a_hand_and_a_far_turn_pass_who_does_them_and_fail_who_only_talks(
    puppet: Puppet, models: FaceModels
) -> None:
    rig = Rig(puppet, models, Actor(14), seed=14, kind=CheckKind.OCCLUSION)
    rig.run(60.0, attempts=1)
    attempt = rig.attempts[0]
    assert attempt.result is Result.PASS, (attempt.reason, attempt.commands)
    asked = {command.command.gesture for command in attempt.commands}
    assert asked <= {Gesture.COVER_MOUTH, Gesture.COVER_EYE, Gesture.TURN_FAR_LEFT, Gesture.TURN_FAR_RIGHT}
    rig = Rig(puppet, models, Ignores(15), seed=15, kind=CheckKind.OCCLUSION)
    rig.run(60.0, attempts=1)
    assert rig.attempts[0].result is Result.FAIL
