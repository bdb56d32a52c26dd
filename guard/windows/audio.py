"""Audio frames of one track to 4 s windows of speech, or the reason why there is none.

The rules:

- A window is the last 4 s of an unbroken stretch and holds at least 2 s of speech, of
  which concealment is no part, and at most a quarter of concealed audio. Pauses up to 0.2 s
  within speech are speech: in noise, and in soft syllables, the VAD leaves many such holes.
- Sound that the VAD takes for speech but that keeps its level while it lasts (hum, ringing, hiss), or that is
  one or two pure lines (digits, Morse, sirens), is none: see ``guard.windows.unvoiced``.
- At the start of a stretch, and after silence, it leaves as soon as 2 s of speech are
  in it; then one follows each hop: 2 s, or 1 s within the first 12 s of the track and
  for 30 s after ``suspicion``.
- Where the stretch is still shorter than 4 s, the window is padded: it begins at the
  first speech, and what there is from there on is repeated until the 4 s are full.
- A constant offset is taken out of each window: it is the sound card's.
- A gap in media time ends the stretch; windows never reach over it.
- What gives no window is told as a WindowSkip, so that windows and skips together cover
  the track.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from guard.media.channel import snr_db
from guard.types import AudioFrame, AudioQuality, AudioWindow, FloatArray, TrackKey, WindowSkip
from guard.windows.ticks import TICKS_PER_S, Tick, TickCutter
from guard.windows.unvoiced import NEAR_DB, WIDE_DB, levels_db, spread_db, tone_db
from guard.windows.vad import FRAME_S, FRAME_SAMPLES

WINDOW_TICKS = 4 * TICKS_PER_S
WINDOW_SAMPLES = WINDOW_TICKS * FRAME_SAMPLES
# ten steps of 16-bit samples: an offset is the sound card's, and no model here was trained on one. But
# speech itself has a mean of some 3e-5 over 4 s, which must not be laid under its pauses
_LEAST_OFFSET = 3e-4
# the hangover of ITU-T P.56: a pause up to 0.2 s (a stop, the end of a word) is part of speech
_BRIDGED_TICKS = round(0.2 * TICKS_PER_S)


@dataclass(frozen=True, slots=True)
class AudioWindowConfig:
    """How the windows of a voice are cut.

    Args:
        hop_s: seconds from one window to the next.
        dense_hop_s: the same at the start of the track and after a suspicion.
        dense_start_s: how long the start lasts, in media time.
        dense_after_suspicion_s: how long a suspicion lasts.
        min_speech_s: speech a window must hold.
        min_rest_s: new audio that earns the end of a stretch a window of its own.
        max_concealed_ratio: concealed share above which a window is skipped.
        min_spread_db: standard deviation of the levels of the speech ticks within 20 dB of the loudest below
            which it is no speech.
        min_near_spread_db: the same within 8 dB, where steady noise lies under the sound.
        max_tone_db: how far the two strongest lines may stand above the rest, at the median of loud ticks.
        max_jitter_s: steps in media time up to this are rounding, no gap.
        vad_mode: strictness of the voice activity detector, 0 to 3.
    """

    hop_s: float = 2.0
    dense_hop_s: float = 1.0
    dense_start_s: float = 12.0
    dense_after_suspicion_s: float = 30.0
    min_speech_s: float = 2.0
    min_rest_s: float = 0.5
    max_concealed_ratio: float = 0.25
    min_spread_db: float = 2.0
    min_near_spread_db: float = 1.25
    max_tone_db: float = 21.0
    max_jitter_s: float = 0.005
    vad_mode: int = 2

    def __post_init__(self) -> None:
        if not FRAME_S <= self.dense_hop_s <= self.hop_s:
            raise ValueError(f"dense_hop_s must be between {FRAME_S} and hop_s, not {self.dense_hop_s}")
        if not 0 < self.min_speech_s <= WINDOW_TICKS * FRAME_S:
            raise ValueError(f"min_speech_s must be above 0 and at most 4, not {self.min_speech_s}")
        if not 0 <= self.max_concealed_ratio <= 1:
            raise ValueError(f"max_concealed_ratio must be within 0 and 1, not {self.max_concealed_ratio}")
        for name in (
            "dense_start_s",
            "dense_after_suspicion_s",
            "min_rest_s",
            "min_spread_db",
            "min_near_spread_db",
            "max_tone_db",
            "max_jitter_s",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, but is {getattr(self, name)}")
        if self.vad_mode not in range(4):
            raise ValueError(f"vad_mode must be 0, 1, 2 or 3, not {self.vad_mode}")


class AudioWindows:
    """Cuts one track; memory is bounded to one window.

    Args:
        key: the track.
        config: see AudioWindowConfig.
    """

    def __init__(self, key: TrackKey, config: AudioWindowConfig | None = None) -> None:
        self._key = key
        self._config = config or AudioWindowConfig()
        self._min_speech = math.ceil(self._config.min_speech_s / FRAME_S - 1e-9)
        self._dense_until_s = self._config.dense_start_s
        self._cutter: TickCutter | None = None
        self._rate_hz = 0
        self._start_s = 0.0
        self._ticks: deque[Tick] = deque(maxlen=WINDOW_TICKS)
        # positions within the stretch, in ticks
        self._count = 0
        self._covered = 0
        self._emitted: int | None = None
        self._next_report = WINDOW_TICKS

    def push(self, frame: AudioFrame) -> list[AudioWindow | WindowSkip]:
        """Take the next frame; return the windows and skips it completes, in order."""
        if len(frame.samples) == 0:
            return []
        out: list[AudioWindow | WindowSkip] = []
        if self._cutter is not None:
            end_s = self._start_s + self._cutter.pushed_s
            step_s = frame.time_s - end_s
            if abs(step_s) > self._config.max_jitter_s or frame.rate_hz != self._rate_hz:
                out += self.flush()
                if step_s > self._config.max_jitter_s:
                    out.append(WindowSkip(self._key, end_s, frame.time_s, "gap"))
        cutter = self._cutter or self._begin(frame)
        for tick in cutter.push(frame.samples, concealed=frame.concealed):
            out += self._take(tick)
        return out

    def flush(self) -> list[AudioWindow | WindowSkip]:
        """End the stretch (end of track, gap); return its last window or skip."""
        if self._cutter is None:
            return []
        out: list[AudioWindow | WindowSkip] = []
        for tick in self._cutter.flush():
            out += self._take(tick)
        rest = self._count - self._covered
        if rest * FRAME_S >= self._config.min_rest_s and self._refusal() is None:
            out.append(self._window())
        elif rest:
            out.append(self._skip(self._refusal() or "too_short"))
        self._cutter = None
        return out

    def suspicion(self, now_s: float) -> None:
        """Look more often for a while: at media time ``now_s`` something looked wrong."""
        self._dense_until_s = max(self._dense_until_s, now_s + self._config.dense_after_suspicion_s)
        self._next_report = min(self._next_report, max(self._covered + self._hop(), WINDOW_TICKS))

    def _begin(self, frame: AudioFrame) -> TickCutter:
        self._cutter = TickCutter(frame.rate_hz, vad_mode=self._config.vad_mode)
        self._rate_hz = frame.rate_hz
        self._start_s = frame.time_s
        self._ticks.clear()
        self._count = self._covered = 0
        self._emitted = None
        self._next_report = WINDOW_TICKS
        return self._cutter

    def _take(self, tick: Tick) -> list[AudioWindow | WindowSkip]:
        self._ticks.append(tick)
        self._count += 1
        due = 0 if self._emitted is None else self._emitted + self._hop()
        if self._count < min(due, self._next_report):
            return []
        refusal = self._refusal()
        if refusal is None and self._count >= due:
            return [self._window()]
        if refusal is not None and self._count >= self._next_report:
            return [self._skip(refusal)]
        return []

    def _hop(self) -> int:
        dense = self._time(self._count) < self._dense_until_s
        return round((self._config.dense_hop_s if dense else self._config.hop_s) / FRAME_S)

    def _time(self, ticks: int) -> float:
        return self._start_s + ticks * FRAME_S

    def _refusal(self) -> str | None:
        """Return why the last 4 s are no window, None where they are one."""
        concealed = sum(tick.concealed_ratio for tick in self._ticks)
        if concealed > self._config.max_concealed_ratio * len(self._ticks):
            return "concealed"
        if _speech_ticks(self._ticks) < self._min_speech:
            return "too_little_speech"
        return self._unvoiced()

    def _unvoiced(self) -> str | None:
        """Return what the sound of the last 4 s is if no voice; ``unvoiced`` says how it is told."""
        speech = [tick for tick in self._ticks if tick.speech]
        levels = levels_db([tick.power for tick in speech])
        config = self._config
        if (
            spread_db(levels, WIDE_DB) < config.min_spread_db
            or spread_db(levels, NEAR_DB) < config.min_near_spread_db
        ):
            return "steady_sound"
        if tone_db(levels, [tick.line_db for tick in speech]) > config.max_tone_db:
            return "tones"
        return None

    def _skip(self, reason: str) -> WindowSkip:
        skip = WindowSkip(self._key, self._time(self._covered), self._time(self._count), reason)
        self._covered = self._count
        self._next_report = self._count + self._hop()
        return skip

    def _window(self) -> AudioWindow:
        self._emitted = self._covered = self._count
        self._next_report = self._count + self._hop()
        ticks = list(self._ticks)
        if len(ticks) < WINDOW_TICKS:
            ticks = ticks[next(index for index, tick in enumerate(ticks) if tick.speech) :]
        return AudioWindow(
            key=self._key,
            start_s=self._time(self._count - len(ticks)),
            end_s=self._time(self._count),
            samples=_padded(np.concatenate([tick.samples for tick in ticks])),
            quality=_quality(ticks),
        )


def _padded(samples: FloatArray) -> FloatArray:
    """Return float32 (64000,): the samples without offset, repeated from their beginning until it is full."""
    offset = np.float32(samples.mean(dtype=np.float64))
    return np.resize(samples - offset if abs(offset) > _LEAST_OFFSET else samples, WINDOW_SAMPLES)


def _quality(ticks: list[Tick]) -> AudioQuality:
    """Describe the window by what was heard, repeats of padding not counted."""
    speech = _speech_ticks(ticks)
    return AudioQuality(
        speech_ratio=speech / len(ticks),
        speech_s=speech * FRAME_S,
        snr_db=snr_db(np.array([tick.power for tick in ticks if tick.concealed_ratio == 0.0])),
        clipping_ratio=sum(tick.clipping_ratio for tick in ticks) / len(ticks),
        concealed_ratio=sum(tick.concealed_ratio for tick in ticks) / len(ticks),
    )


def _speech_ticks(ticks: Iterable[Tick]) -> int:
    """Count the ticks of speech, and those of pauses within it that are no longer than 0.2 s."""
    count, pause, begun = 0, 0, False
    for tick in ticks:
        if tick.speech:
            count += 1 + (pause if begun and pause <= _BRIDGED_TICKS else 0)
            pause, begun = 0, True
        else:
            # what was lost and invented is no pause
            pause = _BRIDGED_TICKS + 1 if tick.concealed_ratio else pause + 1
    return count
