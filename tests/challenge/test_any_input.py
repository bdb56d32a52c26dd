"""No picture, sound or timing makes a judge fail: untrusted media must not bring the analysis down."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.app.check_tools import check_tools
from guard.challenge.commands import Answer, Command, Gesture, Observed, Sight
from guard.challenge.draw import Used, draw
from guard.challenge.outputs import CheckConfig
from guard.types import FloatArray

TOOLS = check_tools(CheckConfig(), None)
NEUTRAL = np.load(Path(__file__).with_name("neutral_face.npy")).astype(np.float32)


def points(dice: np.random.Generator, kind: int) -> FloatArray | None:
    """Return a face: none, ordinary, flat, in one place, huge, outside the picture, or jumping."""
    if kind == 0:
        return None
    base = NEUTRAL if kind < 4 else None
    if base is not None:
        return np.asarray(base + dice.normal(0, (0.2, 5.0, 60.0)[kind - 1], (468, 3)), np.float32)
    if kind == 4:
        return np.full((468, 3), 7.0, np.float32)
    if kind == 5:
        return dice.normal(0, 1e6, (468, 3)).astype(np.float32)
    flat = dice.uniform(0, 300, (468, 3)).astype(np.float32)
    flat[:, 1] = flat[:, 0]
    flat[:, 2] = 0
    return flat


def sight(dice: np.random.Generator, time_s: float) -> Sight:
    kind = int(dice.integers(0, 7))
    found = points(dice, kind)
    grey = int(dice.integers(0, 256))
    patch = (
        dice.integers(0, 256, (64, 64, 3)).astype(np.uint8)
        if kind % 2
        else np.full((64, 64, 3), grey, np.uint8)
    )
    colour = None if kind == 3 else dice.uniform(0, 255, 3).astype(np.float32)
    dark = np.zeros(3, np.float32)
    return Sight(
        time_s,
        (640, 360),
        int(dice.integers(0, 4)),
        found,
        None if kind == 6 else patch,
        colour,
        dark if kind == 5 else colour,
    )


def times(dice: np.random.Generator, count: int, begin_s: float) -> list[float]:
    """Return moments that stand still, hurry or leave out; never backwards, as arrival never is."""
    steps = dice.choice([0.0, 1e-6, 0.01, 0.066, 0.4, 3.0], count)
    return [float(value) for value in begin_s + np.cumsum(steps)]


def drawn(gesture: Gesture, seed: int) -> Command:
    (command,) = draw(random.Random(seed), [gesture], Used(), 1, language="ru", drawing=TOOLS.drawing)
    return command


@pytest.mark.parametrize("gesture", sorted(TOOLS.judges))
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6), before=st.integers(0, 30), after=st.integers(0, 60), sent=st.integers(1, 20)
)
def test_any_pictures_and_sound_come_to_a_judgement(
    gesture: Gesture, seed: int, before: int, after: int, sent: int
) -> None:
    dice = np.random.default_rng(seed)
    command = drawn(gesture, seed)
    shown = tuple(50.0 + step.at_s for step in command.steps[:sent])
    voice = dice.choice([0.0, 1e-7, 0.3, 1.0], int(dice.integers(0, 130_000))).astype(np.float32)
    observed = Observed(
        shown,
        [sight(dice, time_s) for time_s in times(dice, before, 48.0)],
        [sight(dice, time_s) for time_s in times(dice, after, 50.0)],
        voice,
        50.0 + float(dice.uniform(-1, 9)),
        str(dice.choice(np.array(["", "1 2 3", "да " * 300, "\x00"]))) if seed % 2 else None,
    )
    judge = TOOLS.judges[gesture]
    for over in (False, True):
        found = judge.judge(command, observed, over=over)
        if found is None:
            assert not over
            continue
        assert math.isfinite(found.llr)
        assert abs(found.llr) <= 10
        assert found.llr == 0 or found.answer is not Answer.UNSEEN
        assert (found.llr < 0) == (found.answer is Answer.MATCHED)
        assert found.reason.replace("_", "").isalnum()
