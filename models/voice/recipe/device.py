"""What lies between a mouth and the codec: room, noise, microphone, and the browser's own processing.

Noise suppression and gain control are real: WebRTC's audio processing module (PyPI webrtc-noise-gain)
and RNNoise (PyPI pyrnnoise). ``gate`` imitates older suppressors with their musical noise.
"""

from __future__ import annotations

import ctypes
from functools import cache as remember

import numpy as np
import soxr
from fetch import tool
from scipy import signal

RATE = 16_000
SOUND_M_S = 343.0
RNNOISE_RATE, RNNOISE_FRAME = 48_000, 480


def rms(x: np.ndarray) -> float:
    """Return the root of the mean square, never 0."""
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) + 1e-9


def trimmed(x: np.ndarray) -> np.ndarray:
    """Return ``x`` without what lies 40 dB under its loudest 20 ms at both ends; 0.1 s is kept there."""
    size = RATE // 50
    if len(x) < 4 * size:
        return x
    frames = x[: len(x) // size * size].reshape(-1, size)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    loud = np.flatnonzero(power > 1e-4 * power.max())
    if not len(loud):
        return x
    return x[max(0, loud[0] - 5) * size : (loud[-1] + 6) * size]


def coloured(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise of unit rms: white to brown, sometimes with mains hum and a slow swell."""
    f = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 30.0)
    x = np.fft.irfft(np.fft.rfft(rng.standard_normal(count)) * f ** (-rng.uniform(0, 1.2)), count)
    t = np.arange(count) / RATE
    if rng.random() < 0.2:
        mains = rng.choice([50, 60])
        hum = sum(np.sin(2 * np.pi * mains * k * t + rng.uniform(0, 6)) / k for k in (1, 2, 3, 5))
        x = x / x.std() + hum * rng.uniform(0.1, 0.7)
    if rng.random() < 0.3:
        x = x * (1 + 0.7 * np.sin(2 * np.pi * rng.uniform(0.2, 3) * t + rng.uniform(0, 6)))
    return x / rms(x)


def impulse_response(rng: np.random.Generator) -> np.ndarray:
    """Return a shoebox room's impulse response, direct sound first, up to 0.5 s.

    Images up to the fifth order (Allen and Berkley 1979), each wall taking the same share; past the mixing
    time a tail of noise goes on with the room's reverberation time (Sabine), high frequencies weaker.
    """
    size = rng.uniform([2.5, 2.2, 2.3], [9.0, 7.0, 3.5])
    rt60_s = rng.uniform(0.12, 0.7)
    area = 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    kept = np.sqrt(1 - np.clip(0.161 * np.prod(size) / (area * rt60_s), 0.05, 0.9))
    mouth = rng.uniform(0.3, size - 0.3)
    step = rng.standard_normal(3)
    ear = np.clip(mouth + step / np.linalg.norm(step) * rng.uniform(0.15, 2.0), 0.1, size - 0.1)
    n = np.arange(-5, 6)
    axes = []
    for length, source, place in zip(size, mouth, ear, strict=True):
        offset = np.concatenate([2 * n * length + source, 2 * n * length - source]) - place
        axes.append((offset, np.concatenate([np.abs(2 * n), np.abs(2 * n - 1)])))
    (dx, hx), (dy, hy), (dz, hz) = axes
    far = np.sqrt(dx[:, None, None] ** 2 + dy[None, :, None] ** 2 + dz[None, None] ** 2).ravel()
    hits = (hx[:, None, None] + hy[None, :, None] + hz[None, None]).ravel()
    near = hits <= 5
    far, gain = far[near], kept ** hits[near] / far[near]
    at = (far - far.min()) / SOUND_M_S * RATE
    length = int(RATE * min(0.5, rt60_s)) + 1
    early = at < length - 2
    whole = at[early].astype(int)
    part = at[early] - whole
    h = np.zeros(length)
    np.add.at(h, whole, gain[early] * (1 - part))
    np.add.at(h, whole + 1, gain[early] * part)
    mixed = min(int(np.cbrt(np.prod(size)) * 2.5 / SOUND_M_S * RATE), length // 2)
    t = np.arange(length) / RATE
    tail = rng.standard_normal(length) * np.exp(-6.9 * t / rt60_s)
    tail = signal.lfilter([0.5, 0.5], [1.0], tail)
    span = slice(mixed // 2, mixed)
    tail *= rms(h[span]) / rms(tail[span])
    fade = np.clip((np.arange(length) - mixed / 2) / (mixed / 2 + 1), 0, 1)
    return (h * (1 - fade) + tail * fade) / gain.max()


def room(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ``x`` in a random room."""
    return signal.fftconvolve(x, impulse_response(rng))[: len(x)]


def microphone(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ``x`` with a device's colour: a low cut, a top, a tilt, two gentle resonances."""
    if rng.random() < 0.5:
        x = signal.sosfilt(signal.butter(2, rng.uniform(50, 300), "high", fs=RATE, output="sos"), x)
    if rng.random() < 0.35:
        top, order = rng.uniform(3200, 7800), int(rng.integers(4, 10))
        x = signal.sosfilt(signal.butter(order, top, "low", fs=RATE, output="sos"), x)
    if rng.random() < 0.45:
        x = signal.lfilter([1.0, rng.uniform(-0.4, 0.4)], [1.0], x)
    if rng.random() < 0.3:
        for _ in range(2):
            b, a = signal.iirpeak(rng.uniform(300, 6000), rng.uniform(1, 4), fs=RATE)
            x = x + signal.lfilter(b, a, x) * (10 ** (rng.uniform(-6, 6) / 20) - 1)
    return x


def webrtc(x: np.ndarray, suppression: int, gain_dbfs: int) -> np.ndarray:
    """Return float samples out of WebRTC's noise suppression (0 to 4) and gain control (target, 0 is off)."""
    from webrtc_noise_gain import AudioProcessor

    processor, size = AudioProcessor(gain_dbfs, suppression), 2 * RATE // 100
    pcm = (np.clip(x, -1, 1) * 32767).astype(np.int16)
    data = np.pad(pcm, (0, -len(pcm) % (size // 2))).tobytes()
    out = b"".join(processor.Process10ms(data[i : i + size]).audio for i in range(0, len(data), size))
    return np.frombuffer(out, np.int16)[: len(x)] / 32767.0


@remember
def _rnnoise() -> ctypes.CDLL:
    # the library alone: the Python package around it wants a plotting library
    (path,) = tool("pyrnnoise").rglob("librnnoise.so")
    library = ctypes.CDLL(str(path))
    library.rnnoise_create.restype = ctypes.c_void_p
    library.rnnoise_create.argtypes = [ctypes.c_void_p]
    library.rnnoise_destroy.argtypes = [ctypes.c_void_p]
    library.rnnoise_process_frame.restype = ctypes.c_float
    library.rnnoise_process_frame.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    return library


def rnnoise(x: np.ndarray) -> np.ndarray:
    """Return float samples out of RNNoise, which runs at 48 kHz."""
    library = _rnnoise()
    y = soxr.resample(np.asarray(x, np.float32), RATE, RNNOISE_RATE) * 32768.0
    y = np.ascontiguousarray(np.pad(y, (0, -len(y) % RNNOISE_FRAME)), np.float32)
    state = library.rnnoise_create(None)
    for i in range(0, len(y), RNNOISE_FRAME):
        at = y.ctypes.data + 4 * i
        library.rnnoise_process_frame(state, at, at)
    library.rnnoise_destroy(state)
    y = soxr.resample(y / 32768.0, RNNOISE_RATE, RATE)[: len(x)]
    return np.clip(np.pad(y, (0, len(x) - len(y))), -1, 1)


def gate(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ``x`` after a Wiener gain per band over a guessed noise floor; its musical noise stays."""
    _, _, z = signal.stft(x, RATE, nperseg=512, noverlap=384)
    power = np.abs(z) ** 2
    floor = np.quantile(power, 0.15, axis=1, keepdims=True) * rng.uniform(1.5, 4)
    gain = np.maximum(1 - floor / (power + 1e-12), 10 ** (-rng.uniform(8, 26) / 20))
    gain = signal.lfilter([1 - (c := rng.uniform(0, 0.6))], [1, -c], gain, axis=1)
    _, y = signal.istft(z * gain, RATE, nperseg=512, noverlap=384)
    return np.pad(y, (0, max(0, len(x) - len(y))))[: len(x)]


def browser(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ``x`` after a random sender's noise suppression and gain control."""
    kind = rng.choice(["webrtc", "rnnoise", "gate"], p=[0.68, 0.12, 0.2])
    if kind == "webrtc":
        gain = int(rng.integers(3, 16)) if rng.random() < 0.6 else 0
        return webrtc(x, int(rng.integers(0 if gain else 1, 5)), gain)
    return rnnoise(x) if kind == "rnnoise" else gate(x, rng)
