"""Trains the face frame detector on a pool of pairs, with a learning rate that falls at the end.

The head starts alone on the frozen trunk. The loss is the cross entropy of every picture and, for
every pair, the cost of ranking the forgery below the picture it was made from: two pictures of one
camera and one call, so that cameras cannot be what is learned. Within each class the score is kept
from following sharpness. What a step sees depends on the seed
and the step alone, so a run cut off goes on from its last checkpoint as if nothing had happened.

    GUARD_DATA=... python train.py --folder CHECKPOINTS [--out TURN] [--start NET] [--steps N]

Two turns (models/face/Makefile), in which every layer learns: the first from ImageNet's weights, the second
goes on from the first's trunk with a new head. ``--keep-first`` would leave the second's first layers as they
are; make never sets it, and what ships was trained without it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from data import written_whole
from held import held_out_pairs
from measure import rank_auc, sharpness
from net import FaceNet, pretrained
from pairs import Pairs
from pool import SEED, Pool, read_pool

HEAD_STEPS = 60
PAIRS_PER_STEP = 16
LEVEL_SHARE = 0.3  # of the shipped run
_EMA = 0.99
_FIRST_LAYERS = ("_conv_stem", "_bn0", *(f"_blocks.{number}." for number in range(5)))
_FALLING = 0.5  # of the steps
_TRUNK_RATE, _HEAD_RATE = 5e-4, 1.5e-3


@dataclass(frozen=True)
class Plan:
    """One training run.

    Args:
        steps: of 16 pairs each.
        relative: whether the head compares regions (net.py).
        rank_share: of the ranking of pairs in the loss.
        level_share: weight of the squared correlation of score and sharpness within each class.
        without: methods and finishes of the pool that are left out.
        start: a net of an earlier run whose trunk is gone on with, or none: ImageNet's.
        keep_first: whether the first layers of such a trunk stay as they are: most of a step's cost. The
            ablations' way (ablate.py), not that of what ships.
        head_steps: the head learns alone for as many.
        branch: which order of the pool is drawn; nets of several branches may be averaged (export.py).
        side_px: of the pool's pictures.
    """

    steps: int
    relative: bool = True
    rank_share: float = 0.5
    level_share: float = 0.0
    without: frozenset[str] = frozenset()
    start: Path | None = None
    keep_first: bool = True
    head_steps: int = HEAD_STEPS
    branch: int = 0
    side_px: int = 128

    @property
    def kept(self) -> tuple[str, ...]:
        """The beginnings of the names of the weights that stay as they are."""
        return _FIRST_LAYERS if self.start and self.keep_first else ()


def main() -> None:
    """Train, or go on training, and leave ``net.pt`` (averaged weights) in the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="holds pool and autoencoders")
    parser.add_argument("--out", type=Path, help="for the checkpoints; else the folder")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--start", type=Path, help="a net.pt whose trunk is gone on with; else ImageNet's")
    parser.add_argument(
        "--keep-first", action="store_true", help="the first layers of START stay as they are"
    )
    parser.add_argument("--branch", type=int, default=0, help="another order of the pool, no curve")
    parser.add_argument("--every", type=int, default=200, help="steps between checkpoints")
    parser.add_argument("--held-pairs", type=int, default=30, help="of each forgery, for the curve")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    out_folder = args.out or args.folder
    out_folder.mkdir(parents=True, exist_ok=True)
    families = () if args.branch else ("seen", "unseen")  # a branch's own curve is nobody's business
    held = {name: held_out_pairs(args.folder, name, args.held_pairs) for name in families}
    started = time.monotonic()

    def note(step: int, loss: float, net: FaceNet) -> None:
        row = {"step": step, "loss": round(loss, 4), "s": round(time.monotonic() - started)}
        for name, pairs in held.items():
            row |= {f"{name}.{method}": auc for method, auc in aucs(net, pairs).items()}
        with (out_folder / "curve.jsonl").open("a") as out:
            out.write(json.dumps(row) + "\n")
        print(row, flush=True)

    plan = Plan(
        args.steps,
        level_share=LEVEL_SHARE,
        start=args.start,
        keep_first=args.keep_first,
        head_steps=min(HEAD_STEPS, args.steps // 10),
        branch=args.branch,
    )
    train(plan, args.folder, out_folder, every=args.every, note=note)


def train(
    plan: Plan,
    folder: Path,
    out: Path,
    *,
    every: int,
    note: Callable[[int, float, FaceNet], None],
) -> FaceNet:
    """Train by ``plan`` on the pool of ``folder``; checkpoints and the net go to ``out``.

    Args:
        plan: the run.
        folder: holds the pool.
        out: where ``last.pt`` and ``net.pt`` are written, and read again when a run goes on.
        every: steps between checkpoints.
        note: called at each with step, mean loss since the last and the averaged net.

    Returns:
        the net of averaged weights.
    """
    torch.manual_seed(SEED)
    pool = read_pool(folder, plan.without)
    print(f"{len(pool.rows)} pairs to train on", flush=True)
    net = pretrained(plan.relative, plan.start, plan.side_px).to(memory_format=torch.channels_last)
    mean = {k: v.clone() for k, v in net.state_dict().items()}
    optimiser = _optimiser(net)
    losses: list[float] = []
    for step in range(_resume(out / "last.pt", net, mean, optimiser), plan.steps):
        _set_rates(optimiser, step, plan)
        losses.append(_step(net, optimiser, _batch(pool, step, SEED + plan.branch), step, plan))
        keep = min(_EMA, (step + 1) / (step + 20))
        for key, value in net.named_parameters():  # batch statistics stay ImageNet's
            mean[key].mul_(keep).add_(value.detach(), alpha=1 - keep)
        if step + 1 == plan.steps or (step + 1) % every == 0:
            state = {"step": step + 1, "net": net.state_dict(), "mean": mean, "opt": optimiser.state_dict()}
            for name, kept in (("net.pt", mean), ("last.pt", state)):
                with written_whole(out / name) as file:
                    torch.save(kept, file)
            note(step + 1, float(np.mean(losses)), _loaded(mean, plan))
            losses.clear()
    return _loaded(mean, plan)


def _loaded(weights: dict, plan: Plan) -> FaceNet:
    net = FaceNet(plan.relative, plan.side_px)
    net.load_state_dict(weights)
    return net.eval()


def _batch(pool: Pool, step: int, seed: int) -> np.ndarray:
    """Return uint8 (16, 2, side, side, 3): the step's pairs, mirrored, lit or partly hidden by chance."""
    epoch, place = divmod(step * PAIRS_PER_STEP, len(pool.rows))
    order = np.random.default_rng((seed, epoch)).permutation(len(pool.rows))
    pairs = pool.take(np.take(order, range(place, place + PAIRS_PER_STEP), mode="wrap"))
    rng = np.random.default_rng((seed, step))
    for row in range(len(pairs)):
        if rng.random() < 0.5:
            pairs[row] = pairs[row, :, :, ::-1]
        if rng.random() < 0.4:
            lit = pairs[row].astype(np.float32) * rng.uniform(0.8, 1.2) + rng.uniform(-15, 15)
            pairs[row] = np.clip(lit, 0, 255).astype(np.uint8)
        if rng.random() < 0.15:  # a hand, a microphone: the same spot of both
            zoom = pairs.shape[2] / 128
            top, left = (rng.integers(0, 96, 2) * zoom).astype(int)
            high, wide = (rng.integers(12, 40, 2) * zoom).astype(int)
            pairs[row, :, top : top + high, left : left + wide] = rng.integers(0, 256, 3)
    return pairs


def to_input(pictures: np.ndarray) -> torch.Tensor:
    """Return float32 (B, 3, side, side) in [0, 1] from uint8 (B, side, side, 3)."""
    stacked = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    return (stacked.float() / 255).contiguous(memory_format=torch.channels_last)


def logits(net: torch.nn.Module, pictures: np.ndarray) -> np.ndarray:
    """Return float32 (B,): raw scores, larger means spoof."""
    net = net.eval().to(memory_format=torch.channels_last)
    with torch.no_grad():
        parts = [net(to_input(pictures[i : i + 64])).numpy() for i in range(0, len(pictures), 64)]
    return np.concatenate(parts)


def aucs(net: FaceNet, held: Pairs) -> dict[str, float]:
    """Return the AUC of every method against all real pictures of ``held``."""
    real, fake = logits(net, held.real), logits(net, held.fake)
    methods = np.array(held.methods)
    return {m: round(rank_auc(real, fake[methods == m]), 4) for m in dict.fromkeys(held.methods)}


def _optimiser(net: FaceNet) -> torch.optim.AdamW:
    head = [p for name, p in net.named_parameters() if name.startswith(("head", "out"))]
    own = {id(p) for p in head}
    trunk = [p for p in net.parameters() if id(p) not in own]
    return torch.optim.AdamW(
        [{"params": trunk, "peak": _TRUNK_RATE}, {"params": head, "peak": _HEAD_RATE}], weight_decay=0.02
    )


def _set_rates(optimiser: torch.optim.AdamW, step: int, plan: Plan) -> None:
    """The rate rises, stays, and falls over the last half: until then a run may still be made longer."""
    for index, group in enumerate(optimiser.param_groups):
        if step < plan.head_steps:
            group["lr"] = group["peak"] if index == 1 else 0.0
            continue
        warm = min(1.0, (step - plan.head_steps + 1) / 40)
        left = min(1.0, (plan.steps - step) / (plan.steps * _FALLING))
        group["lr"] = float(group["peak"] * warm * max(left, 0.02))


def _step(net: FaceNet, optimiser: torch.optim.AdamW, pairs: np.ndarray, step: int, plan: Plan) -> float:
    net.train()
    for module in net.modules():  # batches are small: keep ImageNet's statistics
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    for name, parameter in net.named_parameters():
        learns = step >= plan.head_steps and not name.startswith(plan.kept)
        parameter.requires_grad_(learns or name.startswith(("head", "out")))
    target = torch.cat([torch.zeros(len(pairs)), torch.ones(len(pairs))])
    pictures = np.concatenate([pairs[:, 0], pairs[:, 1]])
    seen, measures = net.look(to_input(pictures))
    with torch.autocast("cpu", dtype=torch.bfloat16):  # half the time, on processors that know it
        fine = net.early(seen)
    judged = net.judge(fine.float(), measures)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(judged, target)
    real, fake = judged.chunk(2)
    ranked = torch.nn.functional.softplus(real - fake).mean()
    loss = (1 - plan.rank_share) * loss + plan.rank_share * ranked
    if plan.level_share:
        sharp = torch.from_numpy(np.log(sharpness(pictures) + 1.0))
        lean = sum(
            _correlation(one, two) ** 2 for one, two in zip(judged.chunk(2), sharp.chunk(2), strict=True)
        )
        loss = loss + plan.level_share * lean
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for p in net.parameters() if p.grad is not None], 2.0)
    optimiser.step()
    return loss.item()


def _correlation(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    one, two = one - one.mean(), two - two.mean()
    return (one * two).sum() / (one.norm() * two.norm()).clamp(min=1e-6)


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


if __name__ == "__main__":
    main()
