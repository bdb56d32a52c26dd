"""``guard simulate``: recorded or simulated calls through the decision engine, faster than real time."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from guard.app.model_files import in_use
from guard.app.parts import thresholds_of
from guard.detectors.card import load_card
from guard.errors import ConfigError
from guard.evaluation.calls import CallPlan, attacks_on, draw_call
from guard.evaluation.replay import Outcome, replay, summary
from guard.evaluation.streams import HeldOut, Stream, read_held_out, read_streams
from guard.fusion.config import FusionConfig

_TELL_EVERY_S = 5.0
SIMULATED = "simulated: drawn from held-out windows, not recorded in calls"


@dataclass(frozen=True, slots=True)
class Drawn:
    """How many simulated calls to draw, and of what kind."""

    genuine: int
    attacked: int
    plan: CallPlan
    seed: int


def drawing(calls: int, seed: int, *, length_s: float, switch_s: float | None, answered: float) -> Drawn:
    """Return a plan of ``calls`` genuine and as many attacked calls.

    Raises:
        ConfigError: ``simulate_calls``, the attack would begin after the end, or something is no number.
    """
    if not all(map(math.isfinite, (length_s, answered, 0.0 if switch_s is None else switch_s))):
        raise ConfigError("simulate_calls", "--length-s, --switch-s and --answered must be finite numbers")
    if switch_s is not None and switch_s > length_s:
        raise ConfigError("simulate_calls", f"--switch-s {switch_s:g} lies after the end, {length_s:g} s")
    return Drawn(calls, calls, CallPlan(length_s, switch_s, answered), seed)


def load_held_out(models: Path | None) -> tuple[list[HeldOut], list[str]]:
    """Return the held-out scores of the models in use, and the detectors that have none of their own.

    Scores of another model file than the one in use tell nothing about it and are left out, too.

    Raises:
        ConfigError: ``held_out_missing``, no model in use has any; ``held_out_invalid``.
        ModelError: a model folder cannot be read.
    """
    found: list[HeldOut] = []
    without: list[str] = []
    for signal, place in in_use(models).detectors.items():
        held = read_held_out(place.folder)
        card = load_card(place.folder)
        if held is None or held.model_sha256 != card.sha256 or held.signal is not signal:
            without.append(signal.value)
        else:
            found.append(held)
    if not found:
        raise ConfigError(
            "held_out_missing",
            "no model in use has held-out scores of its own (held_out.json beside its card); "
            "give recorded calls as files instead",
        )
    return found, without


def config_of(profile: str | None) -> FusionConfig:
    """Return the decision engine's settings with a profile's thresholds.

    Raises:
        ConfigError: there is no such profile, or it is wrong.
    """
    config = FusionConfig()
    return config if profile is None else replace(config, thresholds=thresholds_of(profile))


def drawn_calls(held_out: Sequence[HeldOut], drawn: Drawn) -> Iterator[Stream]:
    """Yield the simulated calls one by one; each has its own seed, so their number changes none of them.

    Attacks on voice, face and both take turns, as far as there are scores of either.
    """
    for n in range(drawn.genuine):
        rng = np.random.default_rng([drawn.seed, 0, n])
        yield draw_call(held_out, None, drawn.plan, rng, f"simulated-genuine-{n}")
    attacks = attacks_on(held_out)
    for n in range(drawn.attacked):
        rng = np.random.default_rng([drawn.seed, 1, n])
        yield draw_call(held_out, attacks[n % len(attacks)], drawn.plan, rng, f"simulated-attack-{n}")


def simulate_files(paths: Sequence[Path], profile: str | None) -> dict[str, Any]:
    """Return what the engine makes of recorded calls.

    Raises:
        ConfigError: a file or the profile is wrong.
    """
    streams = read_streams(paths)
    if not streams:
        raise ConfigError("stream_invalid", "the files hold no call; guard analyze --json writes such lines")
    outcomes = _run(iter(streams), len(streams), config_of(profile))
    return _report(outcomes, {"source": "recorded", "files": [str(path) for path in paths]}, None)


def simulate_drawn(models: Path | None, profile: str | None, drawn: Drawn) -> dict[str, Any]:
    """Return what the engine makes of calls drawn from held-out scores.

    Raises:
        ConfigError: as ``load_held_out``, or the profile is wrong.
    """
    held_out, without = load_held_out(models)
    count = drawn.genuine + drawn.attacked
    outcomes = _run(drawn_calls(held_out, drawn), count, config_of(profile))
    return _report(
        outcomes, described(held_out, without, drawn), drawn.plan.switch_s if drawn.attacked else None
    )


def described(held_out: Sequence[HeldOut], without: Sequence[str], drawn: Drawn) -> dict[str, Any]:
    """Return what simulated calls rest on, for a report."""
    return {
        "source": SIMULATED,
        "seed": drawn.seed,
        "length_s": drawn.plan.length_s,
        "switch_s": drawn.plan.switch_s,
        "answered": drawn.plan.answered,
        "attacks_in_turn": list(attacks_on(held_out)),
        "signals": {
            held.signal.value: {
                "genuine_sources": len(held.of(False)),
                "attack_groups": len(held.of(True)),
                "windows": sum(len(clip) for group in held.groups for clip in group.clips),
                "made_of": held.made_of,
                "model_sha256": held.model_sha256,
            }
            for held in held_out
        },
        "signals_without_scores": list(without),
    }


def outcomes_of(held_out: Sequence[HeldOut], drawn: Drawn, config: FusionConfig) -> list[Outcome]:
    """Return the outcome of every drawn call, telling progress on standard error."""
    return _run(drawn_calls(held_out, drawn), drawn.genuine + drawn.attacked, config)


def _run(streams: Iterator[Stream], count: int, config: FusionConfig) -> list[Outcome]:
    outcomes: list[Outcome] = []
    told = time.monotonic()
    for stream in streams:
        outcomes.append(replay(stream, config))
        now = time.monotonic()
        if now - told >= _TELL_EVERY_S:
            told = now
            sys.stderr.write(f"{len(outcomes)} of {count} calls\n")
    return outcomes


def _report(outcomes: Sequence[Outcome], about: dict[str, Any], switch_s: float | None) -> dict[str, Any]:
    calls = [outcome.as_json() for outcome in outcomes]
    return {"v": 1, **about, **summary(outcomes, switch_s), "outcomes": calls}
