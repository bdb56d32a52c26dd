"""The call chain that every training clip goes through, genuine and synthetic alike.

Random but seeded: cut, level, band limits, noise, room, clipping, then a codec: none,
Opus 10-40 kbit/s with lost packets, G.711 or G.722.
"""

from __future__ import annotations

import av
import numpy as np
import soxr
from scipy import signal

RATE, WINDOW = 16_000, 64_000


def fit(x: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return exactly 4 s: a cut of a longer clip; a shorter one is repeated, as guard.windows does."""
    if len(x) < WINDOW:
        return np.resize(x, WINDOW).astype(np.float32)
    start = 0 if rng is None else int(rng.integers(0, len(x) - WINDOW + 1))
    return x[start : start + WINDOW].astype(np.float32)


def _encode(codec: str, pcm: np.ndarray, rate: int, options: dict[str, str], bit_rate: int | None):
    encoder = av.CodecContext.create(codec, "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16"
    encoder.options = options
    if bit_rate:
        encoder.bit_rate = bit_rate
    encoder.open()
    step = encoder.frame_size or rate // 50
    packets = []
    for i in range(0, len(pcm) - step + 1, step):
        frame = av.AudioFrame.from_ndarray(pcm[None, i : i + step], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, i
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return encoder, packets, step


def code(
    x: np.ndarray,
    codec: str,
    *,
    bit_rate: int | None = None,
    loss: float = 0.0,
    rng: np.random.Generator | None = None,
    hide: str = "fade",
) -> np.ndarray:
    """Encode and decode 16 kHz samples; a lost 20 ms packet is faded out, repeated or left empty."""
    rate = {"libopus": 48_000, "pcm_mulaw": 8_000, "pcm_alaw": 8_000, "g722": 16_000}[codec]
    y = x if rate == RATE else soxr.resample(x, RATE, rate)
    pcm = (np.clip(y, -1, 1) * 32767).astype(np.int16)
    pcm = np.pad(pcm, (0, rate // 10))
    options = {"application": "voip"} if codec == "libopus" else {}
    encoder, packets, step = _encode(codec, pcm, rate, options, bit_rate)
    decoder = av.CodecContext.create("libopus" if codec == "libopus" else codec, "r")
    if codec == "libopus":
        decoder.extradata = encoder.extradata
    decoder.sample_rate, decoder.layout = rate, "mono"
    decoder.open()
    lost = np.zeros(len(packets), bool)
    if loss and rng is not None:
        burst = rng.random(len(packets)) < loss / 1.5
        lost = burst | (np.roll(burst, 1) & (rng.random(len(packets)) < 0.5))
    out, last = [], np.zeros(step, np.float32)
    for packet, gone in zip(packets, lost, strict=True):
        if gone:
            last = {"fade": last * 0.5, "repeat": last * 0.8, "empty": last * 0}[hide]
            out.append(last)
            continue
        for frame in decoder.decode(packet):
            scale = 32768.0 if frame.format.name.startswith("s16") else 1.0
            last = frame.to_ndarray().reshape(-1).astype(np.float32) / scale
            out.append(last)
    y = np.concatenate(out)
    y = y if rate == RATE else soxr.resample(y, rate, RATE)
    return np.pad(y, (0, max(0, len(x) - len(y))))[: len(x)].astype(np.float32)


def _noise(n: int, rng: np.random.Generator) -> np.ndarray:
    """White to brown noise with a random slope, sometimes with mains hum and slow swell."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    f = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 30.0)
    x = np.fft.irfft(spectrum * f ** (-rng.uniform(0, 1.2)), n)
    if rng.random() < 0.2:
        t = np.arange(n) / RATE
        hum = sum(np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6)) / k for k in (1, 2, 3, 5))
        x = x / x.std() + hum * rng.uniform(0.1, 0.7)
    if rng.random() < 0.3:
        t = np.arange(n) / RATE
        x = x * (1 + 0.7 * np.sin(2 * np.pi * rng.uniform(0.2, 3) * t + rng.uniform(0, 6)))
    return x / (x.std() + 1e-9)


def _room(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A direct path, a few early echoes and an exponential tail (RT60 0.1 to 0.5 s)."""
    n = int(RATE * 0.4)
    t = np.arange(n) / RATE
    tail = rng.standard_normal(n) * np.exp(-6.9 * t / rng.uniform(0.1, 0.5)) * rng.uniform(0.01, 0.12)
    tail[: int(RATE * rng.uniform(0.002, 0.01))] = 0
    tail[0] = 1.0
    return signal.fftconvolve(x, tail)[: len(x)]


def _band(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Device colour: a random low cut, a random top, a gentle tilt."""
    if rng.random() < 0.4:
        x = signal.sosfilt(signal.butter(2, rng.uniform(50, 300), "high", fs=RATE, output="sos"), x)
    if rng.random() < 0.45:
        top = rng.choice([3400.0, rng.uniform(3200, 7800)], p=[0.3, 0.7])
        x = signal.sosfilt(signal.butter(int(rng.integers(4, 10)), top, "low", fs=RATE, output="sos"), x)
    if rng.random() < 0.4:
        x = signal.lfilter([1.0, rng.uniform(-0.35, 0.35)], [1.0], x)
    return x


def augment(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return float32 (64000,): one random call of the clip; both classes use this very function."""
    if len(x) > RATE * 3 and rng.random() < 0.3:
        x = x[: int(rng.uniform(2.2, 4.0) * RATE)]
    x = fit(x, rng).astype(np.float64)
    if rng.random() < 0.2:
        x = soxr.resample(x, 1000, 1000 * rng.uniform(0.95, 1.05))
        x = fit(x)
    x = _band(x, rng)
    if rng.random() < 0.25:
        x = _room(x, rng)
    rms = np.sqrt(np.mean(x**2)) + 1e-9
    if rng.random() < 0.65:
        x = x + _noise(len(x), rng) * rms * 10 ** (-rng.uniform(8, 45) / 20)
    if rng.random() < 0.1:
        x = np.sign(x) * np.maximum(np.abs(x) - rms * rng.uniform(0.01, 0.08), 0)
    x = x * 10 ** (rng.uniform(-32, -14) / 20) / rms
    if rng.random() < 0.08:
        limit = np.quantile(np.abs(x), rng.uniform(0.97, 0.999))
        x = np.clip(x, -limit, limit)
    x = np.clip(x, -1, 1).astype(np.float32)
    kind = rng.choice(["none", "opus", "loss", "g711", "g722"], p=[0.22, 0.36, 0.2, 0.15, 0.07])
    if kind == "opus" or kind == "loss":
        rate = int(rng.choice([10, 12, 16, 20, 24, 24, 32, 40])) * 1000
        loss = float(rng.uniform(0.01, 0.12)) if kind == "loss" else 0.0
        hide = str(rng.choice(["fade", "repeat", "empty"]))
        return code(x, "libopus", bit_rate=rate, loss=loss, rng=rng, hide=hide)
    if kind == "g711":
        return code(x, str(rng.choice(["pcm_mulaw", "pcm_alaw"])))
    return code(x, "g722") if kind == "g722" else x
