"""The active checks in the analysis process: decoded pictures and sound in, judgements out.

    check_start -> Check -> check_show -> (the page shows it) -> Sight, sound -> Judge -> check_attempt

Runs in the event loop of the analysis process; only speech recognition runs in a thread.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from guard.app.check_memory import recall
from guard.app.check_watch import PassiveScores
from guard.app.check_words import attempt_message, show_message
from guard.challenge.check import Check
from guard.challenge.commands import Answer, CheckKind, Gesture, Judge, Need
from guard.challenge.draw import Drawing, Used
from guard.challenge.outputs import AttemptOver, CheckConfig, Listen, Output, Show
from guard.challenge.sight import SightMemory, make_sight
from guard.clock import Clock
from guard.errors import GuardError
from guard.fusion.engine import CheckResult
from guard.media.resample import Resampler
from guard.types import AudioFrame, FloatArray, Kind, Score, Signal, TrackKey, VideoFrame
from guard.windows.face_models import Mesh
from guard.workers.wire import Message

VOICE_RATE_HZ = 16_000


class Recogniser(Protocol):
    """Writes down speech, offline."""

    def transcribe(self, samples: FloatArray, language: str) -> str:
        """Return what was said: float32 (N,), mono 16 kHz.

        Raises:
            ModelError: the runtime failed.
        """


@dataclass(frozen=True, slots=True)
class CheckTools:
    """What checks are made of.

    Args:
        drawing: how commands are made.
        judges: of the gestures this site can judge.
        recogniser: None where spoken words are not written down.
        config: how a check goes.
        dice: source of chance; ``secrets.SystemRandom`` in a call.
    """

    drawing: Drawing
    judges: Mapping[Gesture, Judge]
    recogniser: Recogniser | None
    config: CheckConfig
    dice: random.Random


@dataclass(slots=True)
class _Running:
    """One check with what belongs to its participant."""

    id: str
    who: tuple[str, str]
    check: Check
    memory: SightMemory = field(default_factory=SightMemory)
    resample: Resampler | None = None
    passive: PassiveScores = field(default_factory=PassiveScores)


class CheckRunner:
    """Leads every check of this process.

    Args:
        clock: monotonic time, the same as the relay process's.
        tools: what checks are made of.
        send: to the relay process; False where it is gone or behind.
        arrived_s: monotonic seconds at which the media of a track at a media time arrived.
        late: whether the newest media of a track came too late for that to be relied on.
        scored: takes the Scores that a check gives.
        ended: told (session, participant, result) at the end of a check.
    """

    def __init__(
        self,
        clock: Clock,
        tools: CheckTools,
        *,
        send: Callable[[Message], bool],
        arrived_s: Callable[[TrackKey, float], float],
        late: Callable[[TrackKey], bool],
        scored: Callable[[list[Score]], None],
        ended: Callable[[str, str, CheckResult], None],
    ) -> None:
        self._clock, self._tools = clock, tools
        self._send, self._arrived_s, self._late = send, arrived_s, late
        self._scored, self._ended = scored, ended
        self._running: dict[tuple[str, str], _Running] = {}
        self._used: dict[tuple[str, str], Used] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._listening: set[asyncio.Task[None]] = set()

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take one message of the relay process about a check; one of a check that is over is dropped."""
        who = (str(message["session"]), str(message["participant"]))
        now = self._clock.now()
        if message["type"] == "check_start":
            self._start(who, message, now)
            return
        running = self._running.get(who)
        if running is None or running.id != message["id"]:
            return
        match message["type"]:
            case "check_shown":
                running.check.shown(int(message["number"]), int(message["step"]), now)
            case "check_needs":
                needs = message["needs"]
                if needs is None:
                    out = running.check.choose_needs(now)
                else:
                    out = running.check.change_needs([Need(need) for need in needs], now)
                self._carry_out(running, out)
            case "check_cancel":
                self._carry_out(running, running.check.cancel(str(message["reason"]), now))

    def looked(self, frame: VideoFrame, meshes: Mapping[int, Mesh]) -> None:
        """Take a picture in which faces were followed, when it arrives."""
        running = self._running.get((frame.key.session, frame.key.participant))
        if running is None:
            return
        faces = [mesh.points for mesh in meshes.values()]
        time_s = self._arrived_s(frame.key, frame.time_s)
        sight = make_sight(time_s, frame.image, faces, running.memory)
        self._carry_out(running, running.check.see(sight, late=self._late(frame.key)))

    def hear(self, frame: AudioFrame) -> None:
        """Take sound as it was decoded; what was invented to bridge a loss is heard as silence."""
        running = self._running.get((frame.key.session, frame.key.participant))
        if running is None:
            return
        samples = np.zeros_like(frame.samples) if frame.concealed else frame.samples
        if frame.rate_hz != VOICE_RATE_HZ:
            if running.resample is None:
                running.resample = Resampler(frame.rate_hz, VOICE_RATE_HZ)
            samples = running.resample.push(samples)
        running.check.hear(samples, self._arrived_s(frame.key, frame.time_s))

    def watched(self, scores: Sequence[Score]) -> None:
        """Take scores of the passive detectors, of whomever."""
        for score in scores:
            running = self._running.get((score.key.session, score.key.participant))
            if running is not None:
                running.passive.take(score, self._arrived_s(score.key, score.end_s))

    def forget(self, session: str, participant: str | None = None) -> None:
        """A participant has left, or the session is over: their checks end, unanswered ones inconclusive."""
        for who in [w for w in self._running if w[0] == session and participant in (None, w[1])]:
            running = self._running[who]
            self._carry_out(running, running.check.cancel("participant_left", self._clock.now()))
        if participant is None:
            for who in [w for w in self._used if w[0] == session]:
                del self._used[who]

    def close(self) -> None:
        """Stop the timer and what is being written down."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._listening:
            task.cancel()

    def _start(self, who: tuple[str, str], message: Mapping[str, Any], now: float) -> None:
        tools = self._tools
        used = self._used.setdefault(who, Used())
        recall(used, message["before"])
        check = Check(
            CheckKind(message["check_kind"]),
            str(message["language"]),
            drawing=tools.drawing,
            judges=tools.judges,
            used=used,
            dice=tools.dice,
            now=now,
            config=tools.config,
            recogniser=tools.recogniser is not None,
            claims_llr=float(message["claims_llr"]),
            needs=[Need(need) for need in message["needs"]],
        )
        self._running[who] = _Running(str(message["id"]), who, check)
        self._arm()

    def _carry_out(self, running: _Running, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Show():
                    self._send(show_message(running.id, running.who, output, running.check.commands_least))
                case Listen():
                    self._listen(running, output)
                case AttemptOver():
                    self._score(running, output)
                    passive = running.passive.account(output.commands)
                    self._send(attempt_message(running.id, running.who, output, passive))
                    if not output.again:
                        self._ended(*running.who, CheckResult(output.result.value))
        if running.check.over and self._running.get(running.who) is running:
            del self._running[running.who]
        self._arm()

    def _score(self, running: _Running, over: AttemptOver) -> None:
        """Give the screen light's llr to the decision: a signal like others (docs/decisions.md)."""
        key = TrackKey(*running.who, Kind.VIDEO)
        offset_s = self._arrived_s(key, 0.0)
        for asked in over.commands:
            found = asked.judgement
            if asked.command.gesture is Gesture.SCREEN_LIGHT and found is not None:
                start_s = asked.sent_s[0] - offset_s
                end_s = start_s + asked.command.limit_s
                llr = None if found.answer is Answer.UNSEEN else found.llr
                self._scored([Score(key, Signal.SCREEN_LIGHT, start_s, end_s, llr, found.reason)])

    def _listen(self, running: _Running, listen: Listen) -> None:
        task = asyncio.get_running_loop().create_task(self._understand(running, listen))
        self._listening.add(task)
        task.add_done_callback(self._listening.discard)

    async def _understand(self, running: _Running, listen: Listen) -> None:
        recogniser = self._tools.recogniser
        assert recogniser is not None, "a check without a recogniser never asks for one"
        try:
            heard: str | None = await asyncio.to_thread(recogniser.transcribe, listen.voice, listen.language)
        except GuardError:
            heard = None  # the judge says words_not_compared
        if self._running.get(running.who) is running and running.check.attempt == listen.attempt:
            self._carry_out(running, running.check.understood(listen.number, heard, self._clock.now()))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = [d for r in self._running.values() if (d := r.check.deadline()) is not None]
        if due:
            delay_s = max(min(due) - self._clock.now(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.poll)

    def poll(self) -> None:
        """Do what is due; its own timer calls it, nobody else needs to."""
        now = self._clock.now()
        for running in list(self._running.values()):
            self._carry_out(running, running.check.poll(now))
        self._arm()
