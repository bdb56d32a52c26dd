"""What the detector says of simulated calls with speakers, engines and loudspeakers it was not trained on.

python measure.py left-out    nets trained without one family of loudspeakers and a quarter of the speakers
                              and engines, judged on these; rooms and microphones may be known ones
python measure.py test        the shipped file on what "make.py test" made: other rooms and microphones too
python measure.py genuine     the shipped file on genuine clips as they lie in the folder, by source

The bona fide class is genuine people only; the spoof class is replays of people and of engines. Intervals are
bootstrapped over speakers and engines. Each writes its table of recipe/measured.toml, and all tables onto the
card if they were measured on the shipped file.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from zlib import crc32

import numpy as np
import onnxruntime
import torch
from devices import FAMILIES, TEST_FAMILY
from export import LIMIT_LLR
from figures import on_card, with_table
from make import folder, read, sources
from measured import of_model
from scene import CONDITIONS, fit
from train import load, train

sys.path.append(str(Path(__file__).resolve().parents[3]))
from guard.detectors.card import load_card
from guard.evaluation.metrics import Interval, bootstrap, cllr, eer, min_cllr
from guard.fusion.calibration import fit_logistic

HERE = Path(__file__).resolve().parent.parent
ROUNDS = 200


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
    metrics = {"eer": eer, "cllr_bits": cllr}
    return {name: bootstrap(metric, llr, y, unit, rounds=ROUNDS) for name, metric in metrics.items()}


def _text(found: Interval, scale: float = 1.0) -> str:
    return f"{found.value * scale:.2f} [{found.low * scale:.2f}, {found.high * scale:.2f}]"


def tables(notes: list[dict[str, object]], llr: np.ndarray) -> list[str]:
    """Print the table by condition and family of llr (N,) before the limit; return the card's lines."""
    y = np.array([bool(n["replay"]) for n in notes])
    spoken = np.array([bool(n["synthetic"]) for n in notes])
    condition = np.array([str(n["condition"]) for n in notes])
    family = np.array([str(n["family"]) for n in notes])
    unit = np.array([str(n["group"]) for n in notes])
    limited, genuine, wide = np.clip(llr, -LIMIT_LLR, LIMIT_LLR), ~y & ~spoken, condition != "g711"
    lines = []

    def say(name: str, rows: np.ndarray, key: str | None = None) -> None:
        found = _row(llr[rows], y[rows], unit[rows].tolist())
        found["limited"] = bootstrap(cllr, limited[rows], y[rows], unit[rows].tolist(), rounds=ROUNDS)
        cells = [_text(f, 100 if k == "eer" else 1) for k, f in found.items()]
        cells.append(f"{min_cllr(llr[rows], y[rows]):.2f}")
        n = f"{(~y[rows]).sum()} / {y[rows].sum()}"
        print(f"| {name} | {n} | {' | '.join(cells)} | {(llr[rows & ~y] > 0).mean():.2f} |", flush=True)
        if key:
            card = {k: f for k, f in found.items() if k != "limited"}
            lines.append(f"{key}_genuine_and_replayed = [{(~y[rows]).sum()}, {y[rows].sum()}]")
            lines.extend(f"{key}_{k} = [{f.value:.3f}, {f.low:.3f}, {f.high:.3f}]" for k, f in card.items())

    print("| windows | genuine / replayed | EER % | Cllr | Cllr, limited | Cllr_min | genuine above 0 |")
    print("|---|---|---|---|---|---|---|")
    say("all", genuine | y, "all")
    for name in CONDITIONS:
        say(name, (genuine | y) & (condition == name), name)
    say("replays of people, not G.711", (genuine | (y & ~spoken)) & wide)
    say("replays of engines, not G.711", (genuine | (y & spoken)) & wide)
    for name in sorted(set(family) - {""}):
        say(f"{name}, not G.711", (genuine | (y & (family == name))) & wide)
    live = ~y & spoken
    print(f"synthetic, not replayed: {live.sum()} windows, {(llr[live] > 0).mean():.2f} above 0")
    return lines


def left_out() -> list[str]:
    """Train without one family and a quarter of speakers and engines; judge on these.

    Each fold is calibrated on another quarter of the speakers, which its net did not hear either.
    """
    x, notes = load()
    y = np.array([bool(n["replay"]) for n in notes])
    family = np.array([str(n["family"]) for n in notes])
    quarter = np.array([crc32(f"quarter {n['group']}".encode()) % 4 for n in notes])
    llr, judged = np.zeros(len(x)), np.zeros(len(x), bool)
    for k, name in enumerate(f for f in sorted(FAMILIES) if f != TEST_FAMILY):
        known = (quarter != k) & (family != name)
        seen = known & (quarter != (k + 1) % 4)
        net = train(x[torch.tensor(seen)], y[seen], seed=k)
        with torch.inference_mode():
            raw = net(x).numpy()
        a, b = fit_logistic(raw[known & ~seen], y[known & ~seen])
        rows = (quarter == k) & ((family == name) | ~y)
        llr[rows], judged = a * raw[rows] + b, judged | rows
    kept = [note for note, chosen in zip(notes, judged, strict=True) if chosen]
    return tables(kept, llr[judged])


def held_out(model: Shipped) -> list[str]:
    """Judge the shipped file on the windows made for the test."""
    notes = json.loads((folder() / "test.json").read_text())
    raw = model.raw(np.load(folder() / "test.npy", mmap_mode="r")).astype(np.float64)
    return tables(notes, model.calibration.a * raw + model.calibration.b)


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


def main(what: str) -> None:
    torch.set_num_threads(1)
    judged = what != "left-out"
    lines = (held_out(Shipped()) if what == "test" else as_they_are(Shipped())) if judged else left_out()
    sha256 = hashlib.sha256((HERE / "model.onnx").read_bytes()).hexdigest()
    path, card = HERE / "recipe" / "measured.toml", HERE / "card.toml"
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    text = with_table(before, what.replace("-", "_"), lines, sha256 if judged else None)
    path.write_text(text, encoding="utf-8")
    kept = on_card(card.read_text(encoding="utf-8"), of_model(path, sha256))
    card.write_text(kept, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
