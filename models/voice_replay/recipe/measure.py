"""What the detector says of simulated calls with speakers, devices and rooms that training never met.

python measure.py         writes recipe/measured.toml (for the card) and prints the tables of the docs

The bona fide class is genuine people only; the spoof class is replays of people and of engines. Intervals are
bootstrapped over speakers and engines. What genuine training clips get as they are is printed by source:
their speakers were heard in training, unless kept for the test.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from devices import TEST_FAMILY
from make import folder, read, sources
from scene import CONDITIONS, fit

sys.path.append(str(Path(__file__).resolve().parents[3]))
from guard.detectors.card import load_card
from guard.evaluation.metrics import Interval, bootstrap, cllr, eer, min_cllr

HERE = Path(__file__).resolve().parent.parent
ROUNDS = 300


class Shipped:
    """The shipped file and its calibration."""

    def __init__(self) -> None:
        self.calibration = load_card(HERE).calibration
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = str(HERE / "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def raw(self, audio: np.ndarray) -> np.ndarray:
        """Return raw scores (N,) of int16 or float32 (N, 64000)."""
        out = []
        for i in range(0, len(audio), 16):
            part = audio[i : i + 16]
            x = part.astype(np.float32) / 32768 if part.dtype == np.int16 else part
            out.append(self.session.run(["score"], {"audio": x})[0])
        return np.concatenate(out)


def _row(llr: np.ndarray, y: np.ndarray, unit: list[str]) -> dict[str, Interval]:
    metrics = {"eer": eer, "cllr_bits": cllr, "cllr_min_bits": min_cllr}
    return {name: bootstrap(metric, llr, y, unit, rounds=ROUNDS) for name, metric in metrics.items()}


def _text(found: Interval, scale: float = 1.0) -> str:
    return f"{found.value * scale:.2f} [{found.low * scale:.2f}, {found.high * scale:.2f}]"


def held_out(model: Shipped) -> list[str]:
    """Print the table by condition and family; return the card's lines."""
    notes = json.loads((folder() / "test.json").read_text())
    raw = model.raw(np.load(folder() / "test.npy", mmap_mode="r")).astype(np.float64)
    c = model.calibration
    limited = c.llr(raw.astype(np.float32)).astype(np.float64)
    y = np.array([n["replay"] for n in notes])
    spoken = np.array([n["synthetic"] for n in notes])
    genuine = ~y & ~spoken
    condition = np.array([n["condition"] for n in notes])
    family = np.array([n["family"] for n in notes])
    unit = np.array([n["group"] for n in notes])
    lines = []

    def say(name: str, rows: np.ndarray, key: str | None = None) -> None:
        llr = c.a * raw[rows] + c.b
        found = _row(llr, y[rows], unit[rows].tolist())
        limit = bootstrap(cllr, limited[rows], y[rows], unit[rows].tolist(), rounds=ROUNDS)
        n = f"{(~y[rows]).sum()} / {y[rows].sum()}"
        cells = [
            _text(found["eer"], 100),
            *(_text(f) for f in (found["cllr_bits"], found["cllr_min_bits"], limit)),
        ]
        print(f"| {name} | {n} | {' | '.join(cells)} | {(limited[rows & ~y] > 0).mean():.2f} |")
        if key:
            lines.extend(f"{key}_{m} = [{f.value:.3f}, {f.low:.3f}, {f.high:.3f}]" for m, f in found.items())

    print("| windows | genuine / replayed | EER % | Cllr | Cllr_min | Cllr, limited | genuine above 0 |")
    print("|---|---|---|---|---|---|---|")
    for name in CONDITIONS:
        say(name, (genuine | y) & (condition == name), name)
    wide = condition != "g711"
    say("replays of people, but G.711", (genuine | (y & ~spoken)) & wide)
    say("replays of engines, but G.711", (genuine | (y & spoken)) & wide)
    for name in sorted(set(family) - {""}):
        unseen = " (no such one in training)" if name == TEST_FAMILY else ""
        say(f"{name}{unseen}, but G.711", (genuine | (y & (family == name))) & wide)
    live = ~y & spoken
    print(f"synthetic, not replayed: {live.sum()} windows, {(limited[live] > 0).mean():.2f} above 0")
    return lines


def as_they_are(model: Shipped) -> list[str]:
    """Print the share of genuine training clips above 0, by source, as they lie in the folder."""
    by_source: dict[str, list[np.ndarray]] = {}
    for source in sources():
        if not source.synthetic:
            place = "/".join(source.group.split("/")[:2]) + (" (kept for the test)" if source.test else "")
            by_source.setdefault(place, []).append(fit(read(source.path)))
    totals = []
    print("| genuine clips as they are | clips | mean llr | above 0 | at the limit |\n|---|---|---|---|---|")
    for place, clips in sorted(by_source.items()):
        llr = model.calibration.llr(model.raw(np.stack(clips)))
        totals.append((llr, "test" in place))
        full = (llr >= model.calibration.limit_llr - 1e-6).mean()
        print(f"| {place} | {len(llr)} | {llr.mean():+.2f} | {(llr > 0).mean():.2f} | {full:.2f} |")
    known = np.concatenate([x for x, test in totals if not test])
    kept = np.concatenate([x for x, test in totals if test])
    for name, x in (("known speakers", known), ("kept for the test", kept)):
        print(f"{name}: {len(x)} clips, mean {x.mean():+.2f}, above 0: {(x > 0).mean():.3f}")
    return [f"genuine_clips_as_they_are_above_0 = {(kept > 0).mean():.3f}", f"genuine_clips = {len(kept)}"]


def main() -> None:
    model = Shipped()
    head = (
        "# recipe/measure.py: simulated calls, speakers, devices and rooms held out; [value, low, high], 95 %"
    )
    lines = ["[measured.simulated]", head, *held_out(model), *as_they_are(model)]
    (HERE / "recipe" / "measured.toml").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
