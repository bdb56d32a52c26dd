from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.types import Kind, SenderClock, TapPacket, TrackKey
from guard.workers.wire import (
    Decoder,
    EncodedPicture,
    FacePhoto,
    Record,
    VoiceRecording,
    WireError,
    encode_message,
    encode_photo,
    encode_picture,
    encode_tap,
    encode_voice,
)

names = st.text(min_size=1, max_size=40)
keys = st.builds(TrackKey, names, names, st.sampled_from(Kind))
packets = st.builds(
    TapPacket,
    keys,
    st.sampled_from(("opus", "vp8", "h264")),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.floats(0, 1e9),
    st.binary(max_size=1500),
    st.none() | st.builds(SenderClock, st.integers(1, 2**64 - 1), st.integers(0, 2**32 - 1)),
)
pictures = st.builds(EncodedPicture, keys, st.integers(0, 2**32 - 1), st.booleans(), st.binary(max_size=3000))
voices = st.builds(VoiceRecording, st.integers(0, 2**64 - 1), st.binary(max_size=3000))
photos = st.builds(FacePhoto, st.integers(0, 2**64 - 1), st.binary(max_size=3000))
messages = st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=20), max_size=4)


def encode(record: Record) -> bytes:
    if isinstance(record, TapPacket):
        return encode_tap(record)
    if isinstance(record, EncodedPicture):
        return encode_picture(record)
    if isinstance(record, VoiceRecording):
        return encode_voice(record)
    if isinstance(record, FacePhoto):
        return encode_photo(record)
    return encode_message(record)


@given(st.lists(packets | pictures | voices | photos | messages, max_size=6), st.integers(1, 700))
def test_records_survive_any_chunking(records: list[Record], chunk: int) -> None:
    stream = b"".join(encode(record) for record in records)
    decoder = Decoder()
    out: list[Record] = []
    for at in range(0, len(stream), chunk):
        out += decoder.feed(stream[at : at + chunk])
    assert out == records


@given(st.binary(max_size=200))
def test_garbage_never_raises_anything_but_wire_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        Decoder().feed(data)


@pytest.mark.parametrize("data", [b"\0\0\0\0\1", b"\xff\xff\xff\xff\1", b"\0\0\0\2\2x", b"\0\0\0\2\x09x"])
def test_impossible_records_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        Decoder().feed(data)


def test_nan_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        encode_message({"llr": float("nan")})
