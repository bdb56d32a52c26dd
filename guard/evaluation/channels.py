"""The ways a clip reaches the detector: untouched, Opus with and without loss, telephone codecs.

Opus packets pass guard's own reception (reorder, concealment marks), as in a call.
What is random follows from the clip's name, so that a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from zlib import crc32

import numpy as np
import soxr
from numpy.typing import NDArray

from guard.codec.encode import encode_opus
from guard.codec.receive import TrackReceiver
from guard.codec.telephone import through_telephone
from guard.types import AudioFrame, FloatArray, Kind, TapPacket, TrackKey

KEY = TrackKey("eval", "clip", Kind.AUDIO)
Channel = Callable[[FloatArray, int, str], list[AudioFrame]]
"""Samples (N,), their rate and the clip's name to the frames the windows are cut from."""

_OPUS_HZ, _PACKET = 48_000, 960
_BURST_PACKETS = 3.0


def clean(samples: FloatArray, rate_hz: int, name: str) -> list[AudioFrame]:
    """Return the samples (N,) as they are."""
    del name
    return [AudioFrame(KEY, 0.0, samples, rate_hz)]


def opus(
    samples: FloatArray,
    rate_hz: int,
    name: str,
    *,
    bit_rate: int = 24_000,
    loss_ratio: float = 0.0,
    bursts: bool = False,
) -> list[AudioFrame]:
    """Return the samples after Opus, ``loss_ratio`` of its packets lost.

    Args:
        samples: float32 (N,), mono in [-1, 1].
        rate_hz: their rate.
        name: names the clip; the losses follow from it, and those of a lower ratio are among
            those of a higher one.
        bit_rate: bits per second.
        loss_ratio: share of the packets of 20 ms that get lost.
        bursts: lose three packets in a row on average (Gilbert's two states), not each by itself.
    """
    wide = soxr.resample(samples, rate_hz, _OPUS_HZ).astype(np.float32)
    payloads = encode_opus(wide, bit_rate=bit_rate)
    drawn = np.random.default_rng(crc32(name.encode())).random(len(payloads))
    lost = _bursts(drawn, loss_ratio) if bursts else drawn < loss_ratio
    receiver, frames = TrackReceiver(KEY, "opus"), []
    for n, payload in enumerate(payloads):
        if not lost[n]:
            packet = TapPacket(
                KEY, "opus", n & 0xFFFF, (n * _PACKET) & 0xFFFFFFFF, False, n * _PACKET / _OPUS_HZ, payload
            )
            frames += receiver.push(packet)
    frames += receiver.flush()
    return [frame for frame in frames if isinstance(frame, AudioFrame)]


def telephone(samples: FloatArray, rate_hz: int, name: str, *, codec: str) -> list[AudioFrame]:
    """Return the samples after a codec of ``guard.codec.telephone``, at that codec's rate."""
    del name
    heard, heard_hz = through_telephone(samples, rate_hz, codec)
    return [AudioFrame(KEY, 0.0, heard, heard_hz)]


def telephone_then_opus(samples: FloatArray, rate_hz: int, name: str, *, codec: str) -> list[AudioFrame]:
    """Return the samples of a caller from the telephone network in a WebRTC call: two codecs."""
    heard, heard_hz = through_telephone(samples, rate_hz, codec)
    return opus(heard, heard_hz, name)


def _bursts(drawn: NDArray[np.float64], loss_ratio: float) -> NDArray[np.bool_]:
    """Return which packets are lost, (N,): two states that lose ``loss_ratio`` in the long run."""
    leave = 1.0 / _BURST_PACKETS
    enter = leave * loss_ratio / (1.0 - loss_ratio)
    lost = np.zeros(len(drawn), np.bool_)
    for n, value in enumerate(drawn.tolist()):
        lost[n] = value >= leave if n and lost[n - 1] else value < enter
    return lost


opus_lossy = partial(opus, loss_ratio=0.05)
g711 = partial(telephone, codec="g711_mu")
g722 = partial(telephone, codec="g722")

CHANNELS: dict[str, Channel] = {
    "clean": clean,
    "opus_24k": opus,
    "opus_24k_loss_5": opus_lossy,
    "g711": g711,
}
"""The conditions that have bars."""
