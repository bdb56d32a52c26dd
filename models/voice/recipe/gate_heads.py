"""The gates' heads on the detector's pooled states: what is heard, and how well; training, held-out figures.

    python gate_heads.py       writes CACHE/gates/content-frozen.pt, quality-frozen.pt and report-frozen.json

Prints the report, too. The threshold of one voice is taken where FALSE_ABSTENTION of the training windows
fall under it, each scored by a head that never saw its group; held-out windows choose nothing.
"""

from __future__ import annotations

import csv
import json
from zlib import crc32

import numpy as np
import torch
from compute import device
from data import cache
from gates import CLASSES, build, extract
from head import FEATURES
from torch import Tensor, nn
from torch.nn import functional as F

FOLDS, EPOCHS, BATCH = 3, 30, 64
FALSE_ABSTENTION = 0.01
FLOOR = 1e-6


class Gate(nn.Module):
    """(B, 8, 4096) pooled states to (B, outputs): a small layer, attentive mean and spread, a linear map.

    Source: Okabe et al. 2018, arXiv:1803.10963 (attentive statistics pooling).
    """

    def __init__(self, outputs: int, hidden: int = 32, dropout: float = 0.3) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(FEATURES), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(FEATURES), requires_grad=False)
        self.inner = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(FEATURES, hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.attention = nn.Linear(hidden, 1)
        self.out = nn.Linear(2 * hidden, outputs)

    def pooled(self, x: Tensor) -> Tensor:
        """Return (B, outputs)."""
        h = self.inner((x - self.centre) * self.scale)
        w = torch.softmax(self.attention(h), dim=1)
        mean = (w * h).sum(1)
        spread = torch.sqrt(torch.clamp((w * (h - mean.unsqueeze(1)) ** 2).sum(1), min=FLOOR))
        return self.out(torch.cat([mean, spread], 1))

    def standardise(self, x: Tensor) -> None:
        """Set the centre and scale to those of the training windows (N, 8, 4096)."""
        flat = x.reshape(-1, FEATURES)
        self.centre.data.copy_(flat.mean(0))
        self.scale.data.copy_(1 / (flat.std(0) + 1e-3))


class ContentHead(Gate):
    """(B, 8, 4096) to logits (B, 4) in the order of gates.CLASSES."""

    def __init__(self) -> None:
        super().__init__(len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.pooled(x)


class QualityHead(Gate):
    """(B, 8, 4096) to the predicted DNSMOS P.835 overall score (B,), 1 to 5."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        return 2.5 + self.pooled(x).squeeze(1)


def train(head: Gate, x: np.ndarray, target: np.ndarray, seed: int = 0) -> Gate:
    """Fit a head to windows float16 (N, 8, 4096); ``target`` is class numbers, or DNSMOS scores."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head.standardise(torch.from_numpy(x[:: max(1, len(x) // 400)]).float())
    content = isinstance(head, ContentHead)
    goal = torch.from_numpy(target).long() if content else torch.from_numpy(target).float()
    counts = np.bincount(target.astype(int), minlength=len(CLASSES)) if content else np.ones(1)
    weight = torch.tensor(len(target) / (len(counts) * np.maximum(counts, 1)), dtype=torch.float32)
    where = device()
    head.to(where)
    goal, weight = goal.to(where), weight.to(where)
    steps = EPOCHS * -(-len(x) // BATCH)
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    head.train()
    for _ in range(EPOCHS):
        for rows in np.array_split(rng.permutation(len(x)), -(-len(x) // BATCH)):
            out = head(torch.from_numpy(x[rows]).float().to(where))
            wanted = goal[torch.from_numpy(rows).to(where)]
            loss = (
                F.cross_entropy(out, wanted, weight, label_smoothing=0.05)
                if content
                else F.huber_loss(out, wanted)
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return head.cpu().eval()


def apply(head: Gate, x: np.ndarray) -> np.ndarray:
    """Return the head's output for windows float16 (N, 8, 4096)."""
    with torch.inference_mode():
        return np.concatenate(
            [head(torch.from_numpy(x[i : i + 256]).float()).numpy() for i in range(0, len(x), 256)]
        )


def one_voice(logits: np.ndarray) -> np.ndarray:
    """Return the probability of one voice of logits (N, 4)."""
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e[:, 0] / e.sum(1)


def threshold(x: np.ndarray, label: np.ndarray, group: list[str]) -> float:
    """Return the least probability of one voice that still counts, from heads that never saw the group."""
    fold = np.array([crc32(f"gate {g}".encode()) % FOLDS for g in group])
    # music and noise carry the name of their kind, not of a source: spread them by number
    spread = label >= CLASSES.index("music")
    fold[spread] = np.arange(spread.sum()) % FOLDS
    p = np.zeros(len(x))
    for k in range(FOLDS):
        head = train(ContentHead(), x[fold != k], label[fold != k], seed=k)
        p[fold == k] = one_voice(apply(head, x[fold == k]))
    return float(np.quantile(p[label == 0], FALSE_ABSTENTION))


def ranks(x: np.ndarray) -> np.ndarray:
    """Return each value's place in the order."""
    return np.argsort(np.argsort(x)).astype(float)


def main() -> None:
    torch.set_num_threads(1)
    build()
    folder = cache() / "gates"
    x = np.load(extract(), mmap_mode="r")
    with (folder / "windows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    label = np.array([int(row["label"]) for row in rows])
    mos = np.load(folder / "dnsmos.npy")
    own = np.flatnonzero([row["split"] == "train" for row in rows])
    inside = np.asarray(x[own])
    least = threshold(inside, label[own], [rows[i]["group"] for i in own])
    content = train(ContentHead(), inside, label[own])
    graded = np.isfinite(mos[own])
    quality = train(QualityHead(), inside[graded], mos[own][graded])
    torch.save(content.state_dict(), folder / "content-frozen.pt")
    torch.save(quality.state_dict(), folder / "quality-frozen.pt")
    held = np.flatnonzero([row["split"] == "held" for row in rows])
    outside = np.asarray(x[held])
    report = figures(
        [rows[i] for i in held], mos[held], apply(content, outside), apply(quality, outside), least
    )
    report["training_windows"] = np.bincount(label[own]).tolist()
    (folder / "report-frozen.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1))


def figures(
    rows: list[dict[str, str]], mos: np.ndarray, logits: np.ndarray, quality: np.ndarray, least: float
) -> dict[str, object]:
    """Return held-out confusion, what is abstained on per condition and class, and how DNSMOS is met."""
    label, p = np.array([int(row["label"]) for row in rows]), one_voice(logits)
    sure = p >= least
    guess = np.where(sure, 0, 1 + logits[:, 1:].argmax(1))
    confusion = {
        name: {CLASSES[g]: int(((label == k) & (guess == g)).sum()) for g in range(len(CLASSES))}
        for k, name in enumerate(CLASSES)
    }
    abstained = {}
    for key in sorted({(row["condition"], row["spoof"]) for row in rows if row["label"] == "0"}):
        here = np.array([(row["condition"], row["spoof"]) == key and row["label"] == "0" for row in rows])
        kind = "spoof" if key[1] == "1" else "bona fide"
        abstained[f"{key[0]}, {kind}"] = f"{int((~sure[here]).sum())} of {int(here.sum())}"
    voice = label == 0
    graded = np.isfinite(mos)
    clean = voice & np.array([row["condition"] == "clean" for row in rows])
    return {
        "threshold_one_voice": least,
        "confusion": confusion,
        "abstained": abstained,
        "dnsmos_mean_error": float(np.abs(quality[graded] - mos[graded]).mean()),
        "dnsmos_rank_correlation": float(np.corrcoef(ranks(quality[graded]), ranks(mos[graded]))[0, 1]),
        "quality_quantiles_clean": np.quantile(quality[clean], [0.01, 0.02, 0.05, 0.5]).round(2).tolist(),
        "quality_quantiles_all": np.quantile(quality[voice], [0.01, 0.02, 0.05, 0.5]).round(2).tolist(),
    }


if __name__ == "__main__":
    main()
