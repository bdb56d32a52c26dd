"""Makes pairs of clips, genuine and forged, and keeps the windows that guard cuts of them.

    GUARD_DATA=... python temporal_pairs.py --folder WORK [--pairs 240] [--held-out 160] [--part 0/1]

One file a pair, ``WORK/temporal/<split>_<number>.pairs``; files that are there are not made again, so a
run cut off goes on, and ``--part`` lets several processes share the work. Equal seeds give equal pairs.
What the model is given of them is read by temporal_train.py: other numbers need no other clips.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from data import ROOT, Faces, load
from forge import FacePca, Forger, fit_pca
from rebuild import Rebuilder
from temporal_clips import CODECS, GENUINE_EVENTS, Scene, coded, draw_path
from temporal_fakes import (
    EVENTS,
    KINDS,
    METHODS,
    UNSEEN_KINDS,
    UNSEEN_METHODS,
    LiveSwap,
    draw_tool,
)

sys.path.insert(0, str(ROOT))
from guard.types import FaceWindow, Kind, TrackKey, VideoFrame
from guard.windows.face_models import FaceModels, load_face_models
from guard.windows.faces import FaceWindowConfig, FaceWindows

SEED = 20261123
_SECONDS = 4.4
KEY = TrackKey("recipe", "clip", Kind.VIDEO)
_EVENT_SHARE = 0.15


@dataclass(frozen=True)
class Case:
    """What one pair is made of; ``fake`` is a kind of ``temporal_fakes``, ``event`` a genuine one."""

    fake: str
    method: str
    event: str
    fps: int
    codec: str
    kbps: int
    lost: float


def draw_case(number: int, held_out: bool, rng: np.random.Generator) -> Case:
    """Return the case of a pair; held-out pairs have kinds and methods that training never draws."""
    unseen = held_out and number % 2 == 0
    kinds = (*KINDS, *UNSEEN_KINDS) if unseen else KINDS
    methods = UNSEEN_METHODS if unseen else METHODS
    fake = str(rng.choice(kinds))
    if rng.random() < _EVENT_SHARE:
        fake = str(rng.choice(EVENTS))
    return Case(
        fake=fake,
        method=str(rng.choice(methods)),
        event=str(rng.choice(GENUINE_EVENTS, p=(0.5, 0.1, 0.06, 0.06, 0.06, 0.1, 0.12))),
        fps=int(rng.choice([15, 12, 20, 30], p=[0.65, 0.17, 0.1, 0.08])),
        codec=str(rng.choice(CODECS, p=[0.65, 0.35])),
        kbps=int(np.exp(rng.uniform(np.log(150), np.log(1300)))),
        lost=float(rng.choice([0.0, rng.uniform(0.01, 0.12)], p=[0.6, 0.4])),
    )


@dataclass(frozen=True)
class Maker:
    """What pairs are made with."""

    faces: Faces
    pca: FacePca
    models: FaceModels

    def pair(self, number: int, held_out: bool) -> dict[str, Any]:
        """Return one pair as guard sees it; equal numbers give equal pairs.

        Returns:
            ``case`` (the fields of Case), ``face`` (file name), ``genuine`` and ``forged`` (lists of
            FaceWindow) and ``shows_s``, the time before which nothing of an event can be seen.
        """
        rng = np.random.default_rng((SEED, int(held_out), number))
        case = draw_case(number, held_out, rng)
        face, donor = (self.faces.faces[int(i)] for i in rng.choice(len(self.faces.faces), 2, replace=False))
        seconds = 9.0 if case.fake == "loop" else _SECONDS + 2.0 * (case.fake in EVENTS)
        times = np.arange(0, seconds, 1 / case.fps)
        switched = int(len(times) * 0.6) if case.event == "background" else None
        scene = Scene(face, self.faces.indices, draw_path(times, case.event, rng), rng, switched)
        shots = [scene.picture(at) for at in range(len(times))]
        shown = _hiccup(len(times), case, rng)
        genuine = [shots[at][0] for at in shown]
        if case.fake in EVENTS:
            other = Scene(donor, self.faces.indices, draw_path(times, "none", rng), rng)
            forged = _event(genuine, case, lambda at: other.picture(at)[0])
        else:
            forger = Forger(Faces([donor], self.faces.indices), Rebuilder({}), self.pca)
            swap = LiveSwap(draw_tool(case.fake, case.method, rng), forger, rng)
            swapped = [swap(*shot) for shot in shots]
            forged = [swapped[at] for at in shown]
        kept = _arrived(times, case, rng)
        seen = [self._windows(pictures, times, kept, case) for pictures in (genuine, forged)]
        shows_s = {"frozen": 5.0, "loop": 7.5, "cut": seconds * 0.5 + 0.5}.get(case.fake, 0.0)
        pair = {"case": asdict(case), "face": face.name, "shows_s": shows_s}
        return pair | {"genuine": seen[0], "forged": seen[1]}

    def _windows(
        self, pictures: list[np.ndarray], times: np.ndarray, kept: list[int], case: Case
    ) -> list[FaceWindow]:
        decoded = coded(pictures, times.tolist(), case.codec, case.kbps)
        stage = FaceWindows(KEY, FaceWindowConfig(), self.models)
        found = [stage.push(VideoFrame(KEY, float(times[at]), decoded[at])) for at in kept]
        return [window for items in found for window in items if isinstance(window, FaceWindow)]


def _hiccup(count: int, case: Case, rng: np.random.Generator) -> list[int]:
    """Return which picture is shown at each place: one stays for up to 1.2 s, as under load of a driver."""
    if case.event != "hiccup":
        return list(range(count))
    start, long = int(count * rng.uniform(0.3, 0.6)), int(case.fps * rng.uniform(0.3, 1.2))
    return [start if start <= at < start + long else at for at in range(count)]


def _event(genuine: list[np.ndarray], case: Case, other: Callable[[int], np.ndarray]) -> list[np.ndarray]:
    """Return what a feed that is not live shows: one picture, a stretch again and again, another feed."""
    count = len(genuine)
    if case.fake == "frozen":
        return [genuine[min(at, int(1.2 * case.fps))] for at in range(count)]
    if case.fake == "loop":
        period = int(2.0 * case.fps) + case.fps // 3
        return [genuine[at % period] for at in range(count)]
    return [genuine[at] if at < count * 0.5 else other(at) for at in range(count)]


def _arrived(times: np.ndarray, case: Case, rng: np.random.Generator) -> list[int]:
    """Return which pictures came through: some are lost, and for a while the network may stop."""
    kept = rng.random(len(times)) >= case.lost
    if case.event == "network":
        start = times[-1] * rng.uniform(0.3, 0.5)
        kept &= (times < start) | (times > start + rng.uniform(0.5, 1.0))
    return [int(at) for at in np.flatnonzero(kept)]


def main() -> None:
    """Make every pair that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=240)
    parser.add_argument("--held-out", type=int, default=160)
    parser.add_argument("--part", default="0/1", help="N/M: make every M-th pair, from the N-th")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    part, parts = (int(number) for number in args.part.split("/"))
    folder = args.folder / "temporal"
    folder.mkdir(parents=True, exist_ok=True)
    models = load_face_models(ROOT / "models")
    trained_on = load(held_out=False)
    pca = fit_pca(trained_on, 200, SEED)
    jobs = [
        (number, held)
        for held, most in ((False, args.pairs), (True, args.held_out))
        for number in range(most)
    ]
    # both splits grow together, so that a run cut off has some of each
    jobs.sort(key=lambda job: job[0] / (args.held_out if job[1] else args.pairs))
    # a part of the faces is plenty, and several processes share the memory
    some = Faces(trained_on.faces[::5], trained_on.indices)
    makers = {held: Maker(load(held_out=True) if held else some, pca, models) for held in (False, True)}
    del trained_on
    for number, held in jobs[part::parts]:
        path = folder / f"{'held' if held else 'train'}_{number:05d}.pairs"
        if path.is_file():
            continue
        content = zlib.compress(pickle.dumps(makers[held].pair(number, held)), 1)
        path.with_suffix(".part").write_bytes(content)
        path.with_suffix(".part").rename(path)
        print(path.name, flush=True)


if __name__ == "__main__":
    main()
