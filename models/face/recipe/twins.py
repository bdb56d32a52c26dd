"""Makes clips of held-out faces, each before and after a live swap: what benchmarks.face_changes reads.

    GUARD_DATA=... python twins.py --out FOLDER [--pairs 24]

FOLDER gets H.264 files of 3 s, 640x360 at 25 fps, and ``manifest.csv``; files that are there are not made
again. The swap puts the landmark-warped face of somebody else of the held-out faces on, as temporal_fakes.py
does; nothing was trained on these people. For choosing how a face that becomes another is told, so that val
need not be looked at for it.
"""

from __future__ import annotations

import argparse
import csv
import fractions
from pathlib import Path

import av
import cv2
import numpy as np
from data import Faces, load
from forge import Forger, fit_pca
from rebuild import Rebuilder
from temporal_clips import HEIGHT, WIDTH, Scene, draw_path
from temporal_fakes import KINDS, LiveSwap, draw_tool

SEED, FPS, SECONDS, BIT_RATE = 20261124, 25, 3.0, 1_500_000
METHODS = ("swap", "swap_bottleneck")


def write(path: Path, pictures: list[np.ndarray]) -> None:
    """Write uint8 (360, 640, 3) pictures as one H.264 file."""
    unfinished = path.with_suffix(".part")
    with av.open(str(unfinished), "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=fractions.Fraction(FPS))
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", BIT_RATE
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    unfinished.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=24)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    faces, pca = load(held_out=True), fit_pca(load(held_out=False), 20, SEED)
    rows, times = [], np.arange(0, SECONDS, 1 / FPS)
    for number in range(args.pairs):
        rng = np.random.default_rng((SEED, number))
        face, donor = (faces.faces[int(i)] for i in rng.choice(len(faces.faces), 2, replace=False))
        method = str(rng.choice(METHODS))
        files = {name: args.out / f"{number:03d}_{name}.mp4" for name in ("real", "fake")}
        if not all(path.exists() for path in files.values()):
            scene = Scene(face, faces.indices, draw_path(times, "none", rng), rng)
            shots = [scene.picture(at) for at in range(len(times))]
            forger = Forger(Faces([donor], faces.indices), Rebuilder({}), pca)
            swap = LiveSwap(draw_tool(str(rng.choice(KINDS)), method, rng), forger, rng)
            write(files["fake"], [swap(*shot) for shot in shots])
            write(files["real"], [shot[0] for shot in shots])
            print(number, face.name, donor.name, method, flush=True)
        rows += [
            (path.name, label, method if label == "fake" else "real", "twins.py", number, number)
            for label, path in files.items()
        ]
    with (args.out / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "method", "source", "pair", "identity"), *rows])


if __name__ == "__main__":
    main()
