"""Train one family of neural vocoders on the recorded clips, with adversaries after the first third.

    python train.py FAMILY MINUTES      FAMILY as in families.py; MINUTES of CPU time in all

Writes CACHE/vocoders/FAMILY.pt every minute (a later call goes on from it) and the averaged weights of
four ages as FAMILY-{0,1,2,3}.pt. Trains on voice/train and packaged clips only, never on voice/train_extra,
so the same vocoders serve a build on permissive licences alone; one clip in 37 is kept for measuring.
"""

from __future__ import annotations

import copy
import math
import sys
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from copies import genuine
from data import cache

from vocoders.discriminators import fool_loss, judge_loss
from vocoders.families import FAMILIES, Family
from vocoders.mels import log_mel

AGES = (
    0.35,
    0.55,
    0.8,
    1.0,
)  # shares of the training time at which weights are kept; the first has no adversary
ALONE, HELD_OUT, SAVE_SECONDS = 0.35, 37, 60


def folder() -> Path:
    path = cache() / "vocoders"
    path.mkdir(exist_ok=True)
    return path


def training_speech(held_out: bool = False) -> list[np.ndarray]:
    """Return the clips to train on, or those kept for measuring, as int16 samples."""
    paths = [path for _, _, path in genuine(permissive_only=True)]
    return [
        soundfile.read(path, dtype="int16")[0]
        for n, path in enumerate(paths)
        if (n % HELD_OUT == 0) == held_out
    ]


def segments(clips: list[np.ndarray], count: int, size: int, rng: np.random.Generator) -> Tensor:
    """Return (count, size) of random places at random level; quiet places are drawn again once."""
    out = np.zeros((count, size), np.float32)
    for n in range(count):
        for _ in range(2):
            clip = clips[rng.integers(len(clips))]
            start = rng.integers(len(clip) - size)
            out[n] = clip[start : start + size] / 32768
            if np.sqrt(np.mean(out[n] ** 2)) > 0.01:
                break
        out[n] *= 10 ** (rng.uniform(-10, 6) / 20)
    return torch.from_numpy(np.clip(out, -1, 1))


class Trainer:
    """State of one family's training: nets, optimisers, running average, CPU seconds spent."""

    def __init__(self, name: str, minutes: float) -> None:
        self.name, self.budget, self.spent, self.step = name, minutes * 60, 0.0, 0
        self.family: Family = FAMILIES[name]
        torch.manual_seed(0)
        self.net = self.family.build()
        self.judge: nn.Module = self.family.judge()
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), self.family.rate, (0.8, 0.99))
        self.judge_optimizer = torch.optim.AdamW(self.judge.parameters(), 4e-4, (0.8, 0.99))
        path = folder() / f"{name}.pt"
        if path.is_file():
            state = torch.load(path, weights_only=True)
            self.spent, self.step = state.pop("spent"), state.pop("step")
            for key, value in state.items():
                getattr(self, key).load_state_dict(value)

    def save(self) -> None:
        parts = ("net", "judge", "average", "optimizer", "judge_optimizer")
        state = {key: getattr(self, key).state_dict() for key in parts}
        path = folder() / f"{self.name}.pt"
        torch.save({**state, "spent": self.spent, "step": self.step}, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def keep(self, age: int) -> None:
        torch.save(self.average.state_dict(), folder() / f"{self.name}-{age}.pt")

    def update(self, x: Tensor) -> dict[str, float]:
        """One step on (batch, samples); return the losses."""
        share = min(1.0, self.spent / self.budget)
        for optimizer in (self.optimizer, self.judge_optimizer):
            for group in optimizer.param_groups:
                top = self.family.rate if optimizer is self.optimizer else 4e-4
                group["lr"] = (
                    top * min(1, (self.step + 1) / 50) * (0.05 + 0.95 * math.cos(share * math.pi / 2))
                )
        loss, y = self.family.loss(self.net, x)
        shown = {"loss": loss.item()}
        if y is not None and share >= ALONE and self.step % 2 == 0:
            some = slice(0, max(2, len(x) * 5 // 8))
            self.judge.requires_grad_(True)
            judged = judge_loss(self.judge(x[some]), self.judge(y[some].detach()))
            self.judge_optimizer.zero_grad()
            judged.backward()
            self.judge_optimizer.step()
            self.judge.requires_grad_(False)
            with torch.no_grad():
                real = self.judge(x[some])
            fooled = fool_loss(real, self.judge(y[some]))
            loss = loss + fooled
            shown |= {"judge": judged.item(), "fool": fooled.item()}
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 20.0)
        self.optimizer.step()
        self.step += 1
        decay = min(0.998, self.step / (self.step + 20))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.net.parameters()), 1 - decay)
            for mean, value in zip(self.average.buffers(), self.net.buffers(), strict=True):
                mean.copy_(value)
        return shown

    def run(self, clips: list[np.ndarray]) -> None:
        """Train until the CPU minutes are spent."""
        saved = self.spent
        while self.spent < self.budget:
            began = time.process_time()
            rng = np.random.default_rng([self.step, 7])
            before = self.spent / self.budget
            shown = self.update(segments(clips, self.family.batch, self.family.size, rng))
            self.spent += time.process_time() - began
            for age, place in enumerate(AGES):
                if before < place <= self.spent / self.budget:
                    self.keep(age)
            if self.step % 100 == 0:
                text = " ".join(f"{key} {value:.3f}" for key, value in shown.items())
                print(f"{self.name} step {self.step} minute {self.spent / 60:.1f} {text}", flush=True)
            if self.spent - saved > SAVE_SECONDS:
                self.save()
                saved = self.spent
        self.save()


def fit_once(name: str) -> None:
    """Fit a family that has codebooks only; every age is the same."""
    family, rng = FAMILIES[name], np.random.default_rng(0)
    torch.manual_seed(0)
    net = family.build()
    x = segments(training_speech(), family.batch, family.size, rng)
    x *= 0.06 / x.std(1, keepdim=True).clamp(min=1e-3)
    family.fit(net, log_mel(x, net.hop, net.mels))
    for age in range(len(AGES)):
        torch.save(net.state_dict(), folder() / f"{name}-{age}.pt")


def main() -> None:
    torch.set_num_threads(1)
    fit = FAMILIES[sys.argv[1]].fit
    if fit is not None:
        fit_once(sys.argv[1])
        return
    trainer = Trainer(sys.argv[1], float(sys.argv[2]))
    print(trainer.name, sum(p.numel() for p in trainer.net.parameters()), "parameters", flush=True)
    trainer.run(training_speech())


if __name__ == "__main__":
    main()
