"""Enrolled voices and faces: who has one, and how the two processes talk of it (relay process).

    PUT bytes -> relay process -> analysis process: decode, describe -> vector -> relay process keeps it
                                                <- vector, also after every restart of the analysis process

The relay process decodes nothing. It keeps the vector, not the recording or photo: a kilobyte instead of
megabytes. Nothing is written or logged. How they are described: ``guard.app.describe``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from guard.errors import MediaError, Overload
from guard.types import FloatArray
from guard.workers.wire import (
    FacePhoto,
    Message,
    VoiceRecording,
    encode_message,
    encode_photo,
    encode_voice,
)

ANSWER_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What is enrolled, a voice or a face, and how the two processes talk of it.

    Args:
        name: the word in the messages' types.
        encode: makes the record that carries the bytes to the analysis process, from number and bytes.
        refusals: error codes that its answer may give and that are told to whoever sent the file.
    """

    name: str
    encode: Callable[[int, bytes], bytes]
    refusals: frozenset[str]

    @property
    def reference(self) -> str:
        """The type of the message that tells whom to expect."""
        return f"{self.name}_reference"

    @property
    def withdrawn(self) -> str:
        """The type of the message that nobody particular is expected any more."""
        return f"{self.name}_withdrawn"


VOICE = Enrolment(
    "voice",
    lambda number, content: encode_voice(VoiceRecording(number, content)),
    frozenset({"voice_unreadable", "voice_too_short", "voice_several"}),
)
FACE = Enrolment(
    "face",
    lambda number, content: encode_photo(FacePhoto(number, content)),
    frozenset({"photo_unreadable", "photo_too_large", "photo_no_face", "photo_several_faces", "photo_poor"}),
)


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
class KeptVector:
    """What the relay process keeps of a voice or face: the vector, the sha256 of the model that made it."""

    vector: list[float]
    model: str


class Enrolments:
    """The voices, or the faces, of the running sessions, in the relay process.

    Args:
        write: hands whole records to the analysis process; False where it is down or behind.
        kind: VOICE or FACE.
        timeout_s: how long an answer is waited for.
    """

    def __init__(
        self, write: Callable[[bytes], bool], kind: Enrolment, *, timeout_s: float = ANSWER_TIMEOUT_S
    ) -> None:
        self._write = write
        self._kind = kind
        self._timeout_s = timeout_s
        self._kept: dict[tuple[str, str], KeptVector] = {}
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._whose: dict[int, tuple[str, str]] = {}
        self._unsent: dict[tuple[str, str], Message] = {}
        self._number = 0

    async def enrol(self, session: str, participant: str, content: bytes) -> None:
        """Have a recording or photo described and the participant compared with it from now on.

        Withdrawn meanwhile, or the session over, it is dropped as if it had been there before.

        Raises:
            MediaError: one of the kind's refusals.
            Overload: ``analysis_unavailable``; the analysis process is down, or did not answer.
        """
        self._number += 1
        number = self._number
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._whose[number] = (session, participant)
        try:
            if not self._write(self._kind.encode(number, content)):
                raise self._unavailable()
            async with asyncio.timeout(self._timeout_s):
                message = await answer
        except TimeoutError:
            raise self._unavailable() from None
        finally:
            self._waiting.pop(number, None)
            who = self._whose.pop(number, None)
        if message.get("error") is not None:
            raise self._error(message)
        if who is not None:
            self._kept[who] = KeptVector(list(message["vector"]), str(message["model"]))
            self._send(who, self._reference(*who))

    def withdraw(self, session: str, participant: str | None = None) -> None:
        """Drop what a participant, or everybody in the session, has; nothing there is no error."""
        for number in [n for n, w in self._whose.items() if w[0] == session and participant in (None, w[1])]:
            del self._whose[number]  # one that is still being described is not kept either
        for who in [w for w in self._kept if w[0] == session and participant in (None, w[1])]:
            del self._kept[who]
            self._send(who, {"type": self._kind.withdrawn, "session": session, "participant": who[1]})

    def answered(self, message: Message) -> None:
        """Take an answer of the analysis process; one that nobody waits for any more is dropped."""
        answer = self._waiting.get(int(message["number"]))
        if answer is not None and not answer.done():
            answer.set_result(message)

    def analysis_up(self) -> None:
        """The analysis process has started (again): tell it everything that is kept."""
        self._unsent.clear()
        for who in self._kept:
            self._send(who, self._reference(*who))

    def analysis_down(self) -> None:
        """The analysis process is gone, with what it had in hand."""
        self._unsent.clear()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self._unavailable())

    def flush(self) -> None:
        """The analysis process takes records (again): tell it what it has missed."""
        unsent, self._unsent = self._unsent, {}
        for who, message in unsent.items():
            self._send(who, message)

    def _reference(self, session: str, participant: str) -> Message:
        kept = self._kept[session, participant]
        who = {"session": session, "participant": participant}
        return {"type": self._kind.reference, **who, "vector": kept.vector, "model": kept.model}

    def _send(self, who: tuple[str, str], message: Message) -> None:
        """Send the newest word on somebody, or keep it until it can be sent."""
        self._unsent.pop(who, None)
        if not self._write(encode_message(message)):
            self._unsent[who] = message

    def _error(self, message: Message) -> MediaError | Overload:
        code, text = str(message["error"]), str(message["message"])
        return MediaError(code, text) if code in self._kind.refusals else self._unavailable()

    def _unavailable(self) -> Overload:
        text = f"the analysis process cannot take a {self._kind.name} now; send it again later"
        return Overload("analysis_unavailable", text)


def answer_message(kind: Enrolment, number: int, vector: FloatArray, model: str) -> Message:
    """Return the analysis process's answer to what it could describe; ``model`` made the vector (sha256)."""
    return {"type": kind.name, "number": number, "error": None, "vector": vector.tolist(), "model": model}


def refusal_message(kind: Enrolment, number: int, code: str, text: str) -> Message:
    """Return the analysis process's answer to what it could not describe."""
    return {"type": kind.name, "number": number, "error": code, "message": text}
