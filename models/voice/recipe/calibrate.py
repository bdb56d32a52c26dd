"""Fit the calibration on held-out scores, by channel, loss and noise, and of half seconds.

    python calibrate.py        reads the folds' scores, writes CACHE/calibration.json

The shipped ensemble holds the heads and nets of all folds: its scores spread otherwise than theirs.
``mixture.Folds.final`` compares both on windows that both have seen.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from bins import Scored, lines_of, of_bins, quality_of
from clips import Item, training_items
from cnn_spectra import Fine
from data import cache
from folds import weights_of
from heads import Pooled
from mixture import Folds
from rotate import Held, held_scores
from windows import concealed_shares, window_files

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.metrics import cllr, eer, min_cllr
from guard.fusion.calibration import fit_logistic
from guard.media.channel import bin_of


def bins_of(items: list[Item], held: Held) -> list[str]:
    """Return the bin of every held-out window, and ``skipped`` where a call would not score it."""
    files = {name: window_files(name) for name in {items[n].set for n in held.item}}
    windows = {name: [np.load(p, mmap_mode="r") for p in paths] for name, paths in files.items()}
    shares = {name: [concealed_shares(p) for p in paths] for name, paths in files.items()}
    bins = []
    for n, copy in zip(held.item, held.copy, strict=True):
        name, row = items[n].set, items[n].row
        samples = windows[name][copy][row].astype(np.float32) / 32768
        quality = quality_of(samples, float(shares[name][copy][row]))
        bins.append("skipped" if quality is None else bin_of(samples, quality))
    return bins


def main() -> None:
    torch.set_num_threads(1)
    items = training_items()
    states = Pooled(items)
    folds = Folds(items, states, Fine(items))
    held = held_scores(folds, states)
    bins = np.array(bins_of(items, held))
    kept = bins != "skipped"
    item = held.item[kept]
    spoof, groups, keys = (np.array([getattr(items[n], a) for n in item]) for a in ("spoof", "group", "key"))
    weight = weights_of(items)[item].astype(np.float32)
    s = Scored(held.raw[kept], spoof, bins[kept], groups, weight)
    lines = lines_of(s)
    llr = lines.llr(s.raw, s.bins.tolist())
    np.savez(cache() / "held-llr.npz", llr=llr, bin=s.bins, spoof=spoof, group=groups, key=keys)
    # a second's own score: every half second of windows that are of one class throughout
    second = fit_logistic(held.second[kept].ravel(), np.repeat(spoof, 8), weight=np.repeat(weight, 8))
    final = folds.final()
    slope, shift = final.slope, final.shift
    all_lines = {"pooled": lines.default, **lines.bins}
    scored = llr.astype(np.float64)
    report = {
        "bins": {k: [line.a * slope, line.a * shift + line.b] for k, line in all_lines.items()},
        "second": [second[0] * final.second[0], second[0] * final.second[1] + second[1]],
        "windows_of_bins": {k: int((s.bins == k).sum()) for k in sorted(lines.bins)},
        "skipped": int((~kept).sum()),
        "held_out_of_bins": of_bins(s),
        "mixture": asdict(final.mixture),
        "slope": slope,
        "shift": shift,
        "held_out_eer": eer(scored, spoof),
        "held_out_cllr": cllr(scored, spoof),
        "held_out_min_cllr": min_cllr(scored, spoof),
        "windows": len(s.raw),
    }
    print(json.dumps(report, indent=1))
    (cache() / "calibration.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
