"""Prints how much the mouth of a clip trembles from look to look, in lengths of the nose.

    python lip_sync_noise.py CLIP...

The residual of each opening against the mean of its neighbours, as a robust standard deviation of one look.
Where the mouth moves, its movements are in it too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from data import ROOT

sys.path.insert(0, str(ROOT))
from guard.codec.files import read_file
from guard.media.lips import mouth_of
from guard.resources import models_dir
from guard.types import FaceWindow, Kind, TrackKey, VideoFrame
from guard.windows.face_models import load_face_models
from guard.windows.faces import FaceWindowConfig, FaceWindows


def main() -> None:
    """Print one line per clip."""
    models = load_face_models(models_dir())
    for name in sys.argv[1:]:
        stage = FaceWindows(TrackKey("file", "file", Kind.VIDEO), FaceWindowConfig(), models)
        frames = (frame for frame in read_file(Path(name)) if isinstance(frame, VideoFrame))
        windows = [w for frame in frames for w in stage.push(frame) if isinstance(w, FaceWindow)]
        points = [look.points for window in windows for look in window.glimpses if look.points is not None]
        opening = np.array([mouth[0] for mouth in map(mouth_of, points) if mouth is not None])
        residual = opening[1:-1] - (opening[:-2] + opening[2:]) / 2
        # a mean of two takes half a variance more: 1.5 of one look
        spread = 1.4826 * np.median(np.abs(residual)) / np.sqrt(1.5)
        print(
            f"{Path(name).name}: {len(opening)} looks, "
            f"median opening {np.median(opening):.3f}, residual {spread:.4f}"
        )


if __name__ == "__main__":
    main()
