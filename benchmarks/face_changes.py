"""Faces that become another in mid-call.

    python -m benchmarks.face_changes FOLDER [--seed S] [--out FILE.json]

Each call shows one genuine clip for 14 s and then, for 16 s more,

    itself                      nothing changes
    its swapped twin            a live swap is turned on
    itself, after the twin      it is turned off
    another genuine clip        a cut to somebody else: another scene, another face

through VP8 at 500 kbit/s, RTP payloads, guard's reception, face tracking, every face detector that ships,
fusion and the states of a profile; no photo is enrolled and nobody is heard. FOLDER holds ``manifest.csv``
whose column ``pair`` links a genuine clip and its swap, as for ``guard eval face``. The clips are looped as
in ``benchmarks.whole_calls``: one face moves for three seconds and then again, so these calls are kinder to
somebody who stays the same than minutes before a camera are.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.whole_calls_media import CAMERA, Face, pairs, received, shown
from benchmarks.whole_calls_run import apart, every_model
from guard import reasons
from guard.app.parts import Models, PipelineConfig, build_pipeline, settings_config
from guard.config import load_settings
from guard.evaluation.exact import share
from guard.evaluation.replay import interval
from guard.types import ALERTING, ImageArray, Score, Verdict

BEFORE_S, AFTER_S = 14.0, 16.0
LENGTH_S = BEFORE_S + AFTER_S
SAME, ON, OFF, OTHER = (
    "nothing changes",
    "a swap is turned on",
    "a swap is turned off",
    "a cut to somebody else",
)
KINDS = (SAME, ON, OFF, OTHER)
_TELL_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one call: when it was suspected first, and why; None: never."""

    kind: str
    face: str
    suspect_s: float | None
    first_reason: str | None
    compared: int
    highest_llr: float | None


def pictures(kind: str, face: Face, other: Face, dice: random.Random) -> tuple[float, Iterator[ImageArray]]:
    """Return pictures a second, and the pictures of one call.

    Raises:
        MediaError, ValueError: as ``whole_calls_media.shown``.
    """
    if kind == OTHER:
        rate_hz, first = shown(face, BEFORE_S, None, dice)
        other_hz, then = shown(other, AFTER_S * 2, None, dice)
        step = other_hz / rate_hz
        begun = list(first)
        height, width = begun[0].shape[:2]
        ends = list(then)
        cut = (ends[int(n * step)] for n in range(int(AFTER_S * rate_hz)) if int(n * step) < len(ends))
        return rate_hz, chain(begun, (_resized(picture, width, height) for picture in cut))
    if kind == OFF and face.swapped is not None:
        face = Face(face.name, face.swapped, face.genuine)
    return shown(face, LENGTH_S, BEFORE_S if kind in (ON, OFF) else None, dice)


def _resized(picture: ImageArray, width: int, height: int) -> ImageArray:
    return np.asarray(Image.fromarray(picture).resize((width, height)), np.uint8)


def watch(kind: str, face: Face, other: Face, models: Models, config: PipelineConfig, seed: str) -> Seen:
    """Return what the pipeline makes of one call."""
    first: tuple[float, str] | None = None
    compared, highest = 0, None

    def on_verdict(verdict: Verdict, scores: Sequence[Score]) -> None:
        nonlocal first, compared, highest
        compared += sum(score.replaced_llr is not None for score in scores)
        if verdict.llr is not None:
            highest = verdict.llr if highest is None else max(highest, verdict.llr)
        if first is None and verdict.state in ALERTING:
            first = verdict.at_s, verdict.reasons[0]

    pipeline = build_pipeline(models, config, on_verdict).pipeline
    try:
        rate_hz, shown_ = pictures(kind, face, other, random.Random(seed))
        for frame in received(rate_hz, islice(shown_, int(LENGTH_S * rate_hz))):
            pipeline.push(frame)
        pipeline.finish(CAMERA.session, CAMERA.participant)
    finally:
        pipeline.forget(CAMERA.session, CAMERA.participant)
    at_s, reason = first if first is not None else (None, None)
    return Seen(kind, face.name, at_s, reason, compared, highest)


def account(seen: Sequence[Seen]) -> dict[str, Any]:
    """Return for each kind of call how many were suspected, for what, and how soon after the change."""
    out: dict[str, Any] = {}
    for kind in KINDS:
        own = [one for one in seen if one.kind == kind]
        told = [one for one in own if one.suspect_s is not None and one.suspect_s >= BEFORE_S]
        replaced = [one for one in told if one.first_reason == reasons.FACE_REPLACED]
        out[kind] = {
            "calls": len(own),
            "suspect": interval(share(len(told), len(own))),
            "suspect_calls": len(told),
            "face_replaced": len(replaced),
            "before": sum(one.suspect_s is not None and one.suspect_s < BEFORE_S for one in own),
            "compared_calls": sum(one.compared > 0 for one in own),
            "delays_s": sorted(round((one.suspect_s or 0.0) - BEFORE_S, 1) for one in told),
            "per_call": [[one.face, one.suspect_s, one.first_reason, one.highest_llr] for one in own],
        }
    return out


def table(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "| at 14 s | calls | suspect | `face_replaced` | seconds to it: median, most | before 14 s |",
        "|---|---|---|---|---|---|",
    ]
    for kind, own in found.items():
        delays = own["delays_s"]
        soon = f"{np.median(delays):.1f}, {delays[-1]:.1f}" if delays else ""
        told, limits = own["suspect"], f"[{own['suspect']['low']:.2f}, {own['suspect']['high']:.2f}]"
        lines.append(
            f"| {kind} | {own['calls']} | {own['suspect_calls']}: {told['value']:.2f} {limits} | "
            f"{own['face_replaced']} | {soon} | {own['before']} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run all calls, print the table and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="meeting")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    models = every_model()
    config = apart(settings_config(load_settings(), args.profile))
    faces = [face for face in pairs(args.folder) if face.swapped is not None]
    seen: list[Seen] = []
    began_s, told_s, of = time.process_time(), time.monotonic(), len(faces) * len(KINDS)
    for n, face in enumerate(faces):
        other = faces[(n + 1) % len(faces)]
        for kind in KINDS:
            seen.append(watch(kind, face, other, models, config, f"{args.seed} {kind} {face.name}"))
            if time.monotonic() - told_s >= _TELL_EVERY_S or len(seen) == of:
                told_s = time.monotonic()
                sys.stderr.write(f"{len(seen)} of {of} calls\n")
    found = account(seen)
    print(table(found))
    print(f"{time.process_time() - began_s:.0f} CPU-s, seed {args.seed}, profile {args.profile}")
    if args.out:
        about = {"v": 1, "folder": args.folder.name, "seed": args.seed, "profile": args.profile}
        text = json.dumps({**about, "kinds": found}, indent=1)
        args.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
