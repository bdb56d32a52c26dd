"""Draws what the face-against-frame signal measures, and where, on faces of the demo.

    python ring_example.py [--out docs/images/face_ring.png]

Per face: the crop, the regions, and for two bands by how much each patch is above (yellow) or below
(blue) what its brightness and its coarser texture let expect in this picture. Runs in guard's own
environment on the demo's clips only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))
from guard.codec.files import read_file  # noqa: E402
from guard.media import ring  # noqa: E402
from guard.media.ring import GRID, LEFT_PX, SIDE_PX, TOP_PX, Patches, measure_patches  # noqa: E402
from guard.resources import clips_dir, models_dir  # noqa: E402
from guard.types import FaceWindow, Kind, TrackKey, VideoFrame  # noqa: E402
from guard.windows.face_models import load_face_models  # noqa: E402
from guard.windows.faces import FaceWindowConfig, FaceWindows  # noqa: E402

CLIPS = ("customer_genuine.webm", "customer_synthetic.webm")
_LOOK = 7  # the look that is drawn: 1.4 s into the clip
_ZOOM = 2
_TINTS = np.array(
    [[230, 70, 60], [240, 150, 40], [80, 170, 250], [250, 240, 90], [150, 90, 220], [70, 200, 110]]
)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "face_ring.png")
    args = parser.parse_args()
    rows = [_row(_window(clips_dir() / name)) for name in CLIPS]
    Image.fromarray(np.concatenate(rows)).quantize(200).save(args.out, optimize=True)


def _window(path: Path) -> FaceWindow:
    """Return one look at the face of a clip."""
    finder = load_face_models(models_dir())
    stage = FaceWindows(TrackKey("example", "file", Kind.VIDEO), FaceWindowConfig(), finder)
    seen: list[FaceWindow] = []
    for frame in read_file(path):
        if isinstance(frame, VideoFrame):
            seen += [window for window in stage.push(frame) if isinstance(window, FaceWindow)]
        if len(seen) > _LOOK:
            return seen[_LOOK]
    sys.exit(f"{path.name} shows no face long enough")


def _row(window: FaceWindow) -> np.ndarray:
    """Return uint8 (H, 4 W, 3): crop, regions, finest band, colour band."""
    points = window.landmarks
    patches = measure_patches(
        window.crop, *(points[list(chosen)] for chosen in (ring.OVAL, ring.BROWS, ring.MOUTH))
    )
    tiles = [
        window.crop,
        _laid_over(window.crop, _region_tints(patches), patches.region >= 0),
        _laid_over(window.crop, _heat(_unexpected(patches, patches.fine, 0)), patches.region >= 0),
        _laid_over(window.crop, _heat(_unexpected(patches, patches.colour, 1)), patches.region >= 0),
    ]
    return np.concatenate([np.kron(tile, np.ones((_ZOOM, _ZOOM, 1), np.uint8)) for tile in tiles], axis=1)


def _unexpected(patches: Patches, bands: np.ndarray, band: int) -> np.ndarray:
    """Return what a linear fit on the coarsest band and brightness leaves of ``bands[:, band]``, (256,)."""
    kept = patches.region >= 0
    design = np.stack([patches.fine[:, 2], patches.luma / 50, np.ones(len(kept))], axis=1)
    weights = np.linalg.lstsq(design[kept], bands[kept, band], rcond=None)[0]
    return np.asarray(bands[:, band] - design @ weights)


def _region_tints(patches: Patches) -> np.ndarray:
    return _TINTS[np.maximum(patches.region, 0)].astype(np.float32)


def _heat(values: np.ndarray) -> np.ndarray:
    """Return colours (256, 3): blue at -1.5, grey at 0, yellow at +1.5 (natural log)."""
    share = np.clip(values / 1.5, -1, 1)[:, None]
    up, down = np.array([255, 225, 40]), np.array([40, 80, 255])
    return np.where(share > 0, 128 + share * (up - 128), 128 - share * (down - 128)).astype(np.float32)


def _laid_over(crop: np.ndarray, colours: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return the crop with the patches tinted; what is not measured stays dark."""
    grid = np.kron(colours.reshape(GRID, GRID, 3), np.ones((SIDE_PX // GRID, SIDE_PX // GRID, 1)))
    shown = np.kron(kept.reshape(GRID, GRID, 1), np.ones((SIDE_PX // GRID, SIDE_PX // GRID, 1)))
    rows, columns = slice(TOP_PX, TOP_PX + SIDE_PX), slice(LEFT_PX, LEFT_PX + SIDE_PX)
    out = crop.astype(np.float32) * 0.35
    inner = crop[rows, columns].astype(np.float32)
    out[rows, columns] = np.where(shown > 0, 0.55 * inner + 0.45 * grid, 0.35 * inner)
    return np.clip(out, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
