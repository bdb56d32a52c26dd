"""Trains the face frame detector in two turns, each with a learning rate that falls to nothing.

The first turn (1,200 steps) starts with the head on the frozen trunk and knows swaps only; the
second starts again at a high rate and adds what autoencoders rebuild. Every batch is made of fresh
pairs, drawn from a seed that depends on the step alone, so a run cut off goes on from its last
checkpoint as if nothing had happened.

    GUARD_DATA=... python train.py --folder CHECKPOINTS [--steps N]   # N counts both turns
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from data import Faces, load
from forge import FIRST_TRAINED, HELD_OUT, TRAINED, Forger, fit_pca
from net import FaceNet, pretrained
from pairs import Pairs, draw_pairs
from rebuild import Rebuilder, load_rebuilder

SEED = 20261122
HEAD_STEPS = 80
FIRST_STEPS = 1200
PAIRS_PER_STEP = 24
AUTOENCODERS = "autoencoders.pt"  # in the folder of checkpoints
_FIRST_SHARES = (0.25, 0.2, 0.25, 0.3)  # blend, swap, bottleneck, swap_bottleneck
_SHARES = (0.18, 0.14, 0.18, 0.2, 0.12, 0.18)  # the same, decoded, generated
_EMA = 0.995


def main() -> None:
    """Train, or go on training, and leave ``net.pt`` (averaged weights) in the folder."""
    args = _arguments()
    args.folder.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    faces = load(held_out=False)
    rebuilder = load_rebuilder(args.folder / AUTOENCODERS, faces, SEED)
    print(f"{len(faces.faces)} faces to train on", flush=True)
    net = pretrained().to(memory_format=torch.channels_last)
    mean = {k: v.clone() for k, v in net.state_dict().items()}
    optimiser = _optimiser(net)
    step = _resume(args.folder / "last.pt", net, mean, optimiser)
    held = held_out_pairs(faces, rebuilder, 80)
    losses: list[float] = []
    started = time.monotonic()
    for pairs in _batches(Batches(faces, rebuilder, args.steps), step):
        _set_rates(optimiser, step, args.steps)
        losses.append(_step(net, optimiser, pairs, step))
        for key, value in net.named_parameters():  # batch statistics stay ImageNet's
            mean[key].mul_(_EMA).add_(value.detach(), alpha=1 - _EMA)
        step += 1
        if step in (HEAD_STEPS, args.steps) or step % args.every == 0:
            state = {"step": step, "net": net.state_dict(), "mean": mean, "opt": optimiser.state_dict()}
            torch.save(state, args.folder / "last.pt")
            averaged = FaceNet()
            averaged.load_state_dict(mean if step > HEAD_STEPS * 4 else net.state_dict())
            torch.save(averaged.state_dict(), args.folder / "net.pt")
            row = {"step": step, "loss": float(np.mean(losses)), "s": round(time.monotonic() - started)}
            row |= _held_out_auc(averaged, held)
            losses.clear()
            _note(args.folder / "curve.jsonl", row)


class Batches(torch.utils.data.Dataset):
    """The pairs of every step; a second process draws them while this one trains."""

    def __init__(self, faces: Faces, rebuilder: Rebuilder, steps: int) -> None:
        self._faces = faces
        self._forger = Forger(faces, rebuilder)
        self._steps = steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> Pairs:
        rng = np.random.default_rng((SEED, step))
        if step < FIRST_STEPS:
            methods = rng.choice(FIRST_TRAINED, PAIRS_PER_STEP, p=_FIRST_SHARES)
        else:
            methods = rng.choice(TRAINED, PAIRS_PER_STEP, p=_SHARES)
        return draw_pairs(self._forger, self._faces, [str(method) for method in methods], rng)


def _batches(batches: Batches, first: int) -> torch.utils.data.DataLoader:
    return torch.utils.data.DataLoader(
        batches,
        batch_size=None,
        sampler=range(first, len(batches)),
        num_workers=1,
        collate_fn=lambda pairs: pairs,
    )


def _note(path: Path, row: dict[str, float]) -> None:
    with path.open("a") as out:
        out.write(json.dumps(row) + "\n")
    print(row, flush=True)


def to_input(pictures: np.ndarray) -> torch.Tensor:
    """Return float32 (B, 3, 128, 128) in [0, 1] from uint8 (B, 128, 128, 3)."""
    stacked = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    return (stacked.float() / 255).contiguous(memory_format=torch.channels_last)


def logits(net: FaceNet, pictures: np.ndarray) -> np.ndarray:
    """Return float32 (B,): raw scores, larger means spoof."""
    net = net.eval().to(memory_format=torch.channels_last)
    with torch.no_grad():
        parts = [net(to_input(pictures[i : i + 64])).numpy() for i in range(0, len(pictures), 64)]
    return np.concatenate(parts)


def rank_auc(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the chance that a forgery scores above a real face; ties count half."""
    return float((fake[:, None] > real[None]).mean() + 0.5 * (fake[:, None] == real[None]).mean())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder", type=Path, required=True, help="checkpoints; keep it outside the repository"
    )
    parser.add_argument("--steps", type=int, default=2000, help="of both turns")
    parser.add_argument("--every", type=int, default=200, help="steps between checkpoints")
    return parser.parse_args()


def _optimiser(net: FaceNet) -> torch.optim.AdamW:
    head = [*net.head.parameters(), *net.out.parameters()]
    own = {id(p) for p in head}
    trunk = [p for p in net.parameters() if id(p) not in own]
    return torch.optim.AdamW(
        [{"params": trunk, "peak": 5e-4}, {"params": head, "peak": 1.5e-3}], weight_decay=0.02
    )


def _set_rates(optimiser: torch.optim.AdamW, step: int, steps: int) -> None:
    for index, group in enumerate(optimiser.param_groups):
        if step < HEAD_STEPS:
            group["lr"] = group["peak"] if index == 1 else 0.0
            continue
        first, last = (HEAD_STEPS, FIRST_STEPS) if step < FIRST_STEPS else (FIRST_STEPS, steps)
        done = (step - first) / max(1, last - first)
        warm = min(1.0, (step - first + 1) / 60)
        group["lr"] = float(group["peak"] * warm * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * done))))


def _step(net: FaceNet, optimiser: torch.optim.AdamW, pairs: Pairs, step: int) -> float:
    net.train()
    for module in net.modules():  # batches are small: keep ImageNet's statistics
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(step >= HEAD_STEPS or name.startswith(("head", "out")))
    target = torch.cat([torch.zeros(PAIRS_PER_STEP), torch.ones(PAIRS_PER_STEP)])
    seen = net.look(to_input(np.concatenate([pairs.real, pairs.fake])))
    with torch.autocast("cpu", dtype=torch.bfloat16):  # a third less time on processors that know it
        judged = net.judge(seen)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(judged.float(), target)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for p in net.parameters() if p.grad is not None], 2.0)
    optimiser.step()
    return loss.item()


def _resume(path: Path, net: FaceNet, mean: dict, optimiser: torch.optim.AdamW) -> int:
    if not path.is_file():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    net.load_state_dict(state["net"])
    for key, value in state["mean"].items():
        mean[key].copy_(value)
    optimiser.load_state_dict(state["opt"])
    print(f"going on from step {state['step']}", flush=True)
    return int(state["step"])


def held_out_pairs(trained_on: Faces, rebuilder: Rebuilder, per_method: int, seed: int = SEED) -> Pairs:
    """Return pairs of faces never trained on, every method in turn, the never trained ones last."""
    faces = load(held_out=True)
    methods = [method for method in (*TRAINED, *HELD_OUT) for _ in range(per_method)]
    forger = Forger(faces, rebuilder, fit_pca(trained_on, 200, SEED))
    return draw_pairs(forger, faces, methods, np.random.default_rng(seed))


def _held_out_auc(net: FaceNet, held: Pairs) -> dict[str, float]:
    real, fake = logits(net, held.real), logits(net, held.fake)
    methods = np.array(held.methods)
    return {m: round(rank_auc(real, fake[methods == m]), 4) for m in dict.fromkeys(held.methods)}


if __name__ == "__main__":
    main()
