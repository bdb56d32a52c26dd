"""Write the three folds' convolutional nets as one ONNX file beside the cache, hold it to torch, and time it.

    python cnn_export.py       after cnn.py; writes CACHE/cnn/fine.onnx, which nothing ships

The front end is in the file: samples float32 (B, 64000) to raw scores (B,), the mean of the folds' nets.
"""

from __future__ import annotations

import time

import numpy as np
import onnxruntime
import torch
from cnn import KINDS, folder, load_net
from cnn_net import FineNet, FineSpectrum
from folds import FOLDS
from onnx_export import SAMPLES, halve, write_onnx
from torch import Tensor, nn

TOLERANCE, TIMED = 0.02, 20


class FineVoice(nn.Module):
    """Samples (B, 64000) to the mean of several nets' raw scores (B,)."""

    def __init__(self, nets: list[FineNet]) -> None:
        super().__init__()
        self.front, self.nets = FineSpectrum(), nn.ModuleList(nets)

    def forward(self, x: Tensor) -> Tensor:
        spectra = self.front(x)
        return torch.stack([net(spectra) for net in self.nets]).mean(0)


def main() -> None:
    torch.set_num_threads(1)
    nets = [load_net(KINDS[0], k).to(memory_format=torch.contiguous_format) for k in range(FOLDS)]
    path = folder() / "fine.onnx"
    write_onnx(FineVoice(nets).eval(), path, ["score"], tolerance=TOLERANCE, shrink=halve)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    audio = np.random.default_rng(0).normal(0, 0.05, (1, SAMPLES)).astype(np.float32)
    session.run(None, {"audio": audio})
    began = time.process_time()
    for _ in range(TIMED):
        session.run(None, {"audio": audio})
    print(f"{1000 * (time.process_time() - began) / TIMED:.1f} CPU-ms a window")


if __name__ == "__main__":
    main()
