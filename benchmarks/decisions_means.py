"""Means, rises, Page's statistic as evidence of a voice: python -m benchmarks.decisions_means [CALLS] [SEED]

SIMULATED calls of ten minutes, drawn from the held-out scores of the shipped voice: genuine ones, genuine
ones that somebody else takes over after 60 s, attacks that begin then and attacks from the start. Each rule
is given the threshold at which it alarms in a tenth, a twentieth and a fiftieth of the genuine calls nobody
takes over; then the others are compared. The sharpest of these thresholds rests on few calls.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from guard.app.simulate import Drawn, drawn_calls, load_held_out
from guard.evaluation.calls import CallPlan
from guard.evaluation.streams import HeldOut, Stream
from guard.fusion.config import ChangeConfig, FusionConfig
from guard.fusion.engine import Fusion
from guard.types import Signal

SWITCH_S = 60.0
LENGTH_S = 600.0
SHARES = (0.1, 0.05, 0.02)
WITHIN_S = (10.0, 20.0, 60.0, float("inf"))

NO_RISE = replace(ChangeConfig(), innocent=1.0)

# (N, 2): media time and evidence
Path = NDArray[np.float64]


def by_means(
    horizons_s: tuple[float, ...], call_share: float, change: ChangeConfig = NO_RISE
) -> Callable[[Stream], Path]:
    """Return the engine's llr over a call, with these bounded means and what their rise adds."""
    shares = {Signal.VOICE_SPOOF: call_share}
    config = replace(FusionConfig(), horizons_s=horizons_s, call_shares=shares, change=change)

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


def delays(paths: Sequence[Path], threshold: float, begin_s: float = SWITCH_S) -> NDArray[np.float64]:
    """Return seconds from ``begin_s`` to the alarm, inf without one; earlier alarms are left out."""
    found = []
    for path in paths:
        over = path[path[:, 1] >= threshold, 0]
        if not (over < begin_s).any():
            found.append(over[0] - begin_s if len(over) else np.inf)
    return np.array(found)


def drawn(held: Sequence[HeldOut], calls: int, seed: int) -> dict[str, list[Stream]]:
    """Return the calls of each kind."""
    turned = list(drawn_calls(held, Drawn(calls, calls, CallPlan(LENGTH_S, SWITCH_S), seed)))
    taken = CallPlan(LENGTH_S, taken_over_s=SWITCH_S)
    return {
        "genuine": turned[:calls],
        "taken over": list(drawn_calls(held, Drawn(calls, 0, taken, seed))),
        "turned": turned[calls:],
        "from the start": list(drawn_calls(held, Drawn(0, calls, CallPlan(LENGTH_S), seed))),
    }


def track_means(calls: int, seed: int) -> None:
    """Print one line for each rule and share of genuine calls alarmed."""
    held = [h for h in load_held_out(None)[0] if h.signal is Signal.VOICE_SPOOF]
    share, horizons = FusionConfig().evidence(Signal.VOICE_SPOOF).call_share, FusionConfig().horizons_s
    streams = drawn(held, calls, seed)
    rules: dict[str, Callable[[Stream], Path]] = {
        "means and their rise (ships)": by_means(horizons, share, ChangeConfig()),
        "means": by_means(horizons, share),
        "means over 30, 60 s": by_means((30.0, 60.0), share),
        "Page's statistic": by_cusum,
    }
    print(f"simulated, {calls} calls of each kind, seed {seed}")
    for name, rule in rules.items():
        paths = {kind: [rule(stream) for stream in of] for kind, of in streams.items()}
        highest = {kind: np.array([path[:, 1].max() for path in of]) for kind, of in paths.items()}
        for alarmed in SHARES:
            threshold = float(np.quantile(highest["genuine"], 1 - alarmed))
            taken_over = float(np.mean(highest["taken over"] >= threshold))
            turned = noticed(delays(paths["turned"], threshold))
            start = noticed(delays(paths["from the start"], threshold, 0.0))
            print(
                f"{name:29} threshold {threshold:7.2f}: alarmed genuine {alarmed:.2f}, "
                f"taken over {taken_over:.3f}; "
                f"noticed within 10 s, 20 s, 60 s, ever: turned {turned}, from the start {start}",
                flush=True,
            )


def noticed(found: NDArray[np.float64]) -> str:
    """Return the shares of attacks noticed within the times of ``WITHIN_S``."""
    return " / ".join(f"{np.mean(np.isfinite(found) & (found <= s)):.2f}" for s in WITHIN_S)


if __name__ == "__main__":
    arguments = [int(word) for word in sys.argv[1:]]
    track_means(arguments[0] if arguments else 300, arguments[1] if len(arguments) > 1 else 5)
