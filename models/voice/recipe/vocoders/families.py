"""The families of vocoders: how each is built, trained and what drives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vocoders.codec import Codec
from vocoders.discriminators import Periods, Scales, Several, Spectrograms
from vocoders.flow import Flow
from vocoders.hifigan import HifiGan, MelGan
from vocoders.mels import spectral_loss
from vocoders.source import Source
from vocoders.vocos import Vocos

Loss = Callable[[nn.Module, Tensor], tuple[Tensor, Tensor | None]]


def from_mel(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the spectral loss and the waveform made again from the mel of ``x``."""
    y = net(net.condition(x))
    return spectral_loss(y, x), y


def from_mel_in_bfloat16(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """As ``from_mel``, convolutions in bfloat16: nearly twice as fast where the processor has it."""
    given = net.condition(x)
    with torch.autocast("cpu", torch.bfloat16):
        y = net(given)
    return spectral_loss(y.float(), x), y.float()


def from_codes(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the spectral and codebook losses and the decoded waveform, of a random count of codes."""
    net.used = int(torch.randint(2, net.most + 1, ()))
    y, codebook = net.coded(x)
    return spectral_loss(y, x) + 50 * F.l1_loss(y, x) + 5 * codebook, y


def from_noise(net: nn.Module, x: Tensor) -> tuple[Tensor, None]:
    """Return the flow's own loss; nothing that a discriminator is asked about."""
    return net.loss(x), None


@dataclass(frozen=True)
class Family:
    """``loss`` returns the loss and the waveform that a discriminator may judge, or None."""

    build: Callable[[], nn.Module]
    judge: Callable[[], nn.Module]
    seed: int
    loss: Loss = from_mel
    batch: int = 5
    size: int = 8_000
    rate: float = 8e-4


FAMILIES = {
    "vocos": Family(Vocos, Spectrograms, seed=10),
    "hifigan": Family(
        HifiGan, lambda: Several(Periods(), Spectrograms((512,))), seed=11, loss=from_mel_in_bfloat16, batch=3
    ),
    "source": Family(Source, Spectrograms, seed=16),
    "flow": Family(Flow, Spectrograms, seed=13, loss=from_noise, batch=4, size=16_000),
    "codec": Family(Codec, lambda: Spectrograms((512, 1024)), seed=14, loss=from_codes),
    "melgan": Family(MelGan, Scales, seed=12, loss=from_mel_in_bfloat16, size=8_192),
}
