"""Says whether the grid of blocks tells a swapped face in a call: AUC by source, codec and bit rate.

    GUARD_DATA=... python ring_grid.py --folder WORK [--pairs N] [--model models/face_ring]

Simulated clips of held-out faces (temporal_clips.py) are coded as a camera or a film before the call codes
them, then the face is replaced by a live tool (temporal_fakes.py) that takes it out of the picture, turns
and scales it and pastes it back, then the call codes the picture. Software that smooths the skin or blurs
the room, which takes the grid away on one side as a swap does, is on a part of both classes alike.
``WORK/ring_grid.npz`` keeps what was measured; it is drawn again only where it is missing.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from block_grid import CELL_PX, NAMES, differences, measure_profiles
from data import ROOT, Faces, load, written_whole
from finish import jpeg
from forge import Forger
from masks import OVAL
from rebuild import Rebuilder
from ring_export import auc, chooses_by, interval
from ring_model import Kind, fit
from ring_pairs import measure_crop, shaken
from temporal_clips import HEIGHT, WIDTH, Scene, coded, draw_path
from temporal_fakes import KINDS, METHODS, LiveSwap, draw_tool

sys.path.insert(0, str(ROOT))
from guard.detectors.card import load_card
from guard.detectors.onnx import OnnxModel
from guard.media.align import align_matrix_from
from guard.media.contrasts import contrasts
from guard.media.warp import transform_points, warp

SEED = 20261124
SOURCES = ("plain", "jpeg", "jpeg_cropped", "jpeg_720", "h264")
DEBLOCKED = {"deblock": "0:0"}
CALLS: tuple[tuple[str, int, dict[str, str]], ...] = (
    ("none", 0, {}),
    *(("vp8", kbps, {}) for kbps in (150, 400, 1500)),
    *(("h264", kbps, DEBLOCKED) for kbps in (150, 400, 1500)),
)
FPS, PICTURES, LOOKS = 15, 16, (5, 10, 15)
FORGERIES = (*METHODS, "recoded", "morph")
_DECAY, _ROUNDS = 10.0, 500


@dataclass(frozen=True)
class Drawn:
    """What was measured of N pairs after each of the calls.

    Args:
        grid: float32 (N, 2, calls, 2, 2, 16): steps inside and in the ring (block_grid.Profiles), means over
            the looks, of the genuine and of the swapped face; NaN where not measured.
        ring: float32 (N, 2, calls): raw score of face_ring, one look.
        source: how the picture was coded before the swap.
        method: the forgery.
        name: the face's file.
    """

    grid: np.ndarray
    ring: np.ndarray
    source: np.ndarray
    method: np.ndarray
    name: np.ndarray


def main() -> None:
    """Draw what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=300, help="at most one for each held-out face")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "face_ring")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    path = args.folder / "ring_grid.npz"
    if not path.is_file():
        args.folder.mkdir(parents=True, exist_ok=True)
        drawn = draw(load(held_out=True), args.pairs, OnnxModel(load_card(args.model)))
        with written_whole(path) as out:
            np.savez(out, **vars(drawn))
    with np.load(path) as stored:
        report(Drawn(**stored))


def draw(faces: Faces, count: int, model: OnnxModel) -> Drawn:
    """Return ``count`` pairs, each of another face."""
    rng = np.random.default_rng(SEED)
    chosen = rng.permutation(len(faces.faces))[:count]
    rows = []
    for number, at in enumerate(chosen):
        source, method = SOURCES[number % len(SOURCES)], FORGERIES[number // len(SOURCES) % len(FORGERIES)]
        sides = _pair(faces, int(at), source, method, model)
        grid, ring = zip(*sides, strict=True)
        rows.append((np.stack(grid), np.stack(ring), source, method, faces.faces[at].name))
        print(f"pair {number}", file=sys.stderr, flush=True)
    return Drawn(*(np.array(column) for column in zip(*rows, strict=True)))


def _pair(
    faces: Faces, at: int, source: str, method: str, model: OnnxModel
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return ``grid`` and ``ring`` of a genuine clip and of its forgery."""
    rng = np.random.default_rng((SEED, at))
    count = len(faces.faces)
    face, donor = faces.faces[at], faces.faces[(at + 1 + int(rng.integers(count - 1))) % count]
    times = np.arange(PICTURES) / FPS
    scene = Scene(face, faces.indices, draw_path(times, "none", rng), rng)
    shots = [scene.picture(number) for number in range(PICTURES)]
    genuine = before(source, [shot[0] for shot in shots], rng)
    ovals = [transform_points(points, matrix) for _, matrix, points in shots]
    genuine = _software(genuine, ovals, rng)
    forger = Forger(Faces([donor], faces.indices), Rebuilder({}))
    swap = LiveSwap(draw_tool(str(rng.choice(KINDS)), method, rng), forger, rng)
    forged = [swap(picture, *shot[1:]) for picture, shot in zip(genuine, shots, strict=True)]
    seen = [shaken(points, float(rng.uniform(0.3, 1.2)), rng) for points in ovals]
    return [_measured(pictures, seen, faces.indices, model) for pictures in (genuine, forged)]


def before(source: str, pictures: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Return the pictures as a camera or a film that codes them gives them to the tool.

    ``jpeg`` is a camera's in the size of the call, so that its blocks lie as the call's do;
    ``jpeg_cropped`` one whose picture is cut before, so that they do not; ``jpeg_720`` twice as large and
    made smaller after; ``h264`` a film of 1.5 to 4 Mbit/s in the size of the call.
    """
    if source == "plain":
        return pictures
    if source == "h264":
        times = [number / FPS for number in range(len(pictures))]
        return coded(pictures, times, "h264", int(rng.integers(1500, 4000)), DEBLOCKED)
    quality = int(rng.integers(60, 96))
    if source == "jpeg_720":
        size = (2 * WIDTH, 2 * HEIGHT)
        large = [jpeg(cv2.resize(p, size, interpolation=cv2.INTER_CUBIC), quality) for p in pictures]
        return [cv2.resize(p, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for p in large]
    top, left = rng.integers(1, 16, 2) if source == "jpeg_cropped" else (0, 0)
    wider = [cv2.copyMakeBorder(p, top, 0, left, 0, cv2.BORDER_REFLECT_101) for p in pictures]
    return [jpeg(p, quality)[top:, left:] for p in wider]


def _software(
    pictures: list[np.ndarray], points: list[np.ndarray], rng: np.random.Generator
) -> list[np.ndarray]:
    """Smooth the skin of one clip in five and blur the room of another, as call software does."""
    kind, strength = rng.random(), float(rng.uniform(0.5, 1.0))
    if kind > 0.4:
        return pictures
    out = []
    for picture, found in zip(pictures, points, strict=True):
        oval = found[:OVAL]
        grown = oval.mean(axis=0) + (oval - oval.mean(axis=0)) * (1.0 if kind < 0.2 else 1.3)
        mask = np.zeros(picture.shape[:2], np.float32)
        cv2.fillConvexPoly(mask, cv2.convexHull(np.round(grown).astype(np.int32)), 1.0)
        mask = cv2.GaussianBlur(mask, (0, 0), 4.0)[..., None] * np.float32(strength)
        if kind < 0.2:
            soft = cv2.bilateralFilter(picture, 7, 40.0, 4.0)
        else:
            soft, mask = cv2.GaussianBlur(picture, (0, 0), 5.0), strength - mask
        mixed = picture + (soft - picture.astype(np.float32)) * mask
        out.append(np.clip(np.round(mixed), 0, 255).astype(np.uint8))
    return out


def _measured(
    pictures: list[np.ndarray], points: list[np.ndarray], indices: list[int], model: OnnxModel
) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps (calls, 2, 2, 16) over the looks and face_ring's raw score (calls,) of the last."""
    grid, crops = [], []
    for codec, kbps, options in CALLS:
        times = [number / FPS for number in range(PICTURES)]
        sent = pictures if codec == "none" else coded(pictures, times, codec, kbps, options)
        looks = [measure_profiles(sent[at], points[at][:OVAL]) for at in LOOKS]
        # means: the lines of a picture's blocks do not move with the face
        steps = [(look.inside, look.ring) for look in looks if look is not None]
        grid.append(np.mean(steps, axis=0) if steps else np.full((2, 2, CELL_PX), np.nan))
        matrix = align_matrix_from(points[LOOKS[-1]], indices)
        crop = warp(sent[LOOKS[-1]], matrix, 224)
        crops.append(contrasts(measure_crop(crop, transform_points(points[LOOKS[-1]], matrix), indices)))
    return np.array(grid, np.float32), model.raw(np.stack(crops))


def report(drawn: Drawn) -> None:
    """Print the tables: by call, by source and call, and what the grid adds to face_ring.

    ``missing_8`` was meant to be larger for a swap before anything was measured, so all faces report it. The
    weighted numbers are fitted on one half of the faces, all coded calls together, and reported on the other.
    """
    grid = np.stack([[[differences(*steps) for steps in side] for side in pair] for pair in drawn.grid])
    usable = np.isfinite(grid).all(axis=(1, 2, 3))
    drawn = Drawn(*(getattr(drawn, field)[usable] for field in Drawn.__dataclass_fields__))
    grid, reports = grid[usable], ~np.array([chooses_by(name) for name in drawn.name])
    print(f"{usable.sum()} of {len(usable)} pairs measured, {reports.sum()} report weights; seed {SEED}")
    ring = drawn.ring[..., None]
    missing = grid[..., [NAMES.index("missing_8")]]
    weighted = {"all 11": grid, "ring": ring}
    weighted |= {
        f"ring, {of}": np.concatenate([ring, rows], axis=-1) for of, rows in (("1", missing), ("11", grid))
    }
    weighted = {name: _weighted(rows, ~reports) for name, rows in weighted.items()}
    columns = {"missing_8": (missing[..., 0], np.ones(len(grid), bool))}
    columns |= {name: (weighted[name], reports) for name in ("all 11", "ring")}
    print("| call | missing_8 | all 11 weighted | face_ring | missing_8 adds to it | all 11 add |")
    print(f"|{'---|' * 6}")
    parts = {"all coded": slice(1, None)} | {_name(n): slice(n, n + 1) for n in range(len(CALLS))}
    for what, calls in parts.items():
        cells = [_cell(scores[:, :, calls], own, drawn.name) for scores, own in columns.values()]
        ring = weighted["ring"][:, :, calls]
        cells += [
            _gain(ring, weighted[f"ring, {of}"][:, :, calls], reports, drawn.name) for of in ("1", "11")
        ]
        print(f"| {what} | {' | '.join(cells)} |")
    for head, (scores, own) in list(columns.items())[:2]:
        names = " | ".join(_name(n) for n in range(len(CALLS)))
        print(f"\n| {head}: source | {names} |\n|{'---|' * (len(CALLS) + 1)}")
        for source in SOURCES:
            mine = own & (drawn.source == source)
            cells = [_cell(scores[:, :, n : n + 1], mine, drawn.name) for n in range(len(CALLS))]
            print(f"| {source} ({mine.sum()}) | {' | '.join(cells)} |")


def _weighted(rows: np.ndarray, fits: np.ndarray) -> np.ndarray:
    """Return scores (N, 2, calls) of a logistic regression fitted on the pairs ``fits`` after coded calls."""
    coded_rows = rows[fits][:, :, 1:]
    real, fake = (coded_rows[:, side].reshape(-1, rows.shape[-1]) for side in (0, 1))
    model = fit(Kind(0, _DECAY), real, fake, SEED)
    return model(rows.reshape(-1, rows.shape[-1])).reshape(rows.shape[:-1])


def _name(call: int) -> str:
    codec, kbps, _ = CALLS[call]
    return "not coded" if codec == "none" else f"{codec.upper()} {kbps}"


def _cell(scores: np.ndarray, own: np.ndarray, names: np.ndarray) -> str:
    """Return AUC and its 95 % interval over faces of ``scores`` (N, 2, calls) of the pairs ``own``."""
    calls = scores.shape[2]
    value, low, high = interval(*(scores[own, side].ravel() for side in (0, 1)), np.repeat(names[own], calls))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _gain(without: np.ndarray, given: np.ndarray, own: np.ndarray, names: np.ndarray) -> str:
    """Return by how much AUC rises and the 95 % interval of that over faces, drawn alike for both."""
    rng, rows = np.random.default_rng(SEED), np.flatnonzero(own)
    assert len(set(names[rows])) == len(rows)  # one pair a face

    def rise(chosen: np.ndarray) -> float:
        new, old = (auc(part[chosen, 0].ravel(), part[chosen, 1].ravel()) for part in (given, without))
        return new - old

    drawn = [rise(rng.choice(rows, len(rows))) for _ in range(_ROUNDS)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{rise(rows):+.3f} [{low:+.3f}, {high:+.3f}]"


if __name__ == "__main__":
    main()
