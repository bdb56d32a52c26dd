"""Write model.onnx and its card.

python export.py           reads CACHE/replay/nets.pt and calibration.json
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from string import Template

import torch
from make import folder, sources
from net import Detector, Net

sys.path.append(str(Path(__file__).resolve().parents[2] / "voice" / "recipe"))
from measured import of_model
from onnx_export import write_onnx

HERE = Path(__file__).resolve().parent.parent
VERSION, LIMIT_LLR = "0.1.0", 1.0


def card(path: Path) -> str:
    """Return the card, with what measure.py found (measured.toml) if that was this very file."""
    report = json.loads((folder() / "calibration.json").read_text())
    known = [s for s in sources() if not s.test]
    engines = sorted({s.group for s in known if s.synthetic})
    people = sorted({_place(s.group) for s in known if not s.synthetic})
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Template((HERE / "recipe" / "card.template.toml").read_text()).substitute(
        version=VERSION,
        sha256=sha256,
        a=f"{report['a']:.6f}",
        b=f"{report['b']:.6f}",
        limit=LIMIT_LLR,
        clips=report["clips"],
        windows=report["windows"],
        engines=json.dumps(engines, indent=2),
        sources=json.dumps(people, indent=2),
        eer=f"{report['held_out_eer']:.3f}",
        cllr=f"{report['held_out_cllr']:.3f}",
        cllr_min=f"{report['held_out_cllr_min']:.3f}",
        measured=of_model(HERE / "recipe" / "measured.toml", sha256),
    )


def _place(group: str) -> str:
    """Return the source of a group, without the speaker behind a second slash."""
    return "/".join(group.split("/")[:2])


def detector() -> Detector:
    """Return the trained nets as one module."""
    nets = []
    for state in torch.load(folder() / "nets.pt", weights_only=True):
        net = Net()
        net.load_state_dict(state)
        nets.append(net.eval())
    return Detector(nets).eval()


def main() -> None:
    torch.set_num_threads(1)
    path = HERE / "model.onnx"
    write_onnx(detector(), path, ["score"], tolerance=1e-3)
    (HERE / "card.toml").write_text(card(path))


if __name__ == "__main__":
    main()
