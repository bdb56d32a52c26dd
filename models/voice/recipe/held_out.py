"""Write what held-out windows scored beside the shipped model, for guard simulate and guard policy price.

    python held_out.py         after calibrate.py and export.py; reads CACHE/held-llr.npz

Scores are those of heads that had heard neither the engine nor the source, calibrated as calls are. Names of
clips are not kept, only of engines and sources.
"""

from __future__ import annotations

import json
import tomllib

import numpy as np
from data import cache
from export import OUT

COMMAND = "make -C models/voice export"


def groups_of(llr: np.ndarray, spoof: np.ndarray, group: np.ndarray, key: np.ndarray) -> list[dict]:
    """Return every engine's and source's clips, each the list of its windows' llr."""
    out = []
    for name, label in sorted({(str(g), bool(s)) for g, s in zip(group, spoof, strict=True)}):
        own = (group == name) & (spoof == label)
        clips = [np.round(llr[own & (key == clip)], 2).tolist() for clip in sorted(set(key[own]))]
        out.append({"group": name, "label": "spoof" if label else "bonafide", "clips": clips})
    return out


def main() -> None:
    held = np.load(cache() / "held-llr.npz")
    sha256 = tomllib.loads((OUT / "card.toml").read_text())["sha256"]
    table = {
        "v": 1,
        "signal": "voice_spoof",
        "model_sha256": sha256,
        "made_by": COMMAND,
        "groups": groups_of(*(held[name] for name in ("llr", "spoof", "group", "key"))),
    }
    out = OUT / "held_out.json"
    out.write_text(json.dumps(table, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(
        f"{out.name}: {len(table['groups'])} groups, {len(held['llr'])} windows, {out.stat().st_size} bytes"
    )


if __name__ == "__main__":
    main()
