"""Cuts an unbroken stretch of audio into 20 ms ticks at 16 kHz, each with its own facts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from guard.media.resample import ANALYSIS_RATE_HZ, Resampler
from guard.types import FloatArray
from guard.windows.unvoiced import line_db
from guard.windows.vad import FRAME_SAMPLES, SpeechDetector

TICKS_PER_S = ANALYSIS_RATE_HZ // FRAME_SAMPLES
CLIPPING_LEVEL = 0.999


@dataclass(frozen=True, slots=True)
class Tick:
    """20 ms of one voice.

    Args:
        samples: float32 (320,) at 16 kHz.
        speech: whether the VAD hears speech in it that was not invented by concealment.
        concealed_ratio: share of it that was invented to bridge a loss.
        clipping_ratio: share of the samples, before resampling, that stand at full scale.
        power: mean square about the mean: a constant offset of the microphone is not heard.
        line_db: how far one or two pure lines stand above the rest (``unvoiced``); 0 without speech.
    """

    samples: FloatArray
    speech: bool
    concealed_ratio: float
    clipping_ratio: float
    power: float
    line_db: float


class TickCutter:
    """Frames of one unbroken stretch in, ticks out; the same in any chunking.

    Clipping and concealment are counted on the samples as they came: resampling turns
    a flat top into a ripple.

    Args:
        rate_hz: sample rate of what is pushed.
        vad_mode: see SpeechDetector.
    """

    def __init__(self, rate_hz: int, *, vad_mode: int) -> None:
        self._rate_hz = rate_hz
        self._resampler = Resampler(rate_hz)
        self._vad = SpeechDetector(vad_mode)
        self._pending: FloatArray = np.zeros(0, np.float32)
        self._pushed = 0
        self._cut = 0
        self._concealed: dict[int, int] = {}
        self._clipped: dict[int, int] = {}

    @property
    def pushed_s(self) -> float:
        """Seconds pushed so far."""
        return self._pushed / self._rate_hz

    def push(self, samples: FloatArray, *, concealed: bool) -> list[Tick]:
        """Take float32 (N,) in [-1, 1]; return the ticks that are complete."""
        self._count(samples, concealed)
        return self._ticks(self._resampler.push(samples))

    def flush(self) -> list[Tick]:
        """Return the ticks the resampler still held; a rest under 20 ms is left out."""
        return self._ticks(self._resampler.flush())

    def _count(self, samples: FloatArray, concealed: bool) -> None:
        start, end = self._pushed, self._pushed + len(samples)
        self._pushed = end
        full_scale = np.flatnonzero(np.abs(samples) >= CLIPPING_LEVEL)
        if len(full_scale):
            ticks, counts = np.unique((full_scale + start) * TICKS_PER_S // self._rate_hz, return_counts=True)
            for tick, count in zip(ticks.tolist(), counts.tolist(), strict=True):
                self._clipped[tick] = self._clipped.get(tick, 0) + count
        if concealed:
            for tick in range(start * TICKS_PER_S // self._rate_hz, self._tick_of(end - 1) + 1):
                inside = min(end, self._first_of(tick + 1)) - max(start, self._first_of(tick))
                self._concealed[tick] = self._concealed.get(tick, 0) + inside

    def _tick_of(self, sample: int) -> int:
        return sample * TICKS_PER_S // self._rate_hz

    def _first_of(self, tick: int) -> int:
        """Return the first sample whose ``_tick_of`` is this tick."""
        return -(-tick * self._rate_hz // TICKS_PER_S)

    def _ticks(self, resampled: FloatArray) -> list[Tick]:
        pending = np.concatenate([self._pending, resampled])
        whole = len(pending) // FRAME_SAMPLES
        # a copy, so that what is kept does not hold a large chunk in memory
        self._pending = pending[whole * FRAME_SAMPLES :].copy()
        return [self._tick(frame) for frame in pending[: whole * FRAME_SAMPLES].reshape(whole, FRAME_SAMPLES)]

    def _tick(self, samples: FloatArray) -> Tick:
        size = self._first_of(self._cut + 1) - self._first_of(self._cut)
        concealed_ratio = self._concealed.pop(self._cut, 0) / size
        clipping_ratio = self._clipped.pop(self._cut, 0) / size
        self._cut += 1
        speech = self._vad.is_speech(samples) and concealed_ratio < 0.5
        return Tick(
            samples=samples.copy(),
            speech=speech,
            concealed_ratio=concealed_ratio,
            clipping_ratio=clipping_ratio,
            power=float(np.var(samples, dtype=np.float64)),
            line_db=line_db(samples) if speech else 0.0,
        )
