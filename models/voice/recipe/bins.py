"""Bins of held-out windows, their calibration, and what each line is worth; needs numpy and guard only."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.metrics import bootstrap, cllr, min_cllr
from guard.fusion.calibration import BinnedLogistic, Logistic, fit_bins, fit_logistic
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
