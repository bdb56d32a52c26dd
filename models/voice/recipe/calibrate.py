"""Fit the calibration on held-out scores, by channel, loss and noise, and of half seconds.

    python calibrate.py        reads the folds' scores, writes CACHE/calibration.json

The shipped ensemble holds the heads of all folds: its scores spread otherwise than theirs. ``spread``
compares both on windows that both have seen.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from clips import Item, training_items
from data import cache
from folds import FOLDS, folds_of, weights_of
from heads import Pooled, load_final, load_heads, scores
from rotate import Held, held_scores
from windows import concealed_shares, window_files

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.metrics import bootstrap, cllr, eer, min_cllr
from guard.fusion.calibration import BinnedLogistic, Logistic, fit_bins, fit_logistic
from guard.media.channel import bin_of
from guard.types import AudioFrame, AudioQuality, AudioWindow, Kind, TrackKey
from guard.windows.audio import AudioWindowConfig, AudioWindows

KEY = TrackKey("recipe", "clip", Kind.AUDIO)
FAR, ROUNDS, PARTS = 1e9, 200, 5


@dataclass(frozen=True)
class Scored:
    """Held-out windows that a call would score, (N,) each: raw score, class, bin, engine or source."""

    raw: np.ndarray
    spoof: np.ndarray
    bins: np.ndarray
    groups: np.ndarray
    weight: np.ndarray

    def rows(self, own: np.ndarray) -> Scored:
        """Return the windows that ``own`` (bool) names."""
        return Scored(*(getattr(self, field.name)[own] for field in fields(self)))


def quality_of(samples: np.ndarray, concealed_ratio: float) -> AudioQuality | None:
    """Return the quality guard itself would measure of one window; None where a call would skip it.

    ``concealed_ratio`` is what the call chain lost of it: a call counts that as the packets come.
    """
    if concealed_ratio > AudioWindowConfig().max_concealed_ratio:
        return None
    stage = AudioWindows(KEY)
    cut = [*stage.push(AudioFrame(KEY, 0.0, samples, 16_000)), *stage.flush()]
    found = [w.quality for w in cut if isinstance(w, AudioWindow)]
    return replace(found[-1], concealed_ratio=concealed_ratio) if found else None


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


def lines_of(s: Scored) -> BinnedLogistic:
    """Return the calibration fitted on these windows: one line for all, one for each bin."""
    pooled = fit_logistic(s.raw, s.spoof, weight=s.weight)
    fits = fit_bins(s.raw, s.spoof, s.bins.tolist(), s.weight, sources=s.groups.tolist())
    return BinnedLogistic(Logistic(*pooled, FAR), {k: Logistic(*v, FAR) for k, v in fits.items()})


def crossed(s: Scored) -> dict[str, np.ndarray]:
    """Return llr (N,) by the bins' lines (``cllr``) and by one line for all (``cllr_one_line``).

    Each engine's and source's windows by lines fitted without a fifth of all engines and sources, its own
    among them: what a call of a new one would get.
    """
    names = sorted(set(s.groups.tolist()))
    part = np.array([names.index(group) % PARTS for group in s.groups])
    found = {key: np.zeros(len(s.raw)) for key in ("cllr", "cllr_one_line")}
    for k in range(PARTS):
        lines, own = lines_of(s.rows(part != k)), part == k
        found["cllr"][own] = lines.llr(s.raw[own], s.bins[own].tolist())
        found["cllr_one_line"][own] = lines.default.llr(s.raw[own])
    return found


def of_bins(s: Scored) -> dict[str, dict]:
    """Return of every bin its windows, engines and sources, and Cllr and Cllr_min in bits.

    Figures are [value, low, high], 95 % over engines and sources; Cllr is that of ``crossed``.
    """
    llrs, table = crossed(s), {}
    for name in sorted(set(s.bins.tolist())):
        rows = s.rows(s.bins == name)
        table[name] = {
            "windows": len(rows.raw),
            "engines": len(set(rows.groups[rows.spoof])),
            "sources": len(set(rows.groups[~rows.spoof])),
        }
        if rows.spoof.all() or not rows.spoof.any():
            continue
        figures = {key: (cllr, llr[s.bins == name]) for key, llr in llrs.items()}
        for key, (figure, llr) in {**figures, "cllr_min": (min_cllr, rows.raw.astype(np.float64))}.items():
            found = bootstrap(figure, llr, rows.spoof, rows.groups.tolist(), rounds=ROUNDS)
            table[name][key] = [round(v, 3) for v in (found.value, found.low, found.high)]
    return table


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
    slope, shift = spread(items, states)
    all_lines = {"pooled": lines.default, **lines.bins}
    scored = llr.astype(np.float64)
    report = {
        "bins": {k: [line.a * slope, line.a * shift + line.b] for k, line in all_lines.items()},
        "second": [second[0] * slope, second[0] * shift + second[1]],
        "windows_of_bins": {k: int((s.bins == k).sum()) for k in sorted(lines.bins)},
        "skipped": int((~kept).sum()),
        "held_out_of_bins": of_bins(s),
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
