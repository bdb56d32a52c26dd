from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.evaluation.channels import opus
from guard.types import AudioFrame, AudioWindow, FloatArray, Kind, TrackKey, WindowSkip
from guard.windows.audio import AudioWindowConfig, AudioWindows

KEY = TrackKey("s", "p", Kind.AUDIO)
Output = AudioWindow | WindowSkip


def voice(seconds: float, rate_hz: int = 16_000) -> FloatArray:
    """A vowel with moving pitch and level, which the VAD takes for speech throughout."""
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * np.cumsum(120 + 15 * np.sin(2 * np.pi * 0.7 * t)) / rate_hz
    out = np.zeros(len(t))
    for k in range(1, 30):
        level = np.exp(-(((k * 120 - 600) / 500) ** 2)) + 0.5 * np.exp(-(((k * 120 - 1500) / 300) ** 2))
        out += level * np.sin(k * phase)
    return (0.05 * out * (0.65 + 0.35 * np.sin(2 * np.pi * 3 * t))).astype(np.float32)


def silence(seconds: float, rate_hz: int = 16_000) -> FloatArray:
    return np.zeros(int(seconds * rate_hz), np.float32)


def frame(
    samples: FloatArray, time_s: float = 0.0, rate_hz: int = 16_000, concealed: bool = False
) -> AudioFrame:
    return AudioFrame(KEY, time_s, samples, rate_hz, concealed)


def run(samples: FloatArray, config: AudioWindowConfig | None = None) -> list[Output]:
    windows = AudioWindows(KEY, config)
    return [*windows.push(frame(samples)), *windows.flush()]


def emitted(outputs: list[Output]) -> list[AudioWindow]:
    return [one for one in outputs if isinstance(one, AudioWindow)]


def skipped(outputs: list[Output]) -> list[WindowSkip]:
    return [one for one in outputs if isinstance(one, WindowSkip)]


def same(a: list[Output], b: list[Output]) -> bool:
    return len(a) == len(b) and all(
        (x.start_s, x.end_s, type(x)) == (y.start_s, y.end_s, type(y))
        and (not isinstance(x, WindowSkip) or x == y)
        and (
            not (isinstance(x, AudioWindow) and isinstance(y, AudioWindow))
            or (x.quality == y.quality and np.array_equal(x.samples, y.samples))
        )
        for x, y in zip(a, b, strict=True)
    )


def test_the_first_window_leaves_when_two_seconds_of_speech_are_in() -> None:
    first = emitted(run(voice(3.0)))[0]
    assert 2.0 <= first.end_s <= 2.2
    assert first.quality.speech_s == pytest.approx(2.0)


def test_a_short_start_is_padded_by_repeating_it_from_its_first_speech() -> None:
    samples = np.concatenate([silence(0.5), voice(3.0)])
    first = emitted(run(samples))[0]
    assert 0.4 <= first.start_s <= 0.6
    heard = samples[round(first.start_s * 16_000) : round(first.end_s * 16_000)]
    assert first.samples.shape == (64_000,)
    np.testing.assert_array_equal(first.samples, np.resize(heard, 64_000))


@pytest.mark.parametrize("quiet_s", [0.0, 1.3, 3.9, 4.1, 11.0, 30.7, 61.9])
def test_the_first_window_comes_within_three_seconds_of_the_first_speech(quiet_s: float) -> None:
    first = emitted(run(np.concatenate([silence(quiet_s), voice(5.0)])))[0]
    assert first.end_s - quiet_s < 3.0


def test_windows_follow_each_second_at_the_start_and_each_two_seconds_later() -> None:
    ends = np.array([window.end_s for window in emitted(run(voice(30.0)))][:-1])
    hops = np.diff(ends)
    np.testing.assert_allclose(hops[ends[1:] < 12.0], 1.0)
    np.testing.assert_allclose(hops[ends[:-1] >= 12.0], 2.0)
    assert len(hops) > 15


def test_a_full_window_is_the_last_four_seconds_untouched() -> None:
    samples = voice(9.0)
    for window in emitted(run(samples)):
        if window.end_s - window.start_s >= 4.0 - 1e-9:
            start = round(window.start_s * 16_000)
            np.testing.assert_array_equal(window.samples, samples[start : start + 64_000])


def test_a_suspicion_makes_windows_dense_for_thirty_seconds() -> None:
    windows = AudioWindows(KEY)
    outputs = windows.push(frame(voice(20.0)))
    windows.suspicion(20.0)
    outputs += windows.push(frame(voice(50.0), 20.0))
    ends = np.array([window.end_s for window in emitted(outputs)])
    within = ends[(ends > 20.0) & (ends < 50.0)]
    np.testing.assert_allclose(np.diff(within), 1.0)
    np.testing.assert_allclose(np.diff(ends[ends > 52.0]), 2.0)


def test_silence_gives_skips_that_say_so() -> None:
    outputs = run(silence(20.0))
    assert outputs and not emitted(outputs)
    assert {skip.reason for skip in skipped(outputs)} == {"too_little_speech"}


def test_hum_and_hiss_are_no_speech_however_loud() -> None:
    t = np.arange(16_000 * 8) / 16_000
    hum = sum(0.3 / k * np.sin(2 * np.pi * 50 * k * t) for k in range(1, 12))
    hiss = np.random.default_rng(4).normal(0, 0.15, len(t))
    for sound in (hum, hiss, 0.5 * np.sin(2 * np.pi * 440 * t)):
        outputs = run(np.asarray(sound, np.float32))
        assert not emitted(outputs)
        assert "steady_sound" in {skip.reason for skip in skipped(outputs)}


def beeps(lines_hz: tuple[float, ...], on_s: float, off_s: float, rate_hz: int = 16_000) -> FloatArray:
    t = np.arange(12 * rate_hz) / rate_hz
    tone = sum(np.sin(2 * np.pi * hz * t) for hz in lines_hz)
    return np.asarray(0.15 * tone * (t % (on_s + off_s) < on_s), np.float32)


def digits(on_s: float, off_s: float) -> FloatArray:
    """Digits of ITU-T Q.23 at levels that differ, as out of a telephone's keys."""
    rng, parts = np.random.default_rng(3), list[FloatArray]()
    for _ in range(round(12 / (on_s + off_s))):
        pair = (rng.choice([697.0, 770.0, 852.0, 941.0]), rng.choice([1209.0, 1336.0, 1477.0]))
        sound = beeps((float(pair[0]), float(pair[1])), on_s, 1.0)[: round(on_s * 16_000)]
        parts += [sound * np.float32(rng.uniform(0.15, 1.0)), silence(off_s)]
    return np.concatenate(parts)


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (beeps((400.0,), 0.375, 0.375), "steady_sound"),
        (beeps((425.0,), 0.5, 0.5), "steady_sound"),
        (beeps((480.0, 620.0), 0.5, 0.5), "steady_sound"),
        (beeps((440.0, 480.0), 2.0, 4.0), "steady_sound"),
        (beeps((1200.0,), 0.5, 0.5), "steady_sound"),
        (digits(0.16, 0.06), "tones"),
        (digits(0.25, 0.15), "tones"),
    ],
    ids=["busy UK", "busy EU", "busy US", "ringing US", "reversing lorry", "digits fast", "digits slow"],
)
def test_telephone_tones_are_no_speech(sound: FloatArray, reason: str) -> None:
    quiet = np.random.default_rng(0).normal(0, 2e-4, len(sound)).astype(np.float32)
    through_opus = as_heard(sound + quiet)
    for heard in (sound, sound + quiet, through_opus):
        outputs = run(heard)
        assert not emitted(outputs)
    assert reason in {skip.reason for skip in skipped(run(sound))}


def as_heard(samples: FloatArray) -> FloatArray:
    """The samples after Opus."""
    frames = opus(samples, 16_000, "tone")
    return np.asarray(soxr.resample(np.concatenate([f.samples for f in frames]), 48_000, 16_000), np.float32)


def test_steady_noise_under_a_tone_makes_it_no_voice() -> None:
    tone = beeps((425.0,), 0.5, 0.5)
    noise = np.random.default_rng(0).normal(0, 0.15 * 0.7 / 10**0.5, len(tone)).astype(np.float32)
    assert not emitted(run(tone + noise))


def test_speech_over_a_tone_is_a_voice() -> None:
    tone = beeps((425.0,), 0.5, 0.5)
    assert emitted(run(voice(12.0) + 0.1 * tone))
    assert emitted(run(np.concatenate([tone, voice(6.0)])))[0].end_s > 12.0


def test_a_constant_offset_changes_nothing() -> None:
    """0.3 of full scale, as cheap sound cards add: the same windows, qualities and samples."""
    samples = voice(9.0) + np.random.default_rng(0).normal(0, 1e-3, 9 * 16_000).astype(np.float32)
    for plain, shifted in zip(emitted(run(samples)), emitted(run(samples + np.float32(0.3))), strict=True):
        assert (plain.start_s, plain.end_s) == (shifted.start_s, shifted.end_s)
        np.testing.assert_allclose(plain.samples, shifted.samples, atol=1e-4)
        assert plain.quality.snr_db == pytest.approx(shifted.quality.snr_db, abs=1e-3)


def test_a_gap_in_media_time_is_told_and_never_stitched() -> None:
    windows = AudioWindows(KEY)
    outputs = windows.push(frame(voice(3.0)))
    outputs += windows.push(frame(voice(6.0), 3.5))
    outputs += windows.flush()
    assert [(s.start_s, s.end_s) for s in skipped(outputs) if s.reason == "gap"] == [(3.0, 3.5)]
    assert all(window.end_s <= 3.0 or window.start_s >= 3.5 for window in emitted(outputs))
    assert any(window.start_s >= 3.5 for window in emitted(outputs))


def test_a_change_of_rate_ends_the_stretch() -> None:
    windows = AudioWindows(KEY)
    outputs = windows.push(frame(voice(3.0)))
    outputs += windows.push(frame(voice(6.0, 48_000), 3.0, 48_000))
    assert all(window.end_s <= 3.0 or window.start_s >= 3.0 for window in emitted(outputs))


def test_media_time_that_runs_back_ends_the_stretch() -> None:
    windows = AudioWindows(KEY)
    windows.push(frame(voice(6.0)))
    outputs = windows.push(frame(voice(3.0), 1.0))
    assert emitted(outputs)[-1].start_s >= 1.0
    assert all(skip.reason != "gap" for skip in skipped(outputs))


def syllables(speech_s: float, pause_s: float, count: int) -> FloatArray:
    return np.concatenate([part for _ in range(count) for part in (voice(speech_s), silence(pause_s))])


def test_short_pauses_are_part_of_speech_and_long_ones_are_not() -> None:
    short, long = (run(syllables(0.3, pause_s, 10))[0] for pause_s in (0.12, 0.8))
    assert isinstance(short, AudioWindow)
    assert short.quality.speech_s == pytest.approx(2.0, abs=0.02)
    assert short.end_s < 2.3
    assert isinstance(long, WindowSkip) and long.reason == "too_little_speech"


def test_a_lost_packet_is_no_pause() -> None:
    def outputs(concealed: bool) -> list[Output]:
        windows, out, spoken = AudioWindows(KEY), list[Output](), voice(4.0)
        for n in range(40):
            out += windows.push(frame(spoken[1_600 * n :][:1_600], 0.12 * n))
            out += windows.push(frame(silence(0.02), 0.12 * n + 0.1, concealed=concealed and n % 2 == 0))
        return out

    assert emitted(outputs(False))[0].end_s < emitted(outputs(True))[0].end_s


def test_concealed_audio_is_no_speech_and_too_much_of_it_is_refused() -> None:
    windows = AudioWindows(KEY)
    outputs = windows.push(frame(voice(5.0)))
    before = emitted(outputs)[-1]
    outputs = windows.push(frame(voice(2.0), 5.0, concealed=True))
    outputs += windows.push(frame(voice(1.0), 7.0))
    assert before.quality.concealed_ratio == 0.0
    assert "concealed" in {skip.reason for skip in skipped(outputs)}
    assert all(window.quality.concealed_ratio <= 0.25 for window in emitted(outputs))


def test_the_concealed_share_is_measured() -> None:
    windows = AudioWindows(KEY)
    outputs = windows.push(frame(voice(1.0, 48_000), 0.0, 48_000))
    outputs += windows.push(frame(voice(0.5, 48_000), 1.0, 48_000, concealed=True))
    outputs += windows.push(frame(voice(4.0, 48_000), 1.5, 48_000))
    full = next(w for w in emitted(outputs) if w.end_s - w.start_s >= 4.0 - 1e-9)
    inside_s = max(0.0, 1.5 - max(1.0, full.start_s))
    assert full.quality.concealed_ratio == pytest.approx(inside_s / 4.0, abs=1e-6)


def test_windows_and_skips_cover_the_track() -> None:
    pieces = [voice(7.0), silence(9.0), voice(1.0), silence(5.0), voice(3.3)]
    outputs = run(np.concatenate(pieces))
    covered_s = 0.0
    for one in outputs:
        assert one.start_s <= covered_s + 1e-9
        covered_s = max(covered_s, one.end_s)
    assert covered_s == pytest.approx(25.3, abs=0.02)


@settings(max_examples=15, deadline=None)
@given(
    rate_hz=st.sampled_from([16_000, 44_100, 48_000]),
    cuts=st.lists(st.floats(0.0, 12.0), max_size=30),
    gap_s=st.sampled_from([0.0, 0.3]),
)
def test_same_samples_in_any_chunks_give_same_windows(rate_hz: int, cuts: list[float], gap_s: float) -> None:
    rng = np.random.default_rng(3)
    samples = np.concatenate([voice(7.0, rate_hz), silence(2.0, rate_hz), voice(3.0, rate_hz)])
    samples += rng.normal(0, 0.001, len(samples)).astype(np.float32)
    # concealed from 4.0 to 4.1 s, a gap before the last 3 s
    marks = [round(4.0 * rate_hz), round(4.1 * rate_hz), round(9.0 * rate_hz)]

    def outputs(points: list[float]) -> list[Output]:
        windows = AudioWindows(KEY)
        edges = sorted({0, len(samples), *marks, *(min(len(samples), int(p * rate_hz)) for p in points)})
        out: list[Output] = []
        for a, b in itertools.pairwise(edges):
            time_s = a / rate_hz + (gap_s if a >= marks[2] else 0.0)
            concealed = marks[0] <= a < marks[1]
            out += windows.push(AudioFrame(KEY, time_s, samples[a:b], rate_hz, concealed))
        return [*out, *windows.flush()]

    assert same(outputs([]), outputs(cuts))


def test_the_level_of_noise_shows_in_the_snr() -> None:
    rng = np.random.default_rng(1)
    samples = np.concatenate([silence(1.5), voice(3.0)])
    quiet, loud = (samples + rng.normal(0, s, len(samples)).astype(np.float32) for s in (1e-4, 3e-3))
    snr = [emitted(run(noisy))[-1].quality.snr_db for noisy in (quiet, loud)]
    assert snr[0] is not None and snr[1] is not None
    assert snr[0] - snr[1] == pytest.approx(20 * np.log10(30), abs=3)


def test_noise_shows_in_the_snr_without_any_pause() -> None:
    noise = np.random.default_rng(1).normal(0, 0.05, 9 * 16_000).astype(np.float32)
    speech = voice(9.0)
    truth = 10 * np.log10(np.mean(speech**2) / np.mean(noise**2))
    # this vowel in noise as loud is as even as a hum
    snr = emitted(run(speech + noise, AudioWindowConfig(min_spread_db=0.0)))[-1].quality.snr_db
    assert snr == pytest.approx(truth, abs=3)


def test_samples_at_full_scale_count_as_clipped() -> None:
    clean = emitted(run(voice(5.0, 16_000)))[-1]
    clipped = emitted(run(np.clip(voice(5.0) * 4, -1.0, 1.0)))[-1]
    assert clean.quality.clipping_ratio == 0.0
    assert clipped.quality.clipping_ratio == pytest.approx(0.019, abs=0.003)


def test_the_end_of_a_track_gives_its_last_window() -> None:
    windows = AudioWindows(KEY)
    before = emitted(windows.push(frame(voice(8.9))))
    last = emitted(windows.flush())
    assert before[-1].end_s < 8.4 and last[-1].end_s == pytest.approx(8.9, abs=0.02)
    assert windows.flush() == []


def test_a_short_rest_is_told_instead() -> None:
    windows = AudioWindows(KEY)
    assert emitted(windows.push(frame(voice(2.4))))[-1].end_s < 2.3
    assert [skip.reason for skip in skipped(windows.flush())] == ["too_short"]


def test_an_empty_frame_changes_nothing() -> None:
    windows = AudioWindows(KEY)
    assert windows.push(frame(silence(0.0), 99.0)) == [] and windows.flush() == []


def test_memory_stays_at_one_window() -> None:
    windows = AudioWindows(KEY)
    tone = voice(1.0)

    def feed(start: int, end: int) -> int:
        for second in range(start, end):
            windows.push(frame(tone, float(second)))
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        early = feed(0, 20)
        late = feed(20, 120)
    finally:
        tracemalloc.stop()
    assert late - early < 50_000


@pytest.mark.parametrize(
    "wrong",
    [
        ("hop_s", 0.5),
        ("dense_hop_s", 0.0),
        ("min_speech_s", 5.0),
        ("max_concealed_ratio", 2.0),
        ("vad_mode", 4),
        ("max_jitter_s", -1.0),
    ],
)
def test_a_wrong_setting_is_refused_by_name(wrong: tuple[str, float]) -> None:
    name, value = wrong
    with pytest.raises(ValueError, match=name):
        AudioWindowConfig(**{name: value})  # type: ignore[arg-type]
