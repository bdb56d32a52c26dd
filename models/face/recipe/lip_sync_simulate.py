"""Simulated calls for the lip-sync detector: real voices, and mouths scripted from them.

Nothing here is a real mouth. A mouth opens with the loudness of the first formant, runs ahead of the sound,
has movements of its own, and is seen through FaceMesh's noise, a moving head, dropped pictures and a skew
that is left between the tracks; how much of each is drawn for every call from the ranges below. The
correlation of lips and loudness that results stands on the model's card; the size of the noise is measured on
the demo's clips.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from data import ROOT

sys.path.insert(0, str(ROOT))
from guard.codec.files import read_file
from guard.media.resample import Resampler

RATE_HZ = 16_000
HOP_S = 0.01
CALL_S = 36.0
SPLITS = ("train", "calibrate", "measure")
# how the lips of a call relate to its voice; all but the first are spoof
CASES = ("genuine", "other_voice", "shifted", "still", "babble", "smoothed")

Samples = np.ndarray


@dataclass(frozen=True)
class Voice:
    """Genuine clips of one speaker (or one clip, where the list names none): float32 at 16 kHz each."""

    name: str
    split: str
    clips: list[Samples]


@dataclass(frozen=True)
class Call:
    """One simulated call: sound as the microphone gave it, and what the lips did, every 10 ms.

    ``opening`` and ``width`` are in the units of ``guard.media.lips.mouth_of``; ``lag_s`` is by how much
    the sound is late.
    """

    sound: Samples
    opening: np.ndarray
    width: np.ndarray
    lag_s: float


def load_voices(data: Path, denied: set[str]) -> list[Voice]:
    """Return the genuine training voices, split by speaker: three fifths, one fifth, one fifth."""
    folder = data / "voice" / "train"
    by_name: dict[str, list[Path]] = {}
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["label"] != "bonafide" or {row["source"], row["speaker"], row["path"]} & denied:
                continue
            speaker = f"{row['source']}/{row['speaker'] or row['path']}"
            by_name.setdefault(speaker, []).append(folder / row["path"])
    return [
        Voice(name, split_of(name), [samples_of(p) for p in paths]) for name, paths in sorted(by_name.items())
    ]


def split_of(name: str) -> str:
    """Return which part of the work a voice serves, by a hash of its name."""
    at = hashlib.sha256(name.encode()).digest()[0]
    return SPLITS[0 if at < 154 else 1 if at < 205 else 2]


def samples_of(path: Path) -> Samples:
    """Return a sound file as float32 (N,) at 16 kHz."""
    resampler, parts = None, []
    for frame in read_file(path):
        resampler = resampler or Resampler(frame.rate_hz)
        parts.append(resampler.push(frame.samples))
    parts.append(resampler.flush())
    return np.concatenate(parts).astype(np.float32)


def talk(voices: list[Voice], rng: np.random.Generator) -> Samples:
    """Return CALL_S seconds of one speaker, with pauses; others join in where one has few clips."""
    out = [np.zeros(int(rng.uniform(0.1, 1.0) * RATE_HZ), np.float32)]
    voice = voices[rng.integers(len(voices))]
    while sum(map(len, out)) < CALL_S * RATE_HZ:
        clip = voice.clips[rng.integers(len(voice.clips))]
        out.append(clip * np.float32(0.1 / (np.sqrt(np.mean(clip**2)) + 1e-6)))
        out.append(np.zeros(int(rng.gamma(1.5, 0.35) * RATE_HZ), np.float32))
        if len(voice.clips) < 4:
            voice = voices[rng.integers(len(voices))]
    return np.concatenate(out)[: int(CALL_S * RATE_HZ)]


def make_call(voices: list[Voice], case: str, rng: np.random.Generator) -> Call:
    """Return one call of a case; voices of one split only."""
    clean = talk(voices, rng)
    lag_s = float(np.clip(rng.normal(0, 0.1), -0.25, 0.25))
    source = talk(voices, rng) if case == "other_voice" else clean
    person = Person.drawn(rng)
    if case == "still":
        opening, width = person.idle(len(clean) // 160, rng)
    elif case == "babble":
        opening, width = person.speak(babble(len(clean), rng), rng)
    else:
        opening, width = person.speak(source, rng)
    if case == "smoothed":
        opening, width = (gaussian(x, rng.uniform(0.15, 0.3)) for x in (opening, width))
    if case == "shifted":
        lag_s += float(rng.uniform(0.6, 2.0) * rng.choice([-1, 1]))
    # the sound stays where it is: the lips move against it
    moved = (np.roll(x, -round(lag_s / HOP_S)) for x in (opening, width))
    return Call(recorded(clean, rng), *moved, lag_s)


def babble(samples: int, rng: np.random.Generator) -> Samples:
    """Return noise in bursts of syllables and phrases: it drives lips that only seem to talk."""
    time = np.arange(samples) / RATE_HZ
    pace = 2 * np.pi * np.cumsum(rng.uniform(2, 5) * np.exp(0.02 * rng.normal(0, 1, samples))) / RATE_HZ
    phrase = np.interp(
        time, np.arange(0, CALL_S + 1, 0.5), (rng.random(int(CALL_S * 2) + 2) < 0.75).astype(float)
    )
    return (0.1 * np.clip(np.sin(pace), 0, None) * phrase * rng.normal(0, 1, samples)).astype(np.float32)


@dataclass(frozen=True)
class Person:
    """How one person's mouth moves when speaking.

    Args:
        size: standard deviation of the opening in lengths of the nose.
        curve: exponent of loudness.
        vowels: spread of the opening that loudness does not explain, as a factor in nepers.
        own: share of movements that have nothing to do with loudness.
        lead_s: how far lips run ahead of the sound.
        slow_s: time constant of jaw and lips.
        rest: opening of the resting mouth.
        idle_per_s: how often lips move without a word.
    """

    size: float
    curve: float
    vowels: float
    own: float
    lead_s: float
    slow_s: float
    rest: float
    idle_per_s: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Person:
        """Draw a person."""
        return cls(
            size=float(np.exp(rng.uniform(np.log(0.02), np.log(0.09)))),
            curve=rng.uniform(0.35, 0.9),
            vowels=rng.uniform(0.3, 0.9),
            own=rng.uniform(0.25, 0.8),
            lead_s=rng.uniform(0.02, 0.16),
            slow_s=rng.uniform(0.02, 0.05),
            rest=rng.uniform(0.004, 0.04),
            idle_per_s=rng.uniform(0.05, 0.3),
        )

    def speak(self, sound: Samples, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return opening and width every 10 ms while saying what is in ``sound``."""
        loud, hiss = formant(sound)
        drive = loud**self.curve * (1 - 0.6 * hiss) * np.exp(self.vowels * wander(len(loud), 0.15, rng))
        drive = damped(drive, self.slow_s)
        drive = np.roll(drive, -round((self.lead_s + 2 * self.slow_s) / HOP_S))
        busy = gaussian((loud > 0.1).astype(float), 0.15)
        spread = drive.std() + 1e-6
        own = wander(len(loud), 0.07, rng) * busy * spread * self.own / (1 - self.own)
        idle, width = self.idle(len(loud), rng)
        opening = self.rest + (drive + own) / (drive + own).std() * self.size
        width = width + busy * wander(len(loud), 0.1, rng) * rng.uniform(0.006, 0.03)
        return np.maximum(opening + idle - self.rest, 0.003), width

    def idle(self, hops: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return opening and width of a mouth that says nothing: it rests, breathes, smiles."""
        opening, width = np.full(hops, self.rest), np.full(hops, 0.62)
        for _ in range(rng.poisson(self.idle_per_s * hops * HOP_S)):
            at, length = rng.integers(hops), int(rng.uniform(0.3, 1.5) / HOP_S)
            bump = np.hanning(length)[: hops - at]
            opening[at : at + length] += bump * self.size * rng.uniform(0.2, 1.0)
            width[at : at + length] += bump * rng.uniform(-0.02, 0.06)
        return opening, width


def formant(sound: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Return every 10 ms the loudness of 250-1000 Hz, about 1 at most, and the share of hiss above 3 kHz."""
    padded = np.pad(sound.astype(np.float64), (176, 176))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 512)[::160] * np.hanning(512)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    hz = np.fft.rfftfreq(512, 1 / RATE_HZ)
    first, high = (power[:, (hz >= a) & (hz < b)].sum(axis=1) for a, b in ((250, 1000), (3000, 8000)))
    loud = np.sqrt(first) / (np.percentile(np.sqrt(first), 95) + 1e-9)
    return np.minimum(loud, 1.5), high / (first + high + 1e-9)


def recorded(sound: Samples, rng: np.random.Generator) -> Samples:
    """Return the sound after a room, a microphone's level and steady noise."""
    tail = rng.normal(0, 1, int(0.3 * RATE_HZ)) * np.exp(
        -6.9 * np.arange(int(0.3 * RATE_HZ)) / RATE_HZ / rng.uniform(0.1, 0.5)
    )
    tail *= 10 ** (rng.uniform(-18, -4) / 20) / np.sqrt(np.sum(tail**2))
    size = 583_200  # small primes only, room for call and tail
    assert len(sound) + len(tail) <= size
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)[: len(sound)]
    out = (sound + wet) * 10 ** (rng.uniform(-12, 6) / 20)
    noise = rng.normal(0, 1, len(out))
    if rng.random() < 0.5:
        noise = np.convolve(noise, np.full(8, 0.35), "same")
    level = np.sqrt(np.mean(out**2)) * 10 ** (-rng.uniform(10, 50) / 20)
    return np.clip(out + noise * level, -1, 1).astype(np.float32)


def wander(hops: int, spread_s: float, rng: np.random.Generator) -> np.ndarray:
    """Return smooth noise of deviation 1 that forgets itself over some ``spread_s``; no slow part."""
    noise = rng.normal(0, 1, hops)
    smooth = gaussian(noise, spread_s / 2) - gaussian(noise, spread_s * 3)
    return smooth / smooth.std()


def damped(drive: np.ndarray, slow_s: float) -> np.ndarray:
    """Return what a critically damped mass does that is drawn to ``drive``: two equal low passes in a row."""
    keep = np.exp(-HOP_S / slow_s)
    taps = (1 - keep) * keep ** np.arange(int(8 * slow_s / HOP_S) + 1)
    for _ in range(2):
        drive = np.convolve(drive, taps)[: len(drive)]
    return drive


def gaussian(values: np.ndarray, spread_s: float) -> np.ndarray:
    """Return Gaussian means, the ends repeated."""
    spread = max(spread_s / HOP_S, 1e-3)
    reach = int(np.ceil(3 * spread))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    return np.convolve(np.pad(values, reach, mode="edge"), kernel / kernel.sum(), mode="valid")
