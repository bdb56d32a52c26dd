"""What finding, following and aligning a face costs on one thread.

    python -m benchmarks.faces

Prints CPU milliseconds per call (p50, p95, p99 of 100 calls after 10 to warm up) and the
CPU-seconds one video track costs per second, for the portrait of the tests.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from guard.media.align import align_matrix, warp
from guard.media.quality import face_quality
from guard.resources import models_dir
from guard.types import ImageArray, Kind, TrackKey, VideoFrame
from guard.windows.face_models import FaceModels, Mesh, load_face_models
from guard.windows.faces import FaceWindowConfig, FaceWindows

PORTRAIT = Path(__file__).parents[1] / "tests" / "fixtures" / "astronaut.jpg"
SIZES = ((640, 360), (1280, 720))
KEY = TrackKey("benchmark", "customer", Kind.VIDEO)


def picture(width: int, height: int) -> ImageArray:
    room = Image.new("RGB", (width, height), (96, 104, 112))
    portrait = Image.open(PORTRAIT).convert("RGB").resize((height, height), Image.Resampling.BICUBIC)
    room.paste(portrait, ((width - height) // 2, 0))
    return np.asarray(room)


def cpu_ms(call: Callable[[], object], calls: int = 100, warm_up: int = 10) -> dict[str, float]:
    taken = []
    for turn in range(warm_up + calls):
        start = time.thread_time()
        call()
        if turn >= warm_up:
            taken.append(1000 * (time.thread_time() - start))
    return {f"p{p}": round(float(np.percentile(taken, p)), 2) for p in (50, 95, 99)}


def centred(models: FaceModels, image: ImageArray) -> Mesh:
    mesh = models.mesh(image, models.find(image)[0].region())
    return models.mesh(image, mesh.region())


def time_steps(models: FaceModels, image: ImageArray) -> dict[str, dict[str, float]]:
    mesh = centred(models, image)
    matrix = align_matrix(mesh.points[:, :2])
    crop = warp(image, matrix)
    return {
        "blazeface": cpu_ms(lambda: models.find(image)),
        "facemesh": cpu_ms(lambda: models.mesh(image, mesh.region())),
        "crop": cpu_ms(lambda: warp(image, matrix)),
        "quality": cpu_ms(lambda: face_quality(crop, mesh.points, mesh.presence)),
    }


def time_track(models: FaceModels, image: ImageArray, seconds: int = 20) -> float:
    """Return CPU-seconds per second of a 30 fps track that shows the picture."""
    stage = FaceWindows(KEY, FaceWindowConfig(), models)
    start = time.thread_time()
    for number in range(30 * seconds):
        stage.push(VideoFrame(KEY, number / 30, image))
    return round((time.thread_time() - start) / seconds, 4)


def main() -> None:
    models = load_face_models(models_dir())
    result = {
        f"{width}x{height}": {
            "cpu_ms": time_steps(models, picture(width, height)),
            "cpu_s_per_s_with_face": time_track(models, picture(width, height)),
            "cpu_s_per_s_empty": time_track(models, np.zeros((height, width, 3), dtype=np.uint8)),
        }
        for width, height in SIZES
    }
    print(json.dumps({"machine": platform.processor() or platform.machine(), **result}, indent=2))


if __name__ == "__main__":
    main()
