"""Opus decoding with concealment of losses, and decoded av frames to mono arrays."""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

from guard.errors import MediaError
from guard.types import FloatArray

OPUS_RATE_HZ = 48_000
# what av raises on bytes that are not what they claim to be
DECODE_ERRORS = (av.error.FFmpegError, ValueError, EOFError, OverflowError, MemoryError, OSError)

_MIN_RATE_HZ, _MAX_RATE_HZ = 4_000, 384_000
# samples at 48 kHz of one frame for each of the 32 configurations (RFC 6716 table 2)
_SILK_SAMPLES = (480, 960, 1920, 2880)
_HYBRID_SAMPLES = (480, 960)
_CELT_SAMPLES = (120, 240, 480, 960)
_FRAME_SAMPLES = _SILK_SAMPLES * 3 + _HYBRID_SAMPLES * 2 + _CELT_SAMPLES * 4


def opus_frame_samples(payload: bytes) -> int:
    """Return the samples at 48 kHz of one frame of this packet, from its first byte."""
    return _FRAME_SAMPLES[payload[0] >> 3]


class OpusDecoder:
    """Decodes one Opus stream to mono 48 kHz, and invents what was lost.

    libopus does the concealment: a packet of nothing but its table-of-contents byte
    holds one frame of no bytes, which a decoder must treat as lost (RFC 6716 section
    3.2.1), so it goes on from pitch and spectrum of what it decoded last and fades
    out. The copy of a frame that in-band FEC puts into the next packet cannot be reached through av.
    """

    def __init__(self) -> None:
        self._context = _opus_context()
        self._lost_packet: bytes | None = None
        self._lost_samples = 0

    def decode(self, payload: bytes) -> FloatArray:
        """Return the packet's samples, float32 (N,).

        Raises:
            MediaError: ``opus_broken``, the packet is no Opus; call ``reset``.
        """
        if not payload:
            raise MediaError("opus_broken", "an Opus packet without a byte; it is treated as lost")
        samples = self._decode(payload)
        # configuration and channel count of the packet, code 0: a single frame
        self._lost_packet = bytes([payload[0] & 0xFC])
        self._lost_samples = opus_frame_samples(payload)
        return samples

    def conceal(self, samples: int) -> FloatArray:
        """Return float32 (samples,) in place of what was lost; zeros where nothing was decoded before."""
        out = np.zeros(samples, np.float32)
        if self._lost_packet is None:
            return out
        for start in range(0, samples, self._lost_samples):
            part = self._decode(self._lost_packet)[: samples - start]
            out[start : start + len(part)] = part
        return out

    def reset(self) -> None:
        """Forget everything decoded so far."""
        self._context = _opus_context()
        self._lost_packet = None

    def _decode(self, payload: bytes) -> FloatArray:
        try:
            frames = self._context.decode(av.Packet(payload))
            parts = [mono(frame) for frame in frames]
        except DECODE_ERRORS as error:
            raise MediaError("opus_broken", f"an Opus packet cannot be decoded: {error}") from error
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _opus_context() -> av.AudioCodecContext:
    context = av.AudioCodecContext.create("libopus", "r")
    # libopus mixes down itself; the channel count of a packet is no contract (RFC 7587 section 3.4)
    context.layout = "mono"
    context.sample_rate = OPUS_RATE_HZ
    return context


def mono(frame: av.AudioFrame) -> FloatArray:
    """Return the frame's samples, float32 (N,), the mean of its channels, in [-1, 1].

    Values that are no numbers become silence; louder ones than full scale are clipped.

    Raises:
        MediaError: ``audio_broken``, a rate or format no decoder should give.
    """
    if not _MIN_RATE_HZ <= frame.sample_rate <= _MAX_RATE_HZ:
        raise MediaError("audio_broken", f"a sample rate of {frame.sample_rate} Hz cannot be right")
    array = frame.to_ndarray()
    channels = max(1, frame.layout.nb_channels)
    planes = array if frame.format.is_planar else array.reshape(-1, channels).T
    mixed: FloatArray = _scaled(planes).mean(axis=0, dtype=np.float32)
    return mixed


def finite(frame: av.AudioFrame) -> bool:
    """Tell whether all samples are numbers; only formats of floats can hold others."""
    return not frame.format.name.startswith(("flt", "dbl")) or bool(np.isfinite(frame.to_ndarray()).all())


def _scaled(planes: NDArray[np.generic]) -> FloatArray:
    """Return samples of any of av's formats as float32 in [-1, 1]."""
    if planes.dtype.kind == "f":
        # before the mean and the narrower type: a file may hold infinities and 1e300
        return np.asarray(np.clip(np.nan_to_num(planes), -1.0, 1.0), np.float32)
    if planes.dtype == np.uint8:
        return (planes.astype(np.float32) - 128.0) / 128.0
    if planes.dtype.kind == "i":
        return planes.astype(np.float32) / float(1 << (8 * planes.dtype.itemsize - 1))
    raise MediaError("audio_broken", f"samples of type {planes.dtype} are not supported")
