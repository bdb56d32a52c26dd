"""Calibrates and measures the frame of a screen around a face (guard.detectors.presentation_bezel).

    GUARD_DATA=... python presentation_bezel.py [--calls 60] [--card WORK/presentation]

Prints the two numbers of the calibration and, where a card is named, writes them into it; then for every room
and screen how often a frame is read and claimed. Calibrated on some rooms and screens, measured on all, with
other faces and draws.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from calibrate import NOTHING, fit_or_nothing, note_of
from data import ROOT, Faces, load
from presentation_scene import HELD_ROOMS, HELD_SCREENS, ROOMS, SCREENS, Scene, person, screen

sys.path.insert(0, str(ROOT))
from guard.detectors.presentation_bezel import FrameMemory, Standing
from guard.media.surroundings import surroundings
from guard.types import FaceQuality, FaceWindow, Glimpse, Kind, TrackKey
from guard.windows.glimpses import thumbnail

LOOKS, STEP_S = 8, 0.8
# share of the calibration's rooms in which anything is claimed
CLAIMED = 0.02
BLOCK = "\n[[calibration.bins]]\n"
_QUALITY = FaceQuality(60.0, 100.0, 0.0, 120.0, 1.0)
_EMPTY = np.zeros((0, 0, 3), np.uint8)


def standing_of(scenes: list[Scene]) -> Standing | None:
    """Return what the detector makes of some looks at one face."""
    memory = FrameMemory()
    for number, scene in enumerate(scenes):
        time_s, size = number * STEP_S, (scene.image.shape[1], scene.image.shape[0])
        glimpse = Glimpse(time_s, scene.points, thumbnail(scene.image), size)
        key, around = TrackKey("s", "p", Kind.VIDEO), surroundings(scene.image, scene.points)
        memory.see(FaceWindow(key, 0, time_s, time_s, _EMPTY, scene.points, _QUALITY, (glimpse,), around))
    return memory.standing()


def drawn(
    faces: Faces, kinds: tuple[str, ...], calls: int, seed: int
) -> Iterator[tuple[str, Standing | None]]:
    """Draw calls of each kind, rooms with a person or screens, and read them."""
    for at, kind in enumerate(kinds):
        rng = np.random.default_rng((seed, at))
        for own in rng.integers(2**31, size=calls).tolist():
            face = faces.faces[int(rng.integers(len(faces.faces)))]
            if kind in (*SCREENS, *HELD_SCREENS):
                room = str(rng.choice((*ROOMS, *HELD_ROOMS)))
                yield kind, standing_of(screen(face, faces.indices, kind, room, own, LOOKS))
            else:
                yield kind, standing_of(person(face, faces.indices, kind, own, LOOKS))


def calibrate(faces: Faces, calls: int) -> tuple[float, float]:
    """Return a and b: the slope of a logistic regression, and 0 where few of the rooms lie above.

    A logistic regression alone would claim something of every third curtain, only because screens are drawn
    as often as rooms: the point from which anything is claimed is set by what rooms may do.
    """
    read = [(k in SCREENS, s.raw) for k, s in drawn(faces, (*ROOMS, *SCREENS), calls, 1) if s is not None]
    is_spoof, raw = np.array([y for y, _ in read]), np.array([raw for _, raw in read], np.float32)
    a, b = fit_or_nothing("presentation, frame of a screen", raw, is_spoof)
    if a == NOTHING:
        return a, b
    return a, -a * float(np.quantile(raw[~is_spoof], 1 - CLAIMED))


def write(path: Path, a: float, b: float, calls: int) -> None:
    """Put the line of the frame into a card, in place of one that was there."""
    text = path.read_text(encoding="utf-8")
    if BLOCK in text:
        head, rest = text.split(BLOCK, 1)
        text = head + rest[rest.index("\n[") :]
    where = f"{calls} drawn calls of each room and screen, faces of training{note_of(a)}"
    block = f'{BLOCK}name = "frame"\na = {a:.6f}\nb = {b:.6f}\nlimit_llr = 10.0\non = "{where}"\n'
    path.write_text(text.replace("\n[data]\n", f"{block}\n[data]\n", 1), encoding="utf-8")


def main() -> None:
    """Calibrate on training faces, measure on faces kept back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=60, help="of each room and screen")
    parser.add_argument("--card", type=Path, help="folder of the model whose card takes both numbers")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    a, b = calibrate(load(held_out=False), args.calls)
    print(f"a, b = {a:.4f}, {b:.4f}", flush=True)
    if args.card:
        write(args.card / "card.toml", a, b, args.calls)
    rows: dict[str, list[Standing | None]] = {}
    for kind, standing in drawn(
        load(held_out=True), (*ROOMS, *HELD_ROOMS, *SCREENS, *HELD_SCREENS), args.calls, 2
    ):
        rows.setdefault(kind, []).append(standing)
    for kind, found in rows.items():
        read = [s for s in found if s is not None]
        llr = np.array([a * s.raw + b for s in read])
        moves = [sum(s.with_face is state for s in read) for state in (True, False, None)]
        print(
            f"{kind:12s} {len(found)} calls, read {len(read)}, llr above 0: {(llr > 0).sum()}, above 0.3: "
            f"{(llr > 0.3).sum()}; with the face {moves[0]}, stays {moves[1]}, not known {moves[2]}; "
            f"median llr {np.median(llr) if len(llr) else float('nan'):.2f}"
        )
    groups = {"rooms": ROOMS, "held rooms": HELD_ROOMS, "screens": SCREENS, "held screens": HELD_SCREENS}
    raws = {
        name: [s.raw if s else -1.0 for kind in kinds for s in rows[kind]] for name, kinds in groups.items()
    }
    for rooms, screens in (("rooms", "screens"), ("held rooms", "held screens")):
        one, other = np.array(raws[screens]), np.array(raws[rooms])
        auc = (one[:, None] > other).mean() + 0.5 * (one[:, None] == other).mean()
        print(f"AUC of {screens} against {rooms}, unread calls lowest: {auc:.3f}")


if __name__ == "__main__":
    main()
