"""Speech through a telephone codec and back: G.711, G.722, AMR-NB. For measuring, never in a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import av
import numpy as np
import soxr
from av.audio.codeccontext import AudioCodecContext

from guard.codec.audio import DECODE_ERRORS, mono
from guard.errors import MediaError
from guard.types import FloatArray


@dataclass(frozen=True, slots=True)
class TelephoneCodec:
    """One codec as FFmpeg names it, at its own rate; ``bit_rate`` 0 where the codec has only one."""

    encoder: str
    decoder: str
    rate_hz: int
    bit_rate: int = 0


CODECS: dict[str, TelephoneCodec] = {
    "g711_mu": TelephoneCodec("pcm_mulaw", "pcm_mulaw", 8_000),
    "g711_a": TelephoneCodec("pcm_alaw", "pcm_alaw", 8_000),
    "g722": TelephoneCodec("g722", "g722", 16_000),
    "amr_12k2": TelephoneCodec("libopencore_amrnb", "amrnb", 8_000, 12_200),
    "amr_5k9": TelephoneCodec("libopencore_amrnb", "amrnb", 8_000, 5_900),
}


def through_telephone(samples: FloatArray, rate_hz: int, name: str) -> tuple[FloatArray, int]:
    """Return what comes out of the codec, and its rate.

    Args:
        samples: float32 (N,), mono in [-1, 1], 20 ms or more; louder is cut off as a converter does.
        rate_hz: their rate.
        name: a key of ``CODECS`` (ITU-T G.711, ITU-T G.722, 3GPP TS 26.071).

    Returns:
        float32 (M,) of the same length in time within a frame of 20 ms, and the codec's rate.

    Raises:
        MediaError: ``codec_missing``, this build of FFmpeg lacks the codec.
    """
    codec = CODECS[name]
    narrow = samples if rate_hz == codec.rate_hz else soxr.resample(samples, rate_hz, codec.rate_hz)
    pcm = np.round(np.clip(narrow, -1.0, 1.0) * 32767.0).astype(np.int16)
    try:
        packets = _encoded(codec, pcm)
        decoder = cast(AudioCodecContext, av.CodecContext.create(codec.decoder, "r"))
        decoder.sample_rate, decoder.layout = codec.rate_hz, "mono"
        parts = [mono(frame) for packet in packets for frame in decoder.decode(av.Packet(packet))]
    except DECODE_ERRORS as error:
        raise MediaError(
            "codec_missing", f"{name} cannot be applied: {error}; install av with {codec.encoder}"
        ) from error
    return np.concatenate(parts)[: len(pcm)], codec.rate_hz


def _encoded(codec: TelephoneCodec, pcm: np.ndarray[tuple[int], np.dtype[np.int16]]) -> list[bytes]:
    encoder = cast(AudioCodecContext, av.CodecContext.create(codec.encoder, "w"))
    encoder.sample_rate, encoder.layout, encoder.format = codec.rate_hz, "mono", "s16"
    if codec.bit_rate:
        encoder.bit_rate = codec.bit_rate
    encoder.open()
    step = codec.rate_hz // 50
    padded = np.pad(pcm, (0, -len(pcm) % step))
    packets: list[bytes] = []
    for start in range(0, len(padded), step):
        frame = av.AudioFrame.from_ndarray(padded[None, start : start + step], format="s16", layout="mono")
        frame.sample_rate, frame.pts = codec.rate_hz, start
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets + [bytes(packet) for packet in encoder.encode(None)]
