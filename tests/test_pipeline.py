from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from guard.fusion.engine import CheckResult
from guard.inference.lanes import InlineLane
from guard.pipeline import Lane, Pipeline, Stages
from guard.types import (
    AudioFrame,
    AudioQuality,
    AudioWindow,
    Detector,
    FaceWindow,
    Finding,
    FloatArray,
    Kind,
    Score,
    Signal,
    State,
    TrackKey,
    Verdict,
    VideoFrame,
    Window,
    WindowSkip,
)

AUDIO = TrackKey("s", "p", Kind.AUDIO)


class ScriptedAudio:
    """One window per frame; frames of zeros are skipped."""

    def __init__(self) -> None:
        self.suspicions: list[float] = []

    def push(self, frame: AudioFrame) -> list[AudioWindow | WindowSkip]:
        end_s = frame.time_s + 4
        if not frame.samples.any():
            return [WindowSkip(frame.key, frame.time_s, end_s, "too_little_speech")]
        quality = AudioQuality(1.0, 4.0, 30.0, 0.0, 0.0)
        return [AudioWindow(frame.key, frame.time_s, end_s, frame.samples, quality)]

    def suspicion(self, now_s: float) -> None:
        self.suspicions.append(now_s)

    def flush(self) -> list[AudioWindow | WindowSkip]:
        return [WindowSkip(AUDIO, 0.0, 1.0, "too_little_speech")]


class NoFaces:
    def push(self, frame: VideoFrame) -> list[FaceWindow | WindowSkip]:
        return [WindowSkip(frame.key, frame.time_s, frame.time_s, "no_face")]


class FirstSample:
    signal = Signal.VOICE_SPOOF

    def prepare(self, window: Window) -> FloatArray:
        assert isinstance(window, AudioWindow)
        return window.samples

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding]:
        return [Finding(llr) for llr in batch[:, 0].tolist()]


class Listener:
    """A detector of faces that keeps what it hears."""

    signal = Signal.LIP_SYNC

    def __init__(self) -> None:
        self.heard: list[tuple[TrackKey, float]] = []

    def hear(self, window: AudioWindow) -> None:
        self.heard.append((window.key, window.start_s))

    def prepare(self, window: Window) -> FloatArray:
        raise AssertionError("no voice is scored as a face")

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding]:
        raise AssertionError("nothing was prepared")


class Threshold:
    """Scripted fusion: the last llr decides."""

    def __init__(self, session: str, participant: str) -> None:
        self.who = (session, participant)
        self.scores: list[Score] = []

    def push(self, score: Score) -> None:
        self.scores.append(score)

    def verdict(self, at_s: float) -> Verdict:
        llrs = [score.llr for score in self.scores if score.llr is not None]
        llr = llrs[-1] if llrs else None
        state = State.UNDECIDED if llr is None else State.SPOOF if llr > 0.5 else State.BONA_FIDE
        return Verdict(*self.who, at_s, state, llr)

    def acknowledge(self, at_s: float) -> None:
        self.scores.clear()

    def note_check(self, result: CheckResult, at_s: float) -> None:
        raise AssertionError("no check is made here")

    def lapse(self) -> None:
        self.scores.clear()

    def fork(self, participant: str) -> Threshold:
        other = Threshold(self.who[0], participant)
        other.scores = list(self.scores)
        return other


def build(
    verdicts: list[Verdict], scored: list[Score] | None = None, video: Sequence[Detector] = ()
) -> tuple[Pipeline, dict[TrackKey, ScriptedAudio]]:
    stages: dict[TrackKey, ScriptedAudio] = {}

    def audio(key: TrackKey) -> ScriptedAudio:
        return stages.setdefault(key, ScriptedAudio())

    def sink(scores: Sequence[Score]) -> None:
        pipeline.scored(scores)

    def on_verdict(verdict: Verdict, scores: Sequence[Score]) -> None:
        verdicts.append(verdict)
        if scored is not None:
            scored.extend(scores)

    lanes: dict[Kind, list[Lane]] = {
        Kind.AUDIO: [InlineLane(FirstSample(), sink)],
        Kind.VIDEO: [InlineLane(detector, sink) for detector in video],
    }
    pipeline = Pipeline(Stages(audio, lambda _: NoFaces(), Threshold), lanes, on_verdict)
    return pipeline, stages


def frame(value: float, time_s: float = 0.0, key: TrackKey = AUDIO) -> AudioFrame:
    return AudioFrame(key, time_s, np.full(16, value, np.float32), 16_000)


def test_a_frame_becomes_a_verdict_on_its_participant() -> None:
    verdicts: list[Verdict] = []
    pipeline, _ = build(verdicts)
    pipeline.push(frame(0.25))
    assert [(v.participant, v.state, v.llr, v.at_s) for v in verdicts] == [("p", State.BONA_FIDE, 0.25, 4.0)]


def test_a_skipped_window_is_told_to_fusion_with_its_reason_and_is_no_evidence() -> None:
    verdicts: list[Verdict] = []
    scores: list[Score] = []
    pipeline, _ = build(verdicts, scores)
    pipeline.push(frame(0.0))
    assert (scores[0].llr, scores[0].reason) == (None, "too_little_speech")
    assert verdicts[-1].state is State.UNDECIDED


def test_why_a_detector_declines_a_track_outlives_a_pause() -> None:
    class Declines(FirstSample):
        def declines(self, key: TrackKey) -> str | None:
            return "no_enrolment" if key.participant == "p" else None

    stage = ScriptedAudio()
    reasons: list[str | None] = []

    def scored(scores: Sequence[Score]) -> None:
        pipeline.scored(scores)

    lanes: dict[Kind, list[Lane]] = {Kind.AUDIO: [InlineLane(Declines(), scored)], Kind.VIDEO: []}
    pipeline = Pipeline(
        Stages(lambda _: stage, lambda _: NoFaces(), Threshold),
        lanes,
        lambda _, scores: reasons.extend(score.reason for score in scores),
    )
    pipeline.push(frame(0.0))
    pipeline.push(frame(0.0, key=TrackKey("s", "q", Kind.AUDIO)))
    assert reasons == ["no_enrolment", "too_little_speech"]


def test_the_end_of_a_track_is_scored_too() -> None:
    scores: list[Score] = []
    pipeline, _ = build([], scores)
    pipeline.push(frame(0.25))
    pipeline.finish("s", "p")
    assert [score.llr for score in scores] == [0.25, None]


def test_participants_do_not_mix() -> None:
    verdicts: list[Verdict] = []
    pipeline, _ = build(verdicts)
    pipeline.push(frame(0.25))
    pipeline.push(frame(0.75, key=TrackKey("s", "q", Kind.AUDIO)))
    assert {v.participant: v.state for v in verdicts} == {"p": State.BONA_FIDE, "q": State.SPOOF}


def test_somebody_judged_beside_a_participant_begins_with_their_evidence_and_leaves_theirs_alone() -> None:
    verdicts: list[Verdict] = []
    pipeline, _ = build(verdicts)
    assert not pipeline.fork("s", "p", "p+"), "nothing of the participant was ever pushed"
    pipeline.push(frame(0.25))
    assert pipeline.fork("s", "p", "p+")
    beside = TrackKey("s", "p+", Kind.AUDIO)
    pipeline.scored([Score(beside, Signal.VOICE_SPOOF, 0.0, 4.0, None, "too_little_speech")])
    assert (verdicts[-1].participant, verdicts[-1].llr) == ("p+", 0.25)
    pipeline.push(frame(0.75, key=beside))
    assert (verdicts[-1].participant, verdicts[-1].state) == ("p+", State.SPOOF)
    pipeline.scored([Score(AUDIO, Signal.VOICE_SPOOF, 4.0, 8.0, None, "too_little_speech")])
    assert (verdicts[-1].participant, verdicts[-1].state, verdicts[-1].llr) == ("p", State.BONA_FIDE, 0.25)
    pipeline.forget("s", "p+")
    pipeline.scored([Score(beside, Signal.VOICE_SPOOF, 0.0, 4.0, 0.9)])
    assert verdicts[-1].participant == "p", "nothing of the one beside them is kept"


def test_what_waits_for_a_person_is_not_taken_over_by_the_one_beside_them() -> None:
    verdicts: list[Verdict] = []
    pipeline, _ = build(verdicts)
    pipeline.push(frame(0.75))
    pipeline.fork("s", "p", "p+")
    beside = TrackKey("s", "p+", Kind.AUDIO)
    pipeline.scored([Score(beside, Signal.VOICE_SPOOF, 0.0, 4.0, None, "too_little_speech")])
    assert (verdicts[-1].state, verdicts[-1].llr) == (State.UNDECIDED, None)


def test_suspicion_makes_the_voice_be_looked_at_more_often() -> None:
    verdicts: list[Verdict] = []
    pipeline, stages = build(verdicts)
    pipeline.push(frame(0.75))
    assert stages[AUDIO].suspicions == [4.0]


def test_evidence_that_leans_to_spoof_is_looked_at_before_it_is_amber() -> None:
    verdicts: list[Verdict] = []
    pipeline, stages = build(verdicts)
    pipeline.push(frame(0.25))
    pipeline.push(frame(-0.25, time_s=8.0))
    assert [v.state for v in verdicts] == [State.BONA_FIDE] * 2
    assert stages[AUDIO].suspicions == [4.0]


def test_acknowledging_gives_a_new_verdict() -> None:
    verdicts: list[Verdict] = []
    pipeline, _ = build(verdicts)
    pipeline.push(frame(0.75))
    pipeline.acknowledge("s", "p")
    assert [v.state for v in verdicts] == [State.SPOOF, State.UNDECIDED]


def test_scores_of_someone_who_left_are_dropped() -> None:
    verdicts: list[Verdict] = []
    pipeline, _ = build(verdicts)
    pipeline.push(frame(0.25))
    pipeline.forget("s", "p")
    pipeline.scored([Score(AUDIO, Signal.VOICE_SPOOF, 0.0, 4.0, 3.0)])
    assert len(verdicts) == 1


def test_a_detector_of_faces_may_hear_the_voice_without_scoring_it() -> None:
    listener, scores = Listener(), list[Score]()
    pipeline, _ = build([], scores, video=[listener])
    pipeline.push(frame(0.25))
    pipeline.push(frame(0.0, time_s=4.0))  # skipped: no window, nothing to hear
    pipeline.push(frame(0.25, time_s=8.0))
    assert listener.heard == [(AUDIO, 0.0), (AUDIO, 8.0)]
    assert {score.signal for score in scores} == {Signal.VOICE_SPOOF}
