"""The training clips: which files, which group each belongs to, and what may not be trained on.

A *group* is the engine of a synthetic clip and the source of a genuine one; leave-group-out
folds and sampling weights go by it. models/denylist.toml is read here, and an item on it
stops the recipe.
"""

from __future__ import annotations

import csv
import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

DENYLIST = Path(__file__).resolve().parents[2] / "denylist.toml"


@dataclass(frozen=True)
class Clip:
    path: Path
    spoof: bool
    system: str
    source: str
    speaker: str
    licence: str
    folder: str

    @property
    def group(self) -> str:
        return self.system if self.spoof else self.source


def data_folder() -> Path:
    """Return the folder named by GUARD_DATA."""
    named = os.environ.get("GUARD_DATA")
    if not named or not (Path(named) / "voice" / "train" / "manifest.csv").is_file():
        sys.exit(
            "GUARD_DATA must name the data folder, the one with voice/train/manifest.csv in it; "
            f"it is {named!r}. Set it, e.g. GUARD_DATA=/data/guard make -C models/voice"
        )
    return Path(named)


def cache() -> Path:
    """Return the folder named by GUARD_CACHE, outside git."""
    named = os.environ.get("GUARD_CACHE")
    if not named:
        sys.exit("GUARD_CACHE must name a folder for clips and windows (about 20 GB), outside the repository")
    Path(named).mkdir(parents=True, exist_ok=True)
    return Path(named)


def read_manifest(folder: Path) -> list[Clip]:
    """Return the clips of one folder's manifest.csv, in its order."""
    with (folder / "manifest.csv").open(newline="") as file:
        return [
            Clip(
                folder / row["path"],
                row["label"] == "spoof",
                row["system"],
                row["source"],
                row.get("speaker", ""),
                row.get("licence", ""),
                folder.name,
            )
            for row in csv.DictReader(file)
        ]


def permissive_build() -> bool:
    """Tell whether GUARD_PERMISSIVE_ONLY asks for a build without clips whose licence is not stated."""
    return os.environ.get("GUARD_PERMISSIVE_ONLY", "") not in ("", "0")


def training_clips(permissive_only: bool = False) -> list[Clip]:
    """Return every clip that may be trained on, or exit where one is on the deny-list."""
    root = data_folder() / "voice"
    clips = read_manifest(root / "train")
    if not (permissive_only or permissive_build()) and (root / "train_extra" / "manifest.csv").is_file():
        clips += read_manifest(root / "train_extra")
    refuse_denied(clips)
    return clips


def refuse_denied(clips: list[Clip]) -> None:
    """Exit with the first clip whose engine, source or speaker is on the deny-list."""
    for clip in clips:
        for key, value in (("engines", clip.system), ("sources", clip.source), ("speakers", clip.speaker)):
            refuse(key, value, str(clip.path))


def refuse(key: str, value: str, where: str) -> None:
    """Exit if ``value`` is on the deny-list under ``key``: engines, sources or speakers."""
    if value.lower() in {name.lower() for name in tomllib.loads(DENYLIST.read_text())["voice"][key]}:
        sys.exit(f"{where}: {value!r} is on models/denylist.toml ({key}) and may not be trained on")
