"""Enrolled voices: bytes of a recording in, a vector out (analysis process); who has one (relay process).

    PUT bytes -> relay process -> analysis process: decode, describe -> vector -> relay process keeps it
                                                <- vector, also after every restart of the analysis process

The relay process decodes nothing. It keeps the vector, not the recording: a kilobyte instead of
megabytes, and no speech is held longer than it takes to describe it. Neither is written or logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from guard.codec.voice import read_voice
from guard.detectors.speaker import Speaker, mean_voice
from guard.errors import MediaError, Overload
from guard.types import AudioWindow, FloatArray, Kind, TrackKey, WindowSkip
from guard.windows.audio import AudioWindows
from guard.workers.wire import Message, VoiceRecording, encode_message, encode_voice

MIN_SPEECH_S = 5.0
# more of a recording is not read: it would describe the voice no better
MAX_RECORDING_S = 60.0
ANSWER_TIMEOUT_S = 20.0


def describe_voice(content: bytes, speaker: Speaker) -> FloatArray:
    """Return the vector, float32 (D,) of length 1, of the one person who speaks in a recording.

    Raises:
        MediaError: ``voice_unreadable``, or ``voice_too_short``: less than 5 s of clear speech.
        ModelError: the model failed.
    """
    cut = AudioWindows(TrackKey("voice", "voice", Kind.AUDIO))
    items: list[AudioWindow | WindowSkip] = []
    for frame in read_voice(content, max_s=MAX_RECORDING_S):
        items += cut.push(frame)
    items += cut.flush()
    vectors, speech_s, until_s = [], 0.0, 0.0
    for window in (item for item in items if isinstance(item, AudioWindow)):
        row = speaker.voices.prepare(window)
        if isinstance(row, np.ndarray):
            vectors += speaker.voices.describe(row[None], [window])
            speech_s += window.quality.speech_ratio * (window.end_s - max(window.start_s, until_s))
            until_s = window.end_s
    speaker.voices.forget("voice", "voice")
    if speech_s < MIN_SPEECH_S:
        raise MediaError(
            "voice_too_short",
            f"{speech_s:.1f} s of clear speech were found, {MIN_SPEECH_S:.0f} s are needed; "
            "send a longer or cleaner recording of this person alone",
        )
    return mean_voice(vectors)


def reference_message(session: str, participant: str, vector: list[float], model: str) -> Message:
    """Return what tells the analysis process whose voice to expect; ``model`` made the vector (sha256)."""
    who = {"session": session, "participant": participant}
    return {"type": "voice_reference", **who, "vector": vector, "model": model}


def read_vector(message: Message) -> FloatArray:
    """Return the vector of a message, float32 (D,).

    Raises:
        ValueError: it is not a list of finite numbers.
    """
    vector = np.array(message["vector"], np.float32)
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise ValueError("vector must be a list of finite numbers")
    return vector


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A voice the relay process keeps: the vector and the sha256 of the model that made it."""

    vector: list[float]
    model: str


class Enrolments:
    """The voices of the running sessions, in the relay process.

    Args:
        write: hands whole records to the analysis process; False where it is down or behind.
        timeout_s: how long an answer is waited for.
    """

    def __init__(self, write: Callable[[bytes], bool], *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._write = write
        self._timeout_s = timeout_s
        self._voices: dict[tuple[str, str], Enrolled] = {}
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._whose: dict[int, tuple[str, str]] = {}
        self._unsent: dict[tuple[str, str], Message] = {}
        self._number = 0

    async def enrol(self, session: str, participant: str, content: bytes) -> None:
        """Have a recording described and the participant compared with it from now on.

        Withdrawn meanwhile, or the session over, the voice is dropped as if it had been there before.

        Raises:
            MediaError: ``voice_unreadable`` or ``voice_too_short``.
            Overload: ``analysis_unavailable``; the analysis process is down, or did not answer.
        """
        self._number += 1
        number = self._number
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._whose[number] = (session, participant)
        try:
            if not self._write(encode_voice(VoiceRecording(number, content))):
                raise _unavailable()
            async with asyncio.timeout(self._timeout_s):
                message = await answer
        except TimeoutError:
            raise _unavailable() from None
        finally:
            self._waiting.pop(number, None)
            who = self._whose.pop(number, None)
        if message.get("error") is not None:
            raise _error(message)
        if who is not None:
            self._voices[who] = Enrolled(list(message["vector"]), str(message["model"]))
            self._send(who, self._reference(*who))

    def withdraw(self, session: str, participant: str | None = None) -> None:
        """Drop the voice of a participant, or of everybody in the session; nothing there is no error."""
        for number in [n for n, w in self._whose.items() if w[0] == session and participant in (None, w[1])]:
            del self._whose[number]  # one that is still being described is not kept either
        for who in [w for w in self._voices if w[0] == session and participant in (None, w[1])]:
            del self._voices[who]
            self._send(who, {"type": "voice_withdrawn", "session": session, "participant": who[1]})

    def answered(self, message: Message) -> None:
        """Take an answer of the analysis process; one that nobody waits for any more is dropped."""
        answer = self._waiting.get(int(message["number"]))
        if answer is not None and not answer.done():
            answer.set_result(message)

    def analysis_up(self) -> None:
        """The analysis process has started (again): tell it every voice."""
        self._unsent.clear()
        for who in self._voices:
            self._send(who, self._reference(*who))

    def analysis_down(self) -> None:
        """The analysis process is gone, with the recordings it had in hand."""
        self._unsent.clear()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(_unavailable())

    def flush(self) -> None:
        """The analysis process takes records (again): tell it what it has missed."""
        unsent, self._unsent = self._unsent, {}
        for who, message in unsent.items():
            self._send(who, message)

    def _reference(self, session: str, participant: str) -> Message:
        voice = self._voices[session, participant]
        return reference_message(session, participant, voice.vector, voice.model)

    def _send(self, who: tuple[str, str], message: Message) -> None:
        """Send the newest word on somebody's voice, or keep it until it can be sent."""
        self._unsent.pop(who, None)
        if not self._write(encode_message(message)):
            self._unsent[who] = message


def answer_message(number: int, vector: FloatArray, model: str) -> Message:
    """Return the analysis process's answer to a recording it could describe."""
    return {"type": "voice", "number": number, "error": None, "vector": vector.tolist(), "model": model}


def refusal_message(number: int, code: str, text: str) -> Message:
    """Return the analysis process's answer to a recording it could not describe."""
    return {"type": "voice", "number": number, "error": code, "message": text}


def _error(message: Message) -> MediaError | Overload:
    code, text = str(message["error"]), str(message["message"])
    if code in ("voice_unreadable", "voice_too_short"):
        return MediaError(code, text)
    return _unavailable()


def _unavailable() -> Overload:
    return Overload(
        "analysis_unavailable", "the analysis process cannot take a voice now; send it again later"
    )
