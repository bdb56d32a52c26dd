"""Genuine voices whose call changes, and voices that are replaced: python -m benchmarks.voice_changes FOLDER

    python -m benchmarks.voice_changes FOLDER [--times N] [--seed S] [--out FILE.json]

What a rise of the scores within a call adds (``guard.fusion.change``) must not accuse people who hand over
the microphone, put on a headset or walk into a noisy room. Each call has 40 s of one genuine voice, then 60 s
of

    the same voice                             nothing changes
    another genuine voice                      somebody takes over
    the same voice through one condition       of ``guard eval voice``: noise, room, device, codec, loss
    an engine                                  the attack

and goes through Opus, guard's reception, windows, every voice detector that ships and fusion, once with what
a rise adds and once without. FOLDER holds ``manifest.csv``, as for ``guard eval voice``; voices and engines
need 15 s of sound.
Calls put together from clips: nobody really changed anything in them.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.whole_calls_media import CAMERA, Material, fill, read_material
from benchmarks.whole_calls_run import every_model
from guard.app.parts import Models, PipelineConfig, build_pipeline, settings_config
from guard.config import load_settings
from guard.evaluation.channels import opus
from guard.evaluation.conditions import Condition, full
from guard.evaluation.exact import share
from guard.evaluation.replay import Outcome, interval, replay
from guard.evaluation.streams import Stream
from guard.evaluation.voice import babble_pool
from guard.fusion.config import FusionConfig
from guard.media.resample import ANALYSIS_RATE_HZ
from guard.types import AudioFrame, FloatArray, Kind, Score, Verdict

BEFORE_S, AFTER_S = 40.0, 60.0
SAME, TAKEN_OVER, LINE, ENGINE = "the same voice", "another genuine voice", "another line", "an engine"
_OPUS_HZ = 48_000
_TELL_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call: who speaks first and then, and through what from then on (None: as before)."""

    kind: str
    voice: str
    then: str
    condition: Condition | None
    seed: str

    @property
    def group(self) -> str:
        """The row of the table it counts in."""
        return self.kind if self.condition is None else f"{self.kind}: {self.condition.group}"


def draw(material: Material, times: int, seed: int) -> Iterator[Call]:
    """Yield the calls; every voice comes as often as the next in each kind."""
    voices, engines = sorted(material.voices), sorted(material.engines)
    conditions = full(babble_pool([clip for clips in material.voices.values() for clip in clips]))
    for n in range(times):
        for i, voice in enumerate(voices):
            yield Call(SAME, voice, voice, None, f"{seed} same {voice} {n}")
            for other in voices:
                if other != voice:
                    yield Call(TAKEN_OVER, voice, other, None, f"{seed} over {voice} {other} {n}")
            if n == 0:  # every condition for every other voice
                for condition in conditions[1 + i % 2 :: 2]:
                    yield Call(LINE, voice, voice, condition, f"{seed} line {voice} {condition.name}")
            for engine in engines[i % 2 :: 2]:
                yield Call(ENGINE, voice, engine, None, f"{seed} engine {voice} {engine} {n}")


def frames(call: Call, material: Material) -> list[AudioFrame]:
    """Return what the analysis receives of a call."""
    dice = random.Random(call.seed)
    first = fill(material.voices[call.voice], BEFORE_S, dice)
    speakers = material.engines if call.kind == ENGINE else material.voices
    then = fill(speakers[call.then], AFTER_S, dice)
    if call.condition is None:
        return _received(np.concatenate([first, then]), ANALYSIS_RATE_HZ, call.seed)
    changed = call.condition.channel(then, ANALYSIS_RATE_HZ, call.seed)
    if changed[0].rate_hz != _OPUS_HZ:  # what is no Opus yet is spoken into the call
        heard = np.concatenate([frame.samples for frame in changed])
        changed = _received(heard, changed[0].rate_hz, call.seed)
    later = [replace(frame, key=_KEY, time_s=frame.time_s + BEFORE_S) for frame in changed]
    return [*_received(first, ANALYSIS_RATE_HZ, call.seed), *later]


_KEY = replace(CAMERA, kind=Kind.AUDIO)


def _received(samples: FloatArray, rate_hz: int, name: str) -> list[AudioFrame]:
    return [replace(frame, key=_KEY) for frame in opus(samples, rate_hz, name)]


def scored(call: Call, material: Material, models: Models, config: PipelineConfig) -> Stream:
    """Return what the voice detectors make of one call."""
    found: list[Score] = []

    def keep(verdict: Verdict, scores: Sequence[Score]) -> None:
        del verdict
        found.extend(scores)

    pipeline = build_pipeline(models, config, keep).pipeline
    try:
        for frame in frames(call, material):
            pipeline.push(frame)
        pipeline.finish(_KEY.session, _KEY.participant)
    finally:
        pipeline.forget(_KEY.session, _KEY.participant)
    scores = tuple(sorted(found, key=lambda score: (score.end_s, score.signal)))
    return Stream(call.seed, call.kind == ENGINE, BEFORE_S + AFTER_S, scores)


def without_change(config: FusionConfig) -> FusionConfig:
    """Return the settings under which a rise adds nothing."""
    return replace(config, change=replace(config.change, innocent=1.0))


def account(calls: Sequence[Call], outcomes: dict[str, list[Outcome]]) -> dict[str, Any]:
    """Return for each kind of call and rule how many alarmed from the change on, how soon, and how high."""
    out: dict[str, Any] = {}
    for group in dict.fromkeys(call.group for call in calls):
        own = [n for n, call in enumerate(calls) if call.group == group]
        out[group] = {
            "calls": len(own),
            **{rule: _row([of[n] for n in own]) for rule, of in outcomes.items()},
        }
    return out


def _row(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    alarms = [o.alarm_s for o in outcomes if o.alarm_s is not None]
    highest = [o.highest_llr for o in outcomes if o.highest_llr is not None]
    return {
        "amber": sum(alarm >= BEFORE_S for alarm in alarms),
        "amber_share": interval(share(sum(alarm >= BEFORE_S for alarm in alarms), len(outcomes))),
        "before": sum(alarm < BEFORE_S for alarm in alarms),
        "red": sum(o.red_s is not None for o in outcomes),
        "delays_s": sorted(round(alarm - BEFORE_S, 1) for alarm in alarms if alarm >= BEFORE_S),
        "highest_llr": {name: round(float(np.quantile(highest, q)), 2) for name, q in _QUANTILES.items()}
        if highest
        else None,
    }


_QUANTILES = {"median": 0.5, "p90": 0.9, "most": 1.0}


def table(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "| from 40 s on | calls | amber | without a rise | highest llr: median, most | without a rise |",
        "|---|---|---|---|---|---|",
    ]
    for group, row in found.items():
        with_it, without = row["with"], row["without"]
        highs = [
            "-"
            if r["highest_llr"] is None
            else f"{r['highest_llr']['median']:.1f}, {r['highest_llr']['most']:.1f}"
            for r in (with_it, without)
        ]
        ambers = [
            f"{r['amber']} ({r['amber_share']['low']:.2f}-{r['amber_share']['high']:.2f})"
            for r in (with_it, without)
        ]
        lines.append(f"| {group} | {row['calls']} | {' | '.join(ambers)} | {' | '.join(highs)} |")
    return "\n".join(lines)


def main() -> None:
    """Run all calls, print the table and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, default=2, help="of each pair of voices, and voice and engine")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="meeting")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    models = every_model()
    config = settings_config(load_settings(), args.profile)
    material = read_material([args.folder])
    calls = list(draw(material, args.times, args.seed))
    rules = {"with": config.fusion, "without": without_change(config.fusion)}
    outcomes: dict[str, list[Outcome]] = {rule: [] for rule in rules}
    began_s, told_s = time.process_time(), time.monotonic()
    for n, call in enumerate(calls, 1):
        stream = scored(call, material, models, config)
        for rule, fusion in rules.items():
            outcomes[rule].append(replay(stream, fusion))
        if time.monotonic() - told_s >= _TELL_EVERY_S or n == len(calls):
            told_s = time.monotonic()
            sys.stderr.write(f"{n} of {len(calls)} calls\n")
    found = account(calls, outcomes)
    print(table(found))
    print(f"{time.process_time() - began_s:.0f} CPU-s, seed {args.seed}, profile {args.profile}")
    if args.out:
        about = {"v": 1, "folder": args.folder.name, "seed": args.seed, "profile": args.profile}
        people = {"voices": sorted(material.voices), "engines": sorted(material.engines)}
        args.out.write_text(
            json.dumps({**about, **people, "groups": found}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
