"""Fit the calibration on held-out scores, by channel and noise, and of half seconds.

    python calibrate.py        reads the folds' scores, writes CACHE/calibration.json

The shipped net is the mean of the folds' nets (or the net of fold -1, which held nothing out): its scores
spread otherwise than theirs. ``spread`` compares both on windows that both have seen.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from clips import Item, training_items
from data import cache
from folds import folds_of, weights_of
from net import Detector
from rotate import Held, held_scores, load_net
from soup import load_final
from tune import Windows, scores

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.metrics import cllr, eer, min_cllr
from guard.fusion.calibration import BinnedLogistic, Logistic, fit_bins, fit_logistic
from guard.media.channel import bin_of
from guard.types import AudioFrame, AudioQuality, AudioWindow, Kind, TrackKey
from guard.windows.audio import AudioWindows

KEY = TrackKey("recipe", "clip", Kind.AUDIO)
FAR = 1e9


def quality_of(samples: np.ndarray) -> AudioQuality | None:
    """Return the quality guard itself would measure of one window; None where it takes it for no speech."""
    stage = AudioWindows(KEY)
    cut = [*stage.push(AudioFrame(KEY, 0.0, samples, 16_000)), *stage.flush()]
    found = [w.quality for w in cut if isinstance(w, AudioWindow)]
    return found[-1] if found else None


def bins_of(windows: Windows, held: Held) -> list[str]:
    """Return the bin of every held-out window, and ``no_speech`` where a call would not score it."""
    bins = []
    for item, copy in zip(held.item, held.copy, strict=True):
        samples = windows.samples(item, copy)
        quality = quality_of(samples)
        bins.append("no_speech" if quality is None else bin_of(samples, quality))
    return bins


def spread(
    items: list[Item], windows: Windows, folds: list[Detector], final: Detector
) -> tuple[float, float]:
    """Return slope and shift from the shipped net's score to the folds', over windows both have seen."""
    place, rng = folds_of(items), np.random.default_rng(5)
    rows = rng.choice(len(items), 600, p=weights_of(items))
    new = scores(final, windows, rows, 1)[0]
    old = np.zeros(len(rows))
    for k, net in enumerate(folds):
        seen = place[rows] != k
        old[seen] += scores(net, windows, rows[seen], 1)[0] / (len(folds) - 1)
    return float(old.std() / new.std()), float(old.mean() - new.mean() * old.std() / new.std())


def main() -> None:
    torch.set_num_threads(1)
    items = training_items()
    windows, held = Windows(items), held_scores(items)
    bins = np.array(bins_of(windows, held))
    kept = bins != "no_speech"
    raw, bins = held.raw[kept], bins[kept]
    spoof = np.array([items[n].spoof for n in held.item[kept]])
    groups = [items[n].group for n in held.item[kept]]
    weight = weights_of(items)[held.item[kept]].astype(np.float32)
    pooled = fit_logistic(raw, spoof, weight=weight)
    fits = fit_bins(raw, spoof, bins.tolist(), weight, sources=groups)
    llr = BinnedLogistic(Logistic(*pooled, FAR), {k: Logistic(*v, FAR) for k, v in fits.items()}).llr(
        raw, bins.tolist()
    )
    # a second's own score: every half second of windows that are of one class throughout
    second = fit_logistic(held.second[kept].ravel(), np.repeat(spoof, 8), weight=np.repeat(weight, 8))
    folds = [load_net(k) for k in sorted({int(k) for k in folds_of(items)})]
    slope, shift = spread(items, windows, folds, load_final())
    moved = {k: (a * slope, a * shift + b) for k, (a, b) in {"pooled": pooled, **fits}.items()}
    scored = llr.astype(np.float64)
    report = {
        "bins": {k: list(v) for k, v in moved.items()},
        "second": [second[0] * slope, second[0] * shift + second[1]],
        "windows_of_bins": {k: int((bins == k).sum()) for k in sorted(set(bins))},
        "no_speech": int((~kept).sum()),
        "slope": slope,
        "shift": shift,
        "held_out_eer": eer(scored, spoof),
        "held_out_cllr": cllr(scored, spoof),
        "held_out_min_cllr": min_cllr(scored, spoof),
        "windows": len(raw),
    }
    print(json.dumps(report, indent=1))
    (cache() / "calibration.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
