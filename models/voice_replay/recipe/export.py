"""Write model.onnx and its card.

python export.py           reads CACHE/replay/nets.pt and calibration.json
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from string import Template

import numpy as np
import onnx
import onnxruntime
import torch
from make import folder, sources
from net import Detector, Net

HERE = Path(__file__).resolve().parent.parent
VERSION, LIMIT_LLR = "0.1.0", 1.0


def write(net: Detector, path: Path) -> None:
    """Write the net as ONNX and check it against torch on noise, to 1e-3 of a raw score."""
    example = torch.randn(2, 64_000, generator=torch.Generator().manual_seed(0)) * 0.05
    program = torch.onnx.export(
        net,
        (example,),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},),
        input_names=["audio"],
        output_names=["score"],
        opset_version=18,
        verbose=False,
    )
    model = program.model_proto
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.doc_string = ""
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(["score"], {"audio": example.numpy()})
    with torch.inference_mode():
        worst = float(np.abs(found - net(example).numpy()).max())
    print(f"{path.stat().st_size / 1e6:.2f} MB, torch against ONNX {worst:.1e}")
    if worst > 1e-3:
        sys.exit("the exported model differs from the trained one")


def card(path: Path) -> str:
    """Return the card; what measure.py found is kept in measured.toml."""
    report = json.loads((folder() / "calibration.json").read_text())
    known = [s for s in sources() if not s.test]
    engines = sorted({s.group for s in known if s.synthetic})
    people = sorted({_place(s.group) for s in known if not s.synthetic})
    measured = HERE / "recipe" / "measured.toml"
    return Template((HERE / "recipe" / "card.template.toml").read_text()).substitute(
        version=VERSION,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
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
        measured=measured.read_text() if measured.is_file() else "",
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
    write(detector(), path)
    (HERE / "card.toml").write_text(card(path))


if __name__ == "__main__":
    main()
