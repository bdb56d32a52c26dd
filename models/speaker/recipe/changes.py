"""Count what ``speaker_change`` says of one person's joined clips, and of two persons'.

.venv/bin/python models/speaker/recipe/changes.py [CONDITION...]    writes changes.toml
"""

from __future__ import annotations

import csv
import math
import sys
from collections import defaultdict
from os import environ
from pathlib import Path

import numpy as np

from guard.codec.files import read_file
from guard.detectors.speaker import SpeakerChange, load_speaker
from guard.evaluation.channels import CHANNELS, KEY
from guard.inference.lanes import run_detector
from guard.resources import models_dir
from guard.types import AudioFrame, AudioWindow, FloatArray, Score
from guard.windows.audio import AudioWindows

HERE = Path(__file__).resolve().parent
RATE_HZ = 16_000
LONGEST_S, TURN_S, NOTICED_S = 60.0, 22.0, 10.0
# groups in which more than one person speaks, or the same as in another
LEFT_OUT = ("deb:warzone2100-data", "deb:asterisk-core-sounds-en-g722")


def voices() -> dict[str, FloatArray]:
    """Return up to 90 s of the joined clips of every person who has half a minute."""
    if not environ.get("GUARD_CACHE"):
        sys.exit("GUARD_CACHE is not set: the folder of the voice recipe that holds packaged/")
    folder, found = Path(environ["GUARD_CACHE"]) / "packaged", defaultdict(list)
    with (folder / "manifest.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["label"] == "bonafide" and row["group"] not in LEFT_OUT:
                found[row["group"]].append(folder / row["path"])
    joined = {}
    for who, paths in sorted(found.items()):
        parts: list[FloatArray] = []
        while paths and sum(map(len, parts)) < LONGEST_S * RATE_HZ:
            frames = read_file(paths.pop(0))
            parts += [frame.samples for frame in frames if isinstance(frame, AudioFrame)]
        speech = np.concatenate(parts)
        if len(speech) >= 30 * RATE_HZ:
            joined[who] = speech[: int(LONGEST_S * RATE_HZ)]
    return joined


def heard(detector: SpeakerChange, samples: FloatArray, condition: str) -> list[Score]:
    """Return the scores of one recording, as of a call of its own."""
    cut, items = AudioWindows(KEY), []
    for frame in CHANNELS[condition](samples, RATE_HZ, condition):
        items += cut.push(frame)
    items += cut.flush()
    scores = [run_detector(detector, [item])[0] for item in items if isinstance(item, AudioWindow)]
    detector.forget(KEY.session, KEY.participant)
    return scores


def episodes(scores: list[Score], least: int) -> int:
    """Count the runs of at least so many scored windows in a row that say "another person"."""
    runs, length = 0, 0
    for score in scores:
        length = length + 1 if score.llr is not None and score.llr > 0 else 0
        runs += length == least
    return runs


def poisson(count: int, hours: float) -> list[float]:
    """Return the rate an hour with its exact 95 % interval (Garwood 1936)."""

    def at_most(mean: float, n: int) -> float:
        return sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(n + 1))

    def root(n: int, level: float) -> float:
        low, high = 1e-9, count + 50.0
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if at_most(middle, n) > level else (low, middle)
        return low

    low = 0.0 if count == 0 else root(count - 1, 0.975)
    return [count / hours, low / hours, root(count, 0.025) / hours]


def measured(condition: str, people: dict[str, FloatArray]) -> str:
    """Return the condition's line of the card."""
    detector = load_speaker(models_dir() / "speaker").change
    scores = [heard(detector, speech, condition) for speech in people.values()]
    # a window every 2 s, but every second within the first 12 s
    hours = sum(s.llr is not None for own in scores for s in own) * 2.0 / 3600
    one, three = (poisson(sum(episodes(own, n) for own in scores), hours) for n in (1, 3))
    names, noticed, turn = sorted(people), 0, int(TURN_S * RATE_HZ)
    for who, other in zip(names, names[1:] + names[:1], strict=True):
        both = heard(detector, np.concatenate([people[who][:turn], people[other][:turn]]), condition)
        after = [s for s in both if TURN_S < s.end_s <= TURN_S + NOTICED_S]
        noticed += any(s.llr is not None and s.llr > 0 for s in after)
    cells = [f"[{', '.join(f'{x:.1f}' for x in rate)}]" for rate in (one, three)]
    return (
        f"{condition} = {{ hours = {hours:.3f}, false = {cells[0]}, false_of_3 = {cells[1]}, "
        f"noticed = {noticed}, joins = {len(names)} }}"
    )


def main() -> None:
    """Measure the conditions named on the command line, or all; those measured before stay."""
    people, target = voices(), HERE / "changes.toml"
    head = [
        "[measured.changes]",
        f"# joined clips of {len(people)} people; false: 1 window, or 3 running, say other, an hour,",
        "# [value, low, high], exact 95 % Poisson; noticed: within 10 s, of joins of two people",
    ]
    before = target.read_text().splitlines() if target.is_file() else []
    lines = {line.split(" = ")[0]: line for line in before if " = {" in line}
    for condition in sys.argv[1:] or CHANNELS:
        lines[condition] = measured(condition, people)
        print(lines[condition], flush=True)
        target.write_text("\n".join([*head, *lines.values()]) + "\n")


if __name__ == "__main__":
    main()
