"""Writes a folder for ``guard eval face`` in which every pair of clips has a photo of the genuine person.

    GUARD_DATA=/path/to/data .venv/bin/python models/face_identity/recipe/references.py --out FOLDER
    guard eval face FOLDER

``GUARD_DATA`` holds face/val_clips: webcam clips before and after a live swap, measured only. The photo of a
pair is the first picture of its genuine clip in which a face can be described, so the genuine half of what is
measured is easy: same minute, same camera. FOLDER gets copies of the clips and faces of the data: keep it to
yourself.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import sys
from pathlib import Path

from PIL import Image

from guard.app.references import face_in
from guard.codec.files import read_file
from guard.detectors.face_identity import load_face_identity
from guard.errors import MediaError
from guard.resources import models_dir
from guard.types import VideoFrame
from guard.windows.face_models import load_face_models


class Photographer:
    """Takes photos out of clips."""

    def __init__(self) -> None:
        self._detector = load_face_identity(models_dir() / "face_identity").detector
        self._faces = load_face_models(models_dir())

    def take(self, clip: Path, photo: Path) -> bool:
        """Write the first picture of a clip that shows one face well enough; tell whether there is one."""
        for frame in read_file(clip, session="photo"):
            if isinstance(frame, VideoFrame):
                Image.fromarray(frame.image).save(photo)
                try:
                    face_in(photo, self._detector, self._faces)
                except MediaError:
                    continue
                return True
        photo.unlink(missing_ok=True)
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    folder = Path(os.environ.get("GUARD_DATA", "")) / "face" / "val_clips"
    if not (folder / "manifest.csv").is_file():
        sys.exit("GUARD_DATA is not set, or has no face/val_clips: set it to the folder that has")
    (out / "photos").mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    photographer, photos = Photographer(), {}
    for line in lines:
        shutil.copyfile(folder / line["path"], out / line["path"])
        name = f"photos/{line['pair']}.png"
        if line["label"] == "real" and photographer.take(folder / line["path"], out / name):
            photos[line["pair"]] = name
    with (out / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*lines[0], "reference"])
        writer.writeheader()
        writer.writerows({**line, "reference": photos.get(line["pair"], "")} for line in lines)
    sys.stdout.write(f"{len(lines)} clips, {len(photos)} photos\n")


if __name__ == "__main__":
    main()
