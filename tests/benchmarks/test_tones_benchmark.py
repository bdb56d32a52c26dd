"""The benchmark of sounds that are no voice: what it counts, and that its sounds are what they should be."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import tones
from benchmarks.tone_sounds import RATE_HZ, SOUNDS, answers, sound, whispered
from guard.evaluation.channels import clean
from guard.media.tones import warning_tone


def test_every_sound_is_made_at_one_level() -> None:
    assert len(SOUNDS) > 30
    for kind in ("engaged UK", "digits 70/70 ms", "Morse 700", "information triad", "alarm clock"):
        samples = sound(kind)
        assert (samples.dtype, samples.ndim) == (np.dtype(np.float32), 1)
        assert np.abs(samples).max() == pytest.approx(0.1, rel=0.02)


def test_what_the_limits_keep_back_is_counted() -> None:
    without, kept = tones.counted(sound("engaged UK")[: 6 * RATE_HZ], RATE_HZ, "engaged UK", clean)
    assert without > 0
    assert kept == 0


def test_a_manner_of_speaking_keeps_the_length_and_level_of_speech() -> None:
    speech = np.tile(warning_tone(), 3)
    whisper = whispered(speech, RATE_HZ, np.random.default_rng(0))
    assert whisper.shape == speech.shape
    assert whisper.std() == pytest.approx(speech.std(), rel=1e-3)
    assert len(answers(speech, RATE_HZ, np.random.default_rng(0))) > 12 * 0.4 * RATE_HZ
