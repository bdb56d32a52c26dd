"""The replay detector: reasons to abstain, batches, level, and the golden scores of two bundled clips."""

from __future__ import annotations

import time

import numpy as np
import pytest
import soxr

from guard.codec.files import read_file
from guard.detectors.card import load_card
from guard.detectors.onnx import Batch, OnnxModel
from guard.detectors.voice_replay import VoiceReplay, VoiceReplayConfig
from guard.evaluation.channels import g711
from guard.fusion.calibration import Logistic
from guard.fusion.config import SUPPORT_ONLY, FusionConfig
from guard.resources import clips_dir, models_dir
from guard.types import (
    Abstain,
    AudioFrame,
    AudioQuality,
    AudioWindow,
    FloatArray,
    Signal,
)
from guard.windows.audio import AudioWindows
from tests.detectors.voices import GOOD, KEY, llrs, window

# raw scores of the shipped model, mean of the first six windows; a new model writes new ones
GOLDEN_GENUINE, GOLDEN_SYNTHETIC = -3.5250, -3.1278


class Mean:
    """A scripted model: the raw score is the mean sample."""

    def raw(self, batch: Batch) -> FloatArray:
        return np.asarray(batch.mean(axis=1), np.float32)


@pytest.fixture(scope="module")
def model() -> OnnxModel:
    """The shipped file; its raw scores, because the llr of both clips stands at the limit."""
    return OnnxModel(load_card(models_dir() / "voice_replay"))


@pytest.fixture(scope="module")
def shipped() -> VoiceReplay:
    return VoiceReplay.from_card(load_card(models_dir() / "voice_replay"))


def clip_windows(name: str) -> FloatArray:
    """The first six windows of a clip, cut as in a call."""
    cut, rows = AudioWindows(KEY), []
    for frame in read_file(clips_dir() / "voices" / f"{name}.opus"):
        if isinstance(frame, AudioFrame):
            rows += [item.samples for item in cut.push(frame) if isinstance(item, AudioWindow)]
        if len(rows) >= 6:
            break
    return np.stack(rows[:6])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"speech_s": 1.0}, "too_little_speech"),
        ({"snr_db": 2.0}, "too_noisy"),
        ({"clipping_ratio": 0.5}, "clipped"),
        ({"concealed_ratio": 0.3}, "concealed"),
    ],
)
def test_bad_quality_abstains_with_its_reason(change: dict[str, float], reason: str) -> None:
    quality = AudioQuality(**{**{f: getattr(GOOD, f) for f in GOOD.__slots__}, **change})
    assert VoiceReplay(Mean(), Logistic(1, 0, 5)).prepare(window(quality=quality)) == Abstain(reason)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(64_000, np.float32), "too_quiet"),
        (np.full(64_000, np.nan, np.float32), "broken_audio"),
        (np.ones(63_999, np.float32), "broken_audio"),
    ],
)
def test_unusable_samples_abstain(samples: FloatArray, reason: str) -> None:
    assert VoiceReplay(Mean(), Logistic(1, 0, 5)).prepare(window(samples)) == Abstain(reason)


def test_score_is_calibrated_and_limited() -> None:
    detector = VoiceReplay(Mean(), Logistic(2.0, 0.5, 0.8))
    batch = np.stack([np.full(64_000, level, np.float32) for level in (0.1, 0.9, -0.9)])
    np.testing.assert_allclose(llrs(detector, batch), [0.7, 0.8, -0.8], atol=1e-6)


def test_config_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="min_speech_s"):
        VoiceReplayConfig(min_speech_s=5)
    with pytest.raises(ValueError, match="must lie"):
        VoiceReplayConfig(max_concealed_ratio=2)


def test_replay_is_reported_and_decides_nothing() -> None:
    assert Signal.VOICE_REPLAY in SUPPORT_ONLY
    assert FusionConfig().weights[Signal.VOICE_REPLAY] == 0.0
    assert load_card(models_dir() / "voice_replay").calibration.limit_llr <= 1.0


def test_batch_of_n_equals_n_singles(model: OnnxModel) -> None:
    batch = clip_windows("customer_genuine")
    singles = np.concatenate([model.raw(row[None]) for row in batch])
    np.testing.assert_allclose(model.raw(batch), singles, atol=1e-4)


def test_level_changes_nothing(model: OnnxModel) -> None:
    batch = clip_windows("customer_genuine")[:1]
    np.testing.assert_allclose(model.raw(batch), model.raw(batch * 0.25), atol=2e-3)


@pytest.mark.parametrize(
    ("clip", "golden"), [("customer_genuine", GOLDEN_GENUINE), ("customer_synthetic", GOLDEN_SYNTHETIC)]
)
def test_golden_scores(model: OnnxModel, clip: str, golden: float) -> None:
    assert float(model.raw(clip_windows(clip)).mean()) == pytest.approx(golden, abs=1e-3)


def test_clips_that_no_loudspeaker_played_are_not_called_replayed(shipped: VoiceReplay) -> None:
    for clip in ("customer_genuine", "customer_synthetic"):
        assert (llrs(shipped, clip_windows(clip)) < 0).all()


def test_a_telephone_line_is_no_place_to_look_for_a_loudspeaker() -> None:
    (heard,) = g711(clip_windows("customer_genuine")[0], 16_000, "clip")
    narrow = np.asarray(soxr.resample(heard.samples, 8_000, 16_000), np.float32)[:64_000]
    assert VoiceReplay(Mean(), Logistic(1, 0, 5)).prepare(window(narrow)) == Abstain("narrow_band")


def test_silence_and_noise_give_finite_scores(shipped: VoiceReplay) -> None:
    rng = np.random.default_rng(0)
    batch = np.stack([np.zeros(64_000), rng.standard_normal(64_000), np.ones(64_000)]).astype(np.float32)
    assert np.isfinite(llrs(shipped, batch)).all()


def test_one_window_costs_at_most_8_cpu_ms(shipped: VoiceReplay) -> None:
    batch = clip_windows("customer_genuine")[:1]
    costs = []
    for _ in range(9):
        start = time.thread_time()
        shipped.score(batch, [window(batch[0])])
        costs.append(time.thread_time() - start)
    assert min(costs) < 0.008
