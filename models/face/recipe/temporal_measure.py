"""Shows what the shipped temporal model makes of clips: llr, and which of its parts spoke.

    python temporal_measure.py FILE_OR_FOLDER...

A folder needs a ``manifest.csv`` with ``path`` and ``label``; of it the AUC over clips is given as well, an
abstained clip counting with llr 0. Runs in guard's own environment; nothing is chosen by what it shows.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))
from guard.codec.files import read_file  # noqa: E402
from guard.detectors.card import load_card  # noqa: E402
from guard.detectors.temporal import Temporal  # noqa: E402
from guard.detectors.temporal_memory import TemporalReadings  # noqa: E402
from guard.types import FaceWindow, Finding, Kind, TrackKey, VideoFrame, WindowSkip  # noqa: E402
from guard.windows.face_models import FaceModels, load_face_models  # noqa: E402
from guard.windows.faces import FaceWindowConfig, FaceWindows  # noqa: E402

_KEY = TrackKey("recipe", "file", Kind.VIDEO)
_EVENTS = ("frozen", "repeated", "cut")


@dataclass(frozen=True)
class Seen:
    """What became of one clip: llr of each scored look, readings, and reasons of the others.

    ``not_live`` counts the looks at which a call would be told that the picture is certainly not live.
    """

    llrs: list[float]
    readings: list[TemporalReadings]
    reasons: Counter[str]
    not_live: Counter[str]

    @property
    def llr(self) -> float:
        """The clip's mean llr, 0 where nothing was scored."""
        return float(np.mean(self.llrs)) if self.llrs else 0.0


def see(path: Path, models: FaceModels) -> Seen:
    """Return what the shipped model makes of one file; raises MediaError where it cannot be read."""
    stage = FaceWindows(_KEY, FaceWindowConfig(), models)
    detector = Temporal.from_card(load_card(ROOT / "models" / "temporal"))
    seen = Seen([], [], Counter(), Counter())
    for frame in read_file(path):
        if not isinstance(frame, VideoFrame):
            continue
        for window in stage.push(frame):
            found = window if isinstance(window, WindowSkip) else detector.read(window)
            told = None if isinstance(window, WindowSkip) else detector.not_live(window)
            if told is not None:
                seen.not_live[told] += 1
            if not isinstance(found, TemporalReadings):
                seen.reasons[found.reason] += 1
                continue
            assert isinstance(window, FaceWindow)
            (finding,) = detector.score(found.row()[None], [window])
            assert isinstance(finding, Finding)
            seen.llrs.append(finding.llr)
            seen.readings.append(found)
    return seen


def describe(path: Path, seen: Seen) -> str:
    """Return one line of a clip."""
    if not seen.llrs:
        return f"{path.name}: nothing scored, {dict(seen.reasons)}"
    events = {name: max(getattr(r, name) for r in seen.readings) for name in _EVENTS}
    against = np.median([r.inside_against_around for r in seen.readings])
    return (
        f"{path.name}: {len(seen.llrs)} looks, llr mean {seen.llr:+.2f}, {min(seen.llrs):+.2f} to "
        f"{max(seen.llrs):+.2f}; inside against around {against:+.2f}, highest {events}, "
        f"{dict(seen.reasons)}, not live {dict(seen.not_live)}"
    )


def main() -> None:
    """Describe every file; of a folder with a manifest give the AUC."""
    models = load_face_models(ROOT / "models")
    for given in map(Path, sys.argv[1:]):
        if not given.is_dir():
            print(describe(given, see(given, models)))
            continue
        clips: dict[bool, list[Seen]] = {False: [], True: []}
        for row in csv.DictReader((given / "manifest.csv").open(encoding="utf-8")):
            clips[row["label"] in ("fake", "spoof")].append(see(given / row["path"], models))
        genuine, forged = (np.array([seen.llr for seen in clips[spoof]]) for spoof in (False, True))
        wins = (forged[:, None] > genuine).mean() + 0.5 * (forged[:, None] == genuine).mean()
        print(f"{given.name}: {len(genuine)} genuine, {len(forged)} forged clips, AUC {wins:.3f}")
        for label, group in (("genuine", clips[False]), ("forged", clips[True])):
            llrs = np.array([seen.llr for seen in group])
            events = {n: sum(any(getattr(r, n) > 0 for r in s.readings) for s in group) for n in _EVENTS}
            told = {name: sum(name in s.not_live for s in group) for s in group for name in s.not_live}
            scored = sum(bool(seen.llrs) for seen in group)
            low, middle, high = np.quantile(llrs, [0, 0.5, 1])
            found = f"{events}, not live {told}"
            print(f"  {label}: scored {scored}, llr {low:+.2f} {middle:+.2f} {high:+.2f}, {found}")


if __name__ == "__main__":
    main()
