"""Two ways to a microphone: a person speaks into it, or a loudspeaker plays a recording into it.

Both end in the same stages: room, microphone, noise, a lossy link before the call (a Bluetooth headset, a
bridge), automatic gain, then the call's codec by models/voice/recipe/chain.py. What only the replay has is
what only a replay can have: the loudspeaker, and the room and microphone of the recording before it. Level,
noise, bandwidth and reverberation are drawn so that none of them alone should tell the two apart (trivial.py
measures how far that holds).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soxr
from devices import RATE, limit, loudspeaker, microphone, seed_of_microphone
from rooms import impulse, room
from scipy import signal

sys.path.append(str(Path(__file__).resolve().parents[2] / "voice" / "recipe"))
from chain import code, fit

CONDITIONS = ("clean", "opus", "loss", "g711")
SHARES = (0.25, 0.4, 0.2, 0.15)
AS_IT_IS = 0.2


@dataclass(frozen=True)
class Scene:
    """What was drawn, for the report by condition."""

    replay: bool
    family: str
    distance_m: float
    rt60_s: float
    snr_db: float


def _noise(n: int, rng: np.random.Generator) -> np.ndarray:
    """Room and microphone noise: a random slope, sometimes hum of the mains."""
    f = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 40.0)
    x = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * f ** (-rng.uniform(0, 1.3)), n)
    if rng.random() < 0.2:
        t = np.arange(n) / RATE
        hum = sum(np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6)) / k for k in (1, 2, 3, 5))
        x = x / x.std() + hum * rng.uniform(0.1, 0.6)
    return x / (x.std() + 1e-9)


def lossy(x: np.ndarray, name: str, bit_rate: int) -> np.ndarray:
    """Encode and decode 16 kHz samples as MP3 or AAC at 32 kHz, or Opus; the codec's delay is taken out."""
    level = np.abs(x).max() / 0.9 + 1e-9
    if name == "libopus":
        return (
            code(
                (x / level).astype(np.float32),
                "libopus",
                bit_rate=bit_rate,
                options={"compression_level": "3"},
            )
            * level
        )
    pcm = soxr.resample(x / level, RATE, 32_000).astype(np.float32)
    encoder = av.CodecContext.create(name, "w")
    encoder.sample_rate, encoder.layout, encoder.bit_rate = 32_000, "mono", bit_rate
    encoder.format = "fltp"
    encoder.open()
    step, packets = encoder.frame_size, []
    pcm = np.pad(pcm, (0, step * 4))
    for i in range(0, len(pcm) - step + 1, step):
        frame = av.AudioFrame.from_ndarray(pcm[None, i : i + step], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 32_000, i
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoder = av.CodecContext.create("mp3float" if name == "libmp3lame" else name, "r")
    decoder.extradata = encoder.extradata
    out = [f.to_ndarray().reshape(-1) for p in packets for f in decoder.decode(p)]
    y = soxr.resample(np.concatenate(out), 32_000, RATE)
    delay = int(np.argmax(signal.correlate(y[: 2 * RATE], (x / level)[:RATE], "valid")))
    y = y[delay:]
    return np.pad(y, (0, max(0, len(x) - len(y))))[: len(x)] * level


def _maybe_lossy(x: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    if rng.random() >= share:
        return x
    name = str(rng.choice(["libmp3lame", "aac", "libopus"]))
    return lossy(x, name, int(rng.choice([24, 32, 48, 64, 96])) * 1000)


def _through(x: np.ndarray, h: np.ndarray) -> np.ndarray:
    return signal.fftconvolve(x, h)[: len(x)]


def _spoken(x: np.ndarray, test: bool, rng: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """A person at 12 cm to 2 m, or with a headset; also a voice that a program feeds into the call."""
    if rng.random() < 0.15:
        return x, 0.0, 0.0
    where = room(test, rng)
    distance_m = float(np.exp(rng.uniform(np.log(0.12), np.log(2.0))))
    return _through(x, impulse(where, distance_m, rng)), distance_m, where.rt60_s


def _replayed(
    x: np.ndarray, synthetic: bool, test: bool, rng: np.random.Generator
) -> tuple[np.ndarray, float, float, str]:
    """The recording (of a person: with its own room, microphone and noise), its codec, loudspeaker, room."""
    if not synthetic and rng.random() < 0.7:
        h = impulse(room(test, rng), float(np.exp(rng.uniform(np.log(0.05), np.log(0.6)))), rng)
        x = microphone(_through(x, h), seed_of_microphone(test, rng))
        x = x + _noise(len(x), rng) * x.std() * 10 ** (-rng.uniform(30, 55) / 20)
    x = _maybe_lossy(x, 0.45, rng)
    device = loudspeaker(test, rng)
    x = device.play(x, rng)[: len(x)]
    where = room(test, rng)
    distance_m = float(np.exp(rng.uniform(np.log(0.08), np.log(1.5))))
    return _through(x, impulse(where, distance_m, rng)), distance_m, where.rt60_s, device.family


def scene(
    x: np.ndarray, *, replay: bool, synthetic: bool, test: bool, seed: list[int]
) -> tuple[np.ndarray, Scene]:
    """Return float32 (64000,) as it enters the call, and what was drawn.

    Args:
        x: clip, 16 kHz.
        replay: through a loudspeaker, or straight into the microphone.
        synthetic: whether a machine spoke it; its recording then has no room of its own.
        test: draw devices, rooms and microphones from those kept for the test.
        seed: of everything drawn.
    """
    rng = np.random.default_rng(seed)
    x = fit(x, rng).astype(np.float64)
    if not replay and rng.random() < AS_IT_IS:
        return _levelled(x, rng), Scene(False, "", 0.0, 0.0, 60.0)
    family = ""
    if replay:
        x, distance_m, rt60_s, family = _replayed(x, synthetic, test, rng)
    else:
        x, distance_m, rt60_s = _spoken(x, test, rng)
    x = microphone(x, seed_of_microphone(test, rng))
    snr_db = 60.0 if rng.random() < AS_IT_IS else float(rng.uniform(8, 50))
    x = x + _noise(len(x), rng) * x.std() * 10 ** (-snr_db / 20)
    if not replay:
        x = _maybe_lossy(x, 0.45, rng)
    return _levelled(x, rng), Scene(replay, family, distance_m, rt60_s, snr_db)


def _levelled(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Automatic gain of a browser or sound card in half of the calls, then any level."""
    x = x / (x.std() + 1e-9)
    if rng.random() < 0.5:
        x = limit(x, rng.uniform(0.5, 2), rng.uniform(1.5, 6), rng.uniform(0.1, 0.6), RATE)
    return np.clip(x / (x.std() + 1e-9) * 10 ** (rng.uniform(-34, -16) / 20), -1, 1).astype(np.float32)


def call(x: np.ndarray, condition: str, rng: np.random.Generator) -> np.ndarray:
    """Send the samples through the call's codec: none, Opus, Opus with loss, G.711."""
    if condition == "g711":
        return code(x, str(rng.choice(["pcm_mulaw", "pcm_alaw"])))
    if condition == "clean":
        return x
    loss = float(rng.uniform(0.02, 0.1)) if condition == "loss" else 0.0
    rate = int(rng.choice([12, 16, 20, 24, 24, 32, 40])) * 1000
    hide, effort = str(rng.choice(["conceal", "conceal", "fade", "repeat"])), str(rng.choice([3, 5]))
    return code(
        x, "libopus", bit_rate=rate, loss=loss, rng=rng, hide=hide, options={"compression_level": effort}
    )
