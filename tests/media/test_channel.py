"""The bin of a window: narrow band, loss and noise of synthetic speech, in any cut of it."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.evaluation.channels import g711
from guard.media.channel import BINS, bin_of, is_narrow, snr_db
from guard.types import AudioFrame, AudioQuality, AudioWindow, FloatArray, Kind, TrackKey
from guard.windows.audio import AudioWindows

RATE_HZ = 16_000
KEY = TrackKey("s", "p", Kind.AUDIO)


def speech(seconds: float = 4.0, seed: int = 0) -> FloatArray:
    """Vowels of 0.2 s, hisses above 4 kHz of 0.08 s and pauses of 0.1 s by turns, as speech has them."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(0.2 * RATE_HZ)) / RATE_HZ
    out: list[np.ndarray] = []
    while sum(map(len, out)) < seconds * RATE_HZ:
        pitch = rng.uniform(90, 220)
        vowel = sum(np.sin(2 * np.pi * pitch * k * t) / k**1.5 for k in range(1, int(3800 / pitch)))
        hiss = np.diff(rng.standard_normal(int(0.08 * RATE_HZ)), n=2, prepend=[0, 0]) * 0.03
        out += [np.hanning(len(t)) * vowel * 0.2, hiss, np.zeros(int(0.1 * RATE_HZ))]
    return np.concatenate(out)[: int(seconds * RATE_HZ)].astype(np.float32)


def quality(snr: float | None = 30.0, concealed_ratio: float = 0.0) -> AudioQuality:
    return AudioQuality(0.8, 3.2, snr, 0.0, concealed_ratio)


def telephone(samples: FloatArray) -> FloatArray:
    """The samples after an 8 kHz line, back at 16 kHz."""
    (frame,) = g711(samples, RATE_HZ, "clip")
    return np.asarray(soxr.resample(frame.samples, 8_000, RATE_HZ), np.float32)


def powers(samples: FloatArray) -> np.ndarray:
    return np.asarray(np.mean(samples.reshape(-1, 320).astype(np.float64) ** 2, axis=1))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("level", [1.0, 0.01])
def test_an_8_khz_line_is_narrow_and_the_same_speech_before_it_is_not(seed: int, level: float) -> None:
    samples = speech(seed=seed) * np.float32(level)
    assert not is_narrow(samples)
    assert is_narrow(telephone(samples))


def test_a_click_does_not_make_a_narrow_line_wide() -> None:
    samples = telephone(speech())
    samples[20_000] = 0.9
    assert is_narrow(samples)


def test_silence_is_not_narrow() -> None:
    assert not is_narrow(np.zeros(64_000, np.float32))


@pytest.mark.parametrize(
    ("narrow", "snr", "concealed_ratio", "wanted"),
    [
        (True, 0.0, 0.5, "narrow"),
        (False, 0.0, 0.5, "lossy"),
        (False, 0.0, 0.0, "noisy"),
        (False, None, 0.0, "default"),
        (False, 30.0, 0.005, "default"),
    ],
)
def test_the_first_of_the_bins_that_holds_is_taken(
    narrow: bool, snr: float | None, concealed_ratio: float, wanted: str
) -> None:
    samples = telephone(speech()) if narrow else speech()
    assert bin_of(samples, quality(snr, concealed_ratio)) == wanted
    assert wanted in BINS


@settings(max_examples=25, deadline=None)
@given(start=st.integers(0, 5 * RATE_HZ))
def test_the_band_of_a_voice_does_not_depend_on_where_the_window_lies(start: int) -> None:
    samples = speech(9.0, seed=3)
    assert not is_narrow(samples[start : start + 64_000])
    assert is_narrow(telephone(samples)[start : start + 64_000])


@pytest.mark.parametrize("truth_db", [5, 10, 15, 20])
def test_snr_is_that_of_the_added_noise(truth_db: int) -> None:
    samples = speech(seed=1)
    noise = np.random.default_rng(2).standard_normal(len(samples))
    noise *= np.sqrt(np.mean(samples**2)) * 10 ** (-truth_db / 20)
    assert snr_db(powers((samples + noise).astype(np.float32))) == pytest.approx(truth_db, abs=2)


def test_snr_needs_half_a_second() -> None:
    assert snr_db(np.ones(24)) is None
    assert snr_db(np.ones(25)) is not None


@pytest.mark.parametrize("step", [160, 777, 16_000])
def test_bins_of_a_track_are_the_same_in_any_chunks(step: int) -> None:
    rng = np.random.default_rng(4)
    wide = speech(6.0, seed=5)
    noise = rng.normal(0, 0.03, len(wide)).astype(np.float32)
    tracks = [wide, wide + noise, telephone(wide)]
    assert [_bins(track, step) for track in tracks] == [_bins(track, len(wide)) for track in tracks]
    assert [set(_bins(track, step)) for track in tracks] == [{"default"}, {"noisy"}, {"narrow"}]


def _bins(samples: FloatArray, step: int) -> list[str]:
    windows = AudioWindows(KEY)
    out = []
    for start in range(0, len(samples), step):
        out += windows.push(AudioFrame(KEY, start / RATE_HZ, samples[start : start + step], RATE_HZ))
    out += windows.flush()
    return [bin_of(w.samples, w.quality) for w in out if isinstance(w, AudioWindow)]
