"""The families of vocoders: how each is built, trained and what drives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

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


def from_noise(net: nn.Module, x: Tensor) -> tuple[Tensor, None]:
    """Return the flow's own loss; nothing that a discriminator is asked about."""
    return net.loss(x), None


@dataclass(frozen=True)
class Family:
    """``loss`` returns the loss and the waveform that a discriminator may judge, or None.

    A family with ``fit`` is not trained by gradient but fitted once, to the mels of ``batch`` segments.
    """

    build: Callable[[], nn.Module]
    judge: Callable[[], nn.Module]
    seed: int
    loss: Loss = from_mel
    batch: int = 5
    size: int = 8_000
    rate: float = 8e-4
    fit: Callable[[Codec, Tensor], None] | None = None


FAMILIES = {
    "vocos": Family(Vocos, Spectrograms, seed=10),
    "hifigan": Family(
        HifiGan, lambda: Several(Periods(), Spectrograms((512,))), seed=11, loss=from_mel_in_bfloat16, batch=3
    ),
    "source": Family(Source, Spectrograms, seed=16),
    "flow": Family(Flow, Spectrograms, seed=13, loss=from_noise, batch=4, size=16_000),
    "codec": Family(Codec, Spectrograms, seed=14, fit=Codec.fit, batch=400, size=16_000),
    "melgan": Family(MelGan, Scales, seed=12, loss=from_mel_in_bfloat16, size=8_192),
}
