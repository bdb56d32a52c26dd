"""Judge the convolutional nets beside the shipped heads, on windows that neither has heard; writes ../cnn.md.

    python cnn_judge.py        after cnn.py, encoders.py; reads CACHE/cnn, keeps its scores there

**The rule, fixed and committed before anything was measured.** The same held-out windows as rotate.py, the
same draws of whole engines and sources for every row. The first question is one: does the mean of the
heads' and the net's scores (``alone``), each standardised on a sample of the fold's own training windows,
equal weights, have a lower EER over all held-out windows than the heads alone? It goes into the shipped
model only if the 95 % interval of that paired difference excludes 0. It did not, so it was asked once more,
of nets trained four times as long (``longer``), again before anything of them was measured; being the second
time, it takes the 97.5 % interval. The third time, of nets that went on from there behind drawn devices
(``rougher``), it takes the 99 % interval, and two questions more must be answered well before they ship, by
cnn_rough.py (suppressors) and cnn_budget.py (attacks noticed at the alarm budget). The fourth time the folds
were dealt anew and the nets heard devices from their first step on (``devices``): the same three questions,
cnn_budget.py's against what ships then; the first was not answered well (../devices.md). The other rows (each
net alone, heads and distilled net, a speaker encoder's head alone and with the heads) are further tries: each
counts only if its 99 % interval excludes 0. What standardising alone does stands beside them: a gain that
the heads have by themselves then is not the net's. `val` is not read. Rows whose nets are not trained yet
are left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from clips import Item, training_items
from cnn import KINDS, folder, net_file
from cnn_spectra import Fine
from folds import FOLDS
from heads import Pooled
from mixture import Folds, Mixture, Standard

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.metrics import draws, eer, percentile_interval, tpr_at_fa

ROUNDS, MAX_FA = 1000, 0.05
FIRST, SECOND, OTHERS = 0.95, 0.975, 0.99
OUT = Path(__file__).resolve().parent.parent / "cnn.md"
LABELS = {
    "heads": "the heads (three a fold)",
    "heads-standard": "the same, standardised fold by fold (a control, no try)",
    "heads+alone": "heads and net, equal weights (the first question)",
    "heads+longer": "heads and the net trained four times as long, equal weights (asked again; version 0.5)",
    "heads+rougher": "heads and the net trained on behind drawn devices, equal weights (asked a third time)",
    "heads+devices": "heads and the net trained behind drawn devices from its first step, equal weights",
    "alone": "the net alone",
    "longer": "the net trained four times as long, alone",
    "rougher": "the net trained on behind drawn devices, alone",
    "devices": "the net trained behind drawn devices from its first step on, alone",
    "distilled": "the distilled net alone",
    "heads+distilled": "heads and distilled net, equal weights",
    "speaker": "a head on a speaker encoder's vectors (encoders.py) alone",
    "heads+speaker": "heads and that head, equal weights",
}
INTRODUCTION = """# A convolutional net beside the heads

Written by `recipe/cnn_judge.py` (`make -C models/voice cnn`). Leave-engine-out as in `rotation.md`: **n =
{windows} windows of {engines} engines and {sources} sources of genuine speech** in every row, judged by
nets and heads that heard none of them. Intervals are over engines and sources, {rounds} draws, the same for
every row; the rule by which it is judged stands in `recipe/cnn_judge.py` and was committed before the first
figure. `val` was not read.
"""


class Study:
    """What is judged: scores of every row of the table on the same held-out windows."""

    def __init__(self, items: list[Item], fine: Fine) -> None:
        folds = Folds(items, Pooled(items), fine)
        rows, sample, fold = folds.held, folds.samples, folds.fold
        natural = np.array([i.origin is None for i in items])[fine.item]
        both = {"heads": [folds.heads(k) for k in range(FOLDS)]}
        for kind in KINDS:
            if all(net_file(kind, k).exists() for k in range(FOLDS)):
                both[kind] = [folds.nets(kind, k) for k in range(FOLDS)]
        told = [folder() / f"speaker-{k}.npy" for k in range(FOLDS)]
        if all(path.exists() for path in told):
            own = [np.load(path).astype(np.float64) for path in told]
            # copies have no vectors
            both["speaker"] = [(own[k][rows[k]], own[k][sample[k]][natural[sample[k]]]) for k in range(FOLDS)]
        self.scores = {name: np.concatenate([held for held, _ in own]) for name, own in both.items()}
        standard = {name: [Standard.of(known) for _, known in own] for name, own in both.items()}
        heads = [held for held, _ in both["heads"]]
        alone = [own(held) for own, held in zip(standard["heads"], heads, strict=True)]
        self.scores["heads-standard"] = np.concatenate(alone)
        for kind in set(both) - {"heads"}:
            mixed = [
                Mixture(standard["heads"][k], standard[kind][k])(heads[k], both[kind][k][0])
                for k in range(FOLDS)
            ]
            self.scores[f"heads+{kind}"] = np.concatenate(mixed)
        judged = np.concatenate(rows)
        self.spoof, self.clean, self.fold = fine.spoof[judged], fine.copy[judged] == 0, fold[judged]
        self.group = [items[n].group for n in fine.item[judged]]
        self.drawn = list(draws(self.group, self.spoof, rounds=ROUNDS))
        self.errors = {name: [self.error(name, i) for i in self.drawn] for name in self.scores}

    def error(self, name: str, rows: np.ndarray) -> float:
        """Return the EER of one row of the table on some windows."""
        return eer(self.scores[name][rows], self.spoof[rows])

    def caught(self, name: str, rows: np.ndarray) -> float:
        """Return the share of spoofs caught at MAX_FA false alarms."""
        return tpr_at_fa(self.scores[name][rows], self.spoof[rows], max_fa=MAX_FA)


def line(study: Study, name: str) -> str:
    """Return one line of the table."""
    every = np.arange(len(study.spoof))
    value = study.error(name, every)
    span = percentile_interval(100 * value, (100 * np.array(study.errors[name])).tolist())
    cells = [LABELS[name], f"{span.value:.1f} [{span.low:.0f}, {span.high:.0f}]"]
    for level in (FIRST, SECOND, OTHERS):
        lost = 100 * (np.array(study.errors[name]) - np.array(study.errors["heads"]))
        gap = percentile_interval(100 * (value - study.error("heads", every)), lost.tolist(), level=level)
        cells.append("" if name == "heads" else f"{gap.value:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}]")
    caught = [100 * study.caught(name, i) for i in study.drawn]
    rate = percentile_interval(100 * study.caught(name, every), caught)
    cells.append(f"{rate.value:.0f} [{rate.low:.0f}, {rate.high:.0f}]")
    for rows in (study.clean, ~study.clean, *(study.fold == k for k in range(FOLDS))):
        cells.append(f"{100 * study.error(name, np.flatnonzero(rows)):.1f}")
    return f"| {' | '.join(cells)} |"


def by_engine(study: Study) -> list[str]:
    """Return the table of engines: AUC against the genuine windows of the engine's fold."""
    shown = (
        "heads",
        "alone",
        "longer",
        "rougher",
        "devices",
        "speaker",
        "heads+longer",
        "heads+rougher",
        "heads+devices",
    )
    names = [name for name in shown if name in study.scores]
    lines = [f"| engine held out | windows | {' | '.join(names)} |", "|" + "---|" * (2 + len(names))]
    group = np.array(study.group)
    for engine in sorted(set(group[study.spoof]), key=str.lower):
        own = (group == engine) & study.spoof
        other = (study.fold == study.fold[own][0]) & ~study.spoof
        above = [np.searchsorted(np.sort(study.scores[n][other]), study.scores[n][own]).mean() for n in names]
        cells = " | ".join(f"{a / other.sum():.2f}" for a in above)
        lines.append(f"| {engine} | {own.sum()} | {cells} |")
    return lines


def main() -> None:
    torch.set_num_threads(1)
    items = training_items()
    study = Study(items, Fine(items))
    group = np.array(study.group)
    counts = {"engines": len(set(group[study.spoof])), "sources": len(set(group[~study.spoof]))}
    heads = [
        "what",
        "EER % [95 %]",
        "difference to the heads [95 %]",
        "[97.5 %]",
        "[99 %]",
        "TPR % at 5 % FA [95 %]",
    ]
    heads += ["EER % clean", "EER % call chain", *(f"fold {k}" for k in range(FOLDS))]
    lines = [INTRODUCTION.format(windows=len(study.spoof), rounds=ROUNDS, **counts)]
    lines += [
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
        *(line(study, n) for n in LABELS if n in study.scores),
    ]
    lines += ["", "By engine, AUC against the genuine windows of its fold:", "", *by_engine(study)]
    OUT.write_text("\n".join(lines) + "\n")
    print(OUT.read_text())


if __name__ == "__main__":
    main()
