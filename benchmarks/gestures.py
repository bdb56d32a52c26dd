"""How often the judges of gestures are right: python -m benchmarks.gestures record|clips|table

    python -m benchmarks.gestures record 16 > rendered.jsonl         a RENDERED person, 16 trials of each
    python -m benchmarks.gestures record 16 turn_far_left ...        of these alone
    python -m benchmarks.gestures clips FILE... > clips.jsonl        people who were not asked, every second
    python -m benchmarks.gestures table rendered.jsonl clips.jsonl   counts, exact limits, the rows of RATES

Each rendered trial is somebody who does one gesture, or nothing, after a command at 0 s. Its pictures are
given to the judges of all gestures: the one that was done counts as "does it", all others as "does not do
it", which is what somebody shows who plays a recording of another command. A far turn is a turn as well, and
a turn may be far, so neither counts for the other; small turns count for the far ones only. Dots go
another way for the judge than for whoever followed one, except in the trial's own judgement.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.gesture_person import BEFORE_S, LITTLE, Acts, Studio
from guard.challenge.commands import Command, Gesture, Judgement, Observed, Sight, Step
from guard.challenge.draw import Drawing, Used, draw
from guard.challenge.gestures import LIMIT_S, gesture_judge
from guard.challenge.rates import GUESS
from guard.challenge.sight import SightMemory, make_sight
from guard.codec.files import read_file
from guard.evaluation.exact import share
from guard.resources import models_dir
from guard.types import VideoFrame
from guard.windows.face_models import FaceModels, load_face_models
from guard.windows.face_track import FaceTrackConfig, FaceTracker

SEED = 2026
# seconds recorded after a command; more where the dot takes longer, so that only those tell of following it
RECORDED_S = 8.2
NOTHING = "nothing"
A_LITTLE = " a little"
_NEITHER = {
    Gesture.TURN_LEFT: ("turn_far_left", "turn_left" + A_LITTLE),
    Gesture.TURN_RIGHT: ("turn_far_right", "turn_right" + A_LITTLE),
    Gesture.TURN_FAR_LEFT: ("turn_left",),
    Gesture.TURN_FAR_RIGHT: ("turn_right",),
}
_SILENT = np.empty(0, np.float32)
# pictures between two looks of the judges; more often changes nothing but the time it takes
_STRIDE = 2
_CONFIDENCE = 0.90  # two-sided: each limit is one-sided 95 %


@dataclass(frozen=True, slots=True)
class Asked:
    """A command and when its steps were shown, seconds from the first."""

    command: Command

    @property
    def shown_s(self) -> tuple[float, ...]:
        return tuple(step.at_s for step in self.command.steps)


def asked(gesture: Gesture, seed: int) -> Asked:
    """Return a command as the check draws it."""
    drawing = Drawing(LIMIT_S, words=lambda *_: (), light=lambda _: (Step(0.0),))
    return Asked(draw(random.Random(seed), [gesture], Used(), 1, language="en", drawing=drawing)[0])


def judged(wanted: Asked, sights: Sequence[Sight]) -> Judgement:
    """Return what the judge makes of a recording whose command was shown at 0 s."""
    judge, command = gesture_judge(wanted.command.gesture), wanted.command
    before = [sight for sight in sights if -BEFORE_S <= sight.time_s < 0]
    after = [sight for sight in sights if 0 <= sight.time_s <= command.limit_s]
    for count in range(1, len(after), _STRIDE):
        now = after[count - 1].time_s
        shown = tuple(at_s for at_s in wanted.shown_s if at_s <= now)
        found = judge.judge(command, Observed(shown, before, after[:count], _SILENT, 0.0), over=False)
        if found is not None:
            return found
    found = judge.judge(command, Observed(wanted.shown_s, before, after, _SILENT, 0.0), over=True)
    assert found is not None
    return found


def record(models: FaceModels, trials: int, only: Collection[str] = ()) -> Iterator[dict[str, object]]:
    """Yield one outcome for every judge of every trial of the rendered person, or of those named alone."""
    studio = Studio(models)
    for number in range(trials):
        for kind, doing in enumerate([*LIMIT_S, None]):
            name = doing.value if doing else NOTHING
            if only and name not in only:
                continue
            seed = SEED + 1000 * number + kind
            own = asked(doing, seed) if doing is not None else None
            steps = own.command.steps if own is not None else ()
            seconds = RECORDED_S if own is None else max(RECORDED_S, own.command.limit_s + 0.2)
            sights = studio.record(Acts(doing, seed, steps), seconds, seed)
            yield from outcomes(name, own, seed, sights)
        for kind, doing in enumerate(LITTLE, 100):
            if only and doing.value + A_LITTLE not in only:
                continue
            seed = SEED + 1000 * number + kind
            sights = studio.record(Acts(doing, seed, little=True), RECORDED_S, seed)
            yield from outcomes(doing.value + A_LITTLE, None, seed, sights)


def outcomes(name: str, own: Asked | None, seed: int, sights: Sequence[Sight]) -> Iterator[dict[str, object]]:
    """Yield what each judge makes of one trial, and of the dot's trial also asked for another way."""
    doing = None if own is None else own.command.gesture
    for gesture in LIMIT_S:
        wanted = own if own is not None and gesture is doing else asked(gesture, seed + 500)
        yield _outcome("rendered", name, wanted, judged(wanted, sights))
    if doing is Gesture.FOLLOW_DOT and own is not None:
        other = next(way for way in (asked(doing, seed + k) for k in range(501, 600)) if _other(way, own))
        yield _outcome("rendered", "another way", other, judged(other, sights))


def _other(one: Asked, two: Asked) -> bool:
    return [step.dot for step in one.command.steps] != [step.dot for step in two.command.steps]


def clips(models: FaceModels, paths: Sequence[Path]) -> Iterator[dict[str, object]]:
    """Yield one outcome for every judge and second of video in which nobody was asked anything.

    The first second is what comes before the first command; of a short clip the rest is the time there is.
    """
    for path in paths:
        sights = looked_at(models, path)
        end_s = sights[-1].time_s
        for gesture in LIMIT_S:
            limit_s = min(LIMIT_S[gesture], end_s - 1.0)
            for start_s in np.arange(1.0, end_s - limit_s + 0.05, 1.0):
                drawn = asked(gesture, SEED + int(start_s)).command
                short = limit_s < LIMIT_S[gesture]
                wanted = Asked(replace(drawn, limit_s=limit_s) if short else drawn)
                yield _outcome(path.stem, NOTHING, wanted, judged(wanted, shifted(sights, float(start_s))))


def looked_at(models: FaceModels, path: Path) -> list[Sight]:
    """Return the sights of a video file at 15 pictures a second."""
    tracker, memory = FaceTracker(FaceTrackConfig(), models), SightMemory()
    out = []
    for frame in read_file(path, max_fps=15.0):
        if isinstance(frame, VideoFrame):
            faces = tracker.push(frame.image, frame.time_s)
            points = [face.mesh.points for face in faces]
            out.append(make_sight(frame.time_s, frame.image, points, memory))
    return out


def shifted(sights: Sequence[Sight], start_s: float) -> list[Sight]:
    """Return the sights as seen from ``start_s`` on, which becomes 0 s."""
    return [
        Sight(s.time_s - start_s, s.size, s.faces, s.points, s.patch, s.face_rgb, s.around_rgb)
        for s in sights
    ]


def _outcome(source: str, doing: str, wanted: Asked, found: Judgement) -> dict[str, object]:
    return {
        "source": source,
        "doing": doing,
        "asked": wanted.command.gesture.value,
        "answer": found.answer.value,
        "reason": found.reason,
        "onset_s": None if found.onset_s is None else round(found.onset_s, 3),
    }


def table(paths: Sequence[Path]) -> None:
    """Print counts with exact limits, and the rows of ``RATES``."""
    lines = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    rows, reasons = [], Counter[tuple[str, str, str, str]]()
    print(
        "| gesture | does it: matched / not / cannot tell | does something else or nothing | on clips | llr |"
    )
    print("|---|---|---|---|---|")
    for gesture in LIMIT_S:
        left_out = _NEITHER.get(gesture, ())
        mine = [x for x in lines if x["asked"] == gesture.value and x["doing"] not in left_out]
        person = Counter(x["answer"] for x in mine if x["doing"] == gesture.value)
        other = [x for x in mine if x["doing"] != gesture.value]
        rendered = Counter(x["answer"] for x in other if x["source"] == "rendered")
        real = Counter(x["answer"] for x in other if x["source"] != "rendered")
        told_person = person["matched"] + person["mismatched"]
        hits = rendered["matched"] + real["matched"]
        told_other = hits + rendered["mismatched"] + real["mismatched"]
        least = share(person["matched"], told_person, _CONFIDENCE).low
        most = share(hits, told_other, _CONFIDENCE).high
        right = GUESS + (1 - GUESS) * most
        weights = np.log(right / least), np.log((1 - right) / (1 - least))
        counts = " | ".join(
            f"{c['matched']} / {c['mismatched']} / {c['unseen']}" for c in (person, rendered, real)
        )
        print(f"| `{gesture.value}` | {counts} | {weights[0]:+.1f} / {weights[1]:+.1f} |")
        numbers = f"{person['matched']}, {told_person}, {hits}, {told_other}, {least:.4f}, {most:.4f}"
        rows.append(f"    Gesture.{gesture.name}: Rates({numbers}),")
        for x in mine:
            own = x["doing"] == gesture.value
            if own != (x["answer"] == "matched"):
                source = "rendered" if x["source"] == "rendered" else "clip"
                if own or x["answer"] != "mismatched":
                    reasons[gesture.value, source, x["doing"], x["reason"]] += 1
    print("\nwrong or not told:", *(f"{' '.join(key)}: {n}" for key, n in sorted(reasons.items())), sep="\n")
    print("\n".join(rows))


def main(arguments: Sequence[str]) -> None:
    """Run one of the three commands."""
    match arguments:
        case ["record", trials, *only]:
            for outcome in record(load_face_models(models_dir()), int(trials), only):
                print(json.dumps(outcome), flush=True)
        case ["clips", *paths]:
            for outcome in clips(load_face_models(models_dir()), [Path(path) for path in paths]):
                print(json.dumps(outcome), flush=True)
        case ["table", *paths]:
            table([Path(path) for path in paths])
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
