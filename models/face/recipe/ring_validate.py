"""Measures the shipped face_ring on folders of others' forgeries; chooses nothing.

    python ring_validate.py FOLDER...      # each with a manifest.csv, see docs/evaluation.md

Clean files only, mean llr over the looks at a file, an abstained file counts as 0; ``guard eval face``
measures the same with the codecs of a call and with the other signals. Runs in guard's own environment.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))
from guard.codec.files import read_file  # noqa: E402
from guard.detectors.card import load_card  # noqa: E402
from guard.detectors.face_ring import FaceRing  # noqa: E402
from guard.evaluation.metrics import auc, bootstrap  # noqa: E402
from guard.resources import models_dir  # noqa: E402
from guard.types import Abstain, FaceWindow, Finding, Kind, TrackKey, VideoFrame  # noqa: E402
from guard.windows.face_models import FaceModels, load_face_models  # noqa: E402
from guard.windows.faces import FaceWindowConfig, FaceWindows  # noqa: E402

_KEY = TrackKey("validate", "file", Kind.VIDEO)
_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp"})


@dataclass
class Video:
    """What was found in the files of one video."""

    is_spoof: bool
    method: str
    pair: str
    llrs: list[float] = field(default_factory=list)

    @property
    def llr(self) -> float:
        return float(np.mean(self.llrs)) if self.llrs else 0.0


def main() -> None:
    """Print one report per folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    args = parser.parse_args()
    finder, detector = (
        load_face_models(models_dir()),
        FaceRing.from_card(load_card(models_dir() / "face_ring")),
    )
    for folder in args.folders:
        report(folder, finder, detector)


def report(folder: Path, finder: FaceModels, detector: FaceRing) -> None:
    """Measure one folder."""
    videos: dict[str, Video] = {}
    reasons: Counter[str] = Counter()
    spent_s, looks = 0.0, 0
    with (folder / "manifest.csv").open(encoding="utf-8") as lines:
        for line in csv.DictReader(lines):
            spoof = line["label"] in ("fake", "spoof")
            name = f"{spoof}/{line.get('video_id') or line['path']}"
            video = videos.setdefault(name, Video(spoof, line["method"], line.get("pair", "")))
            for found, cpu_s in judged(folder / line["path"], finder, detector):
                if isinstance(found, Abstain):
                    reasons[found.reason] += 1
                else:
                    video.llrs.append(found.llr)
                    spent_s, looks = spent_s + cpu_s, looks + 1
    llr, spoof = np.array([v.llr for v in videos.values()]), np.array([v.is_spoof for v in videos.values()])
    figure = bootstrap(auc, llr, spoof, list(videos))
    covered = np.mean([bool(v.llrs) for v in videos.values()])
    print(f"{folder.name}: {len(videos)} videos, coverage {covered:.3f}, abstained {dict(reasons)}")
    print(f"AUC {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]")
    print(f"{1000 * spent_s / looks:.2f} CPU-ms a look, {looks} looks")
    for method in sorted({v.method for v in videos.values() if v.is_spoof}):
        own = spoof & np.array([v.method == method for v in videos.values()])
        print(f"  {method}: {own.sum()} videos, AUC {auc(llr[own | ~spoof], spoof[own | ~spoof]):.3f}")
    for kind in (False, True):
        print(f"  {'spoof' if kind else 'genuine'}: mean llr {llr[spoof == kind].mean():+.3f}")
    gaps = paired(videos)
    if len(gaps):
        wins = (gaps > 0).mean() + (gaps == 0).mean() / 2
        print(f"  {len(gaps)} pairs, the swapped scores higher in {wins:.3f}, by {gaps.mean():+.3f}")


def judged(path: Path, finder: FaceModels, detector: FaceRing) -> list[tuple[Finding | Abstain, float]]:
    """Return what the detector makes of every look at a file, and its process seconds."""
    stage = FaceWindows(_KEY, FaceWindowConfig(), finder)
    detector.forget(_KEY.session, _KEY.participant)
    out: list[tuple[Finding | Abstain, float]] = []
    for frame in frames(path):
        for window in stage.push(frame):
            if not isinstance(window, FaceWindow):
                out.append((Abstain(window.reason), 0.0))
                continue
            started = time.process_time()
            row = detector.prepare(window)
            found = row if isinstance(row, Abstain) else detector.score(row[None], [window])[0]
            out.append((found, time.process_time() - started))
    return out


def frames(path: Path) -> list[VideoFrame]:
    """Return the pictures of a video, or the one picture a file is."""
    if path.suffix.lower() not in _PICTURES:
        return [frame for frame in read_file(path) if isinstance(frame, VideoFrame)]
    with Image.open(path) as picture:
        return [VideoFrame(_KEY, 0.0, np.asarray(picture.convert("RGB"), dtype=np.uint8))]


def paired(videos: dict[str, Video]) -> np.ndarray:
    """Return the llr of each swapped clip less that of the same clip before the swap."""
    sides = {
        kind: {v.pair: v.llr for v in videos.values() if v.pair and v.is_spoof == kind}
        for kind in (False, True)
    }
    return np.array(
        [sides[True][pair] - sides[False][pair] for pair in sorted(sides[True].keys() & sides[False])]
    )


if __name__ == "__main__":
    main()
