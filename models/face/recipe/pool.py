"""Draws the training pairs once, into files that training and every ablation read again.

    GUARD_DATA=... python pool.py --folder CHECKPOINTS [--pairs N] [--autoencoder-steps N]

Each shard depends on the seed and its number alone, so a run cut off goes on with the next one, and
several processes may fill one folder (``--first`` and ``--step``), once the autoencoders are there
(``--pairs 0`` trains these alone).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from chain import SEEN, Surroundings
from data import Faces, load
from forge import TRAINED, Forger
from pairs import draw_pairs
from rebuild import STEPS, load_rebuilder

SEED = 20261122
SHARD_PAIRS = 256
AUTOENCODERS = "autoencoders.pt"  # in the folder of checkpoints
# blend, swap, bottleneck, swap_bottleneck, decoded, recoded, generated
SHARES = (0.12, 0.14, 0.13, 0.2, 0.12, 0.11, 0.18)


def main() -> None:
    """Write the shards that are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="keep it outside the repository")
    parser.add_argument("--pairs", type=int, default=24_576)
    parser.add_argument("--first", type=int, default=0, help="the first shard this process draws")
    parser.add_argument("--step", type=int, default=1, help="and every so many after it")
    parser.add_argument("--autoencoder-steps", type=int, default=STEPS, help="of each that is not there yet")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    (args.folder / "pool").mkdir(parents=True, exist_ok=True)
    shards = range(args.first, -(-args.pairs // SHARD_PAIRS), args.step)
    lacking = [shard for shard in shards if not (args.folder / "pool" / f"{shard:04d}.npy").is_file()]
    if args.pairs and not lacking:
        return
    faces = load(held_out=False)
    rebuilder = load_rebuilder(args.folder / AUTOENCODERS, faces, SEED, args.autoencoder_steps)
    forger = Forger(faces, rebuilder)
    for shard in lacking:
        draw_shard(args.folder, shard, forger, faces, SEEN)


def draw_shard(folder: Path, shard: int, forger: Forger, faces: Faces, surroundings: Surroundings) -> None:
    """Draw one shard of the pool in ``folder``: by its number alone, whatever the size of the pictures."""
    path = folder / "pool" / f"{shard:04d}.npy"
    rng = np.random.default_rng((SEED, shard))
    methods = [str(method) for method in rng.choice(TRAINED, SHARD_PAIRS, p=SHARES)]
    drawn = draw_pairs(forger, faces, methods, rng, surroundings)
    notes = {"methods": drawn.methods, "finishes": drawn.finishes, "names": drawn.names}
    path.with_suffix(".json").write_text(json.dumps(notes))
    part = path.with_suffix(".part")
    with part.open("wb") as out:
        np.save(out, np.stack([drawn.real, drawn.fake], axis=1))
    part.replace(path)  # a shard is there whole or not at all
    print(f"shard {shard}", flush=True)


@dataclass(frozen=True)
class Pool:
    """The pairs of a folder, read from disk as they are asked for.

    ``shards`` are uint8 (256, 2, 128, 128, 3), real first; ``rows`` (N, 2) names shard and row of the
    N pairs that are used.
    """

    shards: list[np.ndarray]
    rows: np.ndarray

    def take(self, chosen: np.ndarray) -> np.ndarray:
        """Return uint8 (len(chosen), 2, 128, 128, 3)."""
        return np.stack([self.shards[shard][row] for shard, row in self.rows[chosen]])


def read_pool(folder: Path, without: frozenset[str] = frozenset()) -> Pool:
    """Return the pool of ``folder`` less the methods and finishes named by ``without``.

    Raises:
        SystemExit: the folder has no shard yet.
    """
    shards, rows = [], []
    for path in sorted((folder / "pool").glob("*.npy")):
        notes = json.loads(path.with_suffix(".json").read_text())
        kinds = zip(notes["methods"], notes["finishes"], strict=True)
        rows += [(len(shards), row) for row, kind in enumerate(kinds) if not without & set(kind)]
        shards.append(np.load(path, mmap_mode="r"))
    if not rows:
        raise SystemExit(f"{folder / 'pool'} holds no pairs: run pool.py first")
    return Pool(shards, np.array(rows))


if __name__ == "__main__":
    main()
