"""What a call's looks at one person say together: how much they share, and how often they are a mismatch.

    GUARD_DATA=/path/to/data .venv/bin/python models/face_identity/recipe/calls.py --work FOLDER

A call here is the looks at one face under the scenes of ``scenes.py``, all compared with one photo: the half
of the faces that measure.py does not fit on, with the calibration in the card. Prints, writes nothing:

- the share of the variance of a look's llr that is the same for the whole call (``fusion.call_shares``), the
  same and other people together as in benchmarks/call_share.py;
- the calls whose mean llr of another person reaches ``fusion.photo_mismatch_llr``, for photos of several
  kinds. Another picture of the same person is not there, so the same person's distances are also given
  stretched as measure.py stretches them;
- how often what happens to one face from one look to the next (any scene after any other) would seem another
  person beyond ``fusion.face_replaced_llr``, and how often another person does. No stretch: it is one call.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[3])]

from measure import LIMIT, PHOTO_SCENE, age, chosen, describe_all, fitted, sex  # noqa: E402

from benchmarks.call_share import Variances, components, resampled  # noqa: E402
from guard.detectors.face_identity import CALL, PHOTO, load_face_identity_card  # noqa: E402
from guard.detectors.vector_card import PersonCalibration  # noqa: E402
from guard.evaluation.exact import share  # noqa: E402
from guard.fusion.config import FusionConfig  # noqa: E402
from guard.resources import models_dir  # noqa: E402

PHOTOS = (PHOTO_SCENE, "vp8_150", "low_light", "side_light", "soft", "turned_25")
ROUNDS, SEED = 400, 1


def calls(table: dict, names: list[str], photo: str, *, same: bool) -> list[np.ndarray]:
    """Return the distances of each call's looks to one photo; of others of like age and the same sex."""
    found = []
    for one in names:
        looks = [v for scene, v in table[one].items() if scene != photo and not isinstance(v, str)]
        for other in names:
            alike = abs(age(one) - age(other)) <= 10 and sex(one) == sex(other)
            wanted = other == one if same else other != one and alike
            if wanted and len(looks) > 1 and not isinstance(table[other][photo], str):
                found.append((1 - np.array(looks) @ table[other][photo]).astype(np.float32))
    return found


def other_llrs(distances: list[np.ndarray], calibration: PersonCalibration) -> list[np.ndarray]:
    """Return the llr of another person of every look, within the card's limit."""
    return [np.clip(calibration.other_llr(d), -LIMIT, LIMIT) for d in distances]


def print_share(same: list[np.ndarray], other: list[np.ndarray], calibration: PersonCalibration) -> None:
    classes = [[calibration.llr(x).astype(np.float64) for x in c] for c in (same, other)]
    found = Variances(0.0, 0.0)
    for groups in classes:
        found = found.plus(components(groups))
    low, high = np.quantile(resampled(classes, ROUNDS, SEED), (0.025, 0.975))
    counts = f"{len(same)} calls of the same person (stretched), {len(other)} of others"
    print(f"call share {found.share:.2f} [{low:.2f}, {high:.2f}] ({counts}; drawn over calls)")


def print_mismatches(photo: str, kinds: dict[str, list[np.ndarray]]) -> None:
    least = FusionConfig().photo_mismatch_llr
    cells = []
    for kind, llrs in kinds.items():
        hits = sum(float(x.mean()) >= least for x in llrs)
        rate = share(hits, len(llrs))
        cells.append(f"{kind} {hits} of {len(llrs)}: {rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}]")
    print(f"photo {photo}: mismatch of {'; '.join(cells)}")


def print_replaced(table: dict, names: list[str], calibration: PersonCalibration) -> None:
    """Print how often the same face in other conditions, and another face, seem another than before."""
    least = FusionConfig().face_replaced_llr
    faces = [np.array([v for v in table[n].values() if not isinstance(v, str)]) for n in names]
    changes = [(1 - x @ x.T)[np.triu_indices(len(x), 1)] for x in faces if len(x) > 1]
    meant = [
        bool((x >= least).any()) for x in other_llrs([c.astype(np.float32) for c in changes], calibration)
    ]
    others = np.concatenate(other_llrs(calls(table, names, PHOTO_SCENE, same=False), calibration))
    rate, found = share(sum(meant), len(meant)), float((others >= least).mean())
    sys.stdout.write(
        f"another than before: {sum(meant)} of {len(meant)} faces in any of {sum(map(len, changes))} changes "
        f"of scene, [{rate.low:.3f}, {rate.high:.3f}], the farthest at {max(c.max() for c in changes):.3f}; "
        f"{found:.3f} of {len(others)} looks at other people\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--work", type=Path, required=True, help="keeps what was described, as for measure.py"
    )
    options = parser.parse_args()
    folder = Path(os.environ.get("GUARD_DATA", "")) / "face" / "real_train"
    if not os.environ.get("GUARD_DATA") or not folder.is_dir():
        sys.exit("GUARD_DATA is not set, or has no face/real_train: set it to the folder that has")
    options.work.mkdir(parents=True, exist_ok=True)
    names = chosen(folder, 160)
    table = describe_all(names, folder, options.work / "described.json")
    *_, stretch = fitted(table, names[::2])
    print(f"distances of the same person are stretched by {stretch:.2f}")
    calibrations = load_face_identity_card(models_dir() / "face_identity").calibrations
    calibration = calibrations[PHOTO]
    print_replaced(table, names[1::2], calibrations[CALL])
    for photo in PHOTOS:
        same = calls(table, names[1::2], photo, same=True)
        own = other_llrs(same, calibration)
        stretched = other_llrs([d * stretch for d in same], calibration)
        other = other_llrs(calls(table, names[1::2], photo, same=False), calibration)
        if photo == PHOTO_SCENE:
            print_share(stretched, other, calibration)
        print_mismatches(photo, {"the same": own, "the same, stretched": stretched, "others": other})


if __name__ == "__main__":
    main()
