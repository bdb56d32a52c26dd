"""Synthetic attacks of drills in the analysis process: a stand-in is judged beside the participant.

    participant's frames --> their own windows, detectors, evidence, as in any call
                        \\-> copies -------------------.
    labelled synthetic clip, from the stated moment ---+--> stand-in: windows, detectors, evidence of its own

The stand-in begins with a copy of the participant's evidence and hears and sees what they send (the lead-in,
in which detectors that compare with earlier learn it), until the clip takes the place of voice, face or both.
Nothing of it reaches the participant's evidence, and they are judged on meanwhile: what is really found of
them is told at once (``drill_own``). Nothing goes back into the call from here: who is in it hears and sees
the participant. Runs in the event loop; time is the host's monotonic clock, as in the relay process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from guard.app.drill_clip import LoopedClip, shifted
from guard.clock import Clock
from guard.detectors.person_memory import Lending
from guard.errors import MediaError
from guard.types import ALERTING, AudioFrame, Detector, Kind, Score, State, TrackKey, Verdict, VideoFrame
from guard.workers.wire import Message

# no participant's id holds a plus sign, so a stand-in's name is nobody's
STAND_IN = "+drill"
POLL_S = 0.04
# the last windows of the clip are still being scored when it ends
SETTLE_S = 1.0
# sound that follows so closely on the last of the participant's leaves no gap
FRESH_S = 0.5
KINDS: Mapping[str, frozenset[Kind]] = {
    "voice": frozenset({Kind.AUDIO}),
    "face": frozenset({Kind.VIDEO}),
    "both": frozenset(Kind),
}

Who = tuple[str, str]


class Judging(Protocol):
    """The pipeline."""

    def push(self, frame: AudioFrame | VideoFrame) -> None:
        """Take the next frame of a track."""

    def fork(self, session: str, participant: str, name: str) -> bool:
        """Judge ``name`` too, by what is known of a participant so far; False where nothing is."""

    def acknowledge(self, session: str, participant: str) -> None:
        """Release a latched state."""

    def forget(self, session: str, participant: str) -> None:
        """Drop everything kept of somebody."""


@dataclass(slots=True)
class _Running:
    """One attack. Times are monotonic seconds; ``start_s`` is the media time at which the clip begins."""

    id: str
    who: Who
    kinds: frozenset[Kind]
    clip: LoopedClip
    begins_s: float
    lasts_s: float
    begun_s: float | None = None
    start_s: float = 0.0
    # of the participant's last picture before the clip: media time never runs back
    seen_s: float = -1.0
    state: State = State.UNDECIDED
    own: State = State.UNDECIDED
    judged: int = 0
    llr: float | None = None
    reached_s: dict[State, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.who[1] + STAND_IN

    def key(self, kind: Kind) -> TrackKey:
        return TrackKey(self.who[0], self.name, kind)

    def beginning(self) -> dict[str, Any]:
        """Return what is told of the beginning, with every verdict again: a message may be lost."""
        return {"begun_s": self.begun_s, "sha256": self.clip.sha256}

    def take(self, verdict: Verdict, scores: Sequence[Score], after_s: float) -> None:
        """Note what was found since the clip began."""
        self.judged += sum(s.llr is not None and s.end_s > self.start_s for s in scores)
        if verdict.llr is not None:
            self.llr = verdict.llr if self.llr is None else max(self.llr, verdict.llr)
        if verdict.state in ALERTING:
            self.reached_s.setdefault(verdict.state, after_s)


class DrillRunner:
    """Plays the attacks of this process's training calls.

    Args:
        clock: monotonic time, the same as the relay process's.
        pipeline: what judges.
        send: to the relay process; False where it is gone or behind.
        max_fps: pictures a second the pipeline is given of a call.
        detectors: those that were told something of a participant beforehand lend it to the stand-in.
        clip: the labelled synthetic clip.
    """

    def __init__(
        self,
        clock: Clock,
        pipeline: Judging,
        *,
        send: Callable[[Message], bool],
        max_fps: float | None,
        clip: Path,
        detectors: Sequence[Detector] = (),
    ) -> None:
        self._clock, self._pipeline, self._send = clock, pipeline, send
        self._max_fps, self._clip = max_fps, clip
        self._told = [detector for detector in detectors if isinstance(detector, Lending)]
        self._running: dict[Who, _Running] = {}
        # of every track: up to where its media went, and when that was seen
        self._ends: dict[TrackKey, tuple[float, float]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take one message of the relay process about a drill; one of an attack that is over is dropped."""
        who = (str(message["session"]), str(message["participant"]))
        running = self._running.get(who)
        if message["type"] == "drill_begin":
            self._begin(who, message)
        elif running is None:
            return
        elif message["type"] == "drill_acknowledge":
            self._pipeline.acknowledge(who[0], running.name)
        elif message["type"] == "drill_stop" and message["id"] == running.id:
            self._over(running, "stopped")

    def seen(self, frame: AudioFrame | VideoFrame) -> None:
        """Take a frame of a participant, as it was pushed; the stand-in gets what the clip leaves alone."""
        end_s = frame.time_s
        if isinstance(frame, AudioFrame):
            end_s += len(frame.samples) / frame.rate_hz
        self._ends[frame.key] = (end_s, self._clock.now())
        running = self._running.get((frame.key.session, frame.key.participant))
        if running is not None and (running.begun_s is None or frame.key.kind not in running.kinds):
            self._pipeline.push(replace(frame, key=running.key(frame.key.kind)))

    def told(self, verdict: Verdict, scores: Sequence[Score]) -> Mapping[str, Any] | None:
        """Return what is to stand in the message of a Verdict; None where it is nobody's business.

        Of a participant nothing is added. Of a stand-in: that it is a drill's, and whose.
        """
        session, name = verdict.session, verdict.participant
        if not name.endswith(STAND_IN):
            self._note_own(verdict)
            return {}
        running = self._running.get((session, name.removesuffix(STAND_IN)))
        if running is None:
            return None
        running.state = verdict.state
        if running.begun_s is None:
            return None
        running.take(verdict, scores, self._clock.now() - running.begun_s)
        whose = {"participant": running.who[1], "id": running.id}
        return {"type": "drill_verdict", **whose, **running.beginning()}

    def forget(self, session: str, participant: str | None = None) -> None:
        """A participant has left, or the session is over: so are their attacks."""
        for who in [w for w in self._running if w[0] == session and participant in (None, w[1])]:
            self._over(self._running[who], "participant_left")
        gone = [k for k in self._ends if k.session == session and participant in (None, k.participant)]
        for key in gone:
            del self._ends[key]

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def poll(self) -> None:
        """Play what is due; its own timer calls it, nobody else needs to."""
        now = self._clock.now()
        for running in list(self._running.values()):
            if running.begun_s is None and now >= running.begins_s:
                self._switch(running, now)
            if running.begun_s is not None and self._running.get(running.who) is running:
                self._play(running, now)
        self._arm()

    def _begin(self, who: Who, message: Mapping[str, Any]) -> None:
        kinds, now = KINDS[message["attack"]], self._clock.now()
        if who in self._running:  # the relay process took this process for lost, and began anew
            self._over(self._running[who], "stopped")
        try:
            clip = LoopedClip(self._clip, kinds, self._max_fps)
        except MediaError as error:
            self._say(who, str(message["id"]), "drill_over", {"why": error.code})
            return
        begins_s = now + float(message["after_s"])
        running = _Running(str(message["id"]), who, kinds, clip, begins_s, float(message["seconds"]))
        if not self._pipeline.fork(*who, running.name):
            self._say(who, running.id, "drill_over", {"why": "no_media"})
            return
        for detector in self._told:
            detector.lend(*who, running.name)
        self._running[who] = running
        self._arm()

    def _switch(self, running: _Running, now: float) -> None:
        """Let the clip take over from the participant's own media."""
        ends = [self._ends.get(TrackKey(*running.who, kind)) for kind in running.kinds]
        if None in ends:
            self._over(running, "no_media")
        elif running.state in ALERTING:
            self._over(running, "own_alarm")
        else:
            running.begun_s, running.start_s = now, self._place_s(running, now)
            running.seen_s, _ = self._ends.get(TrackKey(*running.who, Kind.VIDEO), (-1.0, now))
            self._say(running.who, running.id, "drill_begun", running.beginning())

    def _place_s(self, running: _Running, now: float) -> float:
        """Return the media time at which the clip begins: without a gap in the voice, else now."""
        ends = {kind: self._ends.get(TrackKey(*running.who, kind)) for kind in Kind}
        now_s = max(end_s + now - seen_s for end_s, seen_s in filter(None, ends.values()))
        voice = ends[Kind.AUDIO]
        if Kind.AUDIO in running.kinds and voice is not None and now_s - voice[0] <= FRESH_S:
            return voice[0]
        return now_s

    def _play(self, running: _Running, now: float) -> None:
        assert running.begun_s is not None
        playing_s = now - running.begun_s
        try:
            frames = running.clip.until(min(playing_s, running.lasts_s))
        except MediaError as error:
            self._over(running, error.code)
            return
        for frame in frames:
            placed = shifted(frame, running.start_s)
            if isinstance(frame, AudioFrame) or placed.time_s > running.seen_s:
                self._pipeline.push(replace(placed, key=running.key(frame.key.kind)))
        if playing_s >= running.lasts_s + SETTLE_S:
            self._over(running, "time")

    def _note_own(self, verdict: Verdict) -> None:
        """Tell at once of what is really found of somebody while they play the attacked one."""
        running = self._running.get((verdict.session, verdict.participant))
        if running is None or verdict.state not in ALERTING or running.own in (verdict.state, State.SPOOF):
            return
        running.own = verdict.state
        self._say(running.who, running.id, "drill_own", {"state": verdict.state.value})

    def _over(self, running: _Running, why: str) -> None:
        del self._running[running.who]
        self._pipeline.forget(running.who[0], running.name)
        for detector in self._told:
            detector.withdraw(running.who[0], running.name)
        reached_s = {state.value: round(at_s, 3) for state, at_s in running.reached_s.items()}
        body = {"why": why, "judged": running.judged, "llr": running.llr, "reached_s": reached_s}
        self._say(running.who, running.id, "drill_over", {**body, "own_state": running.own.value})

    def _say(self, who: Who, drill: str, kind: str, body: Mapping[str, Any]) -> None:
        self._send({"type": kind, "session": who[0], "participant": who[1], "id": drill, **body})

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waits = [r.begins_s for r in self._running.values() if r.begun_s is None]
        if len(waits) < len(self._running):
            waits.append(self._clock.now() + POLL_S)
        if waits:
            delay_s = max(min(waits) - self._clock.now(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.poll)
