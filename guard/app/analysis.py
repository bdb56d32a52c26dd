"""The analysis process: tap packets in, verdicts out (``guard worker analysis``).

Decoding and window cutting run in the event loop, detectors in their lanes. What does
not fit is dropped at the tap in the relay process, oldest first, and counted there.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from guard.clock import Clock
from guard.codec.receive import TrackReceiver
from guard.inference.lanes import ThreadLane
from guard.pipeline import Pipeline
from guard.types import AudioFrame, Score, State, TapPacket, TrackKey, Verdict, VideoFrame
from guard.workers.link import Link, open_link
from guard.workers.wire import EncodedPicture, Message, Record, encode_message

HEARTBEAT_S = 0.3
VERDICT_EVERY_S = 0.2


class MakePipeline(Protocol):
    """Builds a Pipeline and its lanes, given where Scores and Verdicts go."""

    def __call__(
        self,
        *,
        on_scores: Callable[[Sequence[Score]], None],
        on_verdict: Callable[[Verdict, Sequence[Score]], None],
    ) -> tuple[Pipeline, list[ThreadLane]]:
        """Return the pipeline, and the lanes it feeds."""


def verdict_message(verdict: Verdict, decided_s: float, latency_s: float | None) -> Message:
    """Return what the relay process is told of a Verdict."""
    return {
        "type": "verdict",
        "session": verdict.session,
        "participant": verdict.participant,
        "at_s": round(verdict.at_s, 3),
        "state": verdict.state.value,
        "llr": verdict.llr,
        "signals": {
            signal.value: {"llr": state.llr, "coverage": state.coverage, "reason": state.reason}
            for signal, state in verdict.signals.items()
        },
        "reasons": list(verdict.reasons),
        "decided_s": decided_s,
        "latency_s": latency_s,
    }


class ParticipantClock:
    """Lays the tracks of one participant on one time axis, zero at their first packet."""

    def __init__(self) -> None:
        self._first_s: dict[tuple[str, str], float] = {}
        self._offset_s: dict[TrackKey, float] = {}
        self._arrival_s: dict[TrackKey, float] = {}

    def place(self, frame: AudioFrame | VideoFrame, arrival_s: float) -> AudioFrame | VideoFrame:
        """Return the frame with its time moved onto the participant's axis."""
        key = frame.key
        first_s = self._first_s.setdefault((key.session, key.participant), arrival_s)
        offset_s = self._offset_s.setdefault(key, max(arrival_s - first_s - frame.time_s, 0.0))
        self._arrival_s[key] = arrival_s - offset_s - frame.time_s
        return replace(frame, time_s=frame.time_s + offset_s)

    def latency_s(self, score: Score, now: float) -> float | None:
        """Return how long ago the last media of the scored window arrived."""
        base_s = self._arrival_s.get(score.key)
        return None if base_s is None else max(now - base_s - score.end_s, 0.0)

    def forget(self, session: str, participant: str) -> None:
        """Drop what is kept of a participant who left."""
        self._first_s.pop((session, participant), None)
        for table in (self._offset_s, self._arrival_s):
            for key in [k for k in table if (k.session, k.participant) == (session, participant)]:
                del table[key]


class AnalysisWorker:
    """Runs the pipeline on what the relay process sends over the link."""

    def __init__(self, clock: Clock, make_pipeline: MakePipeline) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._receivers: dict[TrackKey, TrackReceiver] = {}
        self._times = ParticipantClock()
        self._sent: dict[tuple[str, str], tuple[float, State]] = {}
        self._ended = asyncio.Event()
        self._link: Link | None = None
        self._packets = 0
        self._pipeline, self._lanes = make_pipeline(on_scores=self._from_lane, on_verdict=self._decided)

    async def run(self, sock: socket.socket) -> None:
        """Serve until the relay process closes its end."""
        self._link = await open_link(
            sock, on_record=self.receive, on_lost=lambda _: self._ended.set(), on_writable=lambda: None
        )
        heart = asyncio.create_task(self._beat())
        try:
            await self._ended.wait()
        finally:
            heart.cancel()
            for lane in self._lanes:
                lane.close()

    def receive(self, record: Record) -> None:
        """Take one record from the relay process."""
        if isinstance(record, TapPacket):
            self._packet(record)
        elif not isinstance(record, EncodedPicture):
            self._message(record)

    def _packet(self, packet: TapPacket) -> None:
        self._packets += 1
        receiver = self._receivers.get(packet.key)
        if receiver is None:
            receiver = self._receivers.setdefault(packet.key, TrackReceiver(packet.key, packet.codec))
        for frame in receiver.push(packet):
            self._pipeline.push(self._times.place(frame, packet.arrival_s))

    def _message(self, message: Message) -> None:
        who = (str(message.get("session")), str(message.get("participant")))
        if message.get("type") == "acknowledge":
            self._pipeline.acknowledge(*who)
        elif message.get("type") == "forget":
            self._pipeline.forget(*who)
            self._times.forget(*who)
            self._sent.pop(who, None)
            for key in [k for k in self._receivers if (k.session, k.participant) == who]:
                del self._receivers[key]

    def _from_lane(self, scores: Sequence[Score]) -> None:
        """Bring Scores from a lane's thread into the loop."""
        self._loop.call_soon_threadsafe(self._pipeline.scored, scores)

    def _decided(self, verdict: Verdict, scores: Sequence[Score]) -> None:
        who = (verdict.session, verdict.participant)
        now = self._clock.now()
        sent_s, sent_state = self._sent.get(who, (-VERDICT_EVERY_S, State.UNDECIDED))
        if verdict.state is sent_state and now - sent_s < VERDICT_EVERY_S:
            return
        scored = [score for score in scores if score.llr is not None]
        latency_s = self._times.latency_s(scored[-1], now) if scored else None
        if self._send(verdict_message(verdict, now, latency_s)):
            self._sent[who] = (now, verdict.state)

    async def _beat(self) -> None:
        while True:
            lanes = {lane.detector.signal.value: lane.report() for lane in self._lanes}
            self._send({"type": "heartbeat", "lanes": lanes, "packets": self._packets})
            await asyncio.sleep(HEARTBEAT_S)

    def _send(self, message: Message) -> bool:
        return self._link is not None and self._link.write(encode_message(message))
