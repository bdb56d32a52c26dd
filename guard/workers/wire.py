"""Length-prefixed records between the relay process and its children.

A record is ``length:u32 type:u8 body``, big endian; ``length`` counts type and body.
Tap packets travel as packed binary, because there are a hundred of them a second and
track; everything else is one JSON object. Both ends are guard's own, on one socket
pair, yet a wrong length or type ends the connection instead of being guessed at.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

from guard.errors import GuardError
from guard.types import Kind, SenderClock, TapPacket, TrackKey

# a voice or photo of 5 MiB, the largest body the HTTP layer takes, with room for its head
MAX_RECORD_BYTES = 6 * 1024 * 1024

_PREFIX = struct.Struct("!IB")
_TAP = struct.Struct("!HIdBBBBB")
_CLOCK = struct.Struct("!QI")
_MARKER, _CLOCKED = 1, 2
_FRAME = struct.Struct("!IBBBB")
_NUMBER = struct.Struct("!Q")
_CODECS = ("opus", "vp8", "h264")
_KINDS = (Kind.AUDIO, Kind.VIDEO)


class WireError(GuardError):
    """The other process sent bytes that are no record."""


class RecordType(IntEnum):
    """What the body of a record is."""

    TAP = 1
    MESSAGE = 2
    ENCODED_FRAME = 3
    VOICE = 4
    PHOTO = 5


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One encoded video frame on its way from the banner process to the relay.

    Args:
        key: the source track it replaces.
        timestamp: the source's 32-bit RTP timestamp.
        keyframe: whether a decoder can start here.
        data: one VP8 frame, or one H.264 access unit in Annex B form.
    """

    key: TrackKey
    timestamp: int
    keyframe: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class VoiceRecording:
    """A recording of a voice on its way to the analysis process, which decodes it.

    Args:
        number: given back in the answer.
        content: the bytes of an audio file, as somebody sent them.
    """

    number: int
    content: bytes


@dataclass(frozen=True, slots=True)
class FacePhoto:
    """A photo of a face on its way to the analysis process, which decodes it.

    Args:
        number: given back in the answer.
        content: the bytes of a picture file, as somebody sent them.
    """

    number: int
    content: bytes


Message = dict[str, Any]
Record = TapPacket | EncodedPicture | VoiceRecording | FacePhoto | Message


def _record(kind: RecordType, body: bytes) -> bytes:
    return _PREFIX.pack(len(body) + 1, kind) + body


@lru_cache(maxsize=4096)
def _names(key: TrackKey) -> tuple[bytes, bytes]:
    session, participant = key.session.encode(), key.participant.encode()
    if max(len(session), len(participant)) > 255:
        raise WireError("wire_name_too_long", "a session or participant id is longer than 255 bytes")
    return session, participant


def encode_tap(packet: TapPacket) -> bytes:
    """Return the record of one tap packet."""
    session, participant = _names(packet.key)
    clock = packet.clock
    head = _TAP.pack(
        packet.sequence,
        packet.timestamp,
        packet.arrival_s,
        _CODECS.index(packet.codec),
        _KINDS.index(packet.key.kind),
        packet.marker if clock is None else packet.marker | _CLOCKED,
        len(session),
        len(participant),
    )
    said = b"" if clock is None else _CLOCK.pack(clock.ntp, clock.timestamp)
    return _record(RecordType.TAP, head + said + session + participant + packet.payload)


def encode_picture(picture: EncodedPicture) -> bytes:
    """Return the record of one encoded video frame."""
    session, participant = _names(picture.key)
    head = _FRAME.pack(
        picture.timestamp,
        picture.keyframe,
        _KINDS.index(picture.key.kind),
        len(session),
        len(participant),
    )
    return _record(RecordType.ENCODED_FRAME, head + session + participant + picture.data)


def encode_voice(recording: VoiceRecording) -> bytes:
    """Return the record of one recording of a voice."""
    return _record(RecordType.VOICE, _NUMBER.pack(recording.number) + recording.content)


def encode_photo(photo: FacePhoto) -> bytes:
    """Return the record of one photo of a face."""
    return _record(RecordType.PHOTO, _NUMBER.pack(photo.number) + photo.content)


def encode_message(message: Message) -> bytes:
    """Return the record of one JSON object (no NaN: JSON has none)."""
    body = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    return _record(RecordType.MESSAGE, body)


def _decode_tap(body: bytes) -> TapPacket:
    sequence, timestamp, arrival_s, codec, kind, flags, s_len, p_len = _TAP.unpack_from(body)
    if flags > _MARKER | _CLOCKED:
        raise ValueError(f"flags {flags:#x} of a tap packet")
    at, clock = _TAP.size, None
    if flags & _CLOCKED:
        clock = SenderClock(*_CLOCK.unpack_from(body, at))
        at += _CLOCK.size
    key = TrackKey(
        body[at : at + s_len].decode(), body[at + s_len : at + s_len + p_len].decode(), _KINDS[kind]
    )
    payload = body[at + s_len + p_len :]
    marker = bool(flags & _MARKER)
    return TapPacket(key, _CODECS[codec], sequence, timestamp, marker, arrival_s, payload, clock)


def _decode_picture(body: bytes) -> EncodedPicture:
    timestamp, keyframe, kind, s_len, p_len = _FRAME.unpack_from(body)
    at = _FRAME.size
    key = TrackKey(
        body[at : at + s_len].decode(), body[at + s_len : at + s_len + p_len].decode(), _KINDS[kind]
    )
    return EncodedPicture(key, timestamp, bool(keyframe), body[at + s_len + p_len :])


def _decode_voice(body: bytes) -> VoiceRecording:
    (number,) = _NUMBER.unpack_from(body)
    return VoiceRecording(number, body[_NUMBER.size :])


def _decode_photo(body: bytes) -> FacePhoto:
    (number,) = _NUMBER.unpack_from(body)
    return FacePhoto(number, body[_NUMBER.size :])


def _decode_message(body: bytes) -> Message:
    message = json.loads(body)
    if not isinstance(message, dict):
        raise TypeError("a message must be a JSON object")
    return message


_DECODERS: dict[RecordType, Callable[[bytes], Record]] = {
    RecordType.TAP: _decode_tap,
    RecordType.MESSAGE: _decode_message,
    RecordType.ENCODED_FRAME: _decode_picture,
    RecordType.VOICE: _decode_voice,
    RecordType.PHOTO: _decode_photo,
}


class Decoder:
    """Cuts a byte stream into records, in any chunking."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Record]:
        """Return the records completed by ``data``.

        Raises:
            WireError: a length, type or body that no encoder here writes.
        """
        self._buffer += data
        records: list[Record] = []
        at = 0
        while len(self._buffer) - at >= _PREFIX.size:
            length, kind = _PREFIX.unpack_from(self._buffer, at)
            if not 1 <= length <= MAX_RECORD_BYTES:
                raise WireError("wire_bad_length", f"a record claims {length} bytes")
            end = at + 4 + length
            if len(self._buffer) < end:
                break
            records.append(self._decode(kind, bytes(self._buffer[at + _PREFIX.size : end])))
            at = end
        del self._buffer[:at]
        return records

    @staticmethod
    def _decode(kind: int, body: bytes) -> Record:
        try:
            return _DECODERS[RecordType(kind)](body)
        except (ValueError, KeyError, IndexError, TypeError, struct.error) as error:
            raise WireError("wire_bad_record", f"a record of type {kind} cannot be read: {error}") from error
