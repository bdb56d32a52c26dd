"""What the passive detectors and the judges say of a live swap at rest, in a far turn and under a hand.

    python -m benchmarks.occlusion record 8 > occlusion.jsonl     8 pairs of a RENDERED person
    python -m benchmarks.occlusion table occlusion.jsonl          counts and intervals

Each pair is one rendered person who rests, turns far to one side and back, and covers the mouth, drawn twice
from the same seed: as it is, and with another face put on by ``benchmarks.live_swap`` before it is encoded
(VP8, 600 kbit/s, 15 pictures a second). Windows and detectors are those of a call. Intervals resample pairs
(percentile bootstrap, seeded); shares have exact intervals.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.gesture_person import Line
from benchmarks.gestures import asked, judged, shifted
from benchmarks.live_swap import LiveSwap
from guard.app.check_watch import WATCHING
from guard.challenge.commands import Gesture, Sight
from guard.challenge.sight import SightMemory, make_sight
from guard.demo.puppet import Pose, Puppet
from guard.demo.puppet_actor import Actor, Manner
from guard.detectors.card import load_card
from guard.detectors.face_identity import load_face_identity
from guard.detectors.table import DETECTORS, FACE_IDENTITY
from guard.evaluation.exact import share
from guard.resources import models_dir
from guard.types import Abstain, Detector, FaceWindow, ImageArray, Kind, TrackKey, VideoFrame
from guard.windows.face_models import FaceModels, Mesh, load_face_models
from guard.windows.faces import FaceWindowConfig, FaceWindows

SEED = 5000
RATE_HZ = 15
TURN_S, HAND_S, END_S = 6.5, 12.0, 20.2
PHASES = ("rest", "turn", "hand")
PORTRAIT = Path(__file__).parents[1] / "tests" / "fixtures" / "astronaut.jpg"
# from where on a head is turned far, and a hand is there, and for how long after that a look is still of it
_FAR_DEG, _THERE, _AFTER_S = 22.0, 0.5, 0.4
_KEY = TrackKey("benchmark", "customer", Kind.VIDEO)
_DRAWS = 4000


def script(number: int) -> tuple[Actor, Gesture]:
    """Return somebody who turns far at ``TURN_S`` and covers the mouth at ``HAND_S``, and to which side."""
    dice = np.random.default_rng(SEED + number)
    gesture = (Gesture.TURN_FAR_LEFT, Gesture.TURN_FAR_RIGHT)[number % 2]
    actor = Actor(SEED + number, Manner(far_deg=float(dice.uniform(38, 50)), hold_s=(0.8, 1.4)))
    actor.do(gesture, TURN_S + float(dice.uniform(0.4, 0.9)))
    actor.do(Gesture.COVER_MOUTH, HAND_S + float(dice.uniform(0.4, 0.9)))
    return actor, gesture


def phase(poses: Sequence[tuple[float, Pose]], time_s: float) -> str:
    """Return what was going on in the last moments before a time."""
    for at_s, pose in reversed(poses):
        if at_s <= time_s and time_s - at_s <= _AFTER_S:
            if pose.hand is not None and pose.cover >= _THERE:
                return "hand"
            if abs(pose.yaw_deg) >= _FAR_DEG:
                return "turn"
    return "rest"


class Watch:
    """The face part of a call: windows, detectors and what a check sees."""

    def __init__(self, models: FaceModels) -> None:
        self.windows = FaceWindows(_KEY, FaceWindowConfig(), models, self._looked)
        self.detectors = load_watching()
        self.sights: list[Sight] = []
        self._memory = SightMemory()

    def push(self, image: ImageArray, time_s: float) -> list[tuple[str, float | str]]:
        """Return what each detector says of the picture: an llr, or why it says nothing."""
        out: list[tuple[str, float | str]] = []
        for window in self.windows.push(VideoFrame(_KEY, time_s, image)):
            for detector in self.detectors:
                name = detector.signal.value
                out.append(
                    (name, _said(detector, window) if isinstance(window, FaceWindow) else window.reason)
                )
        return out

    def _looked(self, frame: VideoFrame, meshes: Mapping[int, Mesh]) -> None:
        points = [mesh.points for mesh in meshes.values()]
        self.sights.append(make_sight(frame.time_s, frame.image, points, self._memory))


def load_watching() -> list[Detector]:
    """Return the detectors that go on while a check runs (``guard.app.check_watch``)."""
    entries = [entry for entry in DETECTORS if entry.signal in WATCHING]
    found: list[Detector] = [entry.load(load_card(models_dir() / entry.model)) for entry in entries]
    return [*found, load_face_identity(models_dir() / FACE_IDENTITY).detector]


def _said(detector: Detector, window: FaceWindow) -> float | str:
    row = detector.prepare(window)
    if isinstance(row, Abstain):
        return row.reason
    found = detector.score(row[None], [window])[0]
    return found.reason if isinstance(found, Abstain) else round(found.llr, 4)


def record(models: FaceModels, pairs: int) -> Iterator[dict[str, Any]]:
    """Yield one line for each person, and one for the same with a swap."""
    portrait = np.asarray(Image.open(PORTRAIT).convert("RGB"))
    for number in range(pairs):
        for swapped in (False, True):
            swap = LiveSwap(models, portrait) if swapped else None
            yield {"pair": number, "swapped": swapped, **_watched(models, number, swap)}


def _watched(models: FaceModels, number: int, swap: LiveSwap | None) -> dict[str, Any]:
    actor, gesture = script(number)
    puppet, watch = Puppet.bundled(models, seed=SEED + number), Watch(models)
    line: Line | None = None
    poses: list[tuple[float, Pose]] = []
    said: list[tuple[float, str, str, float | str]] = []
    for index in range(round(END_S * RATE_HZ)):
        time_s = index / RATE_HZ
        poses.append((time_s, actor.pose(time_s)))
        picture = puppet.frame(poses[-1][1])
        if swap is not None:
            picture = swap.push(picture, time_s)
        line = line or Line(picture.shape[1], picture.shape[0], 600_000)
        image = line.carry(picture)
        if image is not None:
            now = phase(poses, time_s)
            said += [(round(time_s, 3), now, name, what) for name, what in watch.push(image, time_s)]
    answers = {}
    for name, wanted, at_s in (("turn", gesture, TURN_S), ("hand", Gesture.COVER_MOUTH, HAND_S)):
        found = judged(asked(wanted, SEED), shifted(watch.sights, at_s))
        answers[name] = [found.answer.value, found.reason]
    return {"answers": answers, "said": said}


def table(lines: Sequence[Mapping[str, Any]]) -> None:
    """Print means at rest and during, how they differ, and what the judges answered."""
    kinds = {"bona fide": False, "swapped": True}
    means = {(x["pair"], x["swapped"]): _means(x["said"]) for x in lines}
    pairs = sorted(pair for pair, swapped in means if swapped and (pair, False) in means)
    lines = [x for x in lines if x["pair"] in pairs]
    print(
        "| signal | who | rest | "
        + " | ".join(f"{p}: llr | {p}: minus rest | {p}: scored" for p in PHASES[1:])
        + " |"
    )
    print("|---" * (3 + 3 * len(PHASES[1:])) + "|")
    for signal in WATCHING:
        for who, swapped in kinds.items():
            own = [means[pair, swapped] for pair in pairs]
            cells = [_interval([m[signal, "rest"] for m in own if (signal, "rest") in m])]
            for name in PHASES[1:]:
                both = [m for m in own if (signal, name) in m and (signal, "rest") in m]
                cells.append(_interval([m[signal, name] for m in both]))
                cells.append(_interval([m[signal, name] - m[signal, "rest"] for m in both]))
                cells.append(_scored([x for x in lines if x["swapped"] == swapped], signal, name))
            print(f"| `{signal}` | {who} | " + " | ".join(cells) + " |")
    print("\nPairs in which the swap's llr rises more than the person's own:")
    for signal in WATCHING:
        for name in PHASES[1:]:
            print(f"{signal} {name}:", _more(means, pairs, signal, name))
    print("\nWhat the judges answered:")
    for name in PHASES[1:]:
        for who, swapped in kinds.items():
            answers = [tuple(x["answers"][name]) for x in lines if x["swapped"] == swapped]
            hits = sum(answer == "matched" for answer, _ in answers)
            others = sorted({reason for answer, reason in answers if answer != "matched"})
            print(f"{name}, {who}: matched {_share(hits, len(answers))}", *others)


def _means(said: Sequence[Sequence[Any]]) -> dict[tuple[str, str], float]:
    kept: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _, name, signal, what in said:
        if isinstance(what, float | int):
            kept[signal, name].append(float(what))
    return {key: float(np.mean(values)) for key, values in kept.items()}


def _interval(values: Sequence[float]) -> str:
    """Return the mean with its 95 % bootstrap interval over pairs, and of how many."""
    if not values:
        return "none"
    dice = np.random.default_rng(1)
    drawn = dice.choice(np.array(values), (_DRAWS, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{np.mean(values):+.2f} [{low:+.2f}, {high:+.2f}] n={len(values)}"


def _scored(lines: Sequence[Mapping[str, Any]], signal: str, name: str) -> str:
    own = [what for x in lines for _, at, of, what in x["said"] if (at, of) == (name, signal)]
    reasons = [what for what in own if isinstance(what, str)]
    usual = max(set(reasons), key=lambda reason: (reasons.count(reason), reason)) if reasons else ""
    return f"{len(own) - len(reasons)} of {len(own)} {usual}".strip()


def _more(
    means: Mapping[tuple[int, bool], Mapping[tuple[str, str], float]],
    pairs: Sequence[int],
    signal: str,
    name: str,
) -> str:
    keys = ((signal, name), (signal, "rest"))
    told = [p for p in pairs if all(key in means[p, swapped] for swapped in (False, True) for key in keys)]
    rises = [[means[p, s][keys[0]] - means[p, s][keys[1]] for s in (False, True)] for p in told]
    return _share(sum(swap > person for person, swap in rises), len(told)) if told else "no pair"


def _share(hits: int, count: int) -> str:
    found = share(hits, count)
    return f"{hits} of {count} [{100 * found.low:.1f}, {100 * found.high:.1f} %]"


def main(arguments: Sequence[str]) -> None:
    """Run one of the two commands."""
    match arguments:
        case ["record", pairs]:
            for line in record(load_face_models(models_dir()), int(pairs)):
                print(json.dumps(line), flush=True)
        case ["table", path]:
            table([json.loads(line) for line in Path(path).read_text().splitlines()])
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
