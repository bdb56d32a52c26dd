"""The call conditions a clip is measured under: clean, Opus with and without loss, G.711.

Opus packets pass guard's own reception (reorder, concealment marks), as in a call.
"""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

import numpy as np
import soxr

from guard.codec.encode import encode_opus
from guard.codec.receive import TrackReceiver
from guard.types import AudioFrame, FloatArray, Kind, TapPacket, TrackKey

KEY = TrackKey("eval", "clip", Kind.AUDIO)
Channel = Callable[[FloatArray, int, str], list[AudioFrame]]
_OPUS_HZ, _PACKET = 48_000, 960


def clean(samples: FloatArray, rate_hz: int, name: str) -> list[AudioFrame]:
    """Return the samples (N,) as they are."""
    del name
    return [AudioFrame(KEY, 0.0, samples, rate_hz)]


def opus(samples: FloatArray, rate_hz: int, name: str, *, loss_ratio: float = 0.0) -> list[AudioFrame]:
    """Return the samples after Opus at 24 kbit/s, each packet lost with ``loss_ratio``.

    The losses follow from the clip's name, so that a run can be repeated.
    """
    wide = soxr.resample(samples, rate_hz, _OPUS_HZ).astype(np.float32)
    rng = np.random.default_rng(crc32(name.encode()))
    receiver, frames = TrackReceiver(KEY, "opus"), []
    for n, payload in enumerate(encode_opus(wide, bit_rate=24_000)):
        if rng.random() >= loss_ratio:
            packet = TapPacket(
                KEY, "opus", n & 0xFFFF, (n * _PACKET) & 0xFFFFFFFF, False, n * _PACKET / _OPUS_HZ, payload
            )
            frames += receiver.push(packet)
    frames += receiver.flush()
    return [frame for frame in frames if isinstance(frame, AudioFrame)]


def g711(samples: FloatArray, rate_hz: int, name: str) -> list[AudioFrame]:
    """Return the samples after 8 kHz and mu-law (ITU-T G.711, continuous form of the law)."""
    del name
    mu = 255.0
    narrow = np.clip(soxr.resample(samples, rate_hz, 8_000), -1.0, 1.0)
    coded = np.round(np.sign(narrow) * np.log1p(mu * np.abs(narrow)) / np.log1p(mu) * 127.0) / 127.0
    back = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(mu)) / mu
    return [AudioFrame(KEY, 0.0, back.astype(np.float32), 8_000)]


def opus_lossy(samples: FloatArray, rate_hz: int, name: str) -> list[AudioFrame]:
    """Return the samples after Opus at 24 kbit/s with 5 % of the packets lost at random."""
    return opus(samples, rate_hz, name, loss_ratio=0.05)


CHANNELS: dict[str, Channel] = {
    "clean": clean,
    "opus_24k": opus,
    "opus_24k_loss_5": opus_lossy,
    "g711": g711,
}
