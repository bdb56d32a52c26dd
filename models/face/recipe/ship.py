"""Puts a new model in the place of a shipped one: where compare.py's rule says so, or by a maintainer's hand.

    python ship.py ../SIGNAL WORK/SIGNAL

Only face_frame has a rule. The other models stay as they are unless a maintainer, having read both cards,
runs this.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

FILES = ("model.onnx", "card.toml", "LICENSE")


def settled(old: Path, new: Path, *, ships: bool) -> str:
    """Copy model and card from ``new`` over ``old`` if it ships; return what was done, for people."""
    if ships:
        for name in FILES:
            if (new / name).is_file():
                shutil.copyfile(new / name, old / name)
        return f"{new} was put in the place of {old}"
    return f"{old} stays as it was; the new model lies in {new}"


if __name__ == "__main__":
    print(settled(Path(sys.argv[1]), Path(sys.argv[2]), ships=True))
