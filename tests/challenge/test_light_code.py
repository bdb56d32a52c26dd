"""The colours of the screen light: pale, of one brightness, never flashing, unlike each other."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from guard.challenge.commands import Step
from guard.challenge.light_code import (
    CODE_MAX_S,
    CODE_MIN_S,
    LUMINANCE,
    STEP_MAX_S,
    STEP_MIN_S,
    at_times,
    chroma,
    draw_light,
    to_linear,
    to_srgb,
)

CODES = [draw_light(random.Random(seed)) for seed in range(60)]


def lights(steps: tuple[Step, ...]) -> np.ndarray:
    return to_linear(np.array([step.colour for step in steps]))


@pytest.mark.parametrize("steps", CODES[:20])
def test_steps_are_of_irregular_length_within_half_a_second_and_a_second(steps: tuple[Step, ...]) -> None:
    lengths_s = np.diff([step.at_s for step in steps])
    assert steps[0].at_s == 0.0
    assert lengths_s.min() >= STEP_MIN_S - 0.002
    assert lengths_s.max() <= STEP_MAX_S + 0.002
    assert lengths_s.std() > 0.05
    assert CODE_MIN_S <= steps[-1].at_s <= CODE_MAX_S + 0.001


def test_the_luminance_never_changes_enough_to_be_a_flash() -> None:
    """WCAG 2.2, general flash: opposing changes of a tenth of the greatest relative luminance."""
    for steps in CODES:
        luminance = lights(steps) @ LUMINANCE
        assert np.ptp(luminance) < 0.01


def test_no_colour_is_a_saturated_red_and_there_are_at_most_two_changes_a_second() -> None:
    """WCAG 2.2, red flash: R / (R + G + B) of 0.8 and more; a flash is a pair of changes."""
    for steps in CODES:
        light = lights(steps)
        assert (light[:, 0] / light.sum(axis=1)).max() < 0.55
        begun_s = np.array([step.at_s for step in steps])
        most = max(((begun_s >= at_s) & (begun_s < at_s + 1.0)).sum() for at_s in begun_s)
        assert most <= 3  # three changes are one flash and a half


def test_colours_are_pale_and_each_differs_from_the_one_before() -> None:
    for steps in CODES:
        colours = np.array([step.colour for step in steps])
        saturation = 1 - colours.min(axis=1) / colours.max(axis=1)
        assert saturation.max() < 0.4
        assert np.abs(np.diff(colours, axis=0)).max(axis=1).min() > 0.05
        assert chroma(steps)[-1] == pytest.approx([0, 0], abs=1e-9)  # ends on grey


def test_colours_are_what_a_page_can_show() -> None:
    for step in CODES[0]:
        assert step.colour is not None
        in_bytes = np.array(step.colour) * 255
        np.testing.assert_allclose(in_bytes, np.round(in_bytes), atol=1e-9)
        assert re.fullmatch("#[0-9a-f]{6}", "#" + "".join(f"{round(v):02x}" for v in in_bytes))


def test_a_code_is_balanced_and_unlike_itself_shifted() -> None:
    grid_s = np.arange(0.0, 9.5, 0.05)
    for steps in CODES:
        shown = np.sign(at_times(grid_s, np.array([s.at_s for s in steps[:-1]]), chroma(steps)[:-1]))
        assert np.abs(shown.mean(axis=0)).max() < 0.25
        assert abs((shown[:, 0] * shown[:, 1]).mean()) < 0.3
        shifted = [abs((shown[k:] * shown[:-k]).mean()) for k in range(16, 60)]
        assert max(shifted) < 0.5


def test_codes_are_unlike_each_other_and_follow_the_dice() -> None:
    assert draw_light(random.Random(7)) == draw_light(random.Random(7))
    grid_s = np.arange(0.0, 9.5, 0.05)
    shown = np.stack(
        [
            np.sign(at_times(grid_s, np.array([s.at_s for s in steps]), chroma(steps))).ravel()
            for steps in CODES
        ]
    )
    alike = np.abs(np.corrcoef(shown))[np.triu_indices(len(CODES), 1)]
    assert np.quantile(alike, 0.95) < 0.5
    assert alike.max() < 0.9


def test_a_secure_generator_draws_as_well() -> None:
    assert draw_light(random.SystemRandom())[0].colour is not None


def test_srgb_there_and_back() -> None:
    values = np.linspace(0, 1, 101)
    np.testing.assert_allclose([to_srgb(float(v)) for v in to_linear(values)], values, atol=1e-6)


def test_a_step_without_a_colour_is_refused() -> None:
    with pytest.raises(ValueError, match="no colour"):
        chroma([Step(0.0)])
