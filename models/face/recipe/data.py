"""Real faces for the face frame detector: where they are, which are refused, how they are split.

The folder comes from ``GUARD_DATA`` and nowhere else. An organisation that retrains on its own
faces lays them out the same way: ``face/real_train/*.jpg`` (square), ``landmarks.npz`` with ``names``,
``lm`` (N, P, 2) in picture pixels and ``sub_idx``, the FaceMesh index of each of the P points, and
``about.toml`` (about.py). Several pictures of one person are named ``PERSON__ANYTHING.jpg``, so that
all of them lie on one side of every split. recipe/check.py says what is wrong with a folder.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

ROOT = Path(__file__).resolve().parents[3]
CHIP_SIZE_PX = 200


@dataclass(frozen=True)
class Face:
    """One real face: uint8 (200, 200, 3) RGB and float32 (P, 2) landmarks in its pixels."""

    name: str
    image: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class Faces:
    """The faces of one split and the FaceMesh index of each landmark."""

    faces: list[Face]
    indices: list[int]


def data_folder() -> Path:
    """Return the folder that ``GUARD_DATA`` names, or stop with what to set."""
    value = os.environ.get("GUARD_DATA", "")
    if not value:
        sys.exit("GUARD_DATA is not set: set it to the folder that holds face/real_train")
    folder = Path(value).absolute() / "face" / "real_train"
    if not (folder / "landmarks.npz").is_file():
        sys.exit(
            f"GUARD_DATA={value!r} has no face/real_train/landmarks.npz: set it to the folder that holds "
            "face/real_train, or make that of photographs by make -C models/face faces "
            "(docs/face-training.md)"
        )
    return folder


def names_of(folder: Path) -> list[str]:
    """Return the file names of the faces, in the order of landmarks.npz."""
    with np.load(folder / "landmarks.npz") as table:
        return [str(name) for name in table["names"]]


def person_of(name: str) -> str:
    """Return whom a picture shows, as far as its name tells: what stands before ``__``, or all of it."""
    return name.split("__", 1)[0]


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Give a file through which ``path`` is written whole or not at all: a run may be cut off anywhere."""
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as out:
        yield out
    part.replace(path)


def denied(path: Path = ROOT / "models" / "denylist.toml") -> set[str]:
    """Return the names and sha256 sums that no recipe may train on (the demo's people and clips)."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    _collect(entries, found)
    return found


def _collect(value: object, found: set[str]) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _collect(item, found)
    elif isinstance(value, list):
        for item in value:
            _collect(item, found)
    elif isinstance(value, str):
        found.add(value)


def refuse_denied(folder: Path, names: Iterable[str], deny: set[str]) -> None:
    """Stop when a picture is on the deny-list, by file name or by content.

    Raises:
        SystemExit: one of ``names`` must not be trained on.
    """
    for name in names:
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if name in deny or digest in deny:
            sys.exit(
                f"{name} is on models/denylist.toml (a face of the demo): take it out of the training folder"
            )


def is_held_out(name: str) -> bool:
    """Return whether a picture is kept for calibration: one person in eight, by a hash of the name."""
    return hashlib.sha256(person_of(name).encode()).digest()[0] < 32


def load(held_out: bool) -> Faces:
    """Return the training faces, or the held-out ones, in a fixed order."""
    folder = data_folder()
    table = np.load(folder / "landmarks.npz")
    points = table["lm"].astype(np.float32)
    names = [str(name) for name in table["names"]]
    chosen = [row for row, name in enumerate(names) if is_held_out(name) == held_out]
    refuse_denied(folder, [names[row] for row in chosen], denied())
    faces = []
    for row in chosen:
        if not np.isfinite(points[row]).all():
            continue
        picture, scale = _picture(folder / names[row])
        faces.append(Face(names[row], picture, points[row] * scale))
    return Faces(faces, [int(index) for index in table["sub_idx"]])


def _picture(path: Path) -> tuple[np.ndarray, float]:
    """Return the picture as uint8 (200, 200, 3) RGB and by how much it was scaled."""
    try:
        with Image.open(path) as picture:
            if picture.width != picture.height:
                size = f"{picture.width} x {picture.height}"
                sys.exit(f"{path.name} is {size}: the recipe takes square pictures of faces")
            scale = CHIP_SIZE_PX / picture.width
            square = picture.convert("RGB")
            if scale != 1:
                square = square.resize((CHIP_SIZE_PX, CHIP_SIZE_PX), Image.Resampling.BOX)
            return np.asarray(square, dtype=np.uint8), scale
    except (OSError, UnidentifiedImageError) as error:
        sys.exit(f"{path.name} cannot be read as a picture ({error}): take it out of landmarks.npz")
