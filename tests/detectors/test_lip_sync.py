from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from guard.detectors.card import load_card
from guard.detectors.lip_sync import MAX_FACES, MAX_TRACKS, MAX_VOICES, LipSync, LipSyncConfig
from guard.detectors.lip_sync_features import NAMES, compare
from guard.detectors.lip_sync_series import KEPT_S, MouthTrace, VoiceTrace
from guard.detectors.onnx import Batch
from guard.fusion.calibration import Logistic
from guard.fusion.engine import CheckResult
from guard.inference.lanes import InlineLane, run_detector
from guard.media.lips import mouth_of
from guard.pipeline import Lane, Pipeline, Stages
from guard.resources import models_dir
from guard.types import (
    Abstain,
    AudioFrame,
    AudioQuality,
    AudioWindow,
    FaceQuality,
    FaceWindow,
    FloatArray,
    Glimpse,
    Kind,
    Score,
    State,
    TrackKey,
    Verdict,
    VideoFrame,
    WindowSkip,
)

VOICE, PICTURE = TrackKey("s", "p", Kind.AUDIO), TrackKey("s", "p", Kind.VIDEO)
GOOD = FaceQuality(80.0, 100.0, 2.0, 120.0, 0.99)
HEARD = AudioQuality(0.8, 3.2, 30.0, 0.0, 0.0)
NO_CROP, NO_MARKS = np.zeros((224, 224, 3), np.uint8), np.zeros((468, 2), np.float32)
RATE_HZ, FPS, CALL_S = 16_000, 15, 24.0
LOOK_S = 1 / FPS
Curve = NDArray[np.float64]
Windows = Sequence[AudioWindow | FaceWindow]


class MinusZ:
    """Scores by the second feature: what stands out from far lags is genuine."""

    def raw(self, batch: Batch) -> FloatArray:
        return np.asarray(-batch[:, 1], np.float32)


@dataclass(frozen=True)
class Script:
    """Loudness of a voice and opening of a mouth, every 10 ms."""

    loud: Curve
    opening: Curve


def loudness(seed: int, seconds: float = CALL_S) -> Curve:
    """Syllables of random lengths and heights, with pauses between phrases."""
    rng = np.random.default_rng(seed)
    out = np.zeros(round(seconds * 100))
    at = 20
    while at < len(out):
        length = int(rng.uniform(10, 26))
        part = np.hanning(length)[: len(out) - at] * rng.uniform(0.3, 1.0)
        out[at : at + length] = np.maximum(out[at : at + length], part)
        at += int(length * rng.uniform(0.8, 1.3)) + (int(rng.uniform(30, 70)) if rng.random() < 0.12 else 0)
    return out


def script(*, lag_s: float = 0.0, mouth: int | None = None, seed: int = 1, seconds: float = CALL_S) -> Script:
    """A mouth that opens with the loudness of voice ``mouth``, by default its own, ``lag_s`` early."""
    loud = loudness(seed, seconds)
    opening = 0.02 + 0.3 * np.roll(loud if mouth is None else loudness(mouth, seconds), -round(lag_s * 100))
    return Script(loud, opening + np.random.default_rng(seed + 100).normal(0, 0.008, len(opening)))


def sound_of(loud: Curve) -> FloatArray:
    """A buzz of 120 Hz with the given loudness, over faint noise."""
    time = np.arange(len(loud) * 160) / RATE_HZ
    buzz = np.sum([np.sin(2 * np.pi * 120 * k * time + k * k) / k for k in range(1, 25)], axis=0)
    noise = np.random.default_rng(5).normal(0, 0.0005, len(time))
    return np.asarray(0.1 * buzz * np.interp(time * 100, np.arange(len(loud)), loud) + noise, np.float32)


def heard(loud: Curve, quality: AudioQuality = HEARD, key: TrackKey = VOICE) -> list[AudioWindow]:
    """Windows of 4 s every 2 s."""
    sound = sound_of(loud)
    starts_s = np.arange(0, len(loud) / 100 - 3.99, 2.0)
    cut = [sound[round(s * RATE_HZ) :][: 4 * RATE_HZ] for s in starts_s]
    return [
        AudioWindow(key, float(s), float(s) + 4, part, quality) for s, part in zip(starts_s, cut, strict=True)
    ]


def points(opening: float, width: float = 0.6, *, scale: float = 60.0, nod: float = 1.0) -> FloatArray:
    """The points that are read, in pixels: a nose of ``scale``, shortened by ``nod`` with the gap."""
    out = np.zeros((468, 2), np.float32)
    places = {168: (0, -1), 2: (0, 0), 33: (-0.95, -0.93), 263: (0.95, -0.93)}
    places |= {61: (-0.95 * width, 0.4), 291: (0.95 * width, 0.4)}
    for upper, lower, x in ((13, 14, 0.0), (82, 87, -0.1), (312, 317, 0.1)):
        places |= {upper: (x, 0.4 - opening / 2), lower: (x, 0.4 + opening / 2)}
    for index, (x, y) in places.items():
        out[index] = (320 + scale * x, 240 + scale * y * nod)
    return out


def seen(
    opening: Curve,
    *,
    quality: FaceQuality = GOOD,
    key: TrackKey = PICTURE,
    face: int = 0,
    fps: float = FPS,
    hidden: tuple[float, float] = (0.0, 0.0),
) -> list[FaceWindow]:
    """Face windows every 0.2 s with the looks since the one before; no points within ``hidden`` seconds."""
    little = np.zeros((18, 32), np.uint8)
    looks, out = list[Glimpse](), list[FaceWindow]()
    for time_s in np.arange(0.5 / fps, len(opening) / 100 - 0.05, 1 / fps).tolist():
        mesh = None if hidden[0] <= time_s < hidden[1] else points(float(opening[round(time_s * 100)]))
        looks.append(Glimpse(time_s, mesh, little, (640, 480)))
        if time_s - (out[-1].end_s if out else 0.0) > 0.19:
            out.append(
                FaceWindow(key, face, looks[0].time_s, time_s, NO_CROP, NO_MARKS, quality, tuple(looks))
            )
            looks = []
    return out


def interleaved(voice: Iterable[AudioWindow], faces: Iterable[FaceWindow]) -> list[AudioWindow | FaceWindow]:
    return sorted([*voice, *faces], key=lambda window: (window.end_s, isinstance(window, FaceWindow)))


def detector(config: LipSyncConfig | None = None) -> LipSync:
    return LipSync(MinusZ(), Logistic(1.0, 0.0, 20.0), config)


def shipped() -> LipSync:
    return LipSync.from_card(load_card(models_dir() / "lip_sync"))


def run(lips: LipSync, windows: Windows) -> list[Score]:
    scores = []
    for window in windows:
        if isinstance(window, AudioWindow):
            lips.hear(window)
        else:
            scores += run_detector(lips, [window])
    return scores


def call(made: Script, lips: LipSync | None = None) -> list[Score]:
    return run(lips or detector(), interleaved(heard(made.loud), seen(made.opening)))


def mean_llr(scores: list[Score]) -> float:
    return float(np.mean([score.llr for score in scores if score.llr is not None]))


def reasons(scores: list[Score]) -> set[str | None]:
    return {score.reason for score in scores}


@pytest.mark.parametrize("lag_s", [-0.3, -0.12, 0.0, 0.1, 0.32])
def test_a_known_delay_is_found_to_within_one_look(lag_s: float) -> None:
    made = script(lag_s=lag_s)
    mouth, voice = MouthTrace(), VoiceTrace()
    for face in seen(made.opening):
        mouth.add(face.glimpses)
    for window in heard(made.loud):
        voice.add(window)
    found = compare(mouth.steps(250, 500), voice.steps(250, 500), None)
    assert found.lag_s == pytest.approx(lag_s, abs=LOOK_S)
    assert found.features[NAMES.index("z")] > 3
    assert found.features[NAMES.index("lag_searched")] == 1


def test_the_lag_of_a_call_is_kept_once_it_is_known() -> None:
    made = script(lag_s=0.2, seconds=32)
    lips, searched, correlation = detector(), list[float](), list[float]()
    for window in interleaved(heard(made.loud), seen(made.opening)):
        if isinstance(window, AudioWindow):
            lips.hear(window)
            continue
        found = lips.prepare(window)
        if not isinstance(found, Abstain):
            searched.append(float(found[NAMES.index("lag_searched")]))
            correlation.append(float(found[0]))
    assert (searched[0], searched[-1]) == (1.0, 0.0)
    assert sorted(searched, reverse=True) == searched
    assert correlation[-1] > 0.6


def test_a_sound_that_leaves_its_lag_during_the_call_is_no_longer_in_step() -> None:
    made = script(lag_s=-0.3, seconds=48)
    late = np.where(np.arange(len(made.opening)) < 2400, made.opening, np.roll(made.opening, -60))
    scores = call(Script(made.loud, late))
    before = [s.llr for s in scores if s.end_s < 24 and s.llr is not None]
    after = [s.llr for s in scores if s.end_s > 38 and s.llr is not None]
    assert np.mean(after) > np.mean(before) + 1.5


@pytest.mark.parametrize("lips", [detector, shipped], ids=["z alone", "shipped"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mismatched_lips_score_above_matched_ones(lips: Callable[[], LipSync], seed: int) -> None:
    matched = mean_llr(call(script(seed=seed), lips()))
    other = mean_llr(call(script(seed=seed, mouth=seed + 40), lips()))
    shifted = mean_llr(call(script(seed=seed, lag_s=1.1), lips()))
    loud = loudness(seed)
    still = np.random.default_rng(seed).normal(0.03, 0.006, len(loud))
    assert matched < -0.3
    assert min(other, shifted, mean_llr(call(Script(loud, still), lips()))) > matched + 0.8


def test_windows_in_any_order_give_the_same_answer_in_the_end() -> None:
    made = script(seconds=11)
    voice, faces = heard(made.loud), seen(made.opening)
    orders: list[Windows] = [
        interleaved(voice, faces),
        [*voice, *faces],
        [*reversed(voice), *faces],
        [*faces[:-1], *voice, faces[-1]],
    ]
    last = [run(detector(), order)[-1].llr for order in orders]
    assert last[0] is not None
    assert last == pytest.approx([last[0]] * 4, abs=0.6)
    assert last[1] == last[2]


def test_rows_of_a_batch_are_scored_as_they_are_one_by_one() -> None:
    lips, made = shipped(), script()
    windows = interleaved(heard(made.loud), seen(made.opening))
    faces = [w for w in windows if isinstance(w, FaceWindow)]
    for window in windows:
        if isinstance(window, AudioWindow):
            lips.hear(window)
    rows = [row for row in map(lips.prepare, faces) if not isinstance(row, Abstain)]
    assert len(rows) > 20
    together = lips.score(np.stack(rows), faces[: len(rows)])
    singly = [lips.score(row[None], faces[:1])[0] for row in rows]
    assert [f.llr for f in together if not isinstance(f, Abstain)] == pytest.approx(
        [f.llr for f in singly if not isinstance(f, Abstain)], abs=1e-6
    )


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (FaceQuality(39.0, 100.0, 0.0, 120.0, 0.99), "face_too_small"),
        (FaceQuality(80.0, 100.0, -31.0, 120.0, 0.99), "face_turned"),
    ],
)
def test_a_mouth_that_does_not_show_is_not_compared(quality: FaceQuality, reason: str) -> None:
    made = script()
    scores = run(detector(), interleaved(heard(made.loud), seen(made.opening, quality=quality)))
    assert reasons(scores) == {reason}


def test_a_muted_microphone_is_too_little_speech() -> None:
    assert reasons(run(detector(), seen(script().opening))) == {"too_little_speech"}


def test_a_voice_that_fell_silent_long_ago_is_not_compared() -> None:
    made = script()
    spoken = [window for window in heard(made.loud) if window.end_s <= 8]
    scores = run(detector(), interleaved(spoken, seen(made.opening)))
    assert {s.reason for s in scores if s.end_s > 13.1} == {"too_little_speech"}
    assert any(s.llr is not None for s in scores if s.end_s < 13)


def test_sound_without_speech_is_too_little_speech() -> None:
    made = script()
    quiet = np.where(np.arange(len(made.loud)) % 400 < 30, made.loud, 0.0)
    assert reasons(call(Script(quiet, made.opening))) == {"too_little_speech"}


def test_a_voice_in_noise_is_not_compared() -> None:
    made = script()
    noisy = AudioQuality(0.8, 3.2, 5.0, 0.0, 0.0)
    scores = run(detector(), interleaved(heard(made.loud, noisy), seen(made.opening)))
    assert reasons(scores) == {"too_little_speech", "too_noisy"}


def test_too_few_pictures_are_not_compared() -> None:
    made = script()
    slow = run(detector(), interleaved(heard(made.loud), seen(made.opening, fps=3)))
    assert reasons(slow) == {"too_little_speech", "too_few_pictures"}
    frozen = run(detector(), interleaved(heard(made.loud), seen(made.opening, hidden=(2.0, 24.0))))
    assert reasons(frozen) == {"too_little_speech", "too_few_pictures"}


def test_with_two_faces_in_the_picture_the_voice_may_be_either_ones() -> None:
    made = script()
    two = [w for pair in zip(seen(made.opening), seen(made.opening, face=1), strict=True) for w in pair]
    scores = run(detector(), interleaved(heard(made.loud), two))
    assert {s.reason for s in scores if s.end_s > 0.5} == {"several_faces"}
    # the other face leaves: ten seconds later the stretch is this face's alone
    left = [w for w in two if w.face == 0 or w.end_s < 4]
    scores = run(detector(), interleaved(heard(made.loud), left))
    assert {s.reason for s in scores if 0.5 < s.end_s < 13.5} == {"several_faces"}
    assert any(s.llr is not None for s in scores if s.end_s > 14.1)


def test_still_lips_of_a_face_that_spoke_before_leave_the_voice_to_somebody_else() -> None:
    made = script(seconds=48)
    closed = np.where(np.arange(len(made.opening)) < 2400, made.opening, 0.03)
    scores = call(Script(made.loud, closed))
    assert {s.reason for s in scores if s.end_s > 40} == {"other_speaker"}
    assert {s.reason for s in scores if 12 < s.end_s < 24} == {None}


def test_a_shared_screen_without_a_face_gives_no_score_but_the_reason() -> None:
    class Empty:
        def push(self, frame: VideoFrame) -> list[FaceWindow | WindowSkip]:
            return [WindowSkip(frame.key, frame.time_s, frame.time_s, "no_face")]

    class Kept:
        def push(self, score: Score) -> None:
            scores.append(score)

        def verdict(self, at_s: float) -> Verdict:
            return Verdict("s", "p", at_s, State.UNDECIDED, None)

        def acknowledge(self, at_s: float) -> None:
            del at_s

        def note_check(self, result: CheckResult, at_s: float) -> None:
            del result, at_s

        def lapse(self) -> None:
            scores.clear()

        def fork(self, participant: str) -> Kept:
            raise AssertionError(f"nobody plays {participant} here")

    scores: list[Score] = []

    def sink(found: Sequence[Score]) -> None:
        pipeline.scored(found)

    lane = InlineLane(detector(), sink)
    lanes: dict[Kind, list[Lane]] = {Kind.AUDIO: [], Kind.VIDEO: [lane]}
    stages = Stages(_no_audio, lambda _: Empty(), lambda session, participant: Kept())
    pipeline = Pipeline(stages, lanes, lambda verdict, found: None)
    pipeline.push(VideoFrame(PICTURE, 0.0, np.zeros((8, 8, 3), np.uint8)))
    assert reasons(scores) == {"no_face"}


def _no_audio(key: TrackKey) -> NoSound:
    del key
    return NoSound()


class NoSound:
    def push(self, frame: AudioFrame) -> list[AudioWindow | WindowSkip]:
        del frame
        return []

    def suspicion(self, now_s: float) -> None:
        del now_s

    def flush(self) -> list[AudioWindow | WindowSkip]:
        return []


def test_a_voice_window_is_heard_but_never_scored() -> None:
    window = heard(loudness(1))[0]
    assert detector().prepare(window) == Abstain("wrong_window")


def test_forgetting_drops_lips_and_voice_of_that_participant_only() -> None:
    lips, made = detector(), script(seconds=12)
    other = TrackKey("s", "q", Kind.AUDIO), TrackKey("s", "q", Kind.VIDEO)
    run(lips, interleaved(heard(made.loud), seen(made.opening)))
    run(lips, interleaved(heard(made.loud, key=other[0]), seen(made.opening, key=other[1])))
    assert lips.remembered == (2, 2)
    lips.forget("s", "p")
    assert lips.remembered == (1, 1)
    assert run(lips, seen(made.opening)[:1])[0].reason == "too_little_speech"
    assert run(lips, seen(made.opening, key=other[1])[-1:])[0].llr is not None


def test_memory_is_bounded_in_tracks_faces_and_time() -> None:
    lips, made = detector(), script(seconds=4)
    window, face = heard(made.loud)[0], seen(made.opening)[0]
    for number in range(MAX_VOICES + 9):
        key = TrackKey("s", str(number), Kind.AUDIO)
        lips.hear(AudioWindow(key, window.start_s, window.end_s, window.samples, HEARD))
    for number in range(MAX_TRACKS + 9):
        run_detector(lips, seen(made.opening, key=TrackKey("s", str(number), Kind.VIDEO))[:1])
    assert lips.remembered == (MAX_VOICES, MAX_TRACKS)
    for number in range(MAX_FACES + 9):
        lips.prepare(FaceWindow(PICTURE, number, 0.0, 0.1, NO_CROP, NO_MARKS, GOOD, face.glimpses))
    assert len(lips._tracks[PICTURE].faces) == MAX_FACES
    mouth = MouthTrace()
    for number in range(3000):
        mouth.add([Glimpse(number / 30, points(0.1), NO_CROP[:18, :32, 0], (640, 480))])
    assert len(mouth) <= KEPT_S * 30 + 1


def test_broken_points_and_sounds_give_no_broken_numbers() -> None:
    lips, made = shipped(), script()
    rng = np.random.default_rng(0)
    faces = seen(made.opening)
    for index, face in enumerate(faces):
        for look in face.glimpses:
            assert look.points is not None
            if index % 12 == 0:
                look.points[:] = np.nan if index % 24 else 0.0
            elif index % 12 == 1:
                look.points[:] = rng.uniform(0, 400, look.points.shape)
    voice = heard(made.loud)
    voice[1].samples[7] = np.nan
    voice[2].samples[:] = 0.0
    voice[3].samples[:] = rng.uniform(-1, 1, len(voice[3].samples))
    scores = run(lips, interleaved(voice, faces))
    assert all(s.llr is None or np.isfinite(s.llr) for s in scores)
    assert "detector_failed" not in reasons(scores)
    assert any(s.llr is not None for s in scores)


def test_sound_of_one_level_and_lips_that_never_move_are_compared_without_a_division_by_nothing() -> None:
    flat = Script(np.full(1200, 0.5), np.full(1200, 0.02))
    scores = call(flat, shipped())
    assert "detector_failed" not in reasons(scores)


def test_size_turn_and_nod_of_the_head_do_not_open_the_mouth() -> None:
    plain = mouth_of(points(0.2, 0.7))
    assert plain == pytest.approx((0.2, 0.7), abs=1e-5)
    assert mouth_of(points(0.2, 0.7, scale=30)) == pytest.approx(plain, abs=1e-5)
    assert mouth_of(points(0.2, 0.7, nod=0.8)) == pytest.approx(plain, abs=1e-5)
    turned = points(0.2, 0.7)
    turned[:, 0] = 320 + (turned[:, 0] - 320) * np.float32(0.85)
    assert mouth_of(turned) == pytest.approx(plain, abs=1e-5)
    assert mouth_of(np.zeros((468, 2), np.float32)) is None


def test_nothing_is_stitched_over_what_was_not_seen_or_heard() -> None:
    made = script(seconds=12)
    mouth, voice = MouthTrace(), VoiceTrace()
    for face in seen(made.opening, hidden=(4.0, 6.0)):
        mouth.add(face.glimpses)
    windows = heard(made.loud)
    voice.add(windows[0])
    voice.add(windows[3])
    steps = mouth.steps(0, 300)
    assert not steps.known[105:145].any()
    assert steps.known[10:95].all() and steps.known[155:290].all()
    unheard = voice.steps(0, 300).known
    assert unheard[5:98].all() and not unheard[103:148].any() and unheard[155:240].all()


def test_the_repeats_that_pad_a_short_window_are_not_heard() -> None:
    window = heard(loudness(1))[0]
    voice = VoiceTrace()
    voice.add(AudioWindow(VOICE, 0.0, 2.0, np.resize(window.samples[:32_000], 64_000), HEARD))
    known = voice.steps(0, 100).known
    assert known[2:48].all() and not known[52:].any()


def test_limits_that_make_no_sense_are_refused() -> None:
    for wrong in ({"min_both_s": 2.0}, {"min_speech_s": 6.0}, {"stretch_s": 20.0}, {"max_yaw_deg": 0.0}):
        with pytest.raises(ValueError, match=r"must|needs"):
            LipSyncConfig(**wrong)


def test_the_shipped_model_states_that_it_is_simulated_and_claims_little() -> None:
    card = load_card(models_dir() / "lip_sync")
    assert "simulated" in card.summary
    assert card.calibration.limit_llr <= 1.0
    assert list(card.data["features"]) == list(NAMES)
    # every feature but the movement in pauses and whether the lag was searched speaks for agreement
    signs = dict(zip(NAMES, card.data["weights"], strict=True))
    assert all(
        weight <= 0 for name, weight in signs.items() if name not in ("movement_in_pauses", "lag_searched")
    )


def skewed(late_s: float, skew_s: float | None, made: Script) -> list[AudioWindow | FaceWindow]:
    """A call whose sound stands ``late_s`` after its pictures in media time; clocks tell of ``skew_s``."""
    voice = [
        replace(window, start_s=window.start_s + late_s, end_s=window.end_s + late_s, skew_s=skew_s)
        for window in heard(made.loud)
    ]
    return interleaved(voice, seen(made.opening))


@pytest.mark.parametrize("late_s", [0.24, -0.24, 0.9, -0.9])
def test_a_skew_that_the_senders_clocks_tell_is_taken_off(late_s: float) -> None:
    made = script(lag_s=0.08, seconds=36)
    plain, told, untold = (
        run(detector(), skewed(real_s, skew_s, made))
        for real_s, skew_s in ((0.0, None), (late_s, late_s), (late_s, None))
    )
    assert mean_llr(told) == pytest.approx(mean_llr(plain), abs=0.5)
    assert mean_llr(told) < -2
    if abs(late_s) > 0.4:
        assert mean_llr(untold) > mean_llr(told) + 3
    details = [score.details for score in told if score.llr is not None]
    assert all(d["rtcp_clocks"] is True and d["av_skew_s"] == late_s for d in details)
    assert [d["lag_s"] for d in details][-1] == pytest.approx(0.08, abs=LOOK_S)
    without = [score.details for score in untold if score.llr is not None]
    assert all(d["rtcp_clocks"] is False and "av_skew_s" not in d for d in without)


@pytest.mark.parametrize("late_s", [0.0, 0.24])
def test_what_is_late_in_the_content_itself_stays_late(late_s: float) -> None:
    made = script(lag_s=1.1, seconds=36)
    assert mean_llr(run(detector(), skewed(late_s, late_s, made))) > -0.8


def test_a_skew_that_turns_up_during_the_call_begins_the_lag_anew() -> None:
    made = script(lag_s=0.08, seconds=60)
    windows = skewed(0.6, 0.6, made)
    late = [replace(w, skew_s=None) if isinstance(w, AudioWindow) and w.end_s < 25 else w for w in windows]
    scores = run(detector(), late)
    before = [s.llr for s in scores if s.end_s < 24 and s.llr is not None]
    after = [s.llr for s in scores if s.end_s > 30 and s.llr is not None]
    assert np.mean(after) < np.mean(before) - 2
    assert np.mean(after) == pytest.approx(mean_llr(run(detector(), windows)), abs=0.8)
