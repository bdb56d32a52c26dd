"""The voice detector: reasons to abstain, batches, sign, and the golden scores of two bundled clips."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from guard.codec.files import read_file
from guard.detectors.card import Card, load_card
from guard.detectors.gates import Gates
from guard.detectors.onnx import Batch, OnnxModel, Outputs
from guard.detectors.voice_spoof import VoiceReading, VoiceSpoof, VoiceSpoofConfig
from guard.errors import ModelError
from guard.fusion.calibration import BinnedLogistic, Logistic
from guard.resources import clips_dir, models_dir
from guard.types import Abstain, AudioFrame, AudioQuality, AudioWindow, Finding, FloatArray
from guard.windows.audio import AudioWindows
from tests.detectors.voices import GOOD, KEY, llrs, window

# the shipped model on the first six windows; a new model writes new ones
GOLDEN_GENUINE, GOLDEN_SYNTHETIC = -1.0049, 2.1427


class Mean:
    """A scripted model: the raw score is the mean sample; the other outputs are as given for every row."""

    def __init__(self, **more: list[float] | float) -> None:
        self._more = more

    def run(self, batch: Batch) -> Outputs:
        rows = len(batch)
        more = {k: np.stack([np.asarray(v, np.float32)] * rows) for k, v in self._more.items()}
        return Outputs(np.asarray(batch.mean(axis=1), np.float32), more)


def reading(a: float = 1.0, b: float = 0.0, limit_llr: float = 5.0, **rest: Any) -> VoiceReading:
    return VoiceReading(BinnedLogistic(Logistic(a, b, limit_llr), rest.pop("bins", {})), **rest)


@pytest.fixture(scope="module")
def card() -> Card:
    return load_card(models_dir() / "voice_spoof")


@pytest.fixture(scope="module")
def shipped(card: Card) -> VoiceSpoof:
    return VoiceSpoof.from_card(card)


def clip_windows(name: str) -> FloatArray:
    """Rows of the clip's windows, cut as in a call."""
    cut, rows = AudioWindows(KEY), []
    detector = VoiceSpoof(Mean(), reading())
    for frame in read_file(clips_dir() / "voices" / f"{name}.opus"):
        if isinstance(frame, AudioFrame):
            for item in cut.push(frame):
                row = detector.prepare(item) if isinstance(item, AudioWindow) else None
                if isinstance(row, np.ndarray):
                    rows.append(row)
    return np.stack(rows)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"speech_s": 1.0}, "too_little_speech"),
        ({"snr_db": -5.0}, "too_noisy"),
        ({"clipping_ratio": 0.5}, "clipped"),
        ({"concealed_ratio": 0.9}, "concealed"),
    ],
)
def test_bad_quality_abstains_with_its_reason(change: dict[str, float], reason: str) -> None:
    detector = VoiceSpoof(Mean(), reading())
    quality = AudioQuality(**{**{f: getattr(GOOD, f) for f in GOOD.__slots__}, **change})
    assert detector.prepare(window(quality=quality)) == Abstain(reason)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(64_000, np.float32), "too_quiet"),
        (np.full(64_000, np.nan, np.float32), "broken_audio"),
        (np.ones(63_999, np.float32), "broken_audio"),
    ],
)
def test_unusable_samples_abstain(samples: FloatArray, reason: str) -> None:
    assert VoiceSpoof(Mean(), reading()).prepare(window(samples)) == Abstain(reason)


def test_unknown_snr_is_no_reason_to_abstain() -> None:
    row = VoiceSpoof(Mean(), reading()).prepare(window(quality=replace(GOOD, snr_db=None)))
    assert isinstance(row, np.ndarray)
    assert row.shape == (64_000,)


def test_score_is_the_calibrated_raw_score() -> None:
    detector = VoiceSpoof(Mean(), reading(2.0, 0.5))
    np.testing.assert_allclose(llrs(detector, np.full((2, 64_000), 0.25, np.float32)), [1.0, 1.0])


MUSIC, VOICE = [0.0, 0.0, 9.0, 0.0], [9.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"content": MUSIC, "quality": 4.0}, "music"),
        ({"content": VOICE, "quality": 1.5}, "low_quality"),
        ({"content": MUSIC, "quality": 1.5}, "music"),
    ],
)
def test_what_the_model_hears_may_keep_its_score_back(more: dict[str, Any], reason: str) -> None:
    detector = VoiceSpoof(Mean(**more), reading(gates=Gates(max_music=0.5, min_quality=2.0)))
    assert detector.score(np.zeros((1, 64_000), np.float32), [window()]) == [Abstain(reason)]


def test_a_clean_voice_passes_the_gates() -> None:
    detector = VoiceSpoof(
        Mean(content=VOICE, quality=4.0), reading(gates=Gates(max_music=0.5, min_quality=2))
    )
    assert llrs(detector, np.full((2, 64_000), 0.5, np.float32)) == pytest.approx([0.5, 0.5])


def test_each_window_is_calibrated_as_its_channel_wants() -> None:
    wide = (np.random.default_rng(0).standard_normal(64_000) * 0.05).astype(np.float32)
    windows = [
        window(wide),
        window(wide, replace(GOOD, concealed_ratio=0.1)),
        window(wide, replace(GOOD, snr_db=3.0)),
    ]
    bins = {"lossy": Logistic(2.0, 0.0, 5.0), "noisy": Logistic(1.0, 1.0, 5.0)}
    found = VoiceSpoof(Mean(), reading(bins=bins)).score(np.full((3, 64_000), 0.5, np.float32), windows)
    assert found == [Finding(0.5), Finding(1.0), Finding(1.5)]


def test_half_seconds_are_calibrated_for_themselves_and_bounded() -> None:
    timeline = [0.0, 1.0, 2.0, 9.0, -9.0, 0.5, 0.0, 0.0]
    detector = VoiceSpoof(Mean(timeline=timeline), reading(second=Logistic(0.5, 0.25, 1.0)))
    (found,) = detector.score(np.zeros((1, 64_000), np.float32), [window()])
    assert found == Finding(0.0, (0.25, 0.75, 1.0, 1.0, -1.0, 0.5, 0.25, 0.25))


def test_half_seconds_of_a_padded_window_end_where_the_sound_does() -> None:
    detector = VoiceSpoof(Mean(timeline=[1.0] * 8), reading(second=Logistic(1.0, 0.0, 2.0)))
    short = replace(window(), start_s=1.0, end_s=3.26)
    (found,) = detector.score(np.zeros((1, 64_000), np.float32), [short])
    assert isinstance(found, Finding)
    assert found.parts_llr == (1.0,) * 4


def test_config_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="min_speech_s"):
        VoiceSpoofConfig(min_speech_s=5)
    with pytest.raises(ValueError, match="must lie"):
        VoiceSpoofConfig(max_clipping_ratio=2)


def test_batch_of_n_equals_n_singles(shipped: VoiceSpoof) -> None:
    batch = clip_windows("customer_genuine")[:4]
    singles = np.concatenate([llrs(shipped, row[None]) for row in batch])
    np.testing.assert_allclose(llrs(shipped, batch), singles, atol=1e-4)


def test_level_changes_nothing(shipped: VoiceSpoof) -> None:
    batch = clip_windows("customer_genuine")[:1]
    np.testing.assert_allclose(llrs(shipped, batch), llrs(shipped, batch * 0.25), atol=2e-3)


def test_golden_scores_and_sign(shipped: VoiceSpoof) -> None:
    genuine = float(llrs(shipped, clip_windows("customer_genuine")[:6]).mean())
    synthetic = float(llrs(shipped, clip_windows("customer_synthetic")[:6]).mean())
    assert genuine == pytest.approx(GOLDEN_GENUINE, abs=1e-3)
    assert synthetic == pytest.approx(GOLDEN_SYNTHETIC, abs=1e-3)
    assert genuine < 0 < synthetic


def test_silence_and_noise_give_finite_scores(shipped: VoiceSpoof) -> None:
    rng = np.random.default_rng(0)
    batch = np.stack([np.zeros(64_000), rng.standard_normal(64_000), np.ones(64_000)]).astype(np.float32)
    assert np.isfinite(llrs(shipped, batch)).all()


def test_wrong_shape_is_refused_with_both_shapes(card: Card) -> None:
    model = OnnxModel(card)
    with pytest.raises(ModelError, match="64000") as error:
        model.raw(np.zeros((1, 100), np.float32))
    assert error.value.code == "model_input"


def test_wrong_name_on_the_card_is_refused(card: Card) -> None:
    with pytest.raises(ModelError) as error:
        OnnxModel(replace(card, input=replace(card.input, name="sound")))
    assert error.value.code == "model_names"


def test_smaller_is_spoof_turns_the_raw_score(card: Card, shipped: VoiceSpoof) -> None:
    batch = clip_windows("customer_synthetic")[:1]
    turned = OnnxModel(replace(card, output=replace(card.output, larger_is_spoof=False)))
    np.testing.assert_allclose(turned.raw(batch), -OnnxModel(card).raw(batch), atol=1e-6)


def test_one_window_costs_at_most_80_cpu_ms(shipped: VoiceSpoof) -> None:
    batch = clip_windows("customer_genuine")[:1]
    windows = [window(batch[0])]
    costs = []
    for _ in range(7):
        start = time.thread_time()
        shipped.score(batch, windows)
        costs.append(time.thread_time() - start)
    assert min(costs) < 0.080
