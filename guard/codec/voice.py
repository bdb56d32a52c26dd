"""The sound of a file that is held in memory: a voice somebody sent, never written anywhere."""

from __future__ import annotations

import io
from collections.abc import Iterator

import av

from guard.codec.audio import DECODE_ERRORS, mono
from guard.codec.files import FORMATS
from guard.errors import MediaError
from guard.types import AudioFrame, Kind, TrackKey

_KEY = TrackKey("voice", "voice", Kind.AUDIO)


def read_voice(content: bytes, *, max_s: float) -> Iterator[AudioFrame]:
    """Yield the frames of the first audio stream, at most ``max_s`` seconds, without trusting the bytes.

    What cannot be decoded is left out: the samples before and after it are joined.

    Raises:
        MediaError: ``voice_unreadable``; no container that is read, no audio in it, or nothing of it
            can be decoded.
    """
    unreadable = MediaError(
        "voice_unreadable", "the voice cannot be read as audio; send a wav, flac, opus, mp3 or m4a file"
    )
    end_s = 0.0
    try:
        # the list of containers keeps it from opening anything else: playlists name other files
        options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
        with av.open(
            io.BytesIO(content), "r", metadata_errors="replace", container_options=options
        ) as container:
            if not container.streams.audio:
                raise unreadable
            stream = container.streams.audio[0]
            stream.codec_context.thread_count = 1
            for frame in _decoded(container, stream):
                samples = mono(frame)
                yield AudioFrame(_KEY, end_s, samples, frame.sample_rate)
                end_s += len(samples) / frame.sample_rate
                if end_s >= max_s:
                    return
    except (*DECODE_ERRORS, MediaError) as error:  # MediaError: a sample rate that cannot be right
        if end_s == 0.0:
            raise unreadable from error
    if end_s == 0.0:
        raise unreadable


def _decoded(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except DECODE_ERRORS:
            continue
        for frame in frames:
            if isinstance(frame, av.AudioFrame):
                yield frame
