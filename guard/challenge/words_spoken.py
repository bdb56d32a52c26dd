"""When somebody spoke after a command, and whether the mouth in the picture moved with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from guard.challenge.commands import Observed, Sight
from guard.media.lips import (
    ALL_S,
    FRAME,
    HOP,
    MAX_LAG_STEPS,
    RATE_HZ,
    STEP_S,
    Mask,
    MouthSteps,
    Steps,
    band,
    band_powers,
    correlations,
    mouth_of,
    mouth_steps,
)
from guard.types import FloatArray

Look = tuple[float, float, float]

HOP_S = HOP / RATE_HZ
# a microphone that is on hears more than this, even in a quiet room; RMS of the loudest tenth of a second
MIN_RMS = 3e-4
# even sound louder than this may hide speech; quieter, it is a room in which nobody speaks
LOUD_RMS = 0.02
_RMS_SAMPLES = RATE_HZ // 10
# nobody reads a word and begins to say it sooner, the way to the page and back not counted
EARLY_S = 0.3
# pauses up to this are part of speech (ITU-T P.56); shorter sounds are clicks
_BRIDGED_HOPS, _CLICK_HOPS = 20, 8
_MIN_RANGE_DB, _MAX_RANGE_DB = 9.0, 40.0
# three short words said fast
MIN_SPEECH_S = 0.5
# how far around the speech lips are looked at: those of somebody else move there too
MARGIN_S = 2.0
# the smoothings between which both are compared: syllables, and whole words between pauses
_WORDS_S = (0.04, 1.2)
# between the end of a sentence and the first word read: nobody reads while ending it
_READING_S = 0.6


@dataclass(frozen=True, slots=True)
class Spoken:
    """The speech after a command; seconds from the first sample.

    Args:
        runs: beginning and end of each stretch of speech of the answer, in order.
        early: whether all of it had begun before anybody could have read the words.
        range_db: from the quiet to the loud parts of the sound: how well speech stands out.
        silent: whether there is no sound at all: no microphone, or one that is off.
        drowned: whether the sound is loud and even, so that speech could not be told from it.
    """

    runs: tuple[tuple[float, float], ...]
    early: bool
    range_db: float
    silent: bool = False
    drowned: bool = False

    @property
    def speech_s(self) -> float:
        """Seconds of speech."""
        return sum(end - begin for begin, end in self.runs)


def spoken(voice: FloatArray, offset_s: float) -> Spoken:
    """Return the speech of an answer.

    Speech that was going on when the command came is left out where enough follows after a pause: the
    person finished a sentence first.

    Args:
        voice: float32 (N,), mono 16 kHz.
        offset_s: seconds from the command to the first sample.
    """
    if len(voice) < _RMS_SAMPLES or _loudest_rms(voice) < MIN_RMS:
        return Spoken((), False, 0.0, silent=True)
    level_db = _levels_db(voice)
    ceiling = float(np.percentile(level_db, 98))
    floor = max(float(np.percentile(level_db, 10)), ceiling - _MAX_RANGE_DB)
    range_db = ceiling - floor
    if range_db < _MIN_RANGE_DB:
        return Spoken((), False, range_db, drowned=_loudest_rms(voice) > LOUD_RMS)
    runs = _runs(level_db > floor + max(6.0, 0.4 * range_db))
    early = bool(runs) and runs[0][0] + offset_s < EARLY_S
    if early and len(runs) > 1 and runs[1][0] - runs[0][1] >= _READING_S:
        rest = runs[1:]
        if sum(end - begin for begin, end in rest) >= MIN_SPEECH_S:
            runs, early = rest, False
    return Spoken(tuple(runs), early, range_db)


def _loudest_rms(voice: FloatArray) -> float:
    blocks = voice[: len(voice) // _RMS_SAMPLES * _RMS_SAMPLES].reshape(-1, _RMS_SAMPLES)
    return float(np.sqrt(np.mean(blocks.astype(np.float64) ** 2, axis=1).max()))


def _levels_db(voice: FloatArray) -> Steps:
    """Return the level of the telephone band every 10 ms, over 50 ms, in dB."""
    power = band_powers(voice.astype(np.float64))[:, 0]
    padded = np.pad(power, 2, mode="edge")
    mean = np.lib.stride_tricks.sliding_window_view(padded, 5).mean(axis=1)
    return np.asarray(10.0 * np.log10(mean), np.float64)


def _runs(loud: Mask) -> list[tuple[float, float]]:
    """Return the stretches of loud hops in seconds, short pauses bridged and clicks left out."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(np.int8), [0]])))
    runs: list[tuple[int, int]] = []
    for begin, end in edges.reshape(-1, 2).tolist():
        if runs and begin - runs[-1][1] <= _BRIDGED_HOPS:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((begin, end))
    return [(begin * HOP_S, end * HOP_S) for begin, end in runs if end - begin >= _CLICK_HOPS]


@dataclass(frozen=True, slots=True)
class Lips:
    """What the mouth did while somebody spoke.

    Args:
        seen_ratio: share of the speech in which it was seen.
        movement: of the lips during speech, in lengths of the face (``guard.media.lips``).
        correlation: of its opening with the loudness, at the best lag within 0.4 s.
        lag_s: that lag, positive where the sound is later.
    """

    seen_ratio: float
    movement: float
    correlation: float
    lag_s: float


def lips(observed: Observed, speech: Spoken) -> Lips:
    """Compare mouth and voice around the answer, which has at least one run."""
    looks = looks_of([*observed.before, *observed.after])
    return compare_lips(looks, observed.voice, observed.voice_s, speech)


def compare_lips(looks: Sequence[Look], voice: FloatArray, voice_s: float, speech: Spoken) -> Lips:
    """Compare looks at a mouth with a voice, in and around speech.

    Args:
        looks: time in seconds, opening and width (``guard.media.lips``), oldest first.
        voice: float32 (N,), mono 16 kHz.
        voice_s: when its first sample came, on the axis of the looks.
        speech: the speech in it, at least one run.
    """
    # where nothing is known, beyond the ends, nothing is compared
    first_s, last_s = speech.runs[0][0] - MARGIN_S, speech.runs[-1][1] + MARGIN_S
    time_s = np.arange(first_s, last_s, STEP_S)
    mouth = mouth_steps(looks, time_s + voice_s)
    power, heard = _power_at(voice, time_s)
    talking = np.zeros(len(time_s), np.bool_)
    for begin, end in speech.runs:
        talking |= (time_s >= begin) & (time_s <= end)
    seen = mouth.known & talking
    if not seen.any():
        return Lips(0.0, 0.0, 0.0, 0.0)
    correlation, lag_s = _best(mouth, power, heard)
    opening, width = (band(steps, mouth.known, *ALL_S) for steps in (mouth.opening, mouth.width))
    movement = float(np.sqrt(np.mean((opening**2 + width**2)[_around(talking) & mouth.known])))
    return Lips(float(seen.sum() / talking.sum()), movement, correlation, lag_s)


def looks_of(sights: Sequence[Sight]) -> list[Look]:
    """Return time, opening and width of the mouth of each picture that has a face, times rising."""
    looks: list[Look] = []
    for sight in sights:
        mouth = None if sight.points is None else mouth_of(sight.points)
        if mouth is not None and (not looks or sight.time_s > looks[-1][0]):
            looks.append((sight.time_s, *mouth))
    return looks


def _power_at(voice: FloatArray, time_s: Steps) -> tuple[Steps, Mask]:
    """Return the power around each moment, and where there was sound."""
    power = band_powers(voice.astype(np.float64))[:, 0]
    centre_s = (np.arange(len(power)) * HOP + FRAME / 2) / RATE_HZ
    inside = (time_s >= centre_s[0]) & (time_s <= centre_s[-1])
    smoothed = np.convolve(power, np.full(4, 0.25), mode="same")
    return np.interp(time_s, centre_s, smoothed), inside


def _best(mouth: MouthSteps, power: Steps, heard: Mask) -> tuple[float, float]:
    """Return the best correlation within the lags allowed, and its lag in seconds."""
    level_db = 10.0 * np.log10(np.maximum(power, 1e-12))
    level_db = np.clip(level_db - np.percentile(level_db[heard], 98), -40.0, 3.0)
    sound = band(10.0 ** (level_db / 60.0), heard, *_WORDS_S)
    opened = band(mouth.opening, mouth.known, *_WORDS_S)
    apart = (0, MAX_LAG_STEPS)
    curve = correlations(
        np.pad(opened, apart), np.pad(sound, apart), np.pad(mouth.known, apart), np.pad(heard, apart)
    )
    lags = np.arange(-MAX_LAG_STEPS, MAX_LAG_STEPS + 1)
    best = int(lags[np.argmax(curve[lags])])
    return float(curve[best]), best * STEP_S


def _around(talking: Mask) -> Mask:
    """Return the speech and 0.2 s on both sides: lips run ahead, and tracks are askew."""
    return np.convolve(talking, np.ones(11), mode="same") > 0
