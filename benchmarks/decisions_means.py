"""Means or Page's statistic as evidence of a voice: python -m benchmarks.decisions_means [CALLS] [SEED]

SIMULATED calls of ten minutes, drawn from the held-out scores of the shipped voice; attacks begin after 60 s.
Each rule is given the threshold at which it alarms in a tenth, a twentieth and a fiftieth of the genuine
calls; then the attacks it notices in time are compared. The sharpest of these thresholds rests on few calls.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from guard.app.simulate import Drawn, drawn_calls, load_held_out
from guard.evaluation.calls import CallPlan
from guard.evaluation.streams import Stream
from guard.fusion.config import FusionConfig
from guard.fusion.engine import Fusion
from guard.types import Signal

SWITCH_S = 60.0
LENGTH_S = 600.0
SHARES = (0.1, 0.05, 0.02)
WITHIN_S = (10.0, 20.0, 60.0, float("inf"))

# (N, 2): media time and evidence
Path = NDArray[np.float64]


def by_means(horizons_s: tuple[float, ...], call_share: float) -> Callable[[Stream], Path]:
    """Return the engine's llr over a call, with these bounded means."""
    config = replace(FusionConfig(), horizons_s=horizons_s, call_shares={Signal.VOICE_SPOOF: call_share})

    def path(stream: Stream) -> Path:
        engine, out = Fusion("s", "p", config), []
        for score in stream.scores:
            engine.push(score)
            llr = engine.verdict(score.end_s).llr
            out.append((score.end_s, -np.inf if llr is None else llr))
        return np.array(out)

    return path


def by_cusum(stream: Stream) -> Path:
    """Return Page's statistic over a call: new windows' llr less the drift, never below 0."""
    config = FusionConfig()
    unit_s, clip = config.voice.unit_s, config.voice.clip_llr
    level, before_s, out = 0.0, float("-inf"), []
    for score in stream.scores:
        llr = max(-clip, min(clip, score.llr or 0.0))
        new = min(unit_s, score.end_s - max(score.start_s, before_s)) / unit_s
        level = max(0.0, level + (llr - config.cusum_drift_llr) * new)
        before_s = score.end_s
        out.append((score.end_s, level))
    return np.array(out)


def delays(paths: Sequence[Path], threshold: float) -> NDArray[np.float64]:
    """Return seconds from the switch to the alarm, inf without one; earlier alarms are left out."""
    found = []
    for path in paths:
        over = path[path[:, 1] >= threshold, 0]
        if not (over < SWITCH_S).any():
            found.append(over[0] - SWITCH_S if len(over) else np.inf)
    return np.array(found)


def track_means(calls: int, seed: int) -> None:
    """Print one line for each rule and share of genuine calls alarmed."""
    held = [h for h in load_held_out(None)[0] if h.signal is Signal.VOICE_SPOOF]
    share = FusionConfig().evidence(Signal.VOICE_SPOOF).call_share
    streams = list(drawn_calls(held, Drawn(calls, calls, CallPlan(LENGTH_S, SWITCH_S), seed)))
    rules: dict[str, Callable[[Stream], Path]] = {
        f"means over {', '.join(f'{h:.0f}' for h in horizons)} s": by_means(horizons, share)
        for horizons in ((8.0, 15.0, 60.0), (8.0, 15.0, 30.0, 60.0), (30.0, 60.0))
    }
    rules["means over 8, 15, 60 s, share 0.39"] = by_means((8.0, 15.0, 60.0), 0.39)
    rules["Page's statistic"] = by_cusum
    for name, rule in rules.items():
        genuine = [rule(s) for s in streams if not s.is_spoof]
        attacked = [rule(s) for s in streams if s.is_spoof]
        highest = np.array([path[:, 1].max() for path in genuine])
        for alarmed in SHARES:
            threshold = float(np.quantile(highest, 1 - alarmed))
            found = delays(attacked, threshold)
            within = "  ".join(
                f"{np.mean(found <= s) if np.isfinite(s) else np.isfinite(found).mean():.2f}"
                for s in WITHIN_S
            )
            print(
                f"simulated, {len(genuine)} + {len(found)} calls; {name:34} threshold {threshold:7.2f}, "
                f"genuine alarmed {alarmed:.2f}; noticed within 10 s, 20 s, 60 s, ever: {within}",
                flush=True,
            )


if __name__ == "__main__":
    arguments = [int(word) for word in sys.argv[1:]]
    track_means(arguments[0] if arguments else 300, arguments[1] if len(arguments) > 1 else 5)
