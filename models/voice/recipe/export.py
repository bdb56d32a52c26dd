"""Write model.onnx (weights stored as float16, computed in float32) and its card.

python export.py           reads CACHE/head.pt and CACHE/calibration.json
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from pathlib import Path
from string import Template

import numpy as np
import onnx
import torch
from clips import training_items
from data import training_clips
from features import cache
from head import Ensemble, Head, segment_features
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from trunk import Trunk, load_trunk

HERE = Path(__file__).resolve().parent.parent
VERSION = "0.2.0"


class Net(nn.Module):
    """Samples (B, 64000) to raw scores (B,)."""

    def __init__(self, trunk: Trunk, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, audio: Tensor) -> Tensor:
        return self.head(segment_features(self.trunk(audio)))


def halve(model: onnx.ModelProto) -> None:
    """Store large float32 weights as float16, with a cast that the runtime folds away at load."""
    for weight in list(model.graph.initializer):
        array = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or array.size < 4096 or "kernel" in weight.name:
            continue
        stored = f"{weight.name}.half"
        model.graph.initializer.remove(weight)
        model.graph.initializer.append(numpy_helper.from_array(array.astype(np.float16), stored))
        cast = helper.make_node("Cast", [stored], [weight.name], to=TensorProto.FLOAT)
        model.graph.node.insert(0, cast)


def export(net: Net, path: Path) -> None:
    """Write the net as ONNX and check it against torch on noise, to 1e-2 of a raw score."""
    example = torch.randn(2, 64_000, generator=torch.Generator().manual_seed(0)) * 0.05
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.onnx.export(
        net,
        (example,),
        dynamo=True,
        dynamic_shapes=({0: batch},),
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
    halve(model)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(["score"], {"audio": example.numpy()})
    with torch.inference_mode():
        wanted = net(example).numpy()
    worst = float(np.abs(found - wanted).max())
    print(f"{path.stat().st_size / 1e6:.1f} MB, torch against ONNX {worst:.1e}")
    if worst > 1e-2:
        sys.exit("the exported model differs from the trained one")


def card(path: Path) -> str:
    """Return the card; what ``guard eval voice`` measured is kept in measured.toml."""
    report = json.loads((cache() / "calibration.json").read_text())
    items = training_items()
    unstated = sorted({c.source for c in training_clips() if c.folder == "train_extra"})
    measured = HERE / "recipe" / "measured.toml"
    kind = "also on clips whose licence is not stated" if unstated else "on permissively licensed clips only"
    names = {s: sorted({i.group for i in items if i.spoof == s}) for s in (False, True)}
    return Template((HERE / "recipe" / "card.template.toml").read_text()).substitute(
        version=VERSION,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        summary=f"Trained {kind}. Log-mel, three layers of Whisper base, attentive pooling, small head.",
        a=f"{report['a']:.6f}",
        b=f"{report['b']:.6f}",
        limit=f"{math.log(sum(not i.spoof for i in items)):.3f}",
        clips=len(items),
        windows=report["windows"],
        made=json.dumps(sorted({i.set for i in items} - {"real"})),
        engines=json.dumps(names[True], ensure_ascii=False, indent=2),
        sources=json.dumps(names[False], ensure_ascii=False, indent=2),
        unstated=json.dumps(unstated),
        eer=f"{report['held_out_eer']:.3f}",
        cllr=f"{report['held_out_cllr']:.3f}",
        cllr_min=f"{report['held_out_min_cllr']:.3f}",
        measured=measured.read_text() if measured.is_file() else "",
    )


def main() -> None:
    torch.set_num_threads(1)
    state = torch.load(cache() / "head.pt", weights_only=True)
    heads = len({key.split(".")[1] for key in state})
    head = Ensemble([Head() for _ in range(heads)])
    head.load_state_dict(state)
    net = Net(load_trunk(cache() / "whisper-base.bin"), head.eval()).eval()
    path = HERE / "model.onnx"
    export(net, path)
    (HERE / "card.toml").write_text(card(path))


if __name__ == "__main__":
    main()
