"""The issue's bars on held-out engines: clean, Opus, Opus with loss, G.711; writes ../bars.md.

    python bars.py             after cnn.py; keeps scores and bins in CACHE/cnn, goes on where it was stopped

Clean held-out windows, one group as likely as the next, each sent through every condition with the real
codecs and heard by the heads and the net of the fold that knows neither its engine nor its source. The llr is
by the lines of the bins, as in a call: fitted on the held-out windows of calibrate.py (clean ones and drawn
calls) without a fifth of all engines and sources, the window's own among them. Figures are guard eval's: a
window that a call would not score has llr 0 and is no detection. `val` is not read, nothing is chosen here.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from bins import PARTS, Scored, crossed, quality_of
from calibrate import bins_of
from call_codecs import Received, transmit
from clips import Item, training_items
from cnn import SHIPPED, folder, net_file
from cnn_rough import Heard
from cnn_spectra import Fine
from folds import FOLDS, weights_of
from heads import Pooled, tuned
from mixture import Folds
from rotate import Held, held_scores

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.conditions import BARRED
from guard.evaluation.figures import BARS, MAX_GAP_BITS, METRICS, Figure, Scores, intervals
from guard.evaluation.metrics import eer
from guard.media.channel import bin_of

PER_CLASS, SEED, ROUNDS, SKIPPED = 150, 23, 1000, "skipped"
OUT = Path(__file__).resolve().parent.parent / "bars.md"
Codec = Callable[[np.ndarray, np.random.Generator], Received]
Arrays = dict[str, np.ndarray]
opus = partial(transmit, codec="libopus", bit_rate=24_000)
CODECS: dict[str, Codec] = {
    "clean": lambda x, _: Received.whole(x),
    "opus_24k": lambda x, _: opus(x),
    "opus_24k_loss_5": lambda x, rng: opus(x, loss=0.05, rng=rng, hide="conceal"),
    "g711": lambda x, _: transmit(x, "pcm_mulaw"),
}
FIGURES = {n: METRICS[n] for n in ("eer", "tpr_at_5_fa", "cllr_bits", "cllr_min_bits", "cllr_gap_bits")}
INTRODUCTION = """# The issue's bars on engines and sources that were held out

Written by `recipe/bars.py` (`make -C models/voice bars`): **{windows} clean windows of 4 s**, {spoof} of
{engines} engines and {genuine} of {sources} sources of genuine speech, the same in every condition: at most
{most} of each class and fold, every group as likely as the next. Heads and net (`{kind}`) that judge a
window heard neither its engine nor its source (leave-engine-out), and its llr is by lines of bins fitted
without one in {part} of all engines and sources, its own among them. The codecs are the recipe's: Opus
loses 5 % of its packets in short bursts and libopus conceals them, G.711 is mu-law. Intervals are over
engines and sources, {rounds} draws. A window that a call would not score counts as llr 0 and as no
detection, as in `guard eval`. `val` was not read.
"""


def sample(groups: list[str], rng: np.random.Generator) -> np.ndarray:
    """Return the places of PER_CLASS windows, or of all where fewer; every group as likely as the next."""
    count = Counter(groups)
    weight = np.array([1 / count[name] for name in groups])
    size = min(PER_CLASS, len(groups))
    return np.sort(rng.choice(len(groups), size, replace=False, p=weight / weight.sum()))


def rows_of(folds: Folds, fine: Fine, items: list[Item], fold: int) -> np.ndarray:
    """Return the rows of the clean windows that are judged, of one fold."""
    rng = np.random.default_rng([SEED, fold])
    rows = folds.held[fold][fine.copy[folds.held[fold]] == 0]
    both = (rows[fine.spoof[rows] == spoof] for spoof in (False, True))
    return np.concatenate([own[sample([items[n].group for n in fine.item[own]], rng)] for own in both])


def kept(path: Path, key: np.ndarray, sources: list[Path], make: Callable[[], Arrays]) -> Arrays:
    """Return what an earlier run made of the same windows (``key``) with the same files, or make it now."""
    if path.exists() and path.stat().st_mtime >= max(p.stat().st_mtime for p in sources):
        with np.load(path) as told:
            if np.array_equal(told["key"], key):
                return dict(told)
    made = make()
    unfinished = path.with_name(f"part-{path.name}")
    np.savez(unfinished, key=key, **made)
    unfinished.rename(path)
    print(path.stem, key.shape[-1], "windows", file=sys.stderr, flush=True)
    return made


def coded(rows: np.ndarray, fine: Fine, codec: Codec) -> tuple[np.ndarray, np.ndarray]:
    """Return what arrives of some windows, float32 (N, 64000), and each one's bin or SKIPPED."""
    samples, bins = [], []
    for r in rows:
        clip = np.load(fine.sources[fine.file[r]], mmap_mode="r")[fine.row[r]].astype(np.float32) / 32768
        got = codec(clip, np.random.default_rng([SEED, int(r)]))
        quality = quality_of(got.samples, float(got.concealed.mean()))
        samples.append(got.samples)
        bins.append(SKIPPED if quality is None else bin_of(got.samples, quality))
    return np.stack(samples), np.array(bins)


def heard(ears: Heard, fine: Fine, rows: np.ndarray, name: str, fold: int) -> Arrays:
    """Return ``raw`` and ``bins`` of one fold's windows behind one condition."""

    def make() -> Arrays:
        samples, bins = coded(rows, fine, CODECS[name])
        return {"raw": ears.scores(samples, fold)[f"heads+{SHIPPED}"], "bins": bins}

    net = net_file(SHIPPED, fold)
    sources = [net, tuned(fold), *(fine.sources[n] for n in set(fine.file[rows]))]
    return kept(folder() / f"bars-{net.stem}-{name}.npz", rows, sources, make)


def fitted_on(items: list[Item], fine: Fine, held: Held) -> Scored:
    """Return the held-out windows of calibrate.py, which the lines are fitted on."""
    path = folder() / f"bars-{net_file('bins', 0).stem}.npz"
    key = np.stack([held.item, held.copy])
    bins = kept(path, key, fine.sources, lambda: {"bins": np.array(bins_of(items, held))})["bins"]
    s = Scored(
        held.raw,
        np.array([i.spoof for i in items])[held.item],
        bins,
        np.array([i.group for i in items])[held.item],
        weights_of(items)[held.item].astype(np.float32),
    )
    return s.rows(bins != SKIPPED)


def calibrated(fitted: Scored, judged: Scored) -> Scores:
    """Return llr of judged windows by lines of the fitted ones that knew neither engine nor source of each.

    ``crossed`` leaves a window's own group out; those that are judged join it without weight.
    """
    covered = judged.bins != SKIPPED
    own, llr = judged.rows(covered), np.zeros(len(covered))
    own = replace(own, weight=np.zeros_like(own.weight))
    both = Scored(*(np.concatenate([getattr(s, f.name) for s in (fitted, own)]) for f in fields(Scored)))
    llr[covered] = crossed(both)["cllr"][len(fitted.raw) :]
    reasons = [None if scored else SKIPPED for scored in covered]
    return Scores(llr, covered, judged.spoof, reasons, judged.groups.tolist(), np.full(len(llr), 4.0))


def shown(figure: Figure, bar: str, *, share: bool) -> str:
    """Return a figure with its interval and its bar; in percent where it is a ``share``."""
    factor, fine, rough = (100, 1, 0) if share else (1, 2, 2)
    span = "[-]"
    if figure["low"] is not None:
        span = f"[{factor * figure['low']:.{rough}f}, {factor * figure['high']:.{rough}f}]"
    return f"{factor * figure['value']:.{fine}f} {span} ({bar})"


def line(label: str, bars: dict[str, float], scores: Scores, found: dict[str, Figure]) -> str:
    """Return one line of the table."""
    unit = np.array(scores.unit)
    cells = [label, str(len(unit)), str(int((~scores.covered).sum()))]
    cells += [str(len(set(unit[own]))) for own in (scores.is_spoof, ~scores.is_spoof)]
    cells.append(shown(found["eer"], f"at most {100 * bars['eer']:.0f}", share=True))
    cells.append(shown(found["tpr_at_5_fa"], f"at least {100 * bars['tpr_at_5_fa']:.0f}", share=True))
    cells += [f"{found[name]['value']:.2f}" for name in ("cllr_bits", "cllr_min_bits")]
    cells.append(shown(found["cllr_gap_bits"], f"at most {MAX_GAP_BITS:.2f}", share=False))
    return f"| {' | '.join(cells)} |"


def table(scores: dict[str, Scores], raw: Arrays) -> str:
    """Return the page; ``raw`` has every condition's scores before calibration."""
    first = next(iter(scores.values()))
    unit, spoof = np.array(first.unit), first.is_spoof
    heads = ["condition", "windows", "not scored", "engines", "sources", "EER % [95 %] (bar)"]
    heads += ["TPR % at 5 % FA [95 %] (bar)", "Cllr bits", "Cllr_min bits", "Cllr - Cllr_min [95 %] (bar)"]
    found = {name: intervals(own, FIGURES, rounds=ROUNDS) for name, own in scores.items()}
    met = {
        "EER": [found[n]["eer"]["value"] <= BARS[n]["eer"] for n in found],
        "TPR": [found[n]["tpr_at_5_fa"]["value"] >= BARS[n]["tpr_at_5_fa"] for n in found],
        "Cllr - Cllr_min": [own["cllr_gap_bits"]["value"] <= MAX_GAP_BITS for own in found.values()],
    }
    introduction = INTRODUCTION.format(
        windows=len(unit), spoof=spoof.sum(), genuine=(~spoof).sum(), most=PER_CLASS, rounds=ROUNDS,
        engines=len(set(unit[spoof])), sources=len(set(unit[~spoof])), part=PARTS, kind=SHIPPED,
    )  # fmt: skip
    labels = {c.name: c.label for c in BARRED}
    lines = [introduction, f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [line(labels[name], BARS[name], own, found[name]) for name, own in scores.items()]
    words = ", ".join(f"{name} {sum(own)} of {len(own)}" for name, own in met.items())
    alone = [own.rows(np.flatnonzero(own.covered)) for own in scores.values()]
    covered = ", ".join(f"{100 * METRICS['eer'](own):.1f}" for own in alone)
    plain = ", ".join(f"{100 * eer(own, spoof):.1f}" for own in raw.values())
    lines += [
        "",
        f"Bars met by the figures themselves: {words}. EER % in the order of the table, of the windows",
    ]
    lines += [f"that a call would score alone: {covered}; of the raw scores of all windows: {plain}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    torch.set_num_threads(1)
    items = training_items()
    fine, states = Fine(items), Pooled(items)
    folds = Folds(items, states, fine)
    ears, rows = Heard(folds, [SHIPPED]), [rows_of(folds, fine, items, k) for k in range(FOLDS)]
    fitted = fitted_on(items, fine, held_scores(folds, states))
    every = np.concatenate(rows)
    groups = np.array([items[n].group for n in fine.item[every]])
    scores, raw = {}, {}
    for name in CODECS:
        parts = [heard(ears, fine, rows[k], name, k) for k in range(FOLDS)]
        own, bins = (np.concatenate([part[key] for part in parts]) for key in ("raw", "bins"))
        judged = Scored(own, fine.spoof[every], bins, groups, np.zeros(len(own), np.float32))
        scores[name], raw[name] = calibrated(fitted, judged), own
    OUT.write_text(table(scores, raw))
    print(OUT.read_text())


if __name__ == "__main__":
    main()
