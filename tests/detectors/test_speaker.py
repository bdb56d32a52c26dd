"""Speaker change and voice match: the memory of a track, what either may weigh, the golden numbers."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.codec.files import read_file
from guard.detectors.person_memory import mean_vector
from guard.detectors.speaker import (
    MAX_TRACKS,
    Speaker,
    SpeakerChange,
    VoiceMatch,
    Voices,
    load_speaker,
)
from guard.detectors.speaker_card import load_speaker_card
from guard.detectors.vector_card import PersonCalibration
from guard.errors import ModelError
from guard.fusion.calibration import Logistic
from guard.fusion.config import SUPPORT_ONLY, FusionConfig, Thresholds
from guard.inference.lanes import run_detector
from guard.resources import clips_dir, models_dir
from guard.types import (
    Abstain,
    AudioFrame,
    AudioQuality,
    AudioWindow,
    FloatArray,
    Kind,
    Score,
    Signal,
    TrackKey,
)
from guard.windows.audio import AudioWindows

KEY = TrackKey("s", "p", Kind.AUDIO)
GOOD = AudioQuality(speech_ratio=1.0, speech_s=4.0, snr_db=30.0, clipping_ratio=0.0, concealed_ratio=0.0)
CALIBRATION = PersonCalibration(Logistic(20.0, -10.0, 4.0), spoof_share=0.2, bona_fide_share=0.05)
# cosine of the customer's later windows, and of the agent's, with the customer's first four
GOLDEN_SAME, GOLDEN_OTHER = 0.7693, 0.3585
ANNA, BORIS = 1.0, 2.0


class Names:
    """A scripted model: the first sample is the person, each at right angles to the others."""

    def __init__(self) -> None:
        self.rows = 0

    def embed(self, batch: FloatArray) -> FloatArray:
        self.rows += len(batch)
        vectors = np.zeros((len(batch), 8), np.float32)
        vectors[np.arange(len(batch)), batch[:, 0].astype(int)] = 1.0
        return vectors


def window(person: float, end_s: float, key: TrackKey = KEY, quality: AudioQuality = GOOD) -> AudioWindow:
    samples = np.full(64_000, 0.1, np.float32)
    samples[0] = person
    return AudioWindow(key, end_s - 4.0, end_s, samples, quality)


def scores(detector: SpeakerChange | VoiceMatch, people: list[float], key: TrackKey = KEY) -> list[Score]:
    """Score a window every 2 s from 4 s on, each by itself."""
    return [run_detector(detector, [window(p, 4.0 + 2 * i, key)])[0] for i, p in enumerate(people)]


def change() -> SpeakerChange:
    return SpeakerChange(Voices(Names()), CALIBRATION)


def test_nothing_is_compared_before_eight_seconds_of_earlier_speech() -> None:
    found = scores(change(), [ANNA] * 8)
    # windows end at 4, 6, 8 s; the one that ends at 12 s is the first with 8 s wholly before it
    assert [s.reason for s in found[:4]] == ["no_reference_yet"] * 4
    assert all(s.llr is not None and s.llr < 0 for s in found[4:])


def test_another_voice_raises_and_the_old_one_calms() -> None:
    found = scores(change(), [*[ANNA] * 8, *[BORIS] * 4, *[ANNA] * 3])
    llrs = [s.llr for s in found]
    assert all(x is not None and x < 0 for x in llrs[4:8])
    assert all(x is not None and x > 0.5 for x in llrs[8:12])
    assert all(x is not None and x < 0 for x in llrs[12:])


def test_a_change_is_an_event_the_new_voice_becomes_the_reference() -> None:
    found = scores(change(), [*[ANNA] * 8, *[BORIS] * 20, ANNA])
    assert found[10].llr is not None
    assert found[10].llr > 0
    assert found[27].llr is not None
    assert found[27].llr < 0
    assert found[28].llr is not None
    assert found[28].llr > 0


@given(st.floats(0, 2, width=32))
def test_a_voice_says_little_and_never_more_than_its_shares_allow(distance: float) -> None:
    llr = float(CALIBRATION.llr(CALIBRATION.other_llr(np.array([distance], np.float32)))[0])
    assert math.log(0.8 / 0.95) - 1e-6 <= llr <= math.log(0.2 / 0.05) + 1e-6


def test_calibration_rises_with_distance_and_is_even_where_the_evidence_is() -> None:
    distances = np.linspace(0, 1, 50).astype(np.float32)
    llr = CALIBRATION.llr(CALIBRATION.other_llr(distances))
    assert (np.diff(llr) >= 0).all()
    assert CALIBRATION.llr(np.zeros(1)) == pytest.approx(0.0)


def test_batch_of_tracks_equals_singles() -> None:
    together, apart = change(), change()
    keys = [TrackKey("s", f"p{n}", Kind.AUDIO) for n in range(3)]
    for step in range(9):
        people = [ANNA, BORIS if step > 6 else ANNA, float(3 + step % 2)]
        batch = [window(p, 4.0 + 2 * step, k) for p, k in zip(people, keys, strict=True)]
        assert run_detector(together, batch) == [run_detector(apart, [w])[0] for w in batch]


def test_forgetting_frees_the_memory_and_begins_anew() -> None:
    detector = change()
    other = TrackKey("s", "other", Kind.AUDIO)
    scores(detector, [ANNA] * 6)
    scores(detector, [ANNA] * 6, other)
    assert detector.tracks == 2
    detector.forget("s", "p")
    assert detector.tracks == 1
    assert scores(detector, [BORIS])[0].reason == "no_reference_yet"
    assert run_detector(detector, [window(ANNA, 40.0, other)])[0].llr is not None


def test_memory_is_bounded_however_many_tracks_come() -> None:
    detector = change()
    for n in range(MAX_TRACKS + 5):
        scores(detector, [ANNA], TrackKey("s", str(n), Kind.AUDIO))
    assert detector.tracks == MAX_TRACKS


def test_both_signals_describe_a_window_once() -> None:
    model = Names()
    voices = Voices(model)
    first, second = SpeakerChange(voices, CALIBRATION), VoiceMatch(voices, CALIBRATION)
    second.enrol("s", "p", np.eye(8, dtype=np.float32)[1])
    for end_s in range(4, 24, 2):
        heard = window(ANNA, float(end_s))
        run_detector(first, [heard])
        run_detector(second, [heard])
    assert model.rows == 10
    # another file may have a window of the same track name at the same place
    run_detector(second, [window(BORIS, 22.0)])
    assert model.rows == 11


def test_match_needs_an_enrolment_and_forgets_it_when_withdrawn() -> None:
    detector = VoiceMatch(Voices(Names()), CALIBRATION)
    assert scores(detector, [ANNA])[0].reason == "no_enrolment"
    detector.enrol("s", "p", np.eye(8, dtype=np.float32)[1])
    same, other = scores(detector, [ANNA, BORIS])
    assert same.llr is not None
    assert other.llr is not None
    assert same.llr < 0 < other.llr
    detector.withdraw("t")
    assert scores(detector, [ANNA])[0].llr is not None
    detector.withdraw("s")
    assert scores(detector, [ANNA])[0].reason == "no_enrolment"


def test_an_enrolled_voice_that_is_lent_is_gone_when_its_owner_or_the_borrower_withdraws() -> None:
    detector = VoiceMatch(Voices(Names()), CALIBRATION)
    borrower = TrackKey("s", "p+", Kind.AUDIO)
    detector.lend("s", "p", "p+")
    assert detector.declines(borrower) == "no_enrolment", "there is nothing to lend yet"
    detector.enrol("s", "p", np.eye(8, dtype=np.float32)[1])
    assert detector.declines(borrower) is None
    detector.withdraw("s", "p+")
    assert detector.declines(borrower) == "no_enrolment"
    assert detector.declines(replace(borrower, participant="p")) is None
    detector.lend("s", "p", "p+")
    detector.withdraw("s", "p")
    assert detector.declines(borrower) == "no_enrolment"


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (replace(GOOD, speech_s=1.0), "too_little_speech"),
        (replace(GOOD, snr_db=5.0), "too_noisy"),
        (replace(GOOD, clipping_ratio=0.5), "clipped"),
        (replace(GOOD, concealed_ratio=0.4), "concealed"),
    ],
)
def test_bad_quality_abstains_with_its_reason(quality: AudioQuality, reason: str) -> None:
    assert change().prepare(window(ANNA, 4.0, quality=quality)) == Abstain(reason)


def test_broken_and_silent_windows_abstain() -> None:
    voices = Voices(Names())
    silent = replace(window(ANNA, 4.0), samples=np.zeros(64_000, np.float32))
    broken = replace(silent, samples=np.full(64_000, np.nan, np.float32))
    assert voices.prepare(silent) == Abstain("too_quiet")
    assert voices.prepare(broken) == Abstain("broken_audio")


# the shipped model


@pytest.fixture(scope="module")
def shipped() -> Speaker:
    return load_speaker(models_dir() / "speaker")


def clip_windows(name: str) -> list[AudioWindow]:
    cut, found = AudioWindows(KEY), []
    for frame in read_file(clips_dir() / "voices" / f"{name}.opus"):
        if isinstance(frame, AudioFrame):
            found += [item for item in cut.push(frame) if isinstance(item, AudioWindow)]
    return found


def described(speaker: Speaker, windows: list[AudioWindow]) -> FloatArray:
    return np.stack(speaker.voices.describe(np.stack([w.samples for w in windows]), windows))


@pytest.fixture(scope="module")
def customer(shipped: Speaker) -> FloatArray:
    return described(shipped, clip_windows("customer_genuine"))


@pytest.fixture(scope="module")
def agent(shipped: Speaker) -> FloatArray:
    return described(shipped, clip_windows("agent_genuine"))


def test_vectors_of_the_bundled_clips_are_the_golden_ones(customer: FloatArray, agent: FloatArray) -> None:
    """Pinned to 1e-3; a new model writes new ones."""
    reference = mean_vector(list(customer[:4]))
    assert float(np.mean(customer[4:8] @ reference)) == pytest.approx(GOLDEN_SAME, abs=1e-3)
    assert float(np.mean(agent[:4] @ reference)) == pytest.approx(GOLDEN_OTHER, abs=1e-3)


def test_the_same_voice_is_low_and_another_is_higher(
    shipped: Speaker, customer: FloatArray, agent: FloatArray
) -> None:
    synthetic = described(shipped, clip_windows("customer_synthetic"))
    reference = mean_vector(list(customer[:4]))
    for signal in (Signal.SPEAKER_CHANGE, Signal.VOICE_MATCH):
        calibration = shipped.card.calibrations[signal]
        same = calibration.llr(calibration.other_llr(1 - customer[4:] @ reference))
        other = calibration.llr(calibration.other_llr(1 - agent @ reference))
        machine = calibration.llr(calibration.other_llr(1 - synthetic @ reference))
        # the two people happen to sound alike; the machine's voice is another altogether
        assert same.max() < 0 < machine.mean()
        assert same.mean() < other.mean() < machine.mean()


def test_level_changes_nothing(shipped: Speaker) -> None:
    windows = clip_windows("customer_genuine")[:2]
    loud = [replace(w, samples=np.asarray(w.samples * 0.2, np.float32)) for w in windows]
    found, again = described(shipped, windows), described(shipped, loud)
    assert np.abs(found - again).max() < 1e-3


def test_batch_of_windows_equals_singles(shipped: Speaker) -> None:
    windows = clip_windows("customer_genuine")[:4]
    singles = np.concatenate([described(shipped, [replace(w)]) for w in windows])
    assert np.abs(described(shipped, [replace(w) for w in windows]) - singles).max() < 1e-5


def test_a_window_costs_little_cpu(shipped: Speaker) -> None:
    windows = clip_windows("customer_genuine")[:5]
    described(shipped, [replace(windows[0])])
    begin_s = time.process_time()
    for w in windows:
        described(shipped, [replace(w)])
    assert (time.process_time() - begin_s) / len(windows) < 0.04


def test_neither_signal_raises_red_alone_and_a_change_not_even_amber(shipped: Speaker) -> None:
    config, thresholds = FusionConfig(), Thresholds()
    assert Signal.SPEAKER_CHANGE in SUPPORT_ONLY
    # many windows are worth at most 1 / call_share of one
    calibration = shipped.card.calibrations[Signal.VOICE_MATCH]
    high, low = (
        config.weights[Signal.VOICE_MATCH]
        * float(calibration.llr(np.array([other]))[0])
        / config.voice.call_share
        for other in (calibration.other.limit_llr, -calibration.other.limit_llr)
    )
    assert high < thresholds.red_llr
    # a clone has the right voice: a match alone is no bona fide
    assert low > thresholds.bona_fide_llr


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('file = "model.onnx"', 'file = "../model.onnx"', "card_invalid"),
        ("spoof_share = 0.2", "spoof_share = 0.01", "card_invalid"),
        ("shape = [64000]", "shape = [64000, 2]", "model_input"),
        ('name = "embedding"', 'name = "vector"', "model_names"),
        ("shape = [256]", "shape = [128]", "model_output"),
        ('sha256 = "', 'sha256 = "0', "model_hash"),
    ],
)
def test_a_wrong_card_is_refused(tmp_path: Path, old: str, new: str, code: str) -> None:
    shipped = models_dir() / "speaker"
    text = (shipped / "card.toml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "card.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    (tmp_path / "model.onnx").write_bytes((shipped / "model.onnx").read_bytes())
    with pytest.raises(ModelError) as refused:
        load_speaker(tmp_path)
    assert refused.value.code == code


def test_a_missing_card_or_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as refused:
        load_speaker_card(tmp_path)
    assert refused.value.code == "card_missing"
    (tmp_path / "card.toml").write_bytes((models_dir() / "speaker" / "card.toml").read_bytes())
    with pytest.raises(ModelError) as refused:
        load_speaker(tmp_path)
    assert refused.value.code == "model_missing"
