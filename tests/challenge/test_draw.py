"""What the check of hand and far turn asks, and of whom it asks something else."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from guard.challenge.commands import CheckKind, Gesture, Need, Step
from guard.challenge.draw import FAR, HANDS, HEAD, Drawing, Used, choices, draw
from guard.challenge.gestures import LIMIT_S

DRAWING = Drawing(LIMIT_S, words=lambda *_: (), light=lambda _: (Step(0.0),))


def test_it_asks_for_a_hand_or_a_far_turn_and_for_no_plain_turn() -> None:
    assert set(choices(CheckKind.OCCLUSION, ())) == {*HANDS, *FAR}
    assert not {*FAR} & {*choices(CheckKind.VISUAL, ())}


def test_the_far_turn_has_more_time_than_a_turn() -> None:
    for gesture in FAR:
        drawn = draw(random.Random(1), [gesture], Used(), 1, language="kk", drawing=DRAWING)[0]
        assert drawn.limit_s > LIMIT_S[Gesture.TURN_LEFT]


@pytest.mark.parametrize("kind", [CheckKind.OCCLUSION, CheckKind.VISUAL])
def test_who_cannot_turn_is_asked_for_no_movement_of_the_head(kind: CheckKind) -> None:
    left = choices(kind, [Need.NO_TURNING])
    assert not {*HEAD, *FAR, Gesture.FOLLOW_DOT} & {*left}
    assert len(left) == len(set(left)) >= 5


@pytest.mark.parametrize("needs", [*combinations(Need, 1), *combinations(Need, 2)], ids=str)
def test_two_needs_leave_enough_for_an_attempt(needs: tuple[Need, ...]) -> None:
    left = choices(CheckKind.OCCLUSION, needs)
    assert len(draw(random.Random(2), left, Used(), 2, language="ru", drawing=DRAWING)) == 2
