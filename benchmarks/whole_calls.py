"""Calls put together from clips, through the whole pipeline.

    python -m benchmarks.whole_calls FOLDER... [--calls N] [--seed S]

    clips of one voice -> AudioFrame -> windows -> every voice detector -> fusion -> states

What ``guard serve`` runs on decoded sound, with the clock of the media instead of the wall's, so hours
take minutes. A FOLDER is one of ``guard eval voice`` (``manifest.csv``). A genuine call is the clips of one
genuine voice in a drawn order until it is LENGTH_S long; an attacked one begins as such and goes on, at
SWITCH_S, with clips of one engine. The voices are real and the calls are not: nobody paused, interrupted,
or sat in another room, and every clip keeps its own studio. Few voices serve many calls, so intervals over
calls are too narrow: the number of voices and engines is printed beside them.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guard.app.parts import Models, PipelineConfig, build_pipeline, load_models, settings_config
from guard.config import load_settings
from guard.evaluation.clips import Clip, joined, read_clips, read_manifests
from guard.evaluation.replay import Outcome, summary
from guard.media.resample import ANALYSIS_RATE_HZ, Resampler
from guard.types import AudioFrame, FloatArray, Kind, Score, State, TrackKey, Verdict

LENGTH_S, SWITCH_S = 120.0, 60.0
# a voice or engine of which less is there would be heard over and over
LEAST_S = 15.0
_CHUNK_S = 0.1
_KEY = TrackKey("benchmark", "caller", Kind.AUDIO)


@dataclass(frozen=True, slots=True)
class Call:
    """One call: float32 (N,) at 16 kHz, and the engine it turns to; None for a genuine one."""

    name: str
    samples: FloatArray
    engine: str | None


@dataclass(slots=True)
class Watch:
    """What the states of one call were."""

    amber_s: float | None = None
    red_s: float | None = None
    highest: float | None = None
    last: State = State.UNDECIDED
    scored: int = 0

    def on_verdict(self, verdict: Verdict, scores: Sequence[Score]) -> None:
        """Take one verdict of the pipeline."""
        self.last = verdict.state
        self.scored += sum(score.llr is not None for score in scores)
        if verdict.llr is not None:
            self.highest = verdict.llr if self.highest is None else max(self.highest, verdict.llr)
        if verdict.state is State.SUSPECT and self.amber_s is None:
            self.amber_s = verdict.at_s
        if verdict.state is State.SPOOF and self.red_s is None:
            self.red_s = verdict.at_s


def at_16k(clip: Clip) -> FloatArray:
    """Return the clip's samples, float32 (N,), at the rate of the analysis."""
    resampler = Resampler(clip.rate_hz)
    return np.concatenate([resampler.push(clip.samples), resampler.flush()])


def fill(clips: Sequence[Clip], seconds: float, dice: random.Random) -> FloatArray:
    """Return ``seconds`` of clips in a drawn order, all of them before any comes again."""
    parts: list[FloatArray] = []
    have, wanted = 0, int(seconds * ANALYSIS_RATE_HZ)
    while have < wanted:
        for clip in dice.sample(list(clips), len(clips)):
            parts.append(at_16k(clip))
            have += len(parts[-1])
            if have >= wanted:
                break
    return joined(parts, ANALYSIS_RATE_HZ)[:wanted]


def groups(clips: Sequence[Clip]) -> tuple[dict[str, list[Clip]], dict[str, list[Clip]]]:
    """Return the clips of every genuine voice, and those of every engine, that last LEAST_S and more."""
    voices: dict[str, list[Clip]] = {}
    engines: dict[str, list[Clip]] = {}
    for clip in clips:
        found, name = (engines, clip.item.system) if clip.item.is_spoof else (voices, clip.item.unit)
        found.setdefault(name, []).append(clip)
    both = ({name: own for name, own in one.items() if _lasts(own)} for one in (voices, engines))
    return next(both), next(both)


def _lasts(clips: Sequence[Clip]) -> bool:
    return sum(len(clip.samples) / clip.rate_hz for clip in clips) >= LEAST_S


def draw(clips: Sequence[Clip], count: int, dice: random.Random) -> Iterator[Call]:
    """Yield ``count`` genuine calls and as many attacked ones; voices and engines take turns."""
    voices, engines = groups(clips)
    for number in range(count):
        voice = sorted(voices)[number % len(voices)]
        yield Call(f"{voice} {number}", fill(voices[voice], LENGTH_S, dice), None)
    for number in range(count):
        voice, engine = (sorted(one)[number % len(one)] for one in (voices, engines))
        parts = [fill(voices[voice], SWITCH_S, dice), fill(engines[engine], LENGTH_S - SWITCH_S, dice)]
        yield Call(f"{voice} -> {engine} {number}", joined(parts, ANALYSIS_RATE_HZ), engine)


def run(call: Call, models: Models, config: PipelineConfig) -> tuple[Outcome, int]:
    """Return what the pipeline made of one call, and how many windows were scored."""
    watch = Watch()
    built = build_pipeline(models, config, watch.on_verdict)
    step = int(_CHUNK_S * ANALYSIS_RATE_HZ)
    try:
        for begin in range(0, len(call.samples), step):
            chunk = call.samples[begin : begin + step]
            built.pipeline.push(AudioFrame(_KEY, begin / ANALYSIS_RATE_HZ, chunk, ANALYSIS_RATE_HZ))
        built.pipeline.finish(_KEY.session, _KEY.participant)
    finally:
        built.pipeline.forget(_KEY.session, _KEY.participant)
    length_s = len(call.samples) / ANALYSIS_RATE_HZ
    attack = None if call.engine is None else "voice"
    times = (watch.amber_s, watch.red_s)
    outcome = Outcome(call.name, call.engine is not None, length_s, *times, watch.last, watch.highest, attack)
    return outcome, watch.scored


def main(folders: Sequence[Path], count: int, seed: int) -> dict[str, object]:
    """Run the calls drawn from the folders' clips and return the account of it."""
    clips, errors = read_clips(read_manifests(folders))
    models, config = load_models(None), settings_config(load_settings(), "meeting")
    voices, engines = groups(clips)
    began_s, outcomes, windows = time.process_time(), [], 0
    for number, call in enumerate(draw(clips, count, random.Random(seed))):
        outcome, scored = run(call, models, config)
        outcomes.append(outcome)
        windows += scored
        sys.stderr.write(f"\r{number + 1}/{2 * count} calls")
    cpu_s = time.process_time() - began_s
    return {
        "v": 1,
        "what": "calls put together from clips: the voices are real, the calls are not",
        "seed": seed,
        "profile": "meeting",
        "clips": len(clips),
        "unreadable": len(errors),
        "voices": len(voices),
        "engines": len(engines),
        "switch_s": SWITCH_S,
        "windows_scored": windows,
        "media_s_per_cpu_s": round(sum(outcome.length_s for outcome in outcomes) / cpu_s, 2),
        **summary(outcomes, SWITCH_S),
        "per_call": [outcome.as_json() for outcome in outcomes],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="each with manifest.csv")
    parser.add_argument("--calls", type=int, default=40, help="genuine ones, and as many attacked")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(json.dumps(main(args.folders, args.calls, args.seed), indent=1))
