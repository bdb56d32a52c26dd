"""The labelled synthetic clip of a drill, as decoded frames at the pace they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from guard.codec.files import FileReader, probe, read_file
from guard.errors import MediaError
from guard.resources import clips_dir
from guard.types import AudioFrame, Kind, VideoFrame

BUNDLED = "customer_synthetic.webm"


def bundled_clip() -> Path:
    """Return the clip that ships: a voice of a synthesiser, a face swapped by a mesh (``SOURCES.toml``)."""
    return clips_dir() / BUNDLED


class LoopedClip:
    """A file's frames in order of time, from its beginning again when it ends.

    Args:
        path: any file that ``read_file`` reads.
        kinds: of which frames are wanted.
        max_fps: pictures a second to give out; None gives all.

    Raises:
        MediaError: ``clip_incomplete`` where a wanted kind is not in it, and those of ``read_file``.
    """

    def __init__(self, path: Path, kinds: Collection[Kind], max_fps: float | None) -> None:
        held = probe(path)
        if (Kind.AUDIO in kinds and not held.has_audio) or (Kind.VIDEO in kinds and not held.has_video):
            wanted = " and ".join(sorted(kind.value for kind in kinds))
            raise MediaError("clip_incomplete", f"{path.name} does not hold {wanted}")
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self._path, self._kinds, self._max_fps = path, frozenset(kinds), max_fps
        self._offset_s = 0.0
        self._given = False
        self._reader = self._open()
        self._next: AudioFrame | VideoFrame = self._read()

    def until(self, time_s: float) -> list[AudioFrame | VideoFrame]:
        """Return the frames not given out before that begin by ``time_s`` of playing.

        Raises:
            MediaError: ``file_unreadable``, where a whole pass gave none.
        """
        out: list[AudioFrame | VideoFrame] = []
        while self._next.time_s <= time_s:
            out.append(self._next)
            self._next = self._read()
        return out

    def _open(self) -> FileReader:
        return read_file(self._path, max_fps=self._max_fps)

    def _read(self) -> AudioFrame | VideoFrame:
        """Return the next wanted frame, its time counted from the first beginning."""
        while True:
            frame = next(self._reader, None)
            if frame is None:
                if not self._given:
                    raise MediaError(
                        "file_unreadable", f"nothing that is wanted of {self._path.name} decodes"
                    )
                self._offset_s += self._reader.end_s
                self._given = False
                self._reader = self._open()
            elif frame.key.kind in self._kinds:
                self._given = True
                return shifted(frame, self._offset_s)


def shifted(frame: AudioFrame | VideoFrame, by_s: float) -> AudioFrame | VideoFrame:
    """Return the frame so much later in media time."""
    if isinstance(frame, AudioFrame):
        return replace(frame, time_s=frame.time_s + by_s)
    skipped_s = tuple(time_s + by_s for time_s in frame.skipped_s)
    return replace(frame, time_s=frame.time_s + by_s, skipped_s=skipped_s)
