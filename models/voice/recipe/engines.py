"""Speech of installed engines, on texts of our own.

    python engines.py SET [FAMILY...]    SET is engines or engines2; writes CACHE/SET/*.flac and manifest.csv

Resumable: a clip that is there is not made again, and the manifest is written anew every few clips.
FAMILY (kokoro, piper, statistical) makes only those. Never the engines of the deny-list.
"""

from __future__ import annotations

import sys

import engine_kokoro
import engine_piper
import engine_statistical
from data import cache
from engine import Job, make, write_manifest

SETS = {
    "engines": {"piper": engine_piper.first_jobs, "statistical": engine_statistical.first_jobs},
    # the neural ones first: they matter most if time runs out
    "engines2": {
        "kokoro": engine_kokoro.jobs,
        "piper": engine_piper.jobs,
        "statistical": engine_statistical.jobs,
    },
}


def main() -> None:
    name, wanted = sys.argv[1], sys.argv[2:]
    if name not in SETS or not set(wanted) <= set(SETS[name]):
        known = "; ".join(f"{key}: {' '.join(families)}" for key, families in SETS.items())
        sys.exit(f"usage: engines.py SET [FAMILY...], the sets and their families are {known}")
    folder = cache() / name
    folder.mkdir(exist_ok=True)
    families: dict[str, list[Job]] = {family: jobs() for family, jobs in SETS[name].items()}
    everything = [job for jobs in families.values() for job in jobs]
    for family in wanted or SETS[name]:
        make(folder, families[family], lambda: write_manifest(folder, everything))
    print(name, write_manifest(folder, everything), flush=True)


if __name__ == "__main__":
    main()
