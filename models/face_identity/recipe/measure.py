"""Measures the face identity model on pictures of nameless people, fits its calibration, writes its card.

    GUARD_DATA=/path/to/data .venv/bin/python models/face_identity/recipe/measure.py --work FOLDER

Runs in guard's own environment, through guard's own windows: what is measured is what a call would see.
``GUARD_DATA`` holds face/real_train as for models/face; UTKFace's file names begin with age and sex.
Half of the faces fit the calibration, the other half are measured. Interrupted, it goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scenes import CHIP_EYES_PX, place, scenes

from guard.detectors.face_identity import load_face_identity
from guard.fusion.calibration import fit_logistic
from guard.resources import models_dir
from guard.types import FaceWindow, Kind, TrackKey, VideoFrame
from guard.windows.face_models import load_face_models
from guard.windows.faces import FaceWindowConfig, FaceWindows

HERE = Path(__file__).resolve().parent
SIZE, PHOTO_SCENE = 128, "photo"
ROUNDS = 1000
# the author's threshold, 0.6, of vectors whose median length is 1.43, as 1 - cosine
EVEN = 0.088
# the author's error at that threshold, on Labeled Faces in the Wild
PUBLISHED_ERROR = 0.0062
KEY = TrackKey("measure", "measure", Kind.VIDEO)
# a limit that so many pairs carry
LIMIT = 3.85


def chosen(folder: Path, faces: int) -> list[str]:
    """Return the file names of people aged 16 to 80, in a fixed order."""
    names = [path.name for path in folder.glob("*.jpg")]
    names.sort(key=lambda name: hashlib.sha256(b"identity" + name.encode()).digest())
    return [n for n in names if 16 <= age(n) <= 80][:faces]


def age(name: str) -> int:
    """Return the age UTKFace's file name gives."""
    return int(name.split("_", maxsplit=1)[0])


def sex(name: str) -> str:
    """Return the sex UTKFace's file name gives, as a code."""
    return name.split("_")[1]


def describe_all(names: list[str], folder: Path, cache: Path) -> dict[str, dict[str, np.ndarray | str]]:
    """Return for every picture the vector, or the reason why there is none, of every scene."""
    models = load_face_models(models_dir())
    detector = load_face_identity(models_dir() / "face_identity").detector
    made = scenes(models)
    table = json.loads(cache.read_text()) if cache.exists() else {}
    for count, name in enumerate(names):
        if name not in table:
            chip = Image.open(folder / name).convert("RGB")
            seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
            pictures = {PHOTO_SCENE: place(chip, CHIP_EYES_PX)}
            for number, (scene, make) in enumerate(made.items()):
                pictures[scene] = make(chip, np.random.default_rng((seed, number)))
            table[name] = {scene: _described(p, detector, models) for scene, p in pictures.items()}
            if count % 20 == 0:
                cache.write_text(json.dumps(table))
                sys.stderr.write(f"{count} of {len(names)}\n")
    cache.write_text(json.dumps(table))
    return {n: {s: v if isinstance(v, str) else np.array(v) for s, v in table[n].items()} for n in names}


def _described(picture: Image.Image, detector, models) -> list[float] | str:
    frame = VideoFrame(KEY, 0.0, np.asarray(picture.convert("RGB")))
    items = FaceWindows(KEY, FaceWindowConfig(), models).push(frame)
    if len(items) != 1:
        return "several_faces"
    if not isinstance(items[0], FaceWindow):
        return items[0].reason
    row = detector.prepare(items[0])
    if not isinstance(row, np.ndarray):
        return row.reason
    return [round(float(v), 6) for v in detector.describe(row[None])[0]]


class Pairs:
    """Distances of one scene's looks to the photos: of the same picture, and of other people."""

    def __init__(self, table: dict, scene: str, names: list[str]) -> None:
        kept = [n for n in names if not isinstance(table[n][PHOTO_SCENE], str)]
        self.tried = len(kept)
        self.names = [n for n in kept if not isinstance(table[n][scene], str)]
        looks = np.array([table[n][scene] for n in self.names]).reshape(-1, SIZE)
        photos = np.array([table[n][PHOTO_SCENE] for n in self.names]).reshape(-1, SIZE)
        distance = 1 - looks @ photos.T
        self.same = np.diag(distance).copy()
        ages, sexes = np.array([age(n) for n in self.names]), np.array([sex(n) for n in self.names])
        alike = (np.abs(ages[:, None] - ages) <= 10) & (sexes[:, None] == sexes)
        np.fill_diagonal(alike, False)
        self.distance, self.alike = distance, alike
        self.any = ~np.eye(len(self.names), dtype=bool)

    def rates(self, limit: float, among: np.ndarray) -> tuple[float, float]:
        """Return the share of same pairs beyond ``limit``, and of other pairs within it."""
        return float((self.same > limit).mean()), float((self.distance[among] <= limit).mean())

    def interval(self, limit: float, among: np.ndarray, seed: int = 0) -> list[tuple[float, float, float]]:
        """Return both rates with 95 % intervals, faces drawn with replacement."""
        rng, drawn = np.random.default_rng(seed), []
        own, within = self.same > limit, (self.distance <= limit) & among
        for _ in range(ROUNDS):
            rows = rng.integers(len(own), size=len(own))
            weight = np.bincount(rows, minlength=len(own)).astype(float)
            others = weight @ among @ weight
            drawn.append((own[rows].mean(), weight @ within @ weight / max(others, 1)))
        low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
        if not own.any():  # no draw can show what was never seen: the exact binomial limit
            high[0] = 1 - 0.025 ** (1 / len(own))
        return list(zip(self.rates(limit, among), low.tolist(), high.tolist(), strict=True))


def fitted(table: dict, names: list[str]) -> tuple[float, float, float]:
    """Return slope and offset of the llr of another person, over all scenes but the hand's, and a stretch.

    A picture made again is nearer to itself than a person to themselves on another day. So the distances of
    the same are stretched until as many lie beyond the author's threshold as the author found.
    """
    pairs = [Pairs(table, scene, names) for scene in table[names[0]] if scene not in (PHOTO_SCENE, "hand")]
    same = np.concatenate([p.same for p in pairs])
    other = np.concatenate([p.distance[p.alike] for p in pairs])
    is_other = np.concatenate([np.zeros(len(same), bool), np.ones(len(other), bool)])
    stretch = max(1.0, EVEN / float(np.quantile(same, 1 - PUBLISHED_ERROR)))
    distances = np.concatenate([same * stretch, other]).astype(np.float32)
    return *fit_logistic(distances, is_other), stretch


def measured(table: dict, names: list[str]) -> str:
    """Return the tables of the card, at the distance where the calibration is even."""
    lines = [
        "# at even_distance, 95 % over faces: [value, low, high]; described: looks not refused;",
        "# not_recognised: the same picture's look beyond it; other_taken: a photo of somebody else of the",
        "# same sex, and of an age within ten years, within it",
        "[measured.scene]",
    ]
    for scene in table[names[0]]:
        pairs = Pairs(table, scene, names)
        if scene == PHOTO_SCENE:
            continue
        missed, taken = pairs.interval(EVEN, pairs.alike)
        found = len(pairs.names)
        lines.append(
            f"{scene} = {{ faces = {found}, described = {found / pairs.tried:.3f}, "
            f"median_distance = {float(np.median(pairs.same)):.3f}, "
            f"not_recognised = {_list(missed)}, other_taken = {_list(taken)} }}"
        )
    lines += ["", "# photo against photo: other people taken for the one enrolled", "[measured.other]"]
    groups = {
        "any": names,
        "aged_16_to_29": [n for n in names if age(n) < 30],
        "aged_30_to_49": [n for n in names if 30 <= age(n) < 50],
        "aged_50_to_80": [n for n in names if age(n) >= 50],
        **{f"sex_code_{code}": [n for n in names if sex(n) == code] for code in ("0", "1")},
    }
    for group, members in groups.items():
        pairs = Pairs(table, PHOTO_SCENE, members)
        _, taken = pairs.interval(EVEN, pairs.any)
        lines.append(f"{group} = {{ faces = {len(pairs.names)}, other_taken = {_list(taken)} }}")
    return "\n".join(lines)


def _list(values: tuple[float, float, float]) -> str:
    return "[" + ", ".join(f"{v:.3f}" for v in values) + "]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="keeps what was described")
    parser.add_argument("--faces", type=int, default=160)
    options = parser.parse_args()
    folder = Path(os.environ.get("GUARD_DATA", "")) / "face" / "real_train"
    if not os.environ.get("GUARD_DATA") or not folder.is_dir():
        sys.exit("GUARD_DATA is not set, or has no face/real_train: set it to the folder that has")
    options.work.mkdir(parents=True, exist_ok=True)
    names = chosen(folder, options.faces)
    table = describe_all(names, folder, options.work / "described.json")
    a, b, stretch = fitted(table, names[::2])
    model = (models_dir() / "face_identity" / "model.onnx").read_bytes()
    card = (
        (HERE / "card.template.toml")
        .read_text(encoding="utf-8")
        .format(
            sha256=hashlib.sha256(model).hexdigest(),
            a=round(a, 3),
            b=round(-a * EVEN, 5),
            b_call=round(-a * round(-b / a, 4), 5),
            limit=LIMIT,
            even=EVEN,
            fitted=round(-b / a, 4),
            stretch=round(stretch, 2),
            fit_faces=len(names[::2]),
            measured=measured(table, names[1::2]),
        )
    )
    (HERE.parent / "card.toml").write_text(card, encoding="utf-8")
    sys.stdout.write(
        f"llr of another person than the photo's = {a:.1f} * (distance - {EVEN}), "
        f"than the call's: - {-b / a:.4f}; stretch {stretch:.2f}\n"
    )


if __name__ == "__main__":
    main()
