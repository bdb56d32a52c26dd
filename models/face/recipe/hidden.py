"""Fits and measures what tells that mouth or eyes of a face are hidden (``guard.media.hidden``).

    GUARD_DATA=... python models/face/recipe/hidden.py fit --faces 1000 --write
    GUARD_DATA=... python models/face/recipe/hidden.py measure --faces 1000

Half of ``real_train`` (by a hash of the file name) is for fitting, the other half for measuring. On each
chip things are drawn that hide a part and things that genuine people wear (``hidden_draw.py``); all but the
first clean look go through a simulated camera; then guard's own face stage finds and aligns what there is.
Limits: of the genuine faces kept back from a first fit (every second name) at most 0.5 % by the mouth and 1 %
by the eyes may be refused.

The weights that ship (version of 23 November) were fitted by the draft of this recipe: 1,000 chips, the same
drawings and cameras in another order of random numbers, limits 2.19 and 2.45. They are measured by this one.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

sys.path[:0] = [str(Path(__file__).resolve().parents[3]), str(Path(__file__).resolve().parent)]

import data  # noqa: E402
from hidden_draw import HIDING, SIZE_PX, WORN, Painter, Points  # noqa: E402

from guard.media.hidden import hidden_logits, part_measures  # noqa: E402
from guard.resources import models_dir  # noqa: E402
from guard.types import FaceWindow, Kind, TrackKey, VideoFrame  # noqa: E402
from guard.windows import face_hidden  # noqa: E402
from guard.windows.face_models import FaceModels, load_face_models  # noqa: E402
from guard.windows.faces import FaceWindowConfig, FaceWindows  # noqa: E402

_WEIGHTS = Path(__file__).resolve().parents[3] / "guard" / "media" / "hidden_weights.py"
_KEY = TrackKey("hidden", "chip", Kind.VIDEO)
_CLEAN = ("clean", "clean_camera")
# coverage of a part up to which it is visible, and from which it is hidden; what lies between teaches nothing
_VISIBLE, _COVERED = 0.1, (0.6, 0.7, 0.7)
_ROUGHNESS = 10.0


@dataclass(frozen=True)
class Look:
    """One chip with something on it: what of mouth and eyes was covered, and what the face stage made of it.

    ``rows`` (3, 86) and ``logits`` (3,) are None where it passed no face on; ``reason`` says why.
    """

    name: str
    kind: str
    covered: tuple[float, float, float]
    reason: str | None
    rows: np.ndarray | None
    logits: np.ndarray | None


def main() -> None:
    """Fit or measure, as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("fit", "measure"))
    parser.add_argument("--faces", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write guard/media/hidden_weights.py")
    args = parser.parse_args()
    looks = draw(args.what == "fit", args.faces, args.seed)
    if args.what == "measure":
        report(looks)
        return
    weights = fit(looks)
    if args.write:
        write(weights)


def draw(for_fit: bool, count: int, seed: int) -> list[Look]:
    """Return six looks at each of ``count`` chips: two clean, one wearing a thing, three partly hidden."""
    rng, models = np.random.default_rng(seed), load_face_models(models_dir())
    both = [data.load(held_out) for held_out in (False, True)]
    faces = [face for part in both for face in part.faces if _is_for_fit(face.name) == for_fit]
    looks = []
    for n, row in enumerate(rng.permutation(len(faces))[:count]):
        face = faces[row]
        points = Points(face.points, both[0].indices)
        kinds = [*_CLEAN, WORN[n % len(WORN)], *(HIDING[(3 * n + k) % len(HIDING)] for k in range(3))]
        other = _another(rng, faces)
        for kind in kinds:
            painter = Painter(rng, face.image.astype(float), points, other)
            whole = painter.face, np.zeros((SIZE_PX, SIZE_PX))
            chip, cover = whole if kind in _CLEAN else painter.draw(kind)
            picture = _room(rng, chip)
            seen = picture if kind == "clean" else _camera(rng, picture)
            looks.append(_look(models, face.name, kind, _covered(cover, points), seen))
    return looks


def _another(rng: np.random.Generator, faces: list[data.Face]) -> Callable[[], np.ndarray]:
    return lambda: faces[rng.integers(len(faces))].image.astype(float)


def _is_for_fit(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[1] < 128


def _covered(cover: np.ndarray, points: Points) -> tuple[float, float, float]:
    places = ((points.mouth, 0.18), (points.eyes[0], 0.16), (points.eyes[1], 0.16))
    found = []
    for (x, y), part in places:
        r = max(1, int(points.unit * part))
        box = cover[max(0, int(y) - r) : int(y) + r + 1, max(0, int(x) - r) : int(x) + r + 1]
        found.append(float(box.mean()) if box.size else 1.0)
    return found[0], found[1], found[2]


def _room(rng: np.random.Generator, chip: np.ndarray) -> np.ndarray:
    picture = np.full((360, 640, 3), rng.integers(60, 160, 3), np.uint8)
    picture[80 : 80 + SIZE_PX, 220 : 220 + SIZE_PX] = chip
    return picture


def _camera(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Return the picture smaller, softer, in another light, noisy and coded."""
    image, scale = Image.fromarray(picture), rng.uniform(0.45, 1.0)
    how = Image.Resampling.BOX if rng.random() < 0.5 else Image.Resampling.BICUBIC
    image = image.resize((int(image.width * scale), int(image.height * scale)), how)
    if rng.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6)))
    light = 255 * (np.asarray(image, np.float32) / 255) ** rng.uniform(0.8, 1.3)
    light = light * rng.uniform(0.6, 1.15) * rng.uniform(0.9, 1.1, 3)
    light = light + rng.normal(0, rng.uniform(0, 6), light.shape)
    coded = io.BytesIO()
    Image.fromarray(light.clip(0, 255).astype(np.uint8)).save(
        coded, "JPEG", quality=int(rng.integers(25, 90))
    )
    return np.asarray(Image.open(coded))


def _look(
    models: FaceModels, name: str, kind: str, covered: tuple[float, float, float], picture: np.ndarray
) -> Look:
    taken: list[tuple[np.ndarray, np.ndarray]] = []

    def take(crop: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        taken.append((np.stack(part_measures(crop, landmarks)), hidden_logits(crop, landmarks)))
        return taken[-1][1]

    face_hidden.hidden_logits, kept = take, face_hidden.hidden_logits
    try:
        items = FaceWindows(_KEY, FaceWindowConfig(), models).push(VideoFrame(_KEY, 0.0, picture))
    finally:
        face_hidden.hidden_logits = kept
    if len(items) != 1 or not taken:
        return Look(name, kind, covered, "several" if len(items) > 1 else items[0].reason, None, None)
    reason = None if isinstance(items[0], FaceWindow) else items[0].reason
    return Look(name, kind, covered, reason, *taken[0])


def fit(looks: list[Look]) -> list[np.ndarray]:
    """Return the weights of mouth and eye, (87,) each, the limit taken off the last."""
    first = set(sorted({look.name for look in looks})[::2])
    trial = [_regress(*_examples([x for x in looks if x.name in first], part)) for part in ("mouth", "eye")]
    back = [x for x in looks if x.name not in first and x.rows is not None and x.kind not in HIDING]
    mouth = [float(x.rows[0] @ trial[0][:-1] + trial[0][-1]) for x in back]
    eyes = [float((x.rows[1:] @ trial[1][:-1]).max() + trial[1][-1]) for x in back if x.kind != "sunglasses"]
    limits = float(np.quantile(mouth, 0.995)), float(np.quantile(eyes, 0.99))
    print(f"limits: mouth {limits[0]:.2f}, eye {limits[1]:.2f}")
    weights = [_regress(*_examples(looks, part)) for part in ("mouth", "eye")]
    for row, limit in zip(weights, limits, strict=True):
        row[-1] -= limit
    return weights


def _examples(looks: list[Look], part: str) -> tuple[np.ndarray, np.ndarray]:
    rows, hidden = [], []
    for look in looks:
        if look.rows is None or (part == "eye" and look.kind == "sunglasses"):
            continue
        for place in (0,) if part == "mouth" else (1, 2):
            covered = look.covered[place]
            if covered < _VISIBLE or covered > _COVERED[place]:
                rows.append(look.rows[place])
                hidden.append(covered > _COVERED[place])
    return np.array(rows, np.float64), np.array(hidden, np.float64)


def _regress(rows: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Return weights and bias of a ridge logistic regression, classes weighing the same, by Newton."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    x = np.column_stack([(rows - mean) / spread, np.ones(len(rows))])
    ridge = _ROUGHNESS * np.eye(x.shape[1])
    ridge[-1, -1] = 0
    weight = np.where(hidden == 1, 0.5 / hidden.mean(), 0.5 / (1 - hidden.mean()))
    w = np.zeros(x.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -50, 50)))
        slope = x.T @ (weight * (p - hidden)) + ridge @ w
        w -= np.linalg.solve((x * (weight * p * (1 - p))[:, None]).T @ x + ridge, slope)
    own = w[:-1] / spread
    return np.append(own, w[-1] - own @ mean)


def write(weights: list[np.ndarray]) -> None:
    """Write them where ``guard.media.hidden`` reads them."""
    lines = [
        '"""Weights of ``guard.media.hidden``, the last one the bias; '
        'written by models/face/recipe/hidden.py."""'
    ]
    lines += ["", "from __future__ import annotations", "", "# fmt: off"]
    for name, row in zip(("MOUTH", "EYE"), weights, strict=True):
        numbers = [f"{value:.2f}" for value in row]
        lines += [
            f"{name} = (",
            *(f"    {', '.join(numbers[i : i + 12])}," for i in range(0, len(numbers), 12)),
            ")",
        ]
    _WEIGHTS.write_text("\n".join([*lines, "# fmt: on", ""]), encoding="utf-8")


def report(looks: list[Look]) -> None:
    """Print, by what was drawn, how many faces were refused and why."""
    print("| on the face | looks | not judged anyway | of the rest refused [95 %] | by mouth | by an eye |")
    print("|---|---|---|---|---|---|")
    for kind in (*_CLEAN, *WORN, *HIDING):
        own = [look for look in looks if look.kind == kind]
        judged = [look.logits for look in own if look.logits is not None]
        hidden = sum(float(row.max()) > 0 for row in judged)
        mouth, eye = sum(row[0] > 0 for row in judged), sum(row[1:].max() > 0 for row in judged)
        n = max(1, len(judged))
        low, high = _wilson(hidden, n)
        print(
            f"| {kind} | {len(own)} | {len(own) - len(judged)} | {hidden / n:.3f} [{low:.3f}, {high:.3f}] "
            f"| {mouth / n:.3f} | {eye / n:.3f} |"
        )


def _wilson(k: int, n: int) -> tuple[float, float]:
    z, p = 1.96, k / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


if __name__ == "__main__":
    main()
