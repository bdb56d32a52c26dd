"""Says before anything is made what is wrong with the data, and that WORK was not begun with other faces.

    GUARD_DATA=... python check.py --work WORK [--voices] [--pairs N]

Runs in guard's own environment. ``--voices`` asks for voice/train, without which lip_sync is left out.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
from about import About, about
from data import ROOT, data_folder, denied, is_held_out, person_of
from PIL import Image, UnidentifiedImageError

sys.path.insert(0, str(ROOT))
from guard.media.align import STABLE_INDICES
from guard.media.ring import BROWS, MOUTH, OVAL

# round the lips; with OVAL before them the first landmarks of the file, in this order (recipe/masks.py)
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
NEEDED = {*OVAL, *LIPS, *BROWS, *MOUTH, *STABLE_INDICES}
# principal components, autoencoders and both halves of the held-out eighth need that many
MIN_FACES = 400
MIN_HELD_OUT = 30
SIDE_PX = 100
BYTES_A_PAIR = 2 * 3 * 128**2
SPARE_BYTES = 2_000_000_000
_COLUMNS = {"path", "label", "source", "speaker", "licence"}


def main() -> None:
    """Stop with what is wrong, where, and what to do; else say what will be trained on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--voices", action="store_true", help="voice/train is wanted")
    parser.add_argument("--pairs", type=int, default=0, help="of the pool, to be kept in WORK")
    args = parser.parse_args()
    check_places(args.work, args.pairs)
    faces = about()
    digests = check_faces(data_folder())
    has_voices = check_voices(data_folder().parents[1], wanted=args.voices)
    check_work(args.work, digests, faces)
    print(f"faces: {faces.card_faces}\nlicence on the cards: {faces.card_licence('')}")
    if not has_voices:
        print(
            f"voices: {data_folder().parents[1]} has no voice/train/manifest.csv, so lip_sync is left out; "
            "the one guard ships stays in use (it was made from voices, no face is in it)"
        )


def check_places(work: Path, pairs: int) -> None:
    """Stop where make would look in another folder than is meant, or the disk is too small."""
    for name, value in (("GUARD_DATA", os.environ.get("GUARD_DATA") or "/"), ("WORK", str(work))):
        if not Path(value).is_absolute() or len(value.split()) != 1:
            sys.exit(
                f"{name}={value} is no absolute path without blanks: "
                "make works in models/face, so give the whole path"
            )
    if work.resolve().is_relative_to(ROOT.resolve() / "models"):
        sys.exit(f"WORK={work} lies among the shipped models: name a folder outside the repository")
    if importlib.util.find_spec("onnx") is None:
        sys.exit(
            "guard's own environment has no onnx: run make setup at the top of the repository, "
            "or name the bin folder of an environment with guard[dev] by GUARD"
        )
    work.mkdir(parents=True, exist_ok=True)
    needed, free = pairs * BYTES_A_PAIR + SPARE_BYTES, shutil.disk_usage(work).free
    made = sum(path.stat().st_size for path in work.glob("checkpoints/pool/*.npy"))
    if free + made < needed:
        sys.exit(
            f"{work} has {free / 1e9:.1f} GB free, {(needed - made) / 1e9:.1f} GB are needed: "
            "make room, or name another folder by WORK"
        )


def check_faces(folder: Path) -> str:
    """Stop where a picture or the landmarks cannot be used; return a digest of all of it."""
    path = folder / "landmarks.npz"
    try:
        with np.load(path) as table:
            names, points, indices = [str(n) for n in table["names"]], table["lm"], table["sub_idx"].tolist()
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"{path} is no landmarks file ({error}): it takes names, lm and sub_idx, see recipe/data.py")
    if points.shape != (len(names), len(indices), 2):
        wanted = (len(names), len(indices), 2)
        sys.exit(f"{path}: lm is {points.shape}, names and sub_idx ask for {wanted}: write it again")
    if tuple(indices[: len(OVAL) + len(LIPS)]) != (*OVAL, *LIPS) or NEEDED - set(indices):
        sys.exit(
            f"{path}: sub_idx must begin with the face's outline and the lips, in the order of OVAL and LIPS "
            f"in recipe/check.py, and hold {sorted(NEEDED - set(indices)) or 'the rest'}, too: write it again"
        )
    _check_count(folder, names, points)
    deny, whole = denied(), hashlib.sha256(path.read_bytes())
    for name, at in zip(names, points, strict=True):
        whole.update(_check_picture(folder, name, at.astype(np.float32), deny))
    return whole.hexdigest()


def _check_count(folder: Path, names: list[str], points: np.ndarray) -> None:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        sys.exit(f"{folder / 'landmarks.npz'} names {twice[0]} more than once: write it again")
    usable = [name for name, at in zip(names, points, strict=True) if np.isfinite(at).all()]
    held = sum(is_held_out(name) for name in usable)
    if len(usable) < MIN_FACES or held < MIN_HELD_OUT:
        persons = len({person_of(name) for name in usable})
        sys.exit(
            f"{folder} has {len(usable)} faces with landmarks of {persons} persons, {held} of them held out "
            f"by their names: {MIN_FACES} and {MIN_HELD_OUT} are the least; add faces of more persons"
        )


def _check_picture(folder: Path, name: str, points: np.ndarray, deny: set[str]) -> bytes:
    path = folder / name
    if Path(name).name != name or not path.is_file():
        sys.exit(f"{path} is named by landmarks.npz and not there: add it, or take it out of landmarks.npz")
    digest = hashlib.sha256(path.read_bytes())
    if name in deny or digest.hexdigest() in deny:
        sys.exit(f"{path} is on models/denylist.toml (a face of the demo): take it out of the folder")
    try:
        with Image.open(path) as picture:
            size = picture.size
    except (OSError, UnidentifiedImageError) as error:
        sys.exit(f"{path} cannot be read as a picture ({error}): take it out of landmarks.npz")
    if size[0] != size[1] or size[0] < SIDE_PX:
        sys.exit(
            f"{path} is {size[0]} x {size[1]}: the recipe takes square pictures of {SIDE_PX} px and more"
        )
    if np.isfinite(points).all() and not _lies_in(points, size[0]):
        sys.exit(f"{path}: its landmarks lie outside of the picture; lm is in pixels of the picture itself")
    return digest.digest()


def _lies_in(points: np.ndarray, side_px: int) -> bool:
    """Tell whether the middle of the face lies in the picture and the face fills a fair part of it."""
    middle, reach = np.median(points, axis=0), float(np.ptp(points[: len(OVAL)], axis=0).max())
    return bool((middle > 0).all() and (middle < side_px).all() and 0.3 * side_px < reach < 1.5 * side_px)


def check_voices(data: Path, *, wanted: bool) -> bool:
    """Return whether there are voices for lip_sync; stop where those that are there cannot be used."""
    path = data / "voice" / "train" / "manifest.csv"
    if not path.is_file():
        if wanted:
            sys.exit(f"{path} is not there: lip_sync is made from voices, its columns are {sorted(_COLUMNS)}")
        return False
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        absent = sorted(_COLUMNS - set(reader.fieldnames or ()))
        rows = [] if absent else [row for row in reader if row["label"] == "bonafide"]
    if absent:
        sys.exit(f"{path} lacks the columns {', '.join(absent)}: add them, or take voice/ away")
    from lip_sync_simulate import SPLITS, split_of

    voices = {f"{row['source']}/{row['speaker'] or row['path']}" for row in rows}
    counts = {split: sum(split_of(voice) == split for voice in voices) for split in SPLITS}
    if min(counts.values()) < 2:
        sys.exit(f"{path} has {counts} genuine voices (label bonafide): two of each are the least; add more")
    lost = next((row["path"] for row in rows if not (path.parent / row["path"]).is_file()), None)
    if lost:
        sys.exit(f"{path} names {lost}, which is not there: add it, or take its line out")
    return True


def check_work(work: Path, faces: str, stated: About) -> None:
    """Stop where WORK holds parts made from other data; note what it is made from.

    Raises:
        SystemExit: an earlier run in WORK had other faces or voices: its parts would go on the new card.
    """
    manifest = data_folder().parents[1] / "voice" / "train" / "manifest.csv"
    now = {"faces": faces}
    if manifest.is_file():
        now["voices"] = hashlib.sha256(manifest.read_bytes()).hexdigest()
    note = work / "checkpoints" / "made_of.json"
    before = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
    if not before and (work / "checkpoints" / "autoencoders.pt").is_file():
        before = {"faces": "", "of": "before the recipe noted which"}
    for kind, digest in now.items():
        if before.get(kind, digest) != digest:
            sys.exit(
                f"{work} was begun with other {kind} ({before['of']}): parts of both would be mixed; "
                f"name another folder by WORK, or remove {work / 'checkpoints'}"
            )
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({**before, **now, "of": stated.name}), encoding="utf-8")


if __name__ == "__main__":
    main()
