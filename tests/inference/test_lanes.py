from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from guard.clock import ManualClock
from guard.errors import ModelError
from guard.inference.lanes import MAX_UNHEARD, InlineLane, ThreadLane, run_detector
from guard.inference.slots import SlotConfig
from guard.types import (
    Abstain,
    AudioQuality,
    AudioWindow,
    Finding,
    FloatArray,
    Kind,
    Score,
    Signal,
    TrackKey,
    Window,
)

KEY = TrackKey("s", "p", Kind.AUDIO)
DEADLINE_S = 10.0


class ScriptedDetector:
    """Scores a window by its first sample; abstains below zero, afterwards at 0.75; fails above one."""

    signal = Signal.VOICE_SPOOF

    def prepare(self, window: Window) -> FloatArray | Abstain:
        assert isinstance(window, AudioWindow)
        return Abstain("too_little_speech") if window.samples[0] < 0 else window.samples

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding | Abstain]:
        assert [w.samples[0] for w in windows if isinstance(w, AudioWindow)] == batch[:, 0].tolist()
        if (batch[:, 0] > 1).any():
            raise ModelError("model_failed", "scripted failure")
        return [Abstain("music") if x == 0.75 else Finding(x, (x, -x)) for x in batch[:, 0].tolist()]


class Forgetful(ScriptedDetector):
    """Answers for one window fewer than it was asked about."""

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding | Abstain]:
        return super().score(batch, windows)[1:]


class Remembers(ScriptedDetector):
    """Counts what it was asked of each participant since it last forgot them."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}

    def prepare(self, window: Window) -> FloatArray | Abstain:
        self.asked[window.key.participant] = self.asked.get(window.key.participant, 0) + 1
        return super().prepare(window)

    def forget(self, session: str, participant: str) -> None:
        self.asked.pop(participant, None)


class Listens(Remembers):
    """Keeps the first sample of what it heard of each participant."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: dict[str, list[float]] = {}

    def hear(self, window: AudioWindow) -> None:
        if window.samples[0] > 1:
            raise ValueError("scripted failure")
        self.heard.setdefault(window.key.participant, []).append(float(window.samples[0]))

    def forget(self, session: str, participant: str) -> None:
        super().forget(session, participant)
        self.heard.pop(participant, None)


def window(first: float) -> AudioWindow:
    samples = np.full(8, first, np.float32)
    return AudioWindow(KEY, 0.0, 4.0, samples, AudioQuality(1.0, 4.0, 30.0, 0.0, 0.0))


def test_scores_keep_order_and_abstentions_keep_their_reason() -> None:
    scores = run_detector(ScriptedDetector(), [window(0.5), window(-1), window(0.25)])
    assert [(s.llr, s.reason) for s in scores] == [(0.5, None), (None, "too_little_speech"), (0.25, None)]


def test_a_detector_may_abstain_after_its_model_ran() -> None:
    scores = run_detector(ScriptedDetector(), [window(-1), window(0.75), window(0.5)])
    assert [(s.llr, s.reason) for s in scores] == [(None, "too_little_speech"), (None, "music"), (0.5, None)]
    assert [s.parts_llr for s in scores] == [(), (), (0.5, -0.5)]


def test_a_detector_that_answers_for_too_few_windows_has_failed() -> None:
    scores = run_detector(Forgetful(), [window(0.5), window(-1), window(0.25)])
    assert [s.reason for s in scores] == ["detector_failed", "too_little_speech", "detector_failed"]


def test_a_failing_detector_gives_no_evidence_and_says_so() -> None:
    scores = run_detector(ScriptedDetector(), [window(0.5), window(2.0)])
    assert [(s.llr, s.reason) for s in scores] == [(None, "detector_failed")] * 2


def test_why_a_detector_failed_is_told_wherever_it_failed() -> None:
    class Stumbles(Listens):
        def prepare(self, window: Window) -> FloatArray | Abstain:
            if isinstance(window, AudioWindow) and window.samples[0] == 0.125:
                raise KeyError("scripted failure")
            return super().prepare(window)

    told: list[tuple[str, str]] = []
    out: list[Score] = []
    lane = InlineLane(Stumbles(), out.extend, lambda part, error: told.append((part, type(error).__name__)))
    for value in (0.5, 0.125, 2.0):
        lane.offer(window(value))
    lane.hear(window(2.0))
    assert told == [("voice_spoof", name) for name in ("KeyError", "ModelError", "ValueError")]
    assert [score.reason for score in out] == [None, *["detector_failed"] * 3]


def test_inline_lane_scores_every_window() -> None:
    out: list[Score] = []
    lane = InlineLane(ScriptedDetector(), out.extend)
    for value in (0.1, 0.2, 0.3):
        lane.offer(window(value))
    assert len(out) == 3


def test_thread_lane_scores_and_counts_and_ends() -> None:
    done = threading.Event()
    out: list[Score] = []

    def sink(scores: Sequence[Score]) -> None:
        out.extend(scores)
        done.set()

    before = threading.active_count()
    lane = ThreadLane(ScriptedDetector(), sink, clock=ManualClock(), config=SlotConfig())
    lane.offer(window(0.5))
    assert done.wait(DEADLINE_S)
    lane.close()
    counts = lane.counts()
    assert out[0].llr == 0.5
    assert (counts.offered, counts.done, counts.failed) == (1, 1, 0)
    assert threading.active_count() == before


def test_thread_lane_tells_why_its_detector_failed() -> None:
    done = threading.Event()
    told: list[str] = []
    lane = ThreadLane(
        ScriptedDetector(),
        lambda _: done.set(),
        clock=ManualClock(),
        config=SlotConfig(),
        failed=lambda failed, error: told.append(f"{failed}: {error}"),
    )
    lane.offer(window(2.0))
    assert done.wait(DEADLINE_S)
    lane.close()
    assert told == ["voice_spoof: scripted failure"]


def test_lane_in_the_callers_thread_forgets_at_once() -> None:
    detector = Remembers()
    lane = InlineLane(detector, lambda _: None)
    lane.offer(window(0.5))
    lane.forget("s", "somebody else")
    assert detector.asked == {"p": 1}
    lane.forget("s", "p")
    assert detector.asked == {}


def test_thread_lane_forgets_after_the_batch_in_hand_and_sheds_what_waits() -> None:
    detector, busy, go_on, done = Remembers(), threading.Event(), threading.Event(), threading.Event()

    def sink(scores: Sequence[Score]) -> None:
        if scores[0].key.participant == "q":
            done.set()
        busy.set()
        assert go_on.wait(DEADLINE_S)

    lane = ThreadLane(detector, sink, clock=ManualClock(), config=SlotConfig())
    lane.offer(window(0.5))
    assert busy.wait(DEADLINE_S)
    lane.offer(window(0.25))  # waits behind the batch in hand
    lane.forget("s", "p")
    go_on.set()
    other = AudioWindow(TrackKey("s", "q", Kind.AUDIO), 0.0, 4.0, window(0.5).samples, window(0.5).quality)
    lane.offer(other)
    assert done.wait(DEADLINE_S)
    lane.close()
    assert detector.asked == {"q": 1}
    assert lane.counts().shed["gone"] == 1


def test_what_is_heard_reaches_a_detector_that_listens_and_gives_no_score() -> None:
    detector, out = Listens(), list[Score]()
    lane = InlineLane(detector, out.extend)
    for first in (0.25, 0.5):
        lane.hear(window(first))
    InlineLane(ScriptedDetector(), out.extend).hear(window(0.5))
    assert (detector.heard, detector.asked, out) == ({"p": [0.25, 0.5]}, {}, [])


def test_a_detector_that_fails_to_hear_says_so_and_the_lane_goes_on() -> None:
    out: list[Score] = []
    lane = InlineLane(Listens(), out.extend)
    lane.hear(window(2.0))
    assert [(s.llr, s.reason) for s in out] == [(None, "detector_failed")]
    lane.hear(window(0.5))
    assert len(out) == 1


def test_thread_lane_hears_in_its_own_thread_before_it_scores() -> None:
    detector, busy, go_on, done = Listens(), threading.Event(), threading.Event(), threading.Event()
    heard: list[list[float]] = []

    def sink(scores: Sequence[Score]) -> None:
        heard.append(list(detector.heard.get("p", [])))
        busy.set()
        assert go_on.wait(DEADLINE_S)
        if len(heard) == 2:
            done.set()

    lane = ThreadLane(detector, sink, clock=ManualClock(), config=SlotConfig())
    lane.offer(window(0.5))
    assert busy.wait(DEADLINE_S)
    lane.hear(window(0.125))
    lane.forget("s", "p")  # what was heard before it is dropped, what comes after it is not
    for first in [0.25] * MAX_UNHEARD + [0.5]:
        lane.hear(window(first))
    lane.offer(window(0.5))
    go_on.set()
    assert done.wait(DEADLINE_S)
    lane.close()
    assert heard == [[], [0.25] * (MAX_UNHEARD - 1) + [0.5]]
    assert (lane.report()["shed"], lane.report()["offered"], lane.report()["done"]) == ({"unheard": 1}, 2, 2)
