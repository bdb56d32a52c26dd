"""Calls put together from clips: as long as asked, of one voice and one engine, the same for a seed."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from benchmarks.whole_calls import LENGTH_S, SWITCH_S, at_16k, draw, fill, groups, run
from guard.app.parts import load_models, settings_config
from guard.config import load_settings
from guard.evaluation.clips import Clip, Item
from guard.types import State


def clip(
    name: str, *, is_spoof: bool, seconds: float = 5.0, level: float = 0.1, rate_hz: int = 22_050
) -> Clip:
    dice = np.random.default_rng(len(name))
    samples = (level * dice.standard_normal(int(seconds * rate_hz))).astype(np.float32)
    return Clip(Item(Path("x.wav"), is_spoof, name, name), samples, rate_hz, seconds)


def test_a_stretch_uses_every_clip_before_any_comes_again() -> None:
    clips = [clip("a", is_spoof=False, level=level, rate_hz=16_000) for level in (0.1, 0.2, 0.3)]
    stretch = fill(clips, 15.0, random.Random(1))
    assert stretch.shape == (15 * 16_000,)
    assert np.abs(stretch).max() <= 1.0
    assert len(at_16k(clip("b", is_spoof=False))) == 80_000


def test_voices_and_engines_with_too_little_sound_are_left_out() -> None:
    long = [clip("long", is_spoof=False) for _ in range(3)]
    engine = [clip("engine", is_spoof=True) for _ in range(3)]
    voices, engines = groups([*long, *engine, clip("short", is_spoof=False), clip("brief", is_spoof=True)])
    assert (set(voices), set(engines)) == ({"long"}, {"engine"})


def test_calls_are_drawn_from_the_seed_and_pass_the_pipeline_without_evidence_of_noise() -> None:
    clips = [clip("v", is_spoof=False) for _ in range(4)] + [clip("e", is_spoof=True) for _ in range(4)]
    first, again = (list(draw(clips, 1, random.Random(7))) for _ in range(2))
    assert [call.engine for call in first] == [None, "e"]
    for one, other in zip(first, again, strict=True):
        assert len(one.samples) == LENGTH_S * 16_000
        assert np.array_equal(one.samples, other.samples)
    assert 0 < SWITCH_S < LENGTH_S
    models, config = load_models(None), settings_config(load_settings(), "meeting")
    short = first[1].__class__("noise", first[1].samples[: 10 * 16_000], "e")
    outcome, scored = run(short, models, config)
    assert (outcome.last, outcome.alarm_s, outcome.is_spoof, scored) == (State.UNDECIDED, None, True, 0)
