"""The files a face evaluation reads: manifests, videos and single pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from guard.app.analyze import SESSION
from guard.codec.files import read_file
from guard.errors import MediaError
from guard.evaluation.manifest import LABELS, read_lines
from guard.types import AudioFrame, Kind, TrackKey, VideoFrame

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
KEY = TrackKey(SESSION, "file", Kind.VIDEO)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a manifest; ``video`` and ``pair`` are empty where the manifest names none."""

    path: Path
    is_spoof: bool
    method: str
    video: str
    pair: str

    @property
    def is_still(self) -> bool:
        """Whether it is a single picture."""
        return self.path.suffix.lower() in PICTURES

    @property
    def unit(self) -> str:
        """The video it belongs to: what is scored, and what the bootstrap draws."""
        return f"{'spoof' if self.is_spoof else 'real'}/{self.video or self.path}"


def read_manifest(folder: Path) -> list[Item]:
    """Return the lines of ``folder/manifest.csv``.

    Raises:
        ConfigError: ``manifest_missing`` or ``manifest_invalid``.
    """
    return read_lines(folder, _item, "path, label (real or fake) and method or system")


def frames_of(item: Item) -> Iterable[AudioFrame | VideoFrame]:
    """Return every frame of a file in time order; a picture is one frame at 0 s.

    Raises:
        MediaError: the file cannot be read.
    """
    if not item.is_still:
        return read_file(item.path, SESSION, max_fps=None)
    try:
        with Image.open(item.path) as picture:
            return [VideoFrame(KEY, 0.0, np.asarray(picture.convert("RGB"), dtype=np.uint8))]
    except (OSError, Image.DecompressionBombError) as error:
        raise MediaError("file_unreadable", f"{item.path} cannot be read as a picture: {error}") from error


def _item(folder: Path, row: Mapping[str, str]) -> Item:
    method = row.get("method") or row.get("system") or ""
    return Item(
        path=folder / row["path"],
        is_spoof=LABELS[row["label"]],
        method=method or row.get("source", "unnamed"),
        video=row.get("video_id", ""),
        pair=row.get("pair", ""),
    )
