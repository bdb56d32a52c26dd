"""How soon is the bundled synthetic clip of a drill noticed, whatever the moment of the call?

    python -m benchmarks.drill_moments [--moments 5] [--seconds 30] [--profile kz-ardfm] [--out FILE]

The bundled genuine customer, over and over, through the shipped detectors as fast as the machine can, one
detector after another, so that nothing is shed; attacks on voice, face and both from moments that are
``APART_S`` apart. One pair of clips: this says how much the moment matters, not how other fakes fare.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from guard.app.drill_clip import bundled_clip, shifted
from guard.app.drill_runner import SETTLE_S, DrillRunner
from guard.app.parts import Models, build_pipeline, load_models, settings_config
from guard.clock import ManualClock
from guard.codec.files import read_file
from guard.config import Settings
from guard.resources import clips_dir
from guard.types import AudioFrame, Score, TrackKey, Verdict, VideoFrame

FIRST_S = 6.0
APART_S = 5.0
AFTER_S = 10.0
STEP_S = 0.04
MAX_FPS = 15.0


def customer(until_s: float) -> Iterator[AudioFrame | VideoFrame]:
    """Yield the genuine customer's frames, from the beginning again at the clip's end."""
    offset_s = 0.0
    while True:
        reader = read_file(clips_dir() / "customer_genuine.webm", max_fps=MAX_FPS)
        for frame in reader:
            if frame.time_s + offset_s > until_s:
                return
            yield shifted(replace(frame, key=TrackKey("s", "customer", frame.key.kind)), offset_s)
        offset_s += reader.end_s


async def attacked(models: Models, profile: str, attack: str, at_s: float, seconds: float) -> dict[str, Any]:
    """Hold a call whose clip begins at media time ``at_s``; return the end's message."""
    clock, said, runners = ManualClock(), list[dict[str, Any]](), list[DrillRunner]()

    def decided(verdict: Verdict, scores: Sequence[Score]) -> None:
        runners[0].told(verdict, scores)

    def send(message: dict[str, Any]) -> bool:
        said.append(message)
        return True

    built = build_pipeline(models, settings_config(Settings(), profile), decided)
    begin_s = clock.now()
    runner = DrillRunner(
        clock,
        built.pipeline,
        send=send,
        max_fps=MAX_FPS,
        clip=bundled_clip(),
        detectors=models.detectors,
    )
    runners.append(runner)
    order = {"type": "drill_begin", "id": "d", "session": "s", "participant": "customer", "attack": attack}
    ordered = False
    for frame in customer(at_s + seconds + SETTLE_S + 1.0):
        while clock.now() - begin_s < frame.time_s:
            clock.advance(min(STEP_S, frame.time_s - (clock.now() - begin_s) + 1e-6))
            runner.poll()
        built.pipeline.push(frame)
        runner.seen(frame)
        if not ordered and frame.time_s >= at_s - AFTER_S:
            runner.receive({**order, "after_s": at_s - frame.time_s, "seconds": seconds})
            ordered = True
    runner.close()
    built.pipeline.forget("s", "customer")
    return said[-1]


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run every attack from every moment."""
    models = load_models(None)
    rows = []
    for attack in ("voice", "face", "both"):
        for number in range(options.moments):
            at_s = FIRST_S + AFTER_S + number * APART_S
            over = await attacked(models, options.profile, attack, at_s, options.seconds)
            rows.append({"attack": attack, "at_s": at_s, **{k: over[k] for k in KEPT}})
    return {"v": 1, "profile": options.profile, "seconds": options.seconds, "attacks": rows}


KEPT = ("why", "reached_s", "judged", "llr", "own_state")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--moments", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--profile", default="kz-ardfm")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result = asyncio.run(measure(options))
    for attack in ("voice", "face", "both"):
        rows = [row for row in result["attacks"] if row["attack"] == attack]
        for state in ("suspect", "spoof"):
            found = sorted(row["reached_s"][state] for row in rows if state in row["reached_s"])
            print(attack, state, f"{len(found)} of {len(rows)}", found)
    if options.out is not None:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
