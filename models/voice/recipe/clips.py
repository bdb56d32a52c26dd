"""Lists every training item in a fixed order: the data folder's clips, packaged speech, engines, copies."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from data import training_clips
from features import cache


@dataclass(frozen=True)
class Item:
    set: str
    key: str
    spoof: bool
    group: str
    source: str
    origin: str | None


def made_sets() -> list[str]:
    """Return the names of the sets that the other scripts made in the cache, sorted."""
    return sorted(
        path.parent.name for path in cache().glob("*/manifest.csv") if feature_files(path.parent.name)
    )


def feature_files(name: str) -> list[Path]:
    """Return the feature files of one set, one per augmented copy, in order."""
    return sorted(cache().glob(f"{name}-*.npy"), key=lambda p: int(p.stem.rsplit("-", 1)[1]))


def training_items() -> list[Item]:
    """Return the data folder's clips, then every made set's, set by set."""
    items = [
        Item("real", clip.path.stem, clip.spoof, clip.group, clip.source, None) for clip in training_clips()
    ]
    source = {item.key: item.source for item in items}
    for name in sorted(made_sets(), key=lambda n: n.startswith("copy-")):
        with (cache() / name / "manifest.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                key, group, origin = row["path"].removesuffix(".flac"), row["group"], row["origin"] or None
                source[key] = source[origin] if origin else group
                items.append(Item(name, key, row["label"] == "spoof", group, source[key], origin))
    return items
