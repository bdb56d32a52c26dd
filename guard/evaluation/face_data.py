"""The files a face evaluation reads: manifests, videos and single pictures."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from guard.app.references import SESSION
from guard.codec.files import read_file
from guard.errors import MediaError
from guard.evaluation.manifest import LABELS, check_once, inside, read_lines
from guard.media.photo import FORMATS, MAX_PIXELS
from guard.types import AudioFrame, Kind, TrackKey, VideoFrame

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
KEY = TrackKey(SESSION, "file", Kind.VIDEO)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a manifest; ``video`` and ``pair`` are empty where the manifest names none.

    ``reference`` is a photo of the person who should be seen, with which ``face_identity`` compares.
    """

    path: Path
    is_spoof: bool
    method: str
    video: str
    pair: str
    reference: Path | None = None

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
        ConfigError: ``manifest_missing``, ``manifest_invalid``, ``clip_outside`` or ``clip_repeated``.
    """
    items = read_lines(folder, _item, "path, label (real or fake) and method or system")
    check_once(item.path for item in items)
    return items


def frames_of(item: Item) -> Iterable[AudioFrame | VideoFrame]:
    """Return every frame of a file in time order; a picture is one frame at 0 s.

    Raises:
        MediaError: the file cannot be read, ``clip_too_large``, or ``clip_damaged`` behind its frames.
    """
    return _still(item.path) if item.is_still else _video(item.path)


def _video(path: Path) -> Iterator[AudioFrame | VideoFrame]:
    reader = read_file(path, SESSION, max_fps=None)
    if not reader.info.has_video:
        raise MediaError("media_no_video", f"{path} has no video; take it out of the manifest")
    yield from reader
    if reader.damaged:
        raise MediaError("clip_damaged", f"{path} breaks off or holds broken frames; replace it")


def _still(path: Path) -> list[VideoFrame]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise _too_large(path)
                return [VideoFrame(KEY, 0.0, np.asarray(picture.convert("RGB"), dtype=np.uint8))]
    except MediaError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path) from error
    except Exception as error:  # Pillow raises a dozen types of its own on damaged files
        raise MediaError("file_unreadable", f"{path} cannot be read as a picture: {error}") from error


def _too_large(path: Path) -> MediaError:
    most = MAX_PIXELS // 1_000_000
    return MediaError("clip_too_large", f"{path} has more than {most} million pixels; cut out the face")


def _item(folder: Path, row: Mapping[str, str]) -> Item:
    method = row.get("method") or row.get("system") or ""
    reference = row.get("reference", "")
    return Item(
        path=folder / inside(folder, row["path"]),
        is_spoof=LABELS[row["label"]],
        method=method or row.get("source") or "unnamed",
        video=row.get("video_id", ""),
        pair=row.get("pair", ""),
        reference=folder / inside(folder, reference) if reference else None,
    )
