"""Trains one small head in a chosen way, fast enough to compare dozens: what ablate.py varies.

The states are standardised, and of each of their eight parts (four states, mean and spread) the KEPT
principal components are taken, without looking at labels: a tenth of the time of heads.py, whose other
choices (splices, smoothing, dropout, AdamW, one cycle) are kept.

Sources: Zhang, Jiang and Duan, "One-class learning towards synthetic voice spoofing detection", 2021; Foret
et al., "Sharpness-aware minimization", 2021; Zhang et al., "mixup", 2018, here of states and not of sound;
Izmailov et al., "Averaging weights leads to wider optima", 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ablate_rows import Training
from clips import Item
from head import FLOOR, SEGMENTS, STATES, WIDTH
from heads import BATCH, DECAY, RATE, SECOND_SHARE, SMOOTHING, SPLICED
from pool import pooled_file
from torch import Tensor, nn
from torch.nn import functional as F
from windows import window_files

PARTS, KEPT = 2 * STATES, 128
# one-class softmax: scale, and the margins of genuine and spoof windows (its paper's values)
ALPHA, GENUINE_MARGIN, SPOOF_MARGIN = 20.0, 0.9, 0.2
PAIR_SHARE, PAIR_MARGIN = 0.5, 1.0
RADIUS, MIX = 0.05, 0.4


class Bank:
    """All pooled windows: components of their states float32 (N, 8, PARTS * KEPT), and what each is."""

    def __init__(self, items: list[Item], kept: Path) -> None:
        rows_of: dict[str, list[int]] = {}
        for n, item in enumerate(items):
            rows_of.setdefault(item.set, []).append(n)
        files = [
            (k, path, rows) for name, rows in rows_of.items() for k, path in enumerate(window_files(name))
        ]
        self.item = np.concatenate([rows for _, _, rows in files])
        self.copy = np.concatenate([np.full(len(rows), k) for k, _, rows in files])
        self.spoof = np.array([i.spoof for i in items])[self.item]
        if not kept.exists():
            np.save(kept, components([(path, [items[n].row for n in rows]) for _, path, rows in files]))
        self.x = torch.from_numpy(np.load(kept))
        if len(self.x) != len(self.item):
            raise SystemExit(f"{kept} is of other windows: delete its folder and run ablate.py again")
        self.original = self._originals(items)

    def _originals(self, items: list[Item]) -> list[np.ndarray]:
        """Return for every window the windows of the clip it was copied from; none where it is no copy."""
        number = {item.key: n for n, item in enumerate(items) if item.origin is None}
        windows: dict[int, list[int]] = {}
        for row, n in enumerate(self.item.tolist()):
            windows.setdefault(n, []).append(row)
        none = np.zeros(0, int)
        of = [np.array(windows[number[i.origin]]) if i.origin else none for i in items]
        return [of[n] for n in self.item.tolist()]


def components(files: list[tuple[Path, list[int]]]) -> np.ndarray:
    """Return float32 (N, 8, PARTS * KEPT) of some rows of files of pooled states (.., 8, FEATURES)."""
    blocks = [(np.load(pooled_file(path), mmap_mode="r"), rows) for path, rows in files]
    sample = torch.from_numpy(np.concatenate([block[rows[::20]] for block, rows in blocks])).float()
    centre, scale = sample.mean((0, 1)), 1 / (sample.std((0, 1)) + 0.02)
    part = ((sample - centre) * scale).flatten(0, 1).unflatten(1, (PARTS, WIDTH)).transpose(0, 1)
    basis = torch.linalg.eigh(part.transpose(1, 2) @ part).eigenvectors[:, :, -KEPT:]
    found = []
    for block, rows in blocks:
        for some in np.array_split(rows, len(rows) // 256 + 1):
            z = ((torch.from_numpy(block[some]).float() - centre) * scale).unflatten(2, (PARTS, WIDTH))
            found.append(torch.einsum("bspw,pwk->bspk", z, basis).flatten(2).numpy())
        print(len(found), "blocks of states", flush=True)
    return np.concatenate(found)


class VariantHead(nn.Module):
    """As head.Head, with fewer states, another pooling or another width."""

    def __init__(self, how: Training, dropout: float = 0.3) -> None:
        super().__init__()
        kinds = (0, 1) if how.spread_of_states else (0,)
        starts = [(2 * state + kind) * KEPT for state in how.states for kind in kinds]
        columns = torch.cat([torch.arange(start, start + KEPT) for start in starts])
        self.columns = None if len(columns) == PARTS * KEPT else columns
        self.dropout, self.pooling = dropout, how.pooling
        self.inner = nn.Sequential(nn.Linear(len(columns), how.hidden), nn.GELU(), nn.Dropout(dropout))
        self.attention = nn.Linear(how.hidden, 1)
        self.out = nn.Linear(how.hidden * (1 if how.pooling == "mean" else 2), 1)
        self.second = nn.Linear(how.hidden, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what describes a window (B, D), and the scores of its half seconds (B, 8)."""
        x = x if self.columns is None else x[:, :, self.columns]
        if self.training:
            x = x * ((torch.rand(len(x), 1, x.shape[2]) > self.dropout) / (1 - self.dropout))
        h = self.inner(x)
        w = torch.full((*h.shape[:2], 1), 1 / SEGMENTS)
        if self.pooling == "attention":
            w = torch.softmax(self.attention(h), dim=1)
        mean = (w * h).sum(1)
        second = self.second(h).squeeze(2)
        if self.pooling == "mean":
            return mean, second
        spread = torch.sqrt(torch.clamp((w * (h - mean.unsqueeze(1)) ** 2).sum(1), min=FLOOR))
        return torch.cat([mean, spread], 1), second

    def score(self, described: Tensor, loss: str) -> Tensor:
        """Return raw scores (B,), larger for spoof."""
        if loss == "one-class":
            return -F.cosine_similarity(described, self.out.weight)
        return self.out(described).squeeze(1)


@dataclass
class Batch:
    """States (B, 8, D), targets of windows (B,) and half seconds (B, 8); copies and their originals."""

    x: Tensor
    window: Tensor
    second: Tensor
    pairs: tuple[Tensor, Tensor] | None = None


def draw_batch(bank: Bank, rows: np.ndarray, how: Training, rng: np.random.Generator) -> Batch:
    """Return one batch, spliced as in heads.py; mixed or paired where the loss asks for it."""
    x = bank.x[torch.from_numpy(rows)]
    second = np.repeat(bank.spoof[rows][:, None], SEGMENTS, 1).astype(np.float32)
    clean = x.clone()
    for b in np.flatnonzero(rng.random(len(rows)) < SPLICED):
        donor, length = int(rng.integers(len(rows))), int(rng.integers(2, SEGMENTS - 1))
        start = int(rng.integers(0, SEGMENTS - length + 1))
        x[b, start : start + length] = clean[donor, start : start + length]
        second[b, start : start + length] = bank.spoof[rows[donor]]
    window = torch.from_numpy((second.sum(1) >= 2).astype(np.float32))
    batch = Batch(x, window, torch.from_numpy(second))
    if how.loss == "mixed":
        share = torch.from_numpy(rng.beta(MIX, MIX, len(rows)).astype(np.float32))
        other = torch.from_numpy(rng.permutation(len(rows)))
        wide = share[:, None, None]
        batch.x = x * wide + x[other] * (1 - wide)
        batch.window = share * window + (1 - share) * window[other]
        batch.second = share[:, None] * batch.second + (1 - share[:, None]) * batch.second[other]
    if how.loss == "paired":
        copies = [row for row in rows.tolist() if len(bank.original[row])]
        originals = [int(rng.choice(bank.original[row])) for row in copies]
        batch.pairs = bank.x[torch.tensor(copies)], bank.x[torch.tensor(originals)]
    return batch


def loss_of(head: VariantHead, batch: Batch, how: Training) -> Tensor:
    """Return the loss of one batch."""
    described, parts = head(batch.x)
    score = head.score(described, how.loss)
    window, second = (t * (1 - 2 * SMOOTHING) + SMOOTHING for t in (batch.window, batch.second))
    if how.loss == "one-class":
        genuine = batch.window < 0.5
        distance = torch.where(genuine, GENUINE_MARGIN + score, -score - SPOOF_MARGIN)
        loss = F.softplus(ALPHA * distance).mean()
    else:
        loss = F.binary_cross_entropy_with_logits(score, window)
    loss = loss + SECOND_SHARE * F.binary_cross_entropy_with_logits(parts, second)
    if batch.pairs is not None:
        copies, originals = (head.score(head(side)[0], how.loss) for side in batch.pairs)
        loss = loss + PAIR_SHARE * F.softplus(PAIR_MARGIN - (copies - originals)).mean()
    return loss


def sharp_gradient(head: VariantHead, batch: Batch, how: Training) -> None:
    """Leave the gradient at the worst place within RADIUS of the weights (sharpness-aware minimisation)."""
    state, moved = torch.get_rng_state(), []
    loss_of(head, batch, how).backward()
    grads = [p for p in head.parameters() if p.grad is not None]
    norm = torch.sqrt(sum((p.grad**2).sum() for p in grads)) + 1e-12
    with torch.no_grad():
        for p in grads:
            moved.append(RADIUS * p.grad / norm)
            p.add_(moved[-1])
    head.zero_grad()
    torch.set_rng_state(state)  # the same dropout at both places
    loss_of(head, batch, how).backward()
    with torch.no_grad():
        for p, step in zip(grads, moved, strict=True):
            p.sub_(step)


def train(bank: Bank, weight: np.ndarray, how: Training, seed: int) -> VariantHead:
    """Train one head; rows of weight 0 are never drawn."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head = VariantHead(how)
    optimiser = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, how.steps, pct_start=0.1)
    if how.loss == "averaged":
        plan = torch.optim.lr_scheduler.LinearLR(optimiser, 0.1, 1.0, how.steps // 10)
    mean = torch.optim.swa_utils.AveragedModel(head)
    for n, rows in enumerate(rng.choice(len(weight), (how.steps, BATCH), p=weight / weight.sum())):
        batch = draw_batch(bank, np.sort(rows), how, rng)
        optimiser.zero_grad()
        if how.loss == "sharpness":
            sharp_gradient(head, batch, how)
        else:
            loss_of(head, batch, how).backward()
        optimiser.step()
        plan.step()
        if how.loss == "averaged" and n >= how.steps // 2:
            mean.update_parameters(head)
    return (mean.module if how.loss == "averaged" else head).eval()


def scores(head: VariantHead, bank: Bank, rows: np.ndarray, how: Training) -> np.ndarray:
    """Return float32 raw scores of some windows."""
    with torch.inference_mode():
        parts = [bank.x[torch.from_numpy(part)] for part in np.array_split(rows, len(rows) // 512 + 1)]
        return torch.cat([head.score(head(part)[0], how.loss) for part in parts]).numpy()
