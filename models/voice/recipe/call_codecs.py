"""Codecs of calls: real encoders and decoders, lost packets and what the receiver puts in their place.

Opus, G.711, G.722, G.723.1 and AMR-NB are the real ones (libopus, libopencore-amrnb and FFmpeg's own, through
PyAV). Imitated: AMR-WB has no encoder there, its band and a low-rate wideband Opus stand for it; FFmpeg there
does not switch libopus' DTX on, so ``silent`` chooses the packets that are not sent, by libopus' rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import soxr
from scipy import signal

RATE = 16_000
ARRIVED, LOST, UNSENT = 0, 1, 2
# libopus sends nothing after 10 packets of silence, and one packet in 20 while it lasts (silk/define.h)
DTX_AFTER, DTX_EVERY = 10, 20


@dataclass(frozen=True)
class Received:
    """What the far end of a call plays: ``samples`` float32 (N,) at 16 kHz, and which of them it invented.

    ``concealed`` is bool (N,), true where they stand for a lost packet. A packet that DTX never sent is not
    lost: a call gets silence there, and no window of it counts as concealed.
    """

    samples: np.ndarray
    concealed: np.ndarray

    @classmethod
    def whole(cls, samples: np.ndarray) -> Received:
        """Return samples of which nothing was lost."""
        return cls(samples.astype(np.float32), np.zeros(len(samples), bool))

    def after(self, earlier: Received) -> Received:
        """Return this, with what an earlier leg of the same call had lost already."""
        return Received(self.samples, self.concealed | earlier.concealed)


@dataclass(frozen=True)
class Form:
    """How PyAV is asked for one codec; ``rate`` in Hz, ``bit_rate`` in bit/s where it has no choice."""

    encoder: str
    decoder: str
    rate: int
    bit_rate: int | None = None


FORMS = {
    "libopus": Form("libopus", "libopus", 48_000),
    "pcm_mulaw": Form("pcm_mulaw", "pcm_mulaw", 8_000),
    "pcm_alaw": Form("pcm_alaw", "pcm_alaw", 8_000),
    "g722": Form("g722", "g722", 16_000),
    "g723_1": Form("g723_1", "g723_1", 8_000, 6_300),
    "amr_nb": Form("libopencore_amrnb", "amrnb", 8_000),
}
AMR_RATES = (4_750, 5_900, 7_400, 10_200, 12_200)


def code(x: np.ndarray, codec: str, **how: Any) -> np.ndarray:
    """Return the samples that ``transmit`` gives."""
    return transmit(x, codec, **how).samples


def transmit(
    x: np.ndarray,
    codec: str,
    *,
    bit_rate: int | None = None,
    loss: float = 0.0,
    rng: np.random.Generator | None = None,
    hide: str = "fade",
    options: dict[str, str] | None = None,
    dtx: bool = False,
) -> Received:
    """Return 16 kHz samples after encoding and decoding, and which of them were lost on the way.

    Args:
        x: float samples at 16 kHz in [-1, 1].
        codec: a key of FORMS.
        bit_rate: bit/s, for the codecs that can choose.
        loss: share of packets lost, in bursts; needs ``rng``.
        rng: draws the losses.
        hide: for a lost packet, ``conceal`` (libopus goes on by itself, as guard.codec.audio does),
            ``fade``, ``repeat`` or ``empty``.
        options: of the encoder, for instance ``{"fec": "1"}``.
        dtx: leave silent packets out; the receiver puts silence in their place, as guard.codec.receive does.
    """
    form = FORMS[codec]
    y = x if form.rate == RATE else soxr.resample(x, RATE, form.rate)
    pcm = np.pad((np.clip(y, -1, 1) * 32767).astype(np.int16), (0, form.rate // 10))
    if codec == "libopus":
        options = {"application": "voip", **(options or {})}
    encoder, packets, step = _encode(form, pcm, options or {}, bit_rate)
    lost = bursts(len(packets), loss, rng) if loss and rng is not None else np.zeros(len(packets), bool)
    unsent = silent(pcm, len(packets), step) if dtx else np.zeros(len(packets), bool)
    fate = np.where(unsent, UNSENT, lost.astype(int))
    y, concealed = _decode(form, encoder, packets, fate, (step, hide))
    # which sample of the codec's own rate each of ours lies in; past its end nothing was sent
    place = np.arange(len(x)) * form.rate // RATE
    concealed = np.append(concealed, False)[np.minimum(place, len(concealed))]
    y = y if form.rate == RATE else soxr.resample(y, form.rate, RATE)
    y = np.pad(y, (0, max(0, len(x) - len(y))))[: len(x)].astype(np.float32)
    return Received(y, concealed)


def bursts(count: int, loss: float, rng: np.random.Generator) -> np.ndarray:
    """Return bool (count,), true where lost; about half of the losses take the next packet too."""
    first = rng.random(count) < loss / 1.5
    return first | (np.roll(first, 1) & (rng.random(count) < 0.5))


def silent(pcm: np.ndarray, count: int, step: int) -> np.ndarray:
    """Return bool (count,), true where DTX sends no packet: silence 30 dB under speech, or a steady floor."""
    frames = np.resize(pcm, (count, step)).astype(np.float64)
    power_db = 10 * np.log10(np.mean(frames**2, axis=1) + 1.0)
    speech_db, floor_db = np.quantile(power_db, 0.95), np.quantile(power_db, 0.1)
    limit_db = max(speech_db - 30, floor_db + 4 if speech_db - floor_db > 15 else 0)
    run, unsent = 0, np.zeros(count, bool)
    for n, quiet in enumerate(power_db < limit_db):
        run = run + 1 if quiet else 0
        unsent[n] = run > DTX_AFTER and (run - DTX_AFTER) % DTX_EVERY != 0
    return unsent


def _encode(form: Form, pcm: np.ndarray, options: dict[str, str], bit_rate: int | None):
    encoder = av.CodecContext.create(form.encoder, "w")
    encoder.sample_rate, encoder.layout, encoder.format = form.rate, "mono", "s16"
    encoder.options = options
    if bit_rate or form.bit_rate:
        encoder.bit_rate = bit_rate or form.bit_rate
    encoder.open()
    step = encoder.frame_size or form.rate // 50
    packets = []
    for i in range(0, len(pcm) - step + 1, step):
        frame = av.AudioFrame.from_ndarray(pcm[None, i : i + step], format="s16", layout="mono")
        frame.sample_rate, frame.pts = form.rate, i
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return encoder, packets, step


def _decode(
    form: Form, encoder, packets: list, fate: np.ndarray, how: tuple[int, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples at the codec's rate, and bool for each, true where its packet was lost.

    ``fate`` has one number for each packet (ARRIVED, LOST, UNSENT); ``how`` is their length and the hiding.
    """
    step, hide = how
    decoder = av.CodecContext.create(form.decoder, "r")
    if form.decoder == "libopus":
        decoder.extradata = encoder.extradata
    decoder.sample_rate, decoder.layout = form.rate, "mono"
    decoder.open()

    def decoded(packet: av.Packet) -> np.ndarray:
        parts = []
        for frame in decoder.decode(packet):
            scale = 32768.0 if frame.format.name.startswith("s16") else 1.0
            parts.append(frame.to_ndarray().reshape(-1).astype(np.float32) / scale)
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    out, last, toc = [], np.zeros(step, np.float32), b""
    for packet, what in zip(packets, fate, strict=True):
        opus = form.encoder == "libopus"
        if what == UNSENT:
            out.append(np.zeros(step, np.float32))
        elif what == LOST and hide == "conceal" and opus and toc:
            out.append(decoded(av.Packet(toc)))
        elif what == LOST:
            last = {"fade": last * 0.5, "repeat": last * 0.8}.get(hide, last * 0)
            out.append(last)
        else:
            toc = bytes([bytes(packet)[0] & 0xFC]) if opus else b""
            samples = decoded(packet)
            last = np.resize(samples, step) if len(samples) else last
            out.append(samples)
    return np.concatenate(out), np.repeat(fate == LOST, [len(part) for part in out])


def opus_call(x: np.ndarray, rng: np.random.Generator, *, loss: float, top_rate: int = 32) -> Received:
    """Return one Opus call as browsers make it: 8 to ``top_rate`` kbit/s, at times DTX and FEC."""
    rates = [r for r in (8, 10, 12, 16, 20, 24, 24, 28, 32, 40) if r <= top_rate]
    options = {"compression_level": str(rng.choice([3, 5, 9]))}
    dtx = bool(rng.random() < 0.2)
    if rng.random() < 0.5:
        # in-band FEC takes bits from the frame itself, whether or not its copies are used
        options |= {"fec": "1", "packet_loss": str(max(1, round(100 * loss)))}
    if rng.random() < 0.15:
        options["vbr"] = "off"
    hide = "conceal" if rng.random() < 0.85 else str(rng.choice(["fade", "repeat", "empty"]))
    rate = int(rng.choice(rates)) * 1000
    return transmit(x, "libopus", bit_rate=rate, loss=loss, rng=rng, hide=hide, options=options, dtx=dtx)


def telephone(x: np.ndarray, rng: np.random.Generator) -> Received:
    """Return one call over a telephone network: its band, its codec, sometimes lost frames."""
    kind = str(
        rng.choice(["pcm_mulaw", "pcm_alaw", "g723_1", "amr_nb", "amr_wb"], p=[0.3, 0.3, 0.05, 0.2, 0.15])
    )
    loss = float(rng.uniform(0.005, 0.06)) if rng.random() < 0.25 else 0.0
    hide = str(rng.choice(["fade", "repeat", "empty"]))
    if kind == "amr_wb":
        x = band(x, 50, 7000)
        rate = int(rng.choice([9, 12, 14, 16])) * 1000
        return transmit(x, "libopus", bit_rate=rate, loss=loss, rng=rng, hide="conceal")
    x = band(x, 300, 3400) if kind == "amr_nb" or rng.random() < 0.6 else x
    bit_rate = int(rng.choice(AMR_RATES)) if kind == "amr_nb" else None
    return transmit(x, kind, bit_rate=bit_rate, loss=loss, rng=rng, hide=hide)


def band(x: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """Return ``x`` within a band, fourth-order flanks."""
    return signal.sosfilt(signal.butter(4, [low_hz, high_hz], "band", fs=RATE, output="sos"), x)
