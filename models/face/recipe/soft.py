"""Fits the calibration of soft faces (``guard.media.quality``) and writes it into the card of face_frame.

    ../../.venv/bin/python recipe/soft.py --folder CHECKPOINTS --card WORK/face_frame [--write]

A camera out of focus makes a genuine face look smoothed, as a swap does: the score of a soft face says
little, and its llr must say so. The held-out pairs in CHECKPOINTS (``held_*.npz``) are blurred, both of a
pair alike, and coded by VP8; the fit is on one half of the faces, the table that is printed on the other.
Half of the spoof weight lies on forgeries that training never saw, as in the calibration of all faces.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from calibrate import fit_or_nothing, note_of
from data import person_of
from numpy.typing import NDArray
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.codec.call_video import CallVideo
from guard.detectors.card import Card, load_card
from guard.detectors.face_frame import LEFT_PX, TOP_PX
from guard.detectors.onnx import OnnxModel
from guard.fusion.calibration import BinnedLogistic, Logistic
from guard.media.quality import FACE_COLUMNS, FACE_ROWS, LUMA, SOFT_BELOW, fine_detail

UNSEEN = ("pca", "morph", "generated_unseen")
SIGMAS_PX = (0.0, 1.0, 2.0, 3.0)
BLURRED, SEED = 0.4, 20261123
ACROSS, DOWN, BIT_RATE, PICTURES, BATCH = 5, 3, 500_000, 4, 50
BLOCK = "\n[[calibration.bins]]\n"


@dataclass(frozen=True, slots=True)
class Rows:
    """One row a face: raw score, share of fine detail, class, method, name of the face, blur."""

    raw: NDArray[np.float32]
    detail: NDArray[np.float64]
    spoof: NDArray[np.bool_]
    unseen: NDArray[np.bool_]
    fitted: NDArray[np.bool_]
    sigma: NDArray[np.float64]


def coded(faces: list[np.ndarray]) -> list[np.ndarray]:
    """Return the faces, uint8 (128, 128, 3), as VP8 brings them: several in a picture, side by side."""
    px, out = faces[0].shape[0], []
    for first in range(0, len(faces), ACROSS * DOWN):
        part = faces[first : first + ACROSS * DOWN]
        whole = part + [part[-1]] * (ACROSS * DOWN - len(part))
        rows = [np.concatenate(whole[r * ACROSS : (r + 1) * ACROSS], axis=1) for r in range(DOWN)]
        video, picture = CallVideo("vp8", bit_rate=BIT_RATE, fps=5.0), np.concatenate(rows)
        arrived = [video.push(picture) for _ in range(PICTURES)][-1]
        if arrived is None:
            sys.exit("the coder left the last picture out: raise BIT_RATE")
        places = [(k // ACROSS * px, k % ACROSS * px) for k in range(len(part))]
        out += [arrived[top : top + px, left : left + px] for top, left in places]
    return out


def detail_of(face: np.ndarray) -> float:
    """Return the share of fine detail as a call measures it, of the net's cut of the 224 px crop."""
    rows = slice(FACE_ROWS.start - TOP_PX, FACE_ROWS.stop - TOP_PX)
    columns = slice(FACE_COLUMNS.start - LEFT_PX, FACE_COLUMNS.stop - LEFT_PX)
    return fine_detail(face[rows, columns].astype(np.float32) @ LUMA)


def scores(model: OnnxModel, faces: list[np.ndarray]) -> np.ndarray:
    """Return raw scores (N,), some faces at a time."""
    parts = [faces[first : first + BATCH] for first in range(0, len(faces), BATCH)]
    batches = (np.stack(part).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255) for part in parts)
    return np.concatenate([np.ravel(model.raw(batch)) for batch in batches])


def measured(model: OnnxModel, folder: Path) -> Rows:
    """Return the rows of all pairs in the folder: each as it is, and a share of them blurred and coded."""
    rng, columns = np.random.default_rng(SEED), []
    for path in sorted(folder.glob("held_*.npz")):
        with np.load(path) as stored:
            pairs = {name: stored[name] for name in ("real", "fake", "methods", "names")}
        for sigma in SIGMAS_PX:
            chosen = np.arange(len(pairs["real"]))
            if sigma:
                chosen = np.sort(rng.choice(chosen, int(BLURRED * len(chosen)), replace=False))
            for name in ("real", "fake"):
                faces = [pairs[name][row] for row in chosen]
                if sigma:
                    soft = ImageFilter.GaussianBlur(sigma)
                    faces = coded([np.asarray(Image.fromarray(face).filter(soft)) for face in faces])
                fitted = [zlib.crc32(person_of(str(n)).encode()) % 2 == 0 for n in pairs["names"][chosen]]
                columns.append(
                    (
                        scores(model, faces),
                        np.array([detail_of(face) for face in faces]),
                        np.full(len(chosen), name == "fake"),
                        np.isin(pairs["methods"][chosen], UNSEEN),
                        np.array(fitted),
                        np.full(len(chosen), sigma),
                    )
                )
        print(path.name, file=sys.stderr, flush=True)
    if not columns:
        sys.exit(f"{folder} holds no held_*.npz: run export.py or compare.py first")
    return Rows(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def fit(rows: Rows, at_least: float) -> tuple[float, float, int]:
    """Return a, b and the number of rows of the soft faces of the half that is fitted on."""
    soft = rows.fitted & (rows.detail >= at_least) & (rows.detail < SOFT_BELOW)
    spoof, unseen = rows.spoof[soft], rows.unseen[soft]
    weight = np.ones(int(soft.sum()), np.float32)
    for part in (spoof & unseen, spoof & ~unseen):
        weight[part] = 0.5 / max(1, int(part.sum()))
    weight[~spoof] = 1.0 / max(1, int((~spoof).sum()))
    a, b = fit_or_nothing("face_frame, soft faces", rows.raw[soft], spoof, weight)
    return a, b, int(soft.sum())


def cllr_bits(llr: np.ndarray, spoof: np.ndarray) -> float:
    """Return Cllr in bits (Bruemmer and du Preez 2006)."""
    misses, alarms = np.log2(1 + np.exp(-llr[spoof])), np.log2(1 + np.exp(llr[~spoof]))
    return float((misses.mean() + alarms.mean()) / 2)


def table(rows: Rows, before: Logistic, after: BinnedLogistic, at_least: float) -> str:
    """Return what the new calibration does on the faces that were not fitted on, by blur."""
    bins = np.where(rows.detail < SOFT_BELOW, "soft", "default").tolist()
    old, new = before.llr(rows.raw), after.llr(rows.raw, bins)
    lines = [
        "| blur, px | faces | judged | Cllr before, after | genuine: mean llr | above 1.5 "
        "| forged: mean llr | above 1.5 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for sigma in SIGMAS_PX:
        blurred = ~rows.fitted & (rows.sigma == sigma)
        kept = blurred & (rows.detail >= at_least)
        cells = [
            f"{cllr_bits(old[kept], rows.spoof[kept]):.2f}, {cllr_bits(new[kept], rows.spoof[kept]):.2f}"
        ]
        for spoof in (False, True):
            of = kept & (rows.spoof == spoof)
            cells.append(f"{old[of].mean():+.2f} -> {new[of].mean():+.2f}")
            cells.append(f"{(old[of] > 1.5).mean():.2f} -> {(new[of] > 1.5).mean():.2f}")
        share = kept.sum() / blurred.sum()
        lines.append(f"| {sigma:g} | {int(blurred.sum())} | {share:.2f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write(card: Card, a: float, b: float, count: int) -> None:
    """Put the bin into the card, in place of one that was there."""
    path = card.folder / "card.toml"
    text = path.read_text(encoding="utf-8")
    if BLOCK in text:
        head, rest = text.split(BLOCK, 1)
        text = head + rest[rest.index("\n[") :]
    where = (
        f"{count} faces of which fine detail is under {SOFT_BELOW:g} %, most of them blurred; recipe/soft.py"
        f"{note_of(a)}"
    )
    block = f'{BLOCK}name = "soft"\na = {a:.6f}\nb = {b:.6f}\non = "{where}"\n'
    path.write_text(text.replace("\n[data]\n", f"{block}\n[data]\n", 1), encoding="utf-8")


def main() -> None:
    """Fit, print the table, and write the card where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the checkpoints: holds held_*.npz")
    parser.add_argument("--at-least", type=float, default=5.0, help="less detail is not judged: FaceLimits")
    parser.add_argument("--write", action="store_true", help="put the bin into the card")
    parser.add_argument("--card", type=Path, required=True, help="folder of the model and its card")
    args = parser.parse_args()
    card = load_card(args.card)
    rows = measured(OnnxModel(card), args.folder)
    a, b, count = fit(rows, args.at_least)
    soft = Logistic(a, b, card.calibration.limit_llr)
    print(f"soft: a {a:.3f}, b {b:.3f}, from {count} faces\n")
    print(table(rows, card.calibration, BinnedLogistic(card.calibration, {"soft": soft}), args.at_least))
    if args.write:
        write(card, a, b, count)


if __name__ == "__main__":
    main()
