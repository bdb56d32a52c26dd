"""Lists every training item in a fixed order: the data folder's clips, packaged speech, engines, copies."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

from data import cache, permissive_build, training_clips


@dataclass(frozen=True)
class Item:
    """One clip; ``row`` is its place in its set, ``origin`` the genuine clip a copy was made of."""

    set: str
    row: int
    key: str
    spoof: bool
    group: str
    source: str
    origin: str | None


def made_sets() -> list[str]:
    """Return the names of the sets that other scripts made in the cache: recordings before copies."""
    names = (path.parent.name for path in cache().glob("*/manifest.csv"))
    return sorted(names, key=lambda n: (n.startswith("copy-"), n))


def manifest(name: str) -> list[dict[str, str]]:
    """Return the lines of one made set's manifest."""
    with (cache() / name / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def clip_paths(name: str) -> list[Path]:
    """Return the files of one set, in the order of its rows."""
    if name == "real":
        return [clip.path for clip in training_clips()]
    return [cache() / name / row["path"] for row in manifest(name)]


def licences(items: list[Item], *, spoof: bool) -> list[str]:
    """Return how many clips of one class there are under each licence, most first; copies are not counted."""
    stated = {"real": [clip.licence for clip in training_clips()]}
    stated |= {name: [row.get("licence", "") for row in manifest(name)] for name in made_sets()}
    count = Counter(stated[i.set][i.row] or "none stated" for i in items if i.spoof == spoof and not i.origin)
    return [f"{name}: {n} clips" for name, n in sorted(count.items(), key=lambda pair: (-pair[1], pair[0]))]


@once
def training_items() -> list[Item]:
    """Return the data folder's clips, then every made set's, set by set.

    A copy whose original is not trained on (a permissive-only build) is left out. The clips without a stated
    licence come last in their set, so that the rows of cached windows are the same in both builds.
    """
    items = [
        Item("real", n, clip.path.stem, clip.spoof, clip.group, clip.source, None)
        for n, clip in enumerate(training_clips())
    ]
    source = {item.key: item.source for item in items}
    for name in made_sets():
        for n, row in enumerate(manifest(name)):
            key, group, origin = Path(row["path"]).stem, row["group"], row["origin"] or None
            if origin is not None and origin not in source:
                if permissive_build():
                    continue
                raise SystemExit(f"{name}: {row['path']} was made of {origin}, which no set holds")
            source[key] = source[origin] if origin else group
            items.append(Item(name, n, key, row["label"] == "spoof", group, source[key], origin))
    return items
