"""The middle of the line: frames in, verdicts out. The same code serves calls and files.

    frame -> windows (per track) -> lane (per detector) -> Score -> fusion (per participant) -> Verdict

A window of audio goes to the other voice signals once it is known not to be music, noise, several people or
too bad to be speech (``guard.inference.content``).

Not thread-safe: whoever runs lanes in threads brings their Scores back to the thread
that owns the pipeline before calling ``scored``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from guard.fusion.engine import CheckResult
from guard.inference.content import Waiting, content_reasons
from guard.inference.slots import Priority
from guard.reasons import DETECTOR_FAILED
from guard.types import (
    ALERTING,
    AudioFrame,
    AudioWindow,
    Detector,
    FaceWindow,
    Kind,
    Score,
    State,
    TrackKey,
    Verdict,
    VideoFrame,
    Window,
    WindowSkip,
)


class AudioStage(Protocol):
    """Cuts one audio track into windows."""

    def push(self, frame: AudioFrame) -> Sequence[AudioWindow | WindowSkip]:
        """Return the windows, or the reasons for their absence, that the frame completed."""

    def suspicion(self, now_s: float) -> None:
        """Look more often for a while from media time ``now_s``."""

    def flush(self) -> Sequence[AudioWindow | WindowSkip]:
        """Return what the end of the track completes."""


class FaceStage(Protocol):
    """Finds, follows and aligns the faces of one video track."""

    def push(self, frame: VideoFrame) -> Sequence[FaceWindow | WindowSkip]:
        """Return the faces, or the reasons for their absence, of one picture.

        Raises:
            ModelError: a network failed, and whoever was told of it lets nothing more be looked at.
        """


class Lane(Protocol):
    """Runs one detector."""

    @property
    def detector(self) -> Detector:
        """The detector it runs."""

    def offer(self, window: Window, priority: Priority) -> None:
        """Take a window to score; its Score comes back through ``Pipeline.scored``."""

    def hear(self, window: AudioWindow) -> None:
        """Let a detector that listens hear a voice; no Score comes of it, unless that it failed."""

    def forget(self, session: str, participant: str) -> None:
        """Drop the participant's windows that wait, and what the detector remembers of them."""


@runtime_checkable
class Declining(Protocol):
    """A Detector that may know beforehand that it says nothing of a track, whatever comes on it."""

    def declines(self, key: TrackKey) -> str | None:
        """Return why no window of the track would be scored; None where they are looked at.

        It goes before the reasons for which single stretches give no window.
        """


class FusionStage(Protocol):
    """Weighs the scores of one participant."""

    def push(self, score: Score) -> None:
        """Take one Score, also one that abstained."""

    def verdict(self, at_s: float) -> Verdict:
        """Return what the evidence up to ``at_s`` amounts to."""

    def acknowledge(self, at_s: float) -> None:
        """A person has seen the latched state: release it."""

    def note_check(self, result: CheckResult, at_s: float) -> None:
        """Take the result of a whole active check."""

    def lapse(self) -> None:
        """Nothing comes from the participant any more: what was heard and seen counts no longer."""

    def fork(self, participant: str) -> FusionStage:
        """Return one about ``participant`` that has taken the same scores and goes its own way."""


@dataclass(frozen=True, slots=True)
class Stages:
    """How the pipeline makes its parts, one call per track or participant."""

    audio: Callable[[TrackKey], AudioStage]
    face: Callable[[TrackKey], FaceStage]
    fusion: Callable[[str, str], FusionStage]


SkewOf = Callable[[str, str], float | None]


def suspicious(verdict: Verdict) -> bool:
    """Tell whether to look more often: amber, red, or evidence that leans to spoof at all.

    Waiting for amber before looking closer would cost the seconds in which a warning is
    worth most.
    """
    return verdict.state in ALERTING or (verdict.llr is not None and verdict.llr > 0)


class Pipeline:
    """Carries frames of any number of tracks to verdicts on their participants.

    Args:
        stages: makers of the per-track and per-participant parts.
        lanes: every detector in use, in its lane, by the kind of track it reads.
        on_verdict: called with each new Verdict and the Scores that led to it.
        skew_s: tells of a session's participant how much later their sound stands in media time than their
            pictures of the same moment; None where that is not known, as in files.
    """

    def __init__(
        self,
        stages: Stages,
        lanes: Mapping[Kind, Sequence[Lane]],
        on_verdict: Callable[[Verdict, Sequence[Score]], None],
        skew_s: SkewOf = lambda *_: None,
    ) -> None:
        self._stages = stages
        self._lanes = lanes
        self._on_verdict = on_verdict
        self._skew_s = skew_s
        self._audio: dict[TrackKey, AudioStage] = {}
        self._faces: dict[TrackKey, FaceStage] = {}
        self._fusions: dict[tuple[str, str], FusionStage] = {}
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        self._waiting = Waiting()

    def push(self, frame: AudioFrame | VideoFrame) -> None:
        """Take the next frame of a track, in media time order within the track.

        Raises:
            ModelError: faces cannot be looked for at all; the owner ends, and what is shown is
                ``detector_down``. A failure on one picture is a skip (``face_failed``).
        """
        if isinstance(frame, AudioFrame):
            audio = self._audio.get(frame.key) or self._open_audio(frame.key)
            self._offer(audio.push(frame))
        else:
            faces = self._faces.get(frame.key) or self._open_faces(frame.key)
            self._offer(faces.push(frame))

    def finish(self, session: str, participant: str) -> None:
        """The participant's tracks have ended: score what they end with."""
        audio = self._audio.get(TrackKey(session, participant, Kind.AUDIO))
        if audio is not None:
            self._offer(audio.flush())

    def scored(self, scores: Sequence[Score]) -> None:
        """Take the Scores of one batch; a Verdict follows for each participant in it."""
        by_participant: dict[tuple[str, str], list[Score]] = {}
        for score in scores:
            by_participant.setdefault((score.key.session, score.key.participant), []).append(
                self._waiting.marked(score)
            )
        for who, own in by_participant.items():
            fusion = self._fusions.get(who)
            if fusion is None:
                continue  # left while the window was being scored
            for score in own:
                fusion.push(score)
            self._decide(who, fusion, max(score.end_s for score in own), own)
        for score in scores:
            self._told(score)

    def acknowledge(self, session: str, participant: str) -> None:
        """Release a latched state; a new Verdict follows."""
        who = (session, participant)
        fusion, last = self._fusions.get(who), self._verdicts.get(who)
        if fusion is None or last is None:
            return
        fusion.acknowledge(last.at_s)
        self._decide(who, fusion, last.at_s, ())

    def note_check(self, session: str, participant: str, result: CheckResult) -> None:
        """Take the result of a whole active check, repeats included; a new Verdict follows."""
        who = (session, participant)
        fusion, last = self._fusions.get(who), self._verdicts.get(who)
        if fusion is None:
            return  # left before the check was over
        at_s = 0.0 if last is None else last.at_s
        fusion.note_check(result, at_s)
        self._decide(who, fusion, at_s, ())

    def lapse(self, session: str, participant: str) -> None:
        """Nothing has come from the participant for so long that the evidence lapses; a Verdict follows.

        Media time stands still meanwhile, so the verdicts would stay as they are for ever.
        """
        who = (session, participant)
        fusion, last = self._fusions.get(who), self._verdicts.get(who)
        if fusion is None or last is None:
            return
        fusion.lapse()
        self._decide(who, fusion, last.at_s, ())

    def fork(self, session: str, participant: str, name: str) -> bool:
        """Judge ``name`` from here on too, by its own media and what is known of a participant so far.

        A state that waits for a person is not taken over: the evidence about ``name`` starts afresh then.

        Returns:
            False where nothing of the participant was ever pushed; then nothing is done.
        """
        fusion, last = self._fusions.get((session, participant)), self._verdicts.get((session, participant))
        if fusion is None:
            return False
        other = fusion.fork(name)
        if last is not None and last.state in ALERTING:
            other.acknowledge(last.at_s)
        self._fusions[session, name] = other
        return True

    def forget(self, session: str, participant: str) -> None:
        """Drop everything kept of a participant who left."""
        who = (session, participant)
        self._fusions.pop(who, None)
        self._verdicts.pop(who, None)
        for kind in Kind:
            key = TrackKey(session, participant, kind)
            self._audio.pop(key, None)
            self._faces.pop(key, None)
            self._waiting.forget(key)
            for lane in self._lanes[kind]:
                lane.forget(session, participant)

    def _open_audio(self, key: TrackKey) -> AudioStage:
        self._open_fusion(key)
        return self._audio.setdefault(key, self._stages.audio(key))

    def _open_faces(self, key: TrackKey) -> FaceStage:
        self._open_fusion(key)
        return self._faces.setdefault(key, self._stages.face(key))

    def _open_fusion(self, key: TrackKey) -> None:
        who = (key.session, key.participant)
        if who not in self._fusions:
            self._fusions[who] = self._stages.fusion(*who)

    def _offer(self, items: Iterable[Window | WindowSkip]) -> None:
        for item in items:
            if isinstance(item, WindowSkip):
                self.scored([self._skipped(item, lane.detector) for lane in self._lanes[item.key.kind]])
            elif isinstance(item, AudioWindow):
                skew_s = self._skew_s(item.key.session, item.key.participant)
                for lane in self._lanes[Kind.VIDEO]:
                    lane.hear(replace(item, skew_s=skew_s))
                self._offer_voice(item)
            else:
                priority = self._priority(item.key)
                for lane in self._lanes[item.key.kind]:
                    lane.offer(item, priority)

    def _offer_voice(self, window: AudioWindow) -> None:
        priority, (telling, others) = self._priority(window.key), self._voice_lanes()
        if telling is None:
            self._waiting.untold(window)
            for lane in others:
                lane.offer(window, priority)
        else:
            self._waiting.put(window)
            telling.offer(window, priority)

    def _told(self, score: Score) -> None:
        """Give a window to the other voice signals, or have them abstain, by what was heard in it."""
        telling, others = self._voice_lanes()
        if telling is None or score.signal is not telling.detector.signal:
            return
        window = self._waiting.answered(score)
        if window is None:
            return
        if score.reason in content_reasons(telling.detector):
            skip = WindowSkip(window.key, window.start_s, window.end_s, score.reason)
            self.scored([self._skipped(skip, lane.detector) for lane in others])
            return
        if score.reason == DETECTOR_FAILED:
            self._waiting.untold(window)
        priority = self._priority(window.key)
        for lane in others:
            lane.offer(window, priority)

    def _voice_lanes(self) -> tuple[Lane | None, Sequence[Lane]]:
        """Return the lane of the detector that tells what is in a window, if any, and the others."""
        lanes = self._lanes[Kind.AUDIO]
        telling = next((lane for lane in lanes if content_reasons(lane.detector)), None)
        return telling, [lane for lane in lanes if lane is not telling]

    @staticmethod
    def _skipped(skip: WindowSkip, detector: Detector) -> Score:
        # a pause must not hide that the signal would have said nothing of the window either
        declined = detector.declines(skip.key) if isinstance(detector, Declining) else None
        reason = declined or skip.reason
        return Score(skip.key, detector.signal, skip.start_s, skip.end_s, None, reason, skip.face)

    def _priority(self, key: TrackKey) -> Priority:
        """Streams with nothing decided, or under suspicion, go first."""
        verdict = self._verdicts.get((key.session, key.participant))
        settled = verdict is not None and verdict.state is State.BONA_FIDE
        return Priority.LOW if settled else Priority.HIGH

    def _decide(
        self, who: tuple[str, str], fusion: FusionStage, at_s: float, scores: Sequence[Score]
    ) -> None:
        last = self._verdicts.get(who)
        verdict = fusion.verdict(max(at_s, last.at_s) if last is not None else at_s)
        self._verdicts[who] = verdict
        if suspicious(verdict):
            audio = self._audio.get(TrackKey(*who, Kind.AUDIO))
            if audio is not None:
                audio.suspicion(verdict.at_s)
        self._on_verdict(verdict, scores)
