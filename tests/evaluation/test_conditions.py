"""The conditions: level, band, noise and loss are what their names say, and repeat."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from guard.evaluation import augment as a
from guard.evaluation.channels import opus, opus_lossy
from guard.evaluation.conditions import BARRED, Condition, full
from guard.evaluation.figures import BARS
from guard.types import FloatArray

RATE = 16_000
RNG = np.random.default_rng


def voice(seconds: float = 3.0, level: float = 0.1) -> FloatArray:
    """Return something that, like speech, has pitch, harmonics and syllables."""
    t = np.arange(int(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 25))
    return (level * tones * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * t))).astype(np.float32)


ALL = full([voice(2.0), voice(1.0)])


def heard(condition: Condition, name: str = "clip") -> FloatArray:
    return np.concatenate([frame.samples for frame in condition.channel(voice(), RATE, name)])


def test_names_are_unique_and_the_barred_conditions_come_first() -> None:
    names = [condition.name for condition in ALL]
    assert len(set(names)) == len(names)
    assert names[:4] == [condition.name for condition in BARRED] == list(BARS)


def plucked(count: int, rate_hz: int, seed: int) -> a.Floats:
    """Return the music as it is defined: every chord over the whole length."""
    rng, t, out = RNG(seed), np.arange(count) / rate_hz, np.zeros(count)
    for start_s in np.arange(0.0, count / rate_hz, 0.5).tolist():
        root = 110.0 * 2 ** (int(rng.integers(0, 24)) / 12)
        age = np.maximum(t - start_s, 0.0)
        for ratio in (1.0, 2 ** (4 / 12), 2 ** (7 / 12)):
            for k in range(1, 9):
                out += (t >= start_s) * np.exp(-3 * age) * np.sin(2 * np.pi * root * ratio * k * age) / k
    return out


@pytest.mark.parametrize(("seconds", "rate"), [(0.02, 8_000), (0.5, 11_025), (3.3, 16_000), (20.0, 4_001)])
def test_music_is_that_of_its_definition(seconds: float, rate: int) -> None:
    count = int(seconds * rate)
    np.testing.assert_allclose(a.music(count, rate, RNG(5)), plucked(count, rate, 5), atol=1e-7, rtol=0)


def test_music_costs_as_much_a_second_however_long_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    harmonics = a._harmonics

    def counted(phase: a.Floats) -> a.Floats:
        nonlocal made
        made += len(phase)
        return harmonics(phase)

    monkeypatch.setattr(a, "_harmonics", counted)
    costs = []
    for seconds in (20, 40, 80):
        made = 0
        a.music(seconds * 1000, 1000, RNG(1))
        costs.append(made / seconds)
    assert costs[2] < 1.2 * costs[0]


def test_codecs_and_noise_levels_are_measured_on_both_classes() -> None:
    both = {condition.name for condition in ALL if condition.both_classes}
    assert both == {*BARS, "g722", "noise_20db", "noise_10db", "noise_5db"}


@pytest.mark.parametrize("condition", ALL, ids=lambda condition: condition.name)
def test_every_condition_keeps_the_length_stays_in_scale_and_repeats(condition: Condition) -> None:
    frames = condition.channel(voice(), RATE, "clip")
    assert sum(len(f.samples) / f.rate_hz for f in frames) == pytest.approx(3.0, abs=0.1)
    assert [f.time_s for f in frames] == sorted(f.time_s for f in frames)
    samples = np.concatenate([f.samples for f in frames])
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1.2  # decoders overshoot a little
    np.testing.assert_array_equal(samples, heard(condition))


def test_chance_differs_from_clip_to_clip_and_from_condition_to_condition() -> None:
    by_name = {condition.name: condition for condition in ALL}
    white, again = by_name["white_10db"], by_name["white_20db"]
    assert not np.array_equal(heard(white, "a"), heard(white, "b"))
    ten, twenty = heard(white) - voice(), heard(again) - voice()
    assert abs(np.corrcoef(ten, twenty)[0, 1]) < 0.05


@pytest.mark.parametrize("noise", [a.white, a.pink, a.hum, a.street, a.clicks, a.music])
@pytest.mark.parametrize("snr_db", [20.0, 5.0])
def test_noise_lies_as_far_below_the_speech_as_asked(noise: a.Noise, snr_db: float) -> None:
    own = voice(level=0.02)
    extra = a.add_noise(own, RATE, RNG(0), noise=noise, snr_db=snr_db) - own
    ratio = 20 * np.log10(a.speech_rms(own, RATE) / np.sqrt(np.mean(extra**2)))
    assert ratio == pytest.approx(snr_db, abs=0.1)


def test_babble_is_noise_of_the_pool_at_any_rate() -> None:
    pool = [voice(1.0)]
    slow, fast = (a.babble(rate, rate, RNG(0), pool=pool) for rate in (8000, 32_000))
    for samples, rate in ((slow, 8000), (fast, 32_000)):
        spectrum = np.abs(np.fft.rfft(samples))
        assert abs(np.argmax(spectrum) * rate / len(samples) - 150) < 10


def test_pauses_do_not_lower_the_level_of_the_speech() -> None:
    own = voice(1.0)
    with_pause = np.concatenate([own, np.zeros(3 * RATE, np.float32)])
    assert a.speech_rms(with_pause, RATE) == pytest.approx(a.speech_rms(own, RATE), rel=1e-6)


def test_band_keeps_what_lies_inside_and_removes_what_lies_outside() -> None:
    t = np.arange(RATE) / RATE
    for hz, kept in ((100.0, 0.0), (1000.0, 1.0), (6000.0, 0.0)):
        tone = (0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32)
        out = a.band(tone, RATE, RNG(0), low_hz=300.0, high_hz=3400.0)
        assert np.std(out) / np.std(tone) == pytest.approx(kept, abs=0.05)


def test_clipping_cuts_the_share_asked_for() -> None:
    out = a.clip(voice(), RATE, RNG(0), share=0.05)
    assert np.mean(np.abs(out) >= 0.999) == pytest.approx(0.05, abs=0.005)


def test_level_is_that_of_the_speech() -> None:
    out = a.level(voice(), RATE, RNG(0), rms_db=-45.0)
    assert 20 * np.log10(a.speech_rms(out, RATE)) == pytest.approx(-45.0, abs=0.1)


def test_gain_control_brings_quiet_and_loud_speech_together() -> None:
    loud, quiet = (a.gain_control(voice(level=x), RATE, RNG(0)) for x in (0.1, 0.01))
    assert 20 * np.log10(np.std(quiet) / np.std(loud)) == pytest.approx(0.0, abs=3.0)


def test_suppression_takes_noise_out_of_pauses_and_leaves_speech() -> None:
    pause = np.zeros(2 * RATE, np.float32)
    noisy = np.concatenate([pause, voice(2.0), pause]) + 0.003 * RNG(0).standard_normal(6 * RATE).astype(
        np.float32
    )
    out = a.suppress(noisy, RATE, RNG(0), floor_db=-20.0)
    assert len(out) == len(noisy)
    assert np.std(out[:RATE]) < 0.6 * np.std(noisy[:RATE])
    assert np.std(out[2 * RATE : 4 * RATE]) == pytest.approx(np.std(noisy[2 * RATE : 4 * RATE]), rel=0.05)


def test_room_keeps_the_level_and_rings_on() -> None:
    burst = np.zeros(RATE, np.float32)
    burst[1000:1400] = 0.5 * RNG(0).standard_normal(400).astype(np.float32).clip(-1, 1)
    out = a.room(burst, RATE, RNG(1), rt60_s=0.6, direct_to_tail_db=0.0)
    assert np.std(out[1500:3000]) > 0
    assert np.std(burst[1500:3000]) == 0


def test_losses_are_marked_nested_and_repeatable() -> None:
    samples = voice(8.0)
    lost = {}
    for percent in (1, 10):
        frames = opus(samples, RATE, "a", loss_ratio=percent / 100)
        lost[percent] = {round(f.time_s, 3) for f in frames if f.concealed}
    assert lost[1] < lost[10]
    again = np.concatenate([f.samples for f in opus_lossy(samples, RATE, "a")])
    np.testing.assert_array_equal(again, np.concatenate([f.samples for f in opus_lossy(samples, RATE, "a")]))


def test_bursts_lose_the_same_share_in_longer_stretches() -> None:
    samples = voice(60.0)
    runs = {}
    for name, bursts in (("single", False), ("bursts", True)):
        frames = partial(opus, bursts=bursts)(samples, RATE, "x", loss_ratio=0.05)
        concealed_s = sum(len(f.samples) / f.rate_hz for f in frames if f.concealed)
        assert concealed_s / 60 == pytest.approx(0.05, abs=0.03)
        flags = [f.concealed for f in frames]
        starts = sum(1 for before, now in zip([False, *flags], flags, strict=False) if now and not before)
        runs[name] = concealed_s / starts
    assert runs["bursts"] > 1.8 * runs["single"]
