"""False alarms and delays of the decision engine: python -m benchmarks.decisions [CALLS]

SIMULATED calls for the decision engine: calibrated Gaussian llr with a bias per call.

A detector with equal error rate e and calibrated Gaussian llr has llr ~ N(-d^2/2, d^2)
on genuine windows and N(d^2/2, d^2) on spoofed ones, where e = Phi(-d/2). ``call_share``
of the variance is the same for the whole call; the rest is noise of independent seconds,
averaged over the four of a window, so overlapping windows are correlated as real ones are.
Nothing here was measured on calls; the numbers say what the engine does with such scores.
An amber alarm is an entry into suspect; an alarmed call is left alone (nobody acknowledges).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from guard.evaluation.exact import upper_rate
from guard.evaluation.replay import BUDGET_PER_HOUR
from guard.fusion.config import FusionConfig
from guard.fusion.engine import Fusion
from guard.types import ALERTING, Kind, Score, Signal, State, TrackKey

WINDOW_S = 4


@dataclass(frozen=True, slots=True)
class Source:
    """Scores of one signal; ``call_share`` of its variance belongs to the call."""

    signal: Signal
    error_rate: float
    call_share: float = 0.5
    mean_llr: float | None = None

    def llr(self, rng: np.random.Generator, length_s: int, switch_s: int) -> NDArray[np.float64]:
        """Return one llr a second for windows ending at 4, 5, ... ``length_s``."""
        spread = -2 * NormalDist().inv_cdf(self.error_rate)
        mean = spread**2 / 2 if self.mean_llr is None else self.mean_llr
        second = np.arange(length_s)
        bias = rng.normal(0.0, spread * self.call_share**0.5, 2)
        level = np.where(second < switch_s, -mean + bias[0], mean + bias[1])
        noise = rng.normal(0.0, spread * (1 - self.call_share) ** 0.5 * WINDOW_S**0.5, length_s)
        return np.convolve(level + noise, np.full(WINDOW_S, 1 / WINDOW_S), "valid")

    def scores(self, rng: np.random.Generator, length_s: int, switch_s: int, hop_s: int) -> Iterator[Score]:
        """Yield the windows' scores: voice every ``hop_s``, the face once a second as a run of frames."""
        key = TrackKey("sim", "p", self.signal.kind)
        audio = self.signal.kind is Kind.AUDIO
        for index, llr in enumerate(self.llr(rng, length_s, switch_s)):
            end_s = float(index + WINDOW_S)
            if audio and index % hop_s == 0:
                yield Score(key, self.signal, end_s - WINDOW_S, end_s, float(llr))
            elif not audio:
                for frame in range(5):
                    at_s = end_s - 0.2 * (4 - frame)
                    yield Score(key, self.signal, at_s - 0.2, at_s, float(llr), face=0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Counts over simulated calls; ``delays_s`` has inf where there was no alert."""

    call_hours: float
    amber: int
    red: int
    delays_s: list[float]


def simulate(
    sources: list[Source],
    calls: int,
    length_s: int,
    seed: int,
    *,
    switch_s: int | None = None,
    config: FusionConfig | None = None,
    hop_s: int = 2,
) -> Outcome:
    """Run calls through the real engine; an alarmed call stays alarmed (nobody acknowledges)."""
    rng = np.random.default_rng(seed)
    amber = red = 0
    delays_s: list[float] = []
    for _ in range(calls):
        engine = Fusion("sim", "p", config)
        switch = length_s if switch_s is None else switch_s
        scores = sorted(
            (s for source in sources for s in source.scores(rng, length_s, switch, hop_s)),
            key=lambda s: s.end_s,
        )
        first: dict[State, float] = {}
        before = State.UNDECIDED
        for index, score in enumerate(scores):
            engine.push(score)
            whole = score.end_s == int(score.end_s)
            if whole and (index + 1 == len(scores) or scores[index + 1].end_s > score.end_s):
                state = engine.verdict(score.end_s).state
                amber += state is State.SUSPECT and before is not State.SUSPECT
                red += state is State.SPOOF and before is not State.SPOOF
                if state in ALERTING and state is not before:
                    first.setdefault(state, score.end_s)
                before = state
        alert_s = min(first.values(), default=float("inf"))
        if switch_s is not None and alert_s > switch_s:
            delays_s.append(alert_s - switch_s)
    return Outcome(calls * length_s / 3600, amber, red, delays_s)


LENGTH_S = 600
SEED = 11


def track_false_alarms(calls: int) -> None:
    """Print alarms per genuine call-hour with exact Poisson upper limits."""
    for error_rate in (0.15, 0.2, 0.25, 0.3):
        voice, face = Source(Signal.VOICE_SPOOF, error_rate), Source(Signal.FACE_FRAME, error_rate)
        for name, sources in (("voice", [voice]), ("voice+face", [voice, face])):
            got = simulate(sources, calls, LENGTH_S, SEED)
            for colour, events in (("amber", got.amber), ("red", got.red)):
                rate, upper = events / got.call_hours, upper_rate(events, got.call_hours)
                budget = BUDGET_PER_HOUR[colour]
                verdict = "held" if upper <= budget else "not shown" if rate <= budget else "over"
                print(
                    f"simulated genuine {name:10} EER {error_rate:.2f} {colour:5} {events:4d} in "
                    f"{got.call_hours:.0f} call-hours = {rate:.3f}/h, 95 % upper {upper:.3f}, "
                    f"budget {budget}: {verdict}",
                    flush=True,
                )


def track_delays(calls: int) -> None:
    """Print the delay from a switch to the first alert, missed ones counted."""
    for mean_llr in (1.5, 2.25, 3.0):
        voice = Source(Signal.VOICE_SPOOF, 0.15, mean_llr=mean_llr)
        face = Source(Signal.FACE_FRAME, 0.15, mean_llr=mean_llr)
        for name, sources in (("voice", [voice]), ("voice+face", [voice, face])):
            delays = np.array(simulate(sources, calls, 100, SEED, switch_s=60).delays_s)
            within, missed = np.mean(delays <= 10), np.mean(np.isinf(delays))
            print(
                f"simulated switch {name:10} mean llr {mean_llr:4}: median {np.median(delays):.0f} s, "
                f"within 10 s {within:.2f}, missed within 40 s {missed:.2f} of {len(delays)}",
                flush=True,
            )


if __name__ == "__main__":
    CALLS = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    track_delays(min(CALLS, 200))
    track_false_alarms(CALLS)
