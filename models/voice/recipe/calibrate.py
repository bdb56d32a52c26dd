"""Fit the calibration on held-out scores, by channel and noise, and of half seconds.

    python calibrate.py        reads the folds' scores, writes CACHE/calibration.json

The shipped ensemble holds the heads of all folds: its scores spread otherwise than theirs. ``spread``
compares both on windows that both have seen.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from clips import Item, training_items
from data import cache
from folds import FOLDS, folds_of, weights_of
from heads import Pooled, load_final, load_heads, scores
from rotate import Held, held_scores
from windows import window_files

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


def bins_of(items: list[Item], held: Held) -> list[str]:
    """Return the bin of every held-out window, and ``no_speech`` where a call would not score it."""
    files = {i.set: [np.load(p, mmap_mode="r") for p in window_files(i.set)] for i in items}
    bins = []
    for n, copy in zip(held.item, held.copy, strict=True):
        samples = files[items[n].set][copy][items[n].row].astype(np.float32) / 32768
        quality = quality_of(samples)
        bins.append("no_speech" if quality is None else bin_of(samples, quality))
    return bins


def spread(items: list[Item], pooled: Pooled) -> tuple[float, float]:
    """Return slope and shift from the shipped score to the folds', over windows both have seen."""
    weight, place = weights_of(items)[pooled.item], folds_of(items)[pooled.item]
    rows = np.random.default_rng(5).choice(len(weight), 2000, p=weight / weight.sum())
    new, old = scores(load_final(), pooled.x[rows])[0], np.zeros(len(rows))
    for k in range(FOLDS):
        seen = place[rows] != k
        old[seen] += scores(load_heads(k), pooled.x[rows[seen]])[0] / (FOLDS - 1)
    return float(old.std() / new.std()), float(old.mean() - new.mean() * old.std() / new.std())


def main() -> None:
    torch.set_num_threads(1)
    items = training_items()
    states = Pooled(items)
    held = held_scores(items, states)
    bins = np.array(bins_of(items, held))
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
    about = {
        "spoof": spoof,
        "group": np.array(groups),
        "key": np.array([items[n].key for n in held.item[kept]]),
    }
    np.savez(cache() / "held-llr.npz", llr=llr, bin=bins, **about)
    # a second's own score: every half second of windows that are of one class throughout
    second = fit_logistic(held.second[kept].ravel(), np.repeat(spoof, 8), weight=np.repeat(weight, 8))
    slope, shift = spread(items, states)
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
