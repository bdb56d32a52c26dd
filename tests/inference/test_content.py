"""What one detector hears in a window binds the other voice signals; without it they go on, and say so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from guard.inference.content import UNCHECKED, Waiting, telling
from guard.inference.lanes import InlineLane
from guard.inference.slots import Priority
from guard.pipeline import Lane, Pipeline, Stages
from guard.types import (
    Abstain,
    AudioFrame,
    AudioQuality,
    AudioWindow,
    Detector,
    Finding,
    FloatArray,
    Kind,
    Score,
    Signal,
    TrackKey,
    Window,
)
from tests.test_pipeline import NoFaces, ScriptedAudio, Threshold

KEY = TrackKey("s", "p", Kind.AUDIO)
MUSIC, VOICE, BROKEN = 0.5, 0.25, 0.75


class Tells:
    """Hears music in samples of MUSIC, fails on samples of BROKEN."""

    signal = Signal.VOICE_SPOOF
    content_reasons = frozenset({"music"})

    def prepare(self, window: Window) -> FloatArray | Abstain:
        assert isinstance(window, AudioWindow)
        return window.samples

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding | Abstain]:
        if batch[0, 0] == BROKEN:
            raise RuntimeError("out of order")
        return [Abstain("music") if row[0] == MUSIC else Finding(1.0) for row in batch]


class Mute(Tells):
    """A model of another make: it scores, and tells nothing of the content."""

    content_reasons = frozenset()


class Beside:
    """Another voice signal; it cannot tell music from a voice."""

    def __init__(self, signal: Signal = Signal.SPEAKER_CHANGE) -> None:
        self.signal = signal
        self.scored: list[float] = []

    def prepare(self, window: Window) -> FloatArray | Abstain:
        assert isinstance(window, AudioWindow)
        return window.samples

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding | Abstain]:
        self.scored += [float(row[0]) for row in batch]
        return [Finding(2.0, details={"own": True}) for _ in windows]


class NotEnrolled(Beside):
    def declines(self, key: TrackKey) -> str | None:
        return "no_enrolment"


class Shedding(InlineLane):
    """A lane that scores nothing until it is told to."""

    def offer(self, window: Window, priority: Priority = Priority.HIGH) -> None:
        self.newest = window

    def run(self) -> None:
        super().offer(self.newest)


def build(detectors: Sequence[Detector], lane: type[InlineLane] = InlineLane) -> tuple[Pipeline, list[Score]]:
    scores: list[Score] = []
    lanes: dict[Kind, list[Lane]] = {kind: [] for kind in Kind}
    stage = ScriptedAudio()
    stages = Stages(lambda _: stage, lambda _: NoFaces(), Threshold)
    pipeline = Pipeline(stages, lanes, lambda _, own: scores.extend(own))
    makers = [lane, *[InlineLane] * len(detectors)]
    lanes[Kind.AUDIO] = [make(found, pipeline.scored) for make, found in zip(makers, detectors, strict=False)]
    return pipeline, scores


def frame(value: float, time_s: float = 0.0) -> AudioFrame:
    return AudioFrame(KEY, time_s, np.full(16, value, np.float32), 16_000)


def said(scores: Sequence[Score]) -> list[tuple[Signal, float | None, str | None, bool]]:
    return [(s.signal, s.llr, s.reason, bool(s.details.get(UNCHECKED))) for s in scores]


def test_music_is_scored_by_nobody_and_everybody_says_why() -> None:
    beside, match = Beside(), NotEnrolled(Signal.VOICE_MATCH)
    pipeline, scores = build([Tells(), beside, match])
    pipeline.push(frame(MUSIC))
    assert said(scores) == [
        (Signal.VOICE_SPOOF, None, "music", False),
        (Signal.SPEAKER_CHANGE, None, "music", False),
        (Signal.VOICE_MATCH, None, "no_enrolment", False),
    ]
    assert {(s.start_s, s.end_s) for s in scores} == {(0.0, 4.0)}
    assert beside.scored == match.scored == []


def test_a_voice_is_scored_by_all() -> None:
    pipeline, scores = build([Tells(), Beside()])
    pipeline.push(frame(VOICE))
    assert said(scores) == [
        (Signal.VOICE_SPOOF, 1.0, None, False),
        (Signal.SPEAKER_CHANGE, 2.0, None, False),
    ]


def test_the_order_of_the_lanes_does_not_matter() -> None:
    beside = Beside()
    pipeline, _ = build([beside, Tells()])
    pipeline.push(frame(MUSIC))
    assert beside.scored == []


def test_the_others_go_on_and_say_so_where_nothing_tells() -> None:
    alone: list[Detector] = [Beside()]
    beside: list[Detector] = [Mute(), Beside()]
    for detectors in (alone, beside):
        pipeline, scores = build(detectors)
        pipeline.push(frame(VOICE))
        assert said(scores)[-1] == (Signal.SPEAKER_CHANGE, 2.0, None, True)
        assert scores[-1].details["own"] is True
        assert [s.details for s in scores[:-1]] == [{}] * (len(detectors) - 1)


def test_the_others_go_on_and_say_so_where_it_failed_on_the_window_alone() -> None:
    pipeline, scores = build([Tells(), Beside()])
    pipeline.push(frame(BROKEN))
    pipeline.push(frame(VOICE, 2.0))
    beside = [s for s in said(scores) if s[0] is Signal.SPEAKER_CHANGE]
    assert beside == [(Signal.SPEAKER_CHANGE, 2.0, None, True), (Signal.SPEAKER_CHANGE, 2.0, None, False)]


def test_a_window_that_was_shed_before_it_could_be_told_is_scored_by_nobody() -> None:
    beside = Beside()
    tells = Tells()
    pipeline, scores = build([tells, beside], Shedding)
    lane = pipeline._lanes[Kind.AUDIO][0]
    assert isinstance(lane, Shedding)
    for at in range(10):
        pipeline.push(frame(VOICE + at / 100, 2.0 * at))
    assert beside.scored == []
    lane.run()
    assert [(s.signal, s.start_s) for s in scores] == [
        (Signal.VOICE_SPOOF, 18.0),
        (Signal.SPEAKER_CHANGE, 18.0),
    ]


def test_nothing_waits_for_somebody_who_left() -> None:
    beside = Beside()
    pipeline, _ = build([Tells(), beside], Shedding)
    lane = pipeline._lanes[Kind.AUDIO][0]
    assert isinstance(lane, Shedding)
    pipeline.push(frame(VOICE))
    pipeline.forget("s", "p")
    lane.run()
    assert beside.scored == []


def test_what_tells_is_found_wherever_it_stands() -> None:
    tells = Tells()
    assert telling([Beside(), Mute(), tells]) is tells
    assert telling([Beside(), Mute()]) is None


def test_a_pause_answers_for_no_window() -> None:
    waiting = Waiting()
    quality = AudioQuality(1.0, 4.0, 30.0, 0.0, 0.0)
    window = AudioWindow(KEY, 0.0, 4.0, np.zeros(16, np.float32), quality)
    waiting.put(window)
    assert waiting.answered(Score(KEY, Signal.VOICE_SPOOF, 4.0, 5.0, None, "too_little_speech")) is None
    assert waiting.answered(Score(KEY, Signal.VOICE_SPOOF, 0.0, 4.0, 1.0)) is window
    assert waiting.answered(Score(KEY, Signal.VOICE_SPOOF, 0.0, 4.0, 1.0)) is None
