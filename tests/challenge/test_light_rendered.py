"""The screen light through the whole picture path: camera, VP8, face tracking, sight, judge (5 CPU-s)."""

from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.light import Film
from benchmarks.light_scene import Scene, colours_of, film
from guard.challenge.commands import Answer
from guard.challenge.light import LIMIT_S, LightJudge
from guard.challenge.light_code import draw_light
from guard.resources import models_dir
from guard.windows.face_models import load_face_models


@pytest.fixture(scope="module")
def lit() -> Film:
    """A face with a fifth of its light from the screen, exposure hunting, 400 kbit/s, a tenth of it lost."""
    scene = Scene(0.2, lag_s=0.4, snr_db=28.0, kbit_s=400, lost=0.1, exposure_s=0.5, balance_s=3.0)
    steps = draw_light(random.Random(21))
    shown = colours_of(steps, [step.at_s for step in steps], scene.lag_s)
    models = load_face_models(models_dir())
    return Film(scene, steps, film(scene, shown, LIMIT_S, np.random.default_rng(21), models))


def test_a_rendered_face_before_the_screen_is_matched(lit: Film) -> None:
    found = lit.judged(lit.steps)
    assert found.answer is Answer.MATCHED
    assert found.details["lag_s"] == pytest.approx(0.4, abs=0.1)
    assert found.details["correlation"] > 0.8


def test_the_same_pictures_match_no_other_code_and_are_known_again(lit: Film) -> None:
    judge = LightJudge()
    lit.judged(lit.steps, judge)
    dice = random.Random(22)
    found = [lit.judged(draw_light(dice), judge) for _ in range(5)]
    assert [one.reason for one in found] == ["light_replayed"] * 5
