"""The analysis process: tap packets in, verdicts out (``guard worker analysis``).

Decoding and window cutting run in the event loop, detectors in their lanes. What does
not fit is dropped at the tap in the relay process, oldest first, and counted there.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from guard.app.check_runner import CheckRunner, CheckTools
from guard.app.describe import describe_photo, describe_voice
from guard.app.drill_clip import bundled_clip
from guard.app.drill_runner import DrillRunner
from guard.app.enrolment import (
    FACE,
    VOICE,
    Enrolment,
    answer_message,
    read_vector,
    refusal_message,
)
from guard.app.face_failures import FaceFailures
from guard.app.failures import FACES, Failures, cause_of
from guard.app.participant_clock import ParticipantClock
from guard.app.parts import Models, PipelineConfig, build_pipeline
from guard.app.quiet import Quiet
from guard.clock import Clock
from guard.codec.receive import ReceiveConfig, TrackReceiver
from guard.detectors.virtual_camera import read_report
from guard.errors import MediaError, ModelError
from guard.fusion.config import Thresholds
from guard.inference.content import telling
from guard.inference.lanes import ScoreSink
from guard.log import get_logger
from guard.media.sync import SenderClocks
from guard.types import AudioFrame, Score, State, TapPacket, TrackKey, Verdict, VideoFrame
from guard.windows.face_models import FaceModels, Mesh
from guard.workers.link import Link, open_link
from guard.workers.wire import (
    EncodedPicture,
    FacePhoto,
    Message,
    Record,
    VoiceRecording,
    encode_message,
)

HEARTBEAT_S = 0.3
VERDICT_EVERY_S = 0.2
KEYFRAME_EVERY_S = 2.0
_log = get_logger("analysis")


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
            signal.value: {
                "llr": state.llr,
                "coverage": state.coverage,
                "reason": state.reason,
                **({"details": dict(state.details)} if state.details else {}),
            }
            for signal, state in verdict.signals.items()
        },
        "reasons": list(verdict.reasons),
        "decided_s": decided_s,
        "latency_s": latency_s,
    }


class AnalysisWorker:
    """Runs the pipeline on what the relay process sends over the link.

    Args:
        thresholds_of: where the states of a profile, by name, begin.
        checks: what active checks are made of.
        drill_clip: the synthetic clip of drills; None takes the bundled one.
    """

    def __init__(
        self,
        clock: Clock,
        models: Models,
        *,
        config: PipelineConfig,
        receive: ReceiveConfig,
        thresholds_of: Callable[[str], Thresholds],
        checks: CheckTools,
        drill_clip: Path | None = None,
    ) -> None:
        self._clock = clock
        self._models = models
        self._listens = checks.recogniser is not None
        self._receive = receive
        self._thresholds_of = thresholds_of
        self._loop = asyncio.get_running_loop()
        self._thresholds: dict[str, Thresholds] = {}
        self._receivers: dict[TrackKey, TrackReceiver] = {}
        self._times = ParticipantClock()
        self._senders = SenderClocks()
        self._quiet = Quiet(config.fusion.horizons_s[-1])
        self._asked: dict[TrackKey, float] = {}
        self._sent: dict[tuple[str, str], tuple[float, State]] = {}
        self._ended = asyncio.Event()
        self._broken: ModelError | None = None
        self._link: Link | None = None
        self._packets = 0
        self._recordings: dict[asyncio.Task[Message], tuple[Enrolment, int]] = {}
        self._failures = Failures(lambda keys: _log.error("detector_failed", **keys), clock)
        built = build_pipeline(
            models,
            config,
            self._decided,
            threads=(clock, self._into_loop),
            session_thresholds=lambda session: self._thresholds.get(session, config.fusion.thresholds),
            looked=self._looked,
            skew_s=lambda session, participant: self._senders.skew_s(session, participant, clock.now()),
            failed=self._failures,
            face_failed=FaceFailures(models.faces, self._failures, self._give_up, clock),
        )
        self._pipeline, self._lanes = built.pipeline, built.lanes
        self._checks = CheckRunner(
            clock,
            checks,
            send=self._send,
            arrived_s=self._times.arrived_s,
            late=self._times.late,
            scored=self._pipeline.scored,
            ended=self._pipeline.note_check,
        )
        self._drills = DrillRunner(
            clock,
            self._pipeline,
            send=self._send,
            max_fps=receive.max_fps,
            detectors=models.detectors,
            clip=drill_clip or bundled_clip(),
        )

    async def run(self, sock: socket.socket) -> None:
        """Serve until the relay process closes its end.

        Raises:
            ModelError: no picture of any call can be searched for faces.
        """
        self._link = await open_link(
            sock, on_record=self.receive, on_lost=lambda _: self._ended.set(), on_writable=lambda: None
        )
        heart = asyncio.create_task(self._beat())
        try:
            await self._ended.wait()
        finally:
            heart.cancel()
            self._checks.close()
            self._drills.close()
            for lane in self._lanes:
                lane.close()
        if self._broken is not None:
            raise self._broken

    def _give_up(self, error: ModelError) -> None:
        self._broken = error
        self._ended.set()

    def receive(self, record: Record) -> None:
        """Take one record from the relay process."""
        if isinstance(record, TapPacket):
            self._packet(record)
        elif isinstance(record, VoiceRecording | FacePhoto):
            self._enrolment(record)
        elif not isinstance(record, EncodedPicture):
            self._message(record)

    def _enrolment(self, sent: VoiceRecording | FacePhoto) -> None:
        """Describe it in a thread: decoding and the model may take a second, and packets go on coming."""
        is_voice = isinstance(sent, VoiceRecording)
        describe = self._voice if is_voice else self._face
        task = asyncio.create_task(asyncio.to_thread(describe, sent.number, sent.content))
        self._recordings[task] = (VOICE if is_voice else FACE, sent.number)
        task.add_done_callback(self._answer)

    def _voice(self, number: int, content: bytes) -> Message:
        speaker = self._models.speaker
        if speaker is None:
            return refusal_message(VOICE, number, "model_unusable", "the speaker model is not in use")
        try:
            vector = describe_voice(content, speaker, telling(self._models.detectors))
        except MediaError as error:
            return refusal_message(VOICE, number, error.code, error.message)
        return answer_message(VOICE, number, vector, speaker.card.sha256)

    def _face(self, number: int, content: bytes) -> Message:
        identity = self._models.identity
        if identity is None:
            return refusal_message(FACE, number, "model_unusable", "the face identity model is not in use")
        try:
            # networks of its own: those of the calls are in use in another thread
            faces = FaceModels(*self._models.faces.cards)
            vector = describe_photo(content, identity.detector, faces)
        except MediaError as error:
            return refusal_message(FACE, number, error.code, error.message)
        return answer_message(FACE, number, vector, identity.card.sha256)

    def _answer(self, task: asyncio.Task[Message]) -> None:
        kind, number = self._recordings.pop(task)
        if task.cancelled():
            return
        if error := task.exception():
            code, why = cause_of(error)
            _log.error("enrolment_failed", kind=kind.name, code=code, why=why)
            self._send(refusal_message(kind, number, code, why))
        else:
            self._send(task.result())

    def _about_enrolled(self, message: Message) -> None:
        """Take or drop the voice or face of a participant; one of another model is as good as none."""
        session, participant = str(message.get("session")), str(message.get("participant"))
        speaker, identity = self._models.speaker, self._models.identity
        match message.get("type"):
            case VOICE.withdrawn if speaker is not None:
                speaker.match.withdraw(session, participant)
            case FACE.withdrawn if identity is not None:
                identity.detector.withdraw(session, participant)
            case VOICE.reference if speaker is not None and message.get("model") == speaker.card.sha256:
                speaker.match.enrol(session, participant, read_vector(message))
            case FACE.reference if identity is not None and message.get("model") == identity.card.sha256:
                identity.detector.enrol(session, participant, read_vector(message))

    def _packet(self, packet: TapPacket) -> None:
        self._packets += 1
        self._quiet.heard((packet.key.session, packet.key.participant), packet.arrival_s)
        receiver = self._receivers.get(packet.key)
        if receiver is None:
            receiver = self._receivers.setdefault(packet.key, self._open(packet))
        for frame in receiver.push(packet):
            placed = self._times.place(frame, packet.arrival_s)
            if isinstance(placed, AudioFrame):
                self._checks.hear(placed)
            self._pipeline.push(placed)
            self._drills.seen(placed)
        if self._senders.news(packet.key, packet.clock, receiver.stats.restarts):
            self._take_clock(packet, receiver)
        if receiver.wants_keyframe:
            self._ask_keyframe(packet)

    def _take_clock(self, packet: TapPacket, receiver: TrackReceiver) -> None:
        """Note what a sender report says, where its timestamp has a place in media time already."""
        if packet.clock is None:
            return
        times_s = [receiver.media_s(stamp) for stamp in (packet.clock.timestamp, packet.timestamp)]
        placed_s = [self._times.on_axis_s(packet.key, time_s) for time_s in times_s if time_s is not None]
        match placed_s:
            case [float(media_s), float(packet_s)]:
                self._senders.take(packet.key, packet.clock, media_s, packet_s, packet.arrival_s)

    def _looked(self, frame: VideoFrame, meshes: Mapping[int, Mesh]) -> None:
        self._checks.looked(frame, meshes)

    def _ask_keyframe(self, packet: TapPacket) -> None:
        """Ask the relay for a keyframe: analysis began, or lost its place, mid-stream."""
        key, now = packet.key, packet.arrival_s
        if now - self._asked.get(key, float("-inf")) < KEYFRAME_EVERY_S:
            return
        self._asked[key] = now
        self._send({"type": "keyframe", "session": key.session, "participant": key.participant})

    def _open(self, packet: TapPacket) -> TrackReceiver:
        return TrackReceiver(packet.key, packet.codec, self._receive)

    def _message(self, message: Message) -> None:
        session = str(message.get("session"))
        if message.get("type") == "session":
            self._thresholds[session] = self._thresholds_of(str(message.get("profile")))
        elif message.get("type") == "session_ended":
            self._thresholds.pop(session, None)
            self._checks.forget(session)
            self._drills.forget(session)
            self._sent = {who: sent for who, sent in self._sent.items() if who[0] != session}
            if self._models.speaker is not None:
                self._models.speaker.match.withdraw(session)
            if self._models.identity is not None:
                self._models.identity.detector.withdraw(session)
        elif message.get("type") in (VOICE.reference, VOICE.withdrawn, FACE.reference, FACE.withdrawn):
            self._about_enrolled(message)
        else:
            self._about_participant(message)

    def _about_participant(self, message: Message) -> None:
        who = (str(message.get("session")), str(message.get("participant")))
        if str(message.get("type")).startswith("check_"):
            self._checks.receive(message)
        elif str(message.get("type")).startswith("drill_"):
            self._drills.receive(message)
        elif message.get("type") == "acknowledge":
            self._pipeline.acknowledge(*who)
        elif message.get("type") == "device":
            self._models.cameras.report(*who, read_report(message["report"]))
        elif message.get("type") == "forget":
            self._checks.forget(*who)
            self._drills.forget(*who)
            self._pipeline.forget(*who)
            self._quiet.forget(who)
            self._times.forget(*who)
            self._senders.forget(*who)
            self._sent.pop(who, None)
            for key in [k for k in self._receivers if (k.session, k.participant) == who]:
                del self._receivers[key]
                self._asked.pop(key, None)

    def _into_loop(self, sink: ScoreSink) -> ScoreSink:
        """Return a sink that may be called from a lane's thread."""
        return lambda scores: self._hand_over(sink, scores)

    def _hand_over(self, sink: ScoreSink, scores: Sequence[Score]) -> None:
        self._loop.call_soon_threadsafe(sink, scores)

    def _decided(self, verdict: Verdict, scores: Sequence[Score]) -> None:
        self._checks.watched(scores)
        of_drill = self._drills.told(verdict, scores)
        if of_drill is None:
            return
        who = (verdict.session, verdict.participant)
        now = self._clock.now()
        sent_s, sent_state = self._sent.get(who, (-VERDICT_EVERY_S, State.UNDECIDED))
        if verdict.state is sent_state and now - sent_s < VERDICT_EVERY_S:
            return
        scored = [score for score in scores if score.llr is not None]
        latency_s = self._times.latency_s(scored[-1], now) if scored else None
        if self._send({**verdict_message(verdict, now, latency_s), **of_drill}):
            self._sent[who] = (now, verdict.state)

    async def _beat(self) -> None:
        while True:
            for who in self._quiet.due(self._clock.now()):
                self._pipeline.lapse(*who)
            lanes = {lane.detector.signal.value: lane.report() for lane in self._lanes}
            lanes[FACES] = {"failed": self._failures.total(FACES)}
            errors = {signal.value: error.code for signal, error in self._models.errors.items()}
            self._send(
                {
                    "type": "heartbeat",
                    "lanes": lanes,
                    "packets": self._packets,
                    "models": dict(self._models.sha256),
                    "model_errors": errors,
                    "recogniser": self._listens,
                }
            )
            await asyncio.sleep(HEARTBEAT_S)

    def _send(self, message: Message) -> bool:
        return self._link is not None and self._link.write(encode_message(message))
