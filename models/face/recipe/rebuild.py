"""Small autoencoders that rebuild a picture, as face generators and swappers end in a decoder.

They are trained on the training faces alone and leave what decoders leave: periodic patterns of the
upsampling layer, skin without its finest texture, slightly wrong detail. Odena, Dumoulin and Olah,
Distill 2016 ("Deconvolution and checkerboard artifacts") shows how each kind of upsampling does so.
Networks that grow by ``nearest`` are kept for calibration and measuring; no detector trains on them.

A network trained for the smallest difference is softer than what it was given. So each has a twin
that went on against a critic of patches (Isola et al., CVPR 2017, section 3.2.2; hinge loss), which
makes its pictures as sharp as real ones.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from data import Faces, written_whole
from torch import nn

KINDS = ("deconv", "shuffle")
HELD_OUT_KIND = "nearest"
_FACTORS = {4: 8, 8: 24}  # how much a network shrinks each side: channels it keeps there
STEPS = 450
_CRITIC_SHARE_OF_STEPS = 120 / 450
_CRITIC_BATCH = 8
_CRITIC_SHARE = 0.04  # of the critic in the twin's loss
_BATCH = 16
_CROP_PX = 96
_WIDTHS = (24, 40, 64)


class Autoencoder(nn.Module):
    """float32 (B, 3, H, W) in [0, 1] to the same shape; H and W are multiples of ``factor``.

    Args:
        kind: how the decoder grows: ``deconv``, ``shuffle`` or ``nearest``.
        factor: 4 or 8, by how much each side shrinks in between.
    """

    def __init__(self, kind: str, factor: int) -> None:
        super().__init__()
        widths = _WIDTHS[: factor.bit_length() - 1]
        layers: list[nn.Module] = []
        wide = 3
        for width in widths:
            layers += [nn.Conv2d(wide, width, 4, 2, 1), nn.LeakyReLU(0.1)]
            wide = width
        layers += [nn.Conv2d(wide, _FACTORS[factor], 1), nn.Conv2d(_FACTORS[factor], wide, 3, 1, 1)]
        for width in (*reversed(widths[:-1]), 16):
            layers += [nn.LeakyReLU(0.1), *_grow(kind, wide, width)]
            wide = width
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(0.1), nn.Conv2d(wide, 3, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x * 2 - 1) * 0.5 + 0.5


def _grow(kind: str, wide_in: int, wide_out: int) -> list[nn.Module]:
    if kind == "deconv":  # kernel 3 at stride 2 overlaps unevenly
        return [nn.ConvTranspose2d(wide_in, wide_out, 3, 2, 1, output_padding=1)]
    if kind == "shuffle":
        return [nn.Conv2d(wide_in, wide_out * 4, 3, 1, 1), nn.PixelShuffle(2)]
    return [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(wide_in, wide_out, 3, 1, 1)]


class Rebuilder:
    """Rebuilds pictures with one of several trained autoencoders, drawn at random."""

    def __init__(self, networks: dict[str, list[Autoencoder]]) -> None:
        self._networks = networks

    def __call__(self, picture: np.ndarray, seen: bool, rng: np.random.Generator) -> np.ndarray:
        """Return ``picture``, uint8 (S, S, 3), rebuilt; ``seen`` False takes the held-out kind."""
        kind = str(rng.choice(KINDS)) if seen else HELD_OUT_KIND
        networks = self._networks[kind]
        side = int(rng.integers(18, 33)) * 8  # the pattern's period in the picture varies with it
        how = cv2.INTER_AREA if side < picture.shape[0] else cv2.INTER_CUBIC
        given = cv2.resize(picture, (side, side), interpolation=how)
        out = _keep_colours(_run(networks[int(rng.integers(len(networks)))], given), given)
        how = cv2.INTER_AREA if side > picture.shape[0] else cv2.INTER_CUBIC
        return cv2.resize(out, picture.shape[1::-1], interpolation=how)


def _run(network: Autoencoder, picture: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        out = network(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)
    return (out[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()


def _keep_colours(out: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Give ``out`` the coarse colours of ``given``: a network so small pales them, a generator does not."""
    coarse = cv2.GaussianBlur(given.astype(np.float32) - out, (0, 0), 8.0)
    return np.clip(np.round(out + coarse), 0, 255).astype(np.uint8)


def load_rebuilder(path: Path, faces: Faces | None, seed: int, steps: int = STEPS) -> Rebuilder:
    """Return the autoencoders of ``path``; those it lacks are trained on ``faces`` first and added.

    Args:
        path: of the file that holds them.
        faces: to train on.
        seed: of the training.
        steps: of each; its twin's against the critic are in proportion.

    Raises:
        SystemExit: some are lacking and there are no faces to train them on.
    """
    stored = torch.load(path, map_location="cpu", weights_only=True) if path.is_file() else {}
    if faces is None and len(stored) < 2 * len(_FACTORS) * (len(KINDS) + 1):
        raise SystemExit(f"{path} lacks autoencoders: run pool.py first")
    stack = np.stack([face.image for face in faces.faces]) if faces else np.empty(0)
    networks: dict[str, list[Autoencoder]] = {}
    for kind, factor in itertools.product((*KINDS, HELD_OUT_KIND), _FACTORS):
        name = f"{kind}_{factor}"
        plain = _network(name, stored, functools.partial(_fit, kind, factor, stack, seed, steps=steps), path)
        critic = functools.partial(_against_critic, plain, stack, seed, round(steps * _CRITIC_SHARE_OF_STEPS))
        twin = _network(f"{name}_critic", stored, critic, path)
        networks.setdefault(kind, []).extend([plain, twin])
    return Rebuilder(networks)


def _network(name: str, stored: dict, fit: Callable[[], Autoencoder], path: Path) -> Autoencoder:
    if name not in stored:
        stored[name] = fit().state_dict()
        with written_whole(path) as out:
            torch.save(stored, out)
    kind, factor = name.split("_")[:2]
    network = Autoencoder(kind, int(factor))
    network.load_state_dict(stored[name])
    return network.eval().requires_grad_(False)


def _fit(kind: str, factor: int, stack: np.ndarray, seed: int, *, steps: int) -> Autoencoder:
    """Return a network trained for the smallest difference of pixels and of their slopes."""
    torch.manual_seed(seed)
    rng = np.random.default_rng((seed, factor))
    network = Autoencoder(kind, factor)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    loss = torch.zeros(())
    for _ in range(steps):
        wanted = _crops(stack, rng)
        difference = network(wanted) - wanted
        slopes = difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()
        loss = difference.abs().mean() + slopes
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        rates.step()
    print(f"autoencoder {kind} / {factor}: loss {loss.item():.4f}", flush=True)
    return network


def _against_critic(plain: Autoencoder, stack: np.ndarray, seed: int, steps: int) -> Autoencoder:
    """Return a copy of ``plain`` trained on against a critic that tells its patches from real ones."""
    torch.manual_seed(seed + 1)
    rng = np.random.default_rng((seed, 1))
    network = copy.deepcopy(plain).train().requires_grad_(True)
    critic = nn.Sequential(
        *(nn.Conv2d(3, 24, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(24, 48, 4, 2, 1), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(48, 48, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(48, 1, 1)),
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=4e-4, betas=(0.5, 0.99))
    judge = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.99))
    for _ in range(max(1, steps)):
        wanted = _crops(stack, rng, _CRITIC_BATCH)
        made = network(wanted)
        told = (1 - critic(wanted)).relu().mean() + (1 + critic(made.detach())).relu().mean()
        judge.zero_grad(set_to_none=True)
        told.backward()
        judge.step()
        loss = (made - wanted).abs().mean() - _CRITIC_SHARE * critic(made).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    made_slopes, slopes = (x.detach().diff(dim=3).abs().mean() for x in (made, wanted))
    print(f"critic: loss {told.item():.3f}, slopes {(made_slopes / slopes).item():.2f} of real", flush=True)
    return network


def _crops(stack: np.ndarray, rng: np.random.Generator, count: int = _BATCH) -> torch.Tensor:
    crops = []
    for row in rng.integers(len(stack), size=count):
        top, left = rng.integers(0, stack.shape[1] - _CROP_PX + 1, 2)
        crops.append(stack[row, top : top + _CROP_PX, left : left + _CROP_PX])
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
