"""What one engine does, and how its clips are written: one path for every engine, resumable.

Every clip is resampled, trimmed, cut to 4.6 s and set to one level exactly as packaged.py does with
recorded speech, so that none of this tells the classes apart.
"""

from __future__ import annotations

import csv
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from data import refuse
from packaged import RATE, SECONDS, trim
from texts import sentence

LEVEL = 0.05
COLUMNS = ("path", "label", "group", "origin", "speaker", "language", "licence")

Say = Callable[[str, np.random.Generator], tuple[np.ndarray, int]]
"""Text and randomness to mono float samples and their rate in Hz."""


@dataclass(frozen=True)
class Job:
    """``count`` clips of one voice; ``engine`` is the group that leave-engine-out folds go by."""

    engine: str
    voice: str
    language: str
    count: int
    say: Say
    licence: str

    def name(self, n: int) -> str:
        """Return the file name of clip ``n``."""
        return f"engine_{self.engine}_{self.voice}_{self.language}_{n:03}.flac".replace("+", "-")

    def rng(self, n: int) -> np.random.Generator:
        """Return the randomness of clip ``n``, the same whatever was made before it."""
        return np.random.default_rng([zlib.crc32(self.name(n).encode())])


def level(x: np.ndarray, rate: int) -> np.ndarray:
    """Return ``x`` (samples,) at 16 kHz, trimmed, at most 4.6 s, RMS 0.05."""
    x = trim(soxr.resample(np.asarray(x, np.float64), rate, RATE))[: int(SECONDS * RATE)]
    return np.clip(x * LEVEL / (np.sqrt(np.mean(x**2)) + 1e-6), -1, 1)


def rounds(jobs: list[Job]) -> Iterator[tuple[Job, int]]:
    """Yield (job, clip number): the first clip of every job, then the second; so a part is a fair sample."""
    for n in range(max(job.count for job in jobs)):
        yield from ((job, n) for job in jobs if n < job.count)


def write_manifest(folder: Path, jobs: list[Job]) -> int:
    """Append what is there and not yet listed, by job; return how many are listed.

    Lines keep their places, for windows are cached by them. Written aside and renamed.
    """
    out, listed = folder / "manifest.csv", []
    if out.is_file():
        with out.open(newline="") as file:
            listed = [tuple(row) for row in csv.reader(file)][1:]
    known = {row[0] for row in listed}
    listed += [
        (job.name(n), "spoof", job.engine, "", f"{job.engine}/{job.voice}", job.language, job.licence)
        for job in jobs
        for n in range(job.count)
        if job.name(n) not in known and (folder / job.name(n)).is_file()
    ]
    with (folder / "manifest.part").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *listed])
    (folder / "manifest.part").rename(out)
    return len(listed)


def make(folder: Path, jobs: list[Job], list_clips: Callable[[], object]) -> None:
    """Make what is missing of ``jobs`` in ``folder``; a denied engine exits.

    ``list_clips`` is called after every twenty clips, so that those who wait can begin with what is there.
    """
    for job in jobs:
        refuse("engines", job.engine, "engines.py")
    made, part = 0, folder / f"part-{os.getpid()}.flac"  # two processes may share a folder
    for job, n in rounds(jobs):
        out = folder / job.name(n)
        if out.is_file():
            continue
        rng = job.rng(n)
        x = level(*job.say(sentence(rng, job.language), rng))
        soundfile.write(part, x, RATE)
        part.rename(out)
        made += 1
        if made % 20 == 0:
            list_clips()
