"""Train the convolutional net of every fold on fine spectra, alone and distilled; resumable, step by step.

    python cnn.py              writes CACHE/cnn/<kind>-<fold>.pt of the kind that is shipped, and its start
    python cnn.py alone distilled    of others, each after the one it starts from; CACHE/cnn/teacher.npy

The windows, their weights and the folds are those of heads.py: a net of fold k has heard neither the
engines nor the sources of fold k. ``alone`` learns the labels, ``longer`` does so in four times the steps,
``rougher`` goes on from there behind drawn devices and suppressors (cnn_device.py), ``devices`` hears these
from its first step on, in half the steps of the two together: tried, not shipped (../devices.md).
``distilled`` starts from ``alone`` and learns in fewer steps, half and half, the labels and what the heads
of the same fold say of the window; they have heard just as little of what is held out.

A step hears two seconds of each window, from a random place, with some bands and frames hidden and often
all bands above or below a limit, so that no band limit of a codec is a cue. No splices are heard. Nothing
here reads the val folder. Distillation: Hinton et al., "Distilling the knowledge in a neural network",
2015; hidden bands: Park et al., "SpecAugment", 2019.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from clips import training_items
from cnn_device import Devices
from cnn_net import BINS, FineNet
from cnn_spectra import Fine
from compute import device, state_of
from data import cache, permissive_build
from folds import FOLDS, folds_of, keep_folds, weights_of
from heads import SMOOTHING, Pooled, load_heads, scores
from torch import Tensor
from torch.nn import functional as F

KINDS = ("alone", "distilled", "longer", "rougher", "devices")
SHIPPED = "rougher"
STEPS = {"alone": 1500, "distilled": 500, "longer": 6000, "rougher": 6500, "devices": 6500}
RATES = {"alone": 2e-3, "distilled": 1e-3, "longer": 2e-3, "rougher": 1.5e-3, "devices": 2e-3}
STARTS = {"distilled": "alone", "rougher": "longer"}
BEHIND_DEVICES = ("rougher", "devices")
BATCH, CROP, DECAY = 32, 200, 0.05
TEACHER_SHARE, TEMPERATURE = 0.5, 2.0
HIDDEN_BANDS, WIDEST, HIDDEN_FRAMES = 2, 32, 20
# how often all bands above (from LOWEST_TOP to 8 kHz) or below (up to HIGHEST_BASE) are hidden
TOP_HIDDEN, BASE_HIDDEN, LOWEST_TOP, HIGHEST_BASE = 0.3, 0.2, 100, 13
SAVED_EVERY = 150


def folder() -> Path:
    """Return where nets and scores lie."""
    path = cache() / "cnn"
    path.mkdir(exist_ok=True)
    return path


def net_file(kind: str, fold: int) -> Path:
    """Return where one fold's net lies; a permissive-only build has nets of its own."""
    return folder() / f"{'permissive-' if permissive_build() else ''}{kind}-{fold}.pt"


def scores_file(kind: str, fold: int) -> Path:
    """Return where the scores of one fold's net are kept."""
    return net_file(kind, fold).with_name(f"scores-{net_file(kind, fold).stem}.npy")


def teachers(pooled: Pooled) -> np.ndarray:
    """Return float32 (FOLDS, windows): what each fold's heads say of every window."""
    kept = folder() / "teacher.npy"
    if not kept.exists():
        np.save(kept, np.stack([scores(load_heads(k), pooled.x)[0] for k in range(FOLDS)]))
    return np.load(kept)


def hidden(rng: np.random.Generator, size: int) -> Tensor:
    """Return float32 (size, 1, CROP, BINS): 0 where a step hides a place, else 1."""
    kept = np.ones((size, 1, CROP, BINS), np.float32)
    for own in kept[:, 0]:
        for _ in range(HIDDEN_BANDS):
            start, width = rng.integers(BINS), rng.integers(WIDEST)
            own[:, start : start + width] = 0
        start, width = rng.integers(CROP), rng.integers(HIDDEN_FRAMES)
        own[start : start + width] = 0
        if rng.random() < TOP_HIDDEN:
            own[:, rng.integers(LOWEST_TOP, BINS) :] = 0
        if rng.random() < BASE_HIDDEN:
            own[:, : rng.integers(HIGHEST_BASE)] = 0
    return torch.from_numpy(kept)


def loss_of(
    net: FineNet,
    fine: Fine,
    rows: np.ndarray,
    teacher: Tensor | None,
    seed: list[int],
    devices: Devices | None = None,
) -> Tensor:
    """Return the loss of one step; everything random about it follows from ``seed``."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 400 - CROP + 1, len(rows))
    where = next(net.parameters()).device
    spectra = fine.windows(rows, start, CROP)
    if devices is not None:
        spectra = devices.through(spectra, rng)
    score = net(spectra.to(where), hidden(rng, len(rows)).to(where))
    label = torch.from_numpy(fine.spoof[rows].astype(np.float32)).to(where) * (1 - 2 * SMOOTHING) + SMOOTHING
    loss = F.binary_cross_entropy_with_logits(score, label)
    if teacher is None:
        return loss
    soft = torch.sigmoid(teacher[torch.from_numpy(rows)].to(where) / TEMPERATURE)
    told = F.binary_cross_entropy_with_logits(score / TEMPERATURE, soft)
    return (1 - TEACHER_SHARE) * loss + TEACHER_SHARE * TEMPERATURE**2 * told


def train(kind: str, fine: Fine, weight: np.ndarray, teacher: Tensor | None, fold: int) -> None:
    """Train one net; rows of weight 0 are never drawn. Goes on where an earlier run stopped."""
    out, seed = net_file(kind, fold), FOLDS * KINDS.index(kind) + fold
    steps, rate = STEPS[kind], RATES[kind]
    torch.manual_seed(seed)
    net = load_net(STARTS[kind], fold) if kind in STARTS else FineNet()
    devices = Devices(seed) if kind in BEHIND_DEVICES else None
    net = net.to(device(), memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.train().parameters(), lr=rate, weight_decay=DECAY)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.2)
    drawn = np.random.default_rng(seed).choice(len(weight), (steps, BATCH), p=weight / weight.sum())
    mark, first, total = out.with_suffix(".part"), 0, 0.0
    if mark.exists():
        state = torch.load(mark, map_location="cpu", weights_only=True)
        first = state["step"]
        for part, name in ((net, "net"), (optimiser, "optimiser"), (plan, "plan")):
            part.load_state_dict(state[name])
    began = time.process_time()
    for step in range(first, steps):
        torch.manual_seed(1000 * step + seed)
        loss = loss_of(net, fine, np.sort(drawn[step]), teacher, [seed, step], devices)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        plan.step()
        total += loss.item()
        if (step + 1) % SAVED_EVERY == 0:
            parts = {"net": net, "optimiser": optimiser, "plan": plan}
            torch.save({"step": step + 1} | {k: p.state_dict() for k, p in parts.items()}, mark)
            spent = time.process_time() - began
            print(
                f"{out.stem} step {step + 1}: loss {total / SAVED_EVERY:.3f}, {spent:.0f} CPU-s", flush=True
            )
            total = 0.0
    torch.save(state_of(net), out)
    mark.unlink(missing_ok=True)


def load_net(kind: str, fold: int) -> FineNet:
    """Return one fold's net; exits where it was not trained."""
    path = net_file(kind, fold)
    if not path.exists():
        sys.exit(f"{path} is missing: run cnn.py")
    net = FineNet()
    net.load_state_dict(torch.load(path, weights_only=True))
    return net.to(memory_format=torch.channels_last).eval()


def main() -> None:
    torch.set_num_threads(1)
    kinds = sys.argv[1:] or [STARTS[SHIPPED], SHIPPED]
    if not set(kinds) <= set(KINDS):
        sys.exit(f"{' '.join(kinds)}: kinds are {', '.join(KINDS)}")
    items = training_items()
    fine = Fine(items)
    weight, fold = weights_of(items)[fine.item], folds_of(items)[fine.item]
    print(len(items), "clips,", len(weight), "windows", flush=True)
    made = [net_file(kind, k) for kind in KINDS for k in range(FOLDS)]
    keep_folds(items, net_file("all", 0).with_suffix(".folds.json"), made)
    for kind in kinds:
        told = torch.from_numpy(teachers(Pooled(items))) if kind == "distilled" else None
        for k in range(FOLDS):
            if not net_file(kind, k).exists():
                teacher = None if told is None else told[k]
                train(kind, fine, np.where(fold == k, 0.0, weight), teacher, k)


if __name__ == "__main__":
    main()
