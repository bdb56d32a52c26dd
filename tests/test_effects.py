"""What happens when: each row of the table in docs/decisions.md, through the real pipeline and engine.

Voices go through the real window cutter, overload through the real slots; detectors say what they are told.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from guard import reasons
from guard.detectors.virtual_camera import CameraKind, DeviceReport, Format, VirtualCamera
from guard.fusion.engine import CheckResult, Fusion
from guard.inference.lanes import InlineLane, run_detector, stream_of
from guard.inference.slots import Priority, SlotConfig, SlotQueue
from guard.pipeline import Lane, Pipeline, Stages
from guard.types import (
    Abstain,
    AudioFrame,
    AudioWindow,
    Detector,
    FaceQuality,
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
from guard.windows.audio import AudioWindows
from tests.detectors.test_lip_sync import detector as lip_sync
from tests.windows.test_audio_windows import silence, voice

VOICE = TrackKey("s", "p", Kind.AUDIO)
PICTURE = TrackKey("s", "p", Kind.VIDEO)
RATE_HZ = 16_000
GOOD = FaceQuality(60.0, 100.0, 0.0, 120.0, 1.0)
SPEECH = voice(10.0)


class Says:
    """A detector that says the same of every voice, and of every face what it is told."""

    def __init__(self, signal: Signal, llr: float, faces: dict[int, float] | None = None) -> None:
        self.signal = signal
        self.llr = llr
        self.faces = faces or {}

    def prepare(self, window: Window) -> FloatArray:
        return np.zeros(1, np.float32)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding]:
        return [
            Finding(self.faces.get(w.face, self.llr) if isinstance(w, FaceWindow) else self.llr)
            for w in windows
        ]


class NotLive:
    """The temporal signal of a picture that is not live for a while; of the rest it says 0."""

    signal = Signal.TEMPORAL

    def __init__(self, why: str, begin_s: float, end_s: float) -> None:
        self.why, self.begin_s, self.end_s = why, begin_s, end_s

    def prepare(self, window: Window) -> FloatArray | Abstain:
        if self.begin_s < window.end_s < self.end_s:
            return Abstain(self.why)
        return np.zeros(1, np.float32)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding]:
        return [Finding(0.0) for _ in windows]


class AnotherFace:
    """``face_identity``: somebody else than in the photo, or than before, is there for a while."""

    signal = Signal.FACE_IDENTITY

    def __init__(self, begin_s: float, end_s: float, *, photo: bool) -> None:
        self.begin_s, self.end_s, self.photo = begin_s, end_s, photo

    def prepare(self, window: Window) -> FloatArray | Abstain:
        return np.zeros(1, np.float32)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding]:
        return [self.found(self.begin_s < window.end_s < self.end_s) for window in windows]

    def found(self, other: bool) -> Finding:
        llr = 3.8 if other else -3.8
        if self.photo:
            return Finding(2.3 if other else -0.4, other_person_llr=llr)
        return Finding(0.8 if other else -0.1, replaced_llr=llr)


class Faces:
    """Scripted face stage: the first pixel is the number of faces, 255 a dark picture, 254 one that fails."""

    def __init__(self) -> None:
        self.before_s = 0.0

    def push(self, frame: VideoFrame) -> list[FaceWindow | WindowSkip]:
        start_s, self.before_s = self.before_s, frame.time_s
        count = int(frame.image[0, 0, 0])
        if count == 255:
            return [WindowSkip(frame.key, start_s, frame.time_s, "face_dark", 0)]
        if count == 254:
            return [WindowSkip(frame.key, start_s, frame.time_s, reasons.FACE_FAILED)]
        if count == 0:
            return [WindowSkip(frame.key, start_s, frame.time_s, "no_face")]
        crop, points = np.zeros((224, 224, 3), np.uint8), np.zeros((468, 2), np.float32)
        return [
            FaceWindow(frame.key, number, start_s, frame.time_s, crop, points, GOOD)
            for number in range(count)
        ]


class SlowLane:
    """A lane on the real slots whose machine manages one window in ``every_s`` of media time."""

    def __init__(self, detector: Detector, every_s: float) -> None:
        self.detector = detector
        self.queue: SlotQueue[Window] = SlotQueue(SlotConfig(max_batch=1))
        self.every_s = every_s
        self.free_s = 0.0
        self.sink = Call.nobody

    def offer(self, window: Window, priority: Priority = Priority.HIGH) -> None:
        self.queue.offer(stream_of(window), window, window.end_s, priority)
        if window.end_s >= self.free_s:
            self.free_s = window.end_s + self.every_s
            self.sink(run_detector(self.detector, self.queue.take(window.end_s)))

    def hear(self, window: AudioWindow) -> None:
        del window

    def forget(self, session: str, participant: str) -> None:
        del session, participant


class Call:
    """One participant's call through the real pipeline."""

    def __init__(self, *detectors: Detector, slow_s: float | None = None) -> None:
        self.verdicts: list[Verdict] = []
        self.reasons: dict[Signal, set[str]] = {}
        lanes: dict[Kind, list[Lane]] = {kind: [] for kind in Kind}
        self.pipeline = Pipeline(Stages(AudioWindows, lambda _: Faces(), Fusion), lanes, self.decided)
        for one in detectors:
            if slow_s is None:
                lanes[one.signal.kind].append(InlineLane(one, self.scored))
            else:
                self.slow = SlowLane(one, slow_s)
                self.slow.sink = self.scored
                lanes[one.signal.kind].append(self.slow)

    @staticmethod
    def nobody(scores: Sequence[Score]) -> None:
        raise AssertionError(f"nobody takes {scores}")

    def decided(self, verdict: Verdict, scores: Sequence[Score]) -> None:
        self.verdicts.append(verdict)
        for score in scores:
            if score.reason is not None:
                self.reasons.setdefault(score.signal, set()).add(score.reason)

    def scored(self, scores: Sequence[Score]) -> None:
        self.pipeline.scored(scores)

    def run(
        self, begin_s: float, end_s: float, *, sound: str | None = None, faces: int | None = None
    ) -> Verdict:
        """Push a stretch: ``sound`` is speech, silence or concealed, ``faces`` are in the picture."""
        for tenth in range(round(begin_s * 10), round(end_s * 10)):
            time_s = tenth / 10
            if sound is not None:
                part = SPEECH if sound != "silence" else silence(10.0)
                at = tenth % 100 * RATE_HZ // 10
                samples = part[at : at + RATE_HZ // 10]
                self.pipeline.push(AudioFrame(VOICE, time_s, samples, RATE_HZ, sound == "concealed"))
            if faces is not None and tenth % 2 == 0:
                self.pipeline.push(VideoFrame(PICTURE, time_s, np.full((8, 8, 3), faces, np.uint8)))
        return self.verdicts[-1]


def face_frame(llr: float, **faces: float) -> Says:
    return Says(Signal.FACE_FRAME, llr, {int(name[1:]): x for name, x in faces.items()})


def test_under_overload_coverage_falls_and_the_verdict_says_so() -> None:
    calm, busy = Call(face_frame(-2.0)), Call(face_frame(-2.0), slow_s=1.0)
    at_ease, loaded = calm.run(0, 40, faces=1), busy.run(0, 40, faces=1)
    assert at_ease.signals[Signal.FACE_FRAME].coverage > 0.99
    assert reasons.LOW_COVERAGE not in at_ease.reasons
    assert 0.1 < loaded.signals[Signal.FACE_FRAME].coverage < 0.3
    assert loaded.reasons[-1] == reasons.LOW_COVERAGE
    assert busy.slow.queue.shed["superseded"] > 100, "shed windows are counted"
    assert at_ease.llr is not None
    assert loaded.llr is not None
    assert at_ease.llr < loaded.llr < 0, "fewer looks say the same, more weakly"


def test_pictures_that_come_too_seldom_are_told_as_well() -> None:
    call = Call(face_frame(-2.0))
    for tenth in range(0, 400, 25):
        call.pipeline.push(VideoFrame(PICTURE, tenth / 10, np.full((8, 8, 3), 1, np.uint8)))
    slow = call.verdicts[-1]
    assert slow.signals[Signal.FACE_FRAME].coverage == pytest.approx(0.4, abs=0.03), "a second for each"
    assert slow.reasons[-1] == reasons.LOW_COVERAGE


def test_lost_sound_is_no_evidence_and_lowers_coverage() -> None:
    call = Call(Says(Signal.VOICE_SPOOF, -3.0))
    before = call.run(0, 20, sound="speech").signals[Signal.VOICE_SPOOF]
    scored = len(call.verdicts[-1].evidence)
    lost = call.run(20, 40, sound="concealed")
    assert call.reasons[Signal.VOICE_SPOOF] == {"concealed"}
    assert len(lost.evidence) <= scored + 1, "a window that is partly lost may still be heard"
    assert before.coverage > 0.9 > 0.7 > lost.signals[Signal.VOICE_SPOOF].coverage
    call.run(60, 70, sound="speech")
    assert call.reasons[Signal.VOICE_SPOOF] == {"concealed", "gap"}


def test_a_muted_microphone_is_named_and_after_a_minute_the_voice_says_nothing() -> None:
    call = Call(Says(Signal.VOICE_SPOOF, -3.0))
    assert call.run(0, 20, sound="speech").state is State.BONA_FIDE
    half = call.run(20, 40, sound="silence").signals[Signal.VOICE_SPOOF]
    assert half.coverage == pytest.approx(0.5, abs=0.06)
    muted = call.run(40, 84, sound="silence")
    assert (muted.state, muted.llr, muted.reasons) == (State.UNDECIDED, None, ("too_little_speech",))
    assert muted.signals[Signal.VOICE_SPOOF].reason == "too_little_speech"


def test_muting_takes_no_alarm_back() -> None:
    call = Call(Says(Signal.VOICE_SPOOF, 4.0))
    assert call.run(0, 60, sound="speech").state is State.SPOOF
    assert call.run(60, 150, sound="silence").state is State.SPOOF


def test_with_the_camera_off_nobody_stays_green_on_the_voice() -> None:
    call = Call(Says(Signal.VOICE_SPOOF, -3.0), face_frame(-3.0))
    assert call.run(0, 20, sound="speech", faces=1).state is State.BONA_FIDE
    off = call.run(20, 38, sound="speech")
    assert (off.state, off.reasons) == (State.UNDECIDED, (reasons.FACE_LAPSED,))
    later = call.run(38, 84, sound="speech")
    assert (later.state, later.signals[Signal.FACE_FRAME].llr) == (State.UNDECIDED, None)
    assert later.signals[Signal.FACE_FRAME].reason == reasons.LAPSED
    assert later.signals[Signal.FACE_FRAME].coverage < 0.3
    assert call.run(84, 96, sound="speech", faces=1).state is State.BONA_FIDE, "on again"


def test_a_face_that_cannot_be_judged_any_more_is_as_good_as_none() -> None:
    call = Call(Says(Signal.VOICE_SPOOF, -3.0), face_frame(-3.0))
    assert call.run(0, 20, sound="speech", faces=1).state is State.BONA_FIDE
    dark = call.run(20, 40, sound="speech", faces=255)
    assert (dark.state, dark.reasons) == (State.UNDECIDED, (reasons.FACE_LAPSED,))
    assert call.reasons[Signal.FACE_FRAME] == {"face_dark"}


@pytest.mark.parametrize("why", reasons.NOT_LIVE)
def test_a_picture_that_is_not_live_keeps_nobody_green_and_accuses_nobody(why: str) -> None:
    call = Call(Says(Signal.VOICE_SPOOF, -3.0), face_frame(-3.0), NotLive(why, 20.0, 26.0))
    assert call.run(0, 20, sound="speech", faces=1).state is State.BONA_FIDE
    found = call.run(20, 26, sound="speech", faces=1)
    assert (found.state, found.reasons) == (State.UNDECIDED, (why,))
    assert found.signals[Signal.TEMPORAL].reason == why
    assert call.run(26, 84, sound="speech", faces=1).reasons == (why,)
    assert call.run(84, 88, sound="speech", faces=1).state is State.BONA_FIDE, "a minute after"
    assert {verdict.state for verdict in call.verdicts} == {State.UNDECIDED, State.BONA_FIDE}
    bad = Call(Says(Signal.VOICE_SPOOF, 4.0), face_frame(4.0), NotLive(why, 0.0, 26.0))
    assert bad.run(0, 20, sound="speech", faces=1).state is State.SPOOF
    assert why in bad.verdicts[-1].reasons


def test_a_picture_on_which_a_network_fails_keeps_nobody_green_and_settles_no_suspicion() -> None:
    call = Call(Says(Signal.VOICE_SPOOF, -3.0), face_frame(-3.0))
    green = call.run(0, 20, sound="speech", faces=1)
    assert green.state is State.BONA_FIDE
    failing = call.run(20, 26, sound="speech", faces=254)
    assert (failing.state, failing.reasons) == (State.UNDECIDED, (reasons.FACE_FAILED,))
    before, after = (v.signals[Signal.FACE_FRAME].coverage for v in (green, failing))
    assert after < before
    assert call.run(26, 85, sound="speech", faces=1).reasons == (reasons.FACE_FAILED,)
    assert call.run(85, 88, sound="speech", faces=1).state is State.BONA_FIDE, "a minute after"
    bad = Call(face_frame(4.0))
    for begin_s in range(30):
        bad.run(begin_s, begin_s + 0.4, faces=254)
        worst = bad.run(begin_s + 0.4, begin_s + 1, faces=1)
    assert worst.state is State.SPOOF
    assert worst.reasons == ("face_frame_high", reasons.FACE_FAILED)


def test_somebody_else_than_the_photo_shows_is_amber_whatever_voice_and_face_say() -> None:
    somebody_else(photo=True, reason=reasons.PHOTO_MISMATCH)


def test_a_face_that_became_another_in_place_is_amber_whatever_voice_and_face_say() -> None:
    somebody_else(photo=False, reason=reasons.FACE_REPLACED)


def somebody_else(*, photo: bool, reason: str) -> None:
    face = AnotherFace(20.0, 30.0, photo=photo)
    call = Call(Says(Signal.VOICE_SPOOF, -3.0), face_frame(-3.0), face)
    assert call.run(0, 20, sound="speech", faces=1).state is State.BONA_FIDE
    other = call.run(20, 30, sound="speech", faces=1)
    assert (other.state, other.reasons[0]) == (State.SUSPECT, reason)
    assert call.run(30, 42, sound="speech", faces=1).reasons[-1] == reasons.WAITING_FOR_CLEAR
    assert call.run(42, 130, sound="speech", faces=1).state is State.BONA_FIDE
    assert State.SPOOF not in {verdict.state for verdict in call.verdicts}


def test_turning_everything_off_keeps_no_good_mark_and_no_alarm_is_lost() -> None:
    good, bad = (Call(Says(Signal.VOICE_SPOOF, x), face_frame(x)) for x in (-3.0, 4.0))
    assert good.run(0, 20, sound="speech", faces=1).state is State.BONA_FIDE
    assert bad.run(0, 20, sound="speech", faces=1).state is State.SPOOF
    for call in (good, bad):
        call.pipeline.lapse("s", "p")  # the analysis process does so after a minute without a packet
    assert (good.verdicts[-1].state, good.verdicts[-1].reasons) == (State.UNDECIDED, (reasons.LAPSED,))
    assert bad.verdicts[-1].state is State.SPOOF
    good.pipeline.lapse("s", "nobody")


def effects() -> VirtualCamera:
    """The page's report of a camera with a virtual background."""
    size = Format(640, 360, 30.0)
    cameras = VirtualCamera()
    cameras.report("s", "p", DeviceReport(CameraKind.EFFECTS, False, True, size, size, 400.0, 300.0))
    return cameras


def test_a_virtual_background_is_reported_and_weighs_little_and_only_beside_a_suspected_face() -> None:
    for llr, most in ((-2.0, 0.0), (1.5, 0.2)):
        plain, background = Call(face_frame(llr)), Call(face_frame(llr), effects())
        without, with_it = plain.run(0, 30, faces=1), background.run(0, 30, faces=1)
        assert without.llr is not None
        assert with_it.llr is not None
        assert with_it.state is without.state
        assert 0 <= with_it.llr - without.llr <= most
        assert with_it.signals[Signal.VIRTUAL_CAMERA].llr == pytest.approx(0.3, abs=0.05)


def test_of_two_people_the_more_suspicious_counts_and_nobody_is_given_the_voice() -> None:
    call = Call(Says(Signal.VOICE_SPOOF, -3.0), face_frame(0.0, f0=-3.0, f1=3.3), lip_sync())
    assert call.run(0, 20, sound="speech", faces=1).state is State.BONA_FIDE
    alone = call.run(20, 30, sound="speech", faces=1).signals[Signal.FACE_FRAME].llr
    two = call.run(30, 60, sound="speech", faces=2)
    told = two.signals[Signal.FACE_FRAME].llr
    assert alone is not None
    assert told is not None
    assert alone < 0 < told
    assert two.state is State.SUSPECT
    assert "face_frame_high" in two.reasons
    assert two.signals[Signal.LIP_SYNC].llr is None
    assert "several_faces" in call.reasons[Signal.LIP_SYNC]


def test_a_failed_check_reaches_the_verdict_and_one_of_somebody_who_left_reaches_nobody() -> None:
    call = Call(Says(Signal.VOICE_SPOOF, -3.0))
    assert call.run(0, 20, sound="speech").state is State.BONA_FIDE
    call.pipeline.note_check("s", "nobody", CheckResult.FAIL)
    call.pipeline.note_check("s", "p", CheckResult.FAIL)
    call.pipeline.acknowledge("s", "p")
    good, failed, acknowledged = call.verdicts[-3:]
    assert good.state is State.BONA_FIDE
    assert (failed.state, failed.reasons[0]) == (State.SUSPECT, reasons.CHECK_FAILED)
    assert acknowledged.state is State.UNDECIDED
