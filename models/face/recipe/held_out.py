"""Write what simulated held-out clips scored beside the models, for guard simulate and policy price.

    python held_out.py --scores CHECKPOINTS/fuse.json --models WORK      after fuse.py

The clips are SIMULATED calls: held-out faces, animated, half of them forged, through a real codec
(temporal_pairs.py). A genuine group is one face, a forged one is one forged clip, because a call shows one
forgery of one face and shares its bias. The same groups stand in both files, so that a simulated call takes
both signals from the same pictures; a clip on which a signal abstained throughout is not in its file. Names
of pictures are not kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path

SIGNALS = ("face_frame", "face_ring")
COMMAND = "make -C models/face fuse"
MADE_OF = (
    "simulated clips of held-out faces, 4 s each: animated stills, forged by the recipe, through a codec"
)


def groups_of(rows: list[dict], signal: str) -> list[dict]:
    """Return every genuine face and every forged clip, each the list of its clips' llr."""
    faces = {face: n for n, face in enumerate(sorted({row["face"] for row in rows}))}
    genuine: dict[int, list[list[float]]] = {}
    forged = []
    for row in rows:
        llrs, face = [round(llr, 2) for llr in row["llrs"].get(signal, ())], faces[row["face"]]
        if not llrs:  # the detector abstained throughout
            continue
        if row["spoof"]:
            case = row["case"]
            name = f"clip {len(forged)}: face {face}, {case['method']}, {case['fake']}"
            forged.append({"group": name, "label": "spoof", "clips": [llrs]})
        else:
            genuine.setdefault(face, []).append(llrs)
    return [
        *(
            {"group": f"face {n}", "label": "bonafide", "clips": clips}
            for n, clips in sorted(genuine.items())
        ),
        *forged,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, required=True, help="what fuse.py wrote")
    parser.add_argument("--models", type=Path, required=True, help="folder of the models that were scored")
    args = parser.parse_args()
    scored = args.scores
    if not scored.is_file():
        sys.exit(f"{scored} is missing: run fuse.py first")
    found = json.loads(scored.read_text())
    for signal in SIGNALS:
        card = tomllib.loads((args.models / signal / "card.toml").read_text(encoding="utf-8"))
        if card["sha256"] != found["models"][signal]:
            sys.exit(f"{scored} was made with another {signal} than that of {args.models}: run fuse.py again")
        table = {
            "v": 1,
            "signal": signal,
            "model_sha256": found["models"][signal],
            "made_by": COMMAND,
            "made_of": MADE_OF,
            "groups": groups_of(found["rows"], signal),
        }
        out = args.models / signal / "held_out.json"
        out.write_text(json.dumps(table, separators=(",", ":")) + "\n")
        windows = sum(len(clip) for group in table["groups"] for clip in group["clips"])
        print(f"{signal}: {len(table['groups'])} groups, {windows} windows, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
