"""Count what ``speaker_change`` says of one person's joined clips, and of two persons'.

.venv/bin/python models/speaker/recipe/changes.py    guard's own environment; writes changes.toml
"""

from __future__ import annotations

import csv
import math
import sys
from collections import defaultdict
from collections.abc import Iterator
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
LONGEST_S, TURN_S, NOTICED_S = 90.0, 26.0, 10.0
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


def lines() -> Iterator[str]:
    """Yield the lines of the card."""
    people = voices()
    detector = load_speaker(models_dir() / "speaker").change
    yield "[measured.changes]"
    yield f"# joined clips of {len(people)} people, each alone; false: 1, or 3, windows running say other,"
    yield "# an hour, [value, low, high], exact 95 % Poisson; noticed: within 10 s, of joins of two people"
    for condition in CHANNELS:
        scores = [heard(detector, speech, condition) for speech in people.values()]
        hours = sum(sum(s.llr is not None for s in own) * 2.0 for own in scores) / 3600
        one, three = (poisson(sum(episodes(own, n) for own in scores), hours) for n in (1, 3))
        names = sorted(people)
        noticed = 0
        for who, other in zip(names, names[1:] + names[:1], strict=True):
            turn = int(TURN_S * RATE_HZ)
            both = heard(detector, np.concatenate([people[who][:turn], people[other][:turn]]), condition)
            after = [s for s in both if TURN_S < s.end_s <= TURN_S + NOTICED_S]
            noticed += any(s.llr is not None and s.llr > 0 for s in after)
        cells = [f"[{', '.join(f'{x:.2f}' for x in rate)}]" for rate in (one, three)]
        yield (
            f"{condition} = {{ scored_hours = {hours:.3f}, false_an_hour = {cells[0]}, "
            f"false_of_3_windows_an_hour = {cells[1]}, noticed = {noticed}, joins = {len(names)} }}"
        )


if __name__ == "__main__":
    text = "\n".join(lines())
    (HERE / "changes.toml").write_text(text + "\n")
    print(text)
