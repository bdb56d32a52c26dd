"""Where nets are trained: on a CUDA GPU if torch finds one, else on the processor.

GUARD_DEVICE=cpu (or cuda, cuda:1) decides it. Nothing is drawn differently on a processor than before there
was a choice. What is saved is brought back to the processor's memory first, so that files made on either
can be read on both; figures differ by rounding and by the GPU's own random numbers (dropout).
"""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn


def device() -> torch.device:
    """Return where nets are trained; on a GPU float32 is then multiplied whole.

    Else convolutions keep 10 bits of a number there, and quiet bands drown in the rounding of loud ones.
    """
    found = torch.device(os.environ.get("GUARD_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu"))
    if found.type == "cuda":
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return found


def state_of(net: nn.Module) -> dict[str, Tensor]:
    """Return the weights as a processor reads them."""
    return {name: value.detach().cpu() for name, value in net.state_dict().items()}
