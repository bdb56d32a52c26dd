"""Do pauses tell a synthetic voice? Digital silence, the floor's level, constancy, flatness and jumps.

python silence_study.py       prints a table; learned and judged on other engines and sources (five folds)

The clips are the training folders' (never val). Two questions: over everything, and within the sources that
have both classes, where the site's recording chain is the same for both. After Opus (with and without
discontinuous transmission) and G.711 the same is asked again, learned on the same channel.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile

sys.path.append(str(Path(__file__).resolve().parents[2] / "voice" / "recipe"))
sys.path.append(str(Path(__file__).resolve().parents[3]))
from chain import code
from data import Clip, training_clips
from trivial import fit_and_score

from guard.evaluation.metrics import Interval, bootstrap, cllr, eer
from guard.fusion.calibration import fit_logistic

FRAME, FOLDS, PAUSE_DB, MOST_OF_A_GROUP, MOST_S = 320, 5, 25.0, 10, 8
FAST = {"compression_level": "3"}
FEATURES = {
    "digital silence": slice(0, 2),
    "floor level": slice(2, 4),
    "floor constancy": slice(4, 6),
    "floor spectrum": slice(6, 9),
    "floor jumps": slice(9, 11),
    "share of pauses": slice(11, 12),
    "all": slice(0, 12),
}


def pauses(x: np.ndarray) -> np.ndarray:
    """Return the twelve statistics of the frames at least 25 dB below the loud ones."""
    frames = x[: len(x) // FRAME * FRAME].reshape(-1, FRAME)
    level = 10 * np.log10((frames**2).mean(1) + 1e-10)
    high = np.quantile(level, 0.95)
    quiet = level < high - PAUSE_DB
    zero = np.abs(frames).max(1) < 1.5 / 32768
    if quiet.sum() < 3:
        quiet = level <= np.sort(level)[2]
    floor = level[quiet]
    power = np.abs(np.fft.rfft(frames[quiet] * np.hanning(FRAME), axis=1)) ** 2 + 1e-12
    flat = np.log(power).mean(1) - np.log(power.mean(1))
    mean = power.mean(0)
    bins = np.arange(len(mean))
    jumps = np.abs(np.diff(floor))
    return np.array(
        [
            zero.mean(),
            float(zero[quiet].mean()),
            np.quantile(floor, 0.05) - high,
            np.median(floor) - high,
            floor.std(),
            np.quantile(floor, 0.6) - np.quantile(floor, 0.1),
            flat.mean(),
            flat.std(),
            float((bins * mean).sum() / mean.sum()),
            np.quantile(jumps, 0.5),
            jumps.max(),
            quiet.mean(),
        ]
    )


CHANNELS = {
    "clean": lambda x: x,
    "Opus 24 kbit/s": lambda x: code(x, "libopus", bit_rate=24_000, options=FAST),
    "Opus 24 kbit/s, DTX": lambda x: code(x, "libopus", bit_rate=24_000, options=FAST, dtx=True),
    "G.711": lambda x: code(x, "pcm_mulaw"),
}


def held_out(x: np.ndarray, clips: list[Clip]) -> np.ndarray:
    """Return calibrated llr of each clip from a model that heard neither its engine nor its source."""
    y = np.array([c.spoof for c in clips])
    fold = np.zeros(len(clips), int)
    for spoof in (False, True):
        count = Counter(c.group for c in clips if c.spoof == spoof)
        order = [name for name, _ in sorted(count.items(), key=lambda kv: (-kv[1], kv[0]))]
        for n, clip in enumerate(clips):
            if clip.spoof == spoof:
                fold[n] = order.index(clip.group) % FOLDS
    raw = np.zeros(len(clips))
    for k in range(FOLDS):
        known = fold != k
        raw[~known] = np.clip(fit_and_score(x[known], y[known], x[~known]), -8, 8)
    llr = np.zeros(len(clips))
    for k in range(FOLDS):
        known = fold != k
        try:
            a, b = fit_logistic(raw[known].astype(np.float32), y[known])
        except ValueError:  # the scores fall with spoof: worth nothing
            a, b = 1e-6, 0.0
        llr[~known] = a * raw[~known] + b
    return llr


def _text(i: Interval) -> str:
    return f"{i.value:.2f} [{i.low:.2f}, {i.high:.2f}]"


def report(x: np.ndarray, clips: list[Clip], title: str) -> None:
    """Print EER and Cllr of each feature, over everything and within sources of both classes."""
    y = np.array([c.spoof for c in clips])
    unit = [c.group if c.spoof or not c.speaker else c.speaker for c in clips]
    both = {c.source for c in clips if c.spoof} & {c.source for c in clips if not c.spoof}
    inside = np.array([c.source in both for c in clips])
    for name, columns in FEATURES.items():
        llr = held_out(x[:, columns], clips)
        figures = [bootstrap(m, llr, y, unit, rounds=200) for m in (eer, cllr)]
        within = bootstrap(eer, llr[inside], y[inside], [unit[i] for i in np.flatnonzero(inside)], rounds=200)
        print(
            f"| {title} | {name} | {_text(figures[0])} | {_text(figures[1])} | {_text(within)} |", flush=True
        )


def main() -> None:
    kept: Counter[tuple[bool, str]] = Counter()
    clips = []
    for clip in training_clips():
        kept[clip.spoof, clip.group] += 1
        if kept[clip.spoof, clip.group] <= MOST_OF_A_GROUP:
            clips.append(clip)
    audio = [soundfile.read(c.path, frames=MOST_S * 16_000, dtype="float32")[0] for c in clips]
    y = np.array([c.spoof for c in clips])
    print(f"{(~y).sum()} bona fide and {y.sum()} spoof clips")
    print("| channel | statistic | EER | Cllr bits | EER within sources of both classes |")
    print("|---|---|---|---|---|")
    for title, channel in CHANNELS.items():
        x = np.stack([pauses(np.asarray(channel(a), np.float64)) for a in audio])
        if title == "clean":
            for spoof in (False, True):
                share = np.mean(x[y == spoof, 0] > 0)
                print(f"<!-- clips with digital silence, spoof={spoof}: {share:.2f} -->")
        report(x, clips, title)


if __name__ == "__main__":
    main()
