"""Settings of the decision engine; the reasons for the numbers are in docs/decisions.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from guard.errors import ConfigError
from guard.types import Kind, Signal


def _require(ok: bool, key: str, rule: str) -> None:
    if not ok:
        raise ConfigError("config_value", f"fusion.{key}: {rule}; correct it in the settings or the profile")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where the states begin, in units of fused llr; a policy profile chooses them.

    Args:
        red_llr: at or above, the state is spoof.
        amber_llr: at or above, the state is suspect.
        bona_fide_llr: at or below (negative), the state may be bona_fide.
        voice_alone_red: false caps what the voice signals add toward red, so that
            red needs a face signal that points the same way.
        voice_support_llr: what the face must add to a capped voice to reach red.
    """

    red_llr: float = 6.25
    amber_llr: float = 4.3
    bona_fide_llr: float = -1.0
    voice_alone_red: bool = True
    voice_support_llr: float = 1.0

    def __post_init__(self) -> None:
        _require(0 < self.amber_llr < self.red_llr, "amber_llr", "needs 0 < amber_llr < red_llr")
        _require(self.bona_fide_llr < 0, "bona_fide_llr", "must be negative")
        _require(0 < self.voice_support_llr < self.red_llr, "voice_support_llr", "must lie in (0, red_llr)")


@dataclass(frozen=True, slots=True)
class EvidenceConfig:
    """How the scores of one signal become evidence.

    Args:
        clip_llr: a single window never counts for more than this, either way.
        cap_llr: a signal never counts for more than this, either way.
        unit_s: new seconds that carry about one window's worth of information.
        call_share: share of the variance of a window's llr that is the same for the
            whole call (intraclass correlation), in (0, 1]; it bounds how much
            stronger many windows are than one.
        min_windows: good windows before the signal says anything.
        bona_fide_windows: good windows before it may carry bona_fide.
        bona_fide_s: scored seconds before it may carry bona_fide.
        max_gap_s: a window never brings more new seconds than this.
    """

    clip_llr: float = 4.0
    cap_llr: float = 7.5
    unit_s: float = 4.0
    call_share: float = 0.5
    min_windows: int = 1
    bona_fide_windows: int = 1
    bona_fide_s: float = 0.0
    max_gap_s: float = 4.0

    def __post_init__(self) -> None:
        _require(0 < self.clip_llr <= self.cap_llr, "clip_llr", "needs 0 < clip_llr <= cap_llr")
        _require(self.unit_s > 0, "unit_s", "must be positive")
        _require(self.max_gap_s > 0, "max_gap_s", "must be positive")
        _require(0 < self.call_share <= 1, "call_share", "must lie in (0, 1]")
        _require(self.min_windows >= 1, "min_windows", "must be at least 1")


@dataclass(frozen=True, slots=True)
class ChangeConfig:
    """What a rise of the scores within one call adds (``guard.fusion.change``).

    Args:
        window_var: variance of a window's llr about the mean of its call, llr squared; three times that
            of held-out windows, 0.77, since what goes on in a call wanders and does not only scatter.
        call_var: variance of that mean among genuine calls, llr squared (python -m benchmarks.call_share).
        innocent: how often a genuine call changes voice, room or microphone, in (0, 1]; 1 turns it off.
        turned: how many attacks begin in mid-call, in [0, 1).
        before_s: scored seconds before the rise from which on it counts.
    """

    window_var: float = 2.3
    call_var: float = 0.43
    innocent: float = 0.05
    turned: float = 0.5
    before_s: float = 16.0

    def __post_init__(self) -> None:
        _require(self.window_var > 0, "change.window_var", "must be positive")
        _require(self.call_var > 0, "change.call_var", "must be positive")
        _require(0 < self.innocent <= 1, "change.innocent", "must lie in (0, 1]")
        _require(0 <= self.turned < 1, "change.turned", "must lie in [0, 1)")
        _require(self.before_s > 0, "change.before_s", "must be positive")

    @property
    def most_llr(self) -> float:
        """What a rise adds at most."""
        return math.log(1 - self.turned + self.turned / self.innocent)


# Signals never measured on real attacks of their kind, or that mean no attack by themselves (another person
# may take over the microphone, an honest caller may use a virtual camera): they add only toward spoof, and
# only to another signal of the same kind of track that points there already. They neither raise a state
# alone nor speak for bona fide.
SUPPORT_ONLY = frozenset(
    {
        Signal.VOICE_REPLAY,
        Signal.SPEAKER_CHANGE,
        Signal.TEMPORAL,
        Signal.LIP_SYNC,
        Signal.PRESENTATION,
        Signal.VIRTUAL_CAMERA,
        Signal.SCREEN_LIGHT,
    }
)

VOICE = EvidenceConfig(bona_fide_s=8.0)
FACE = EvidenceConfig(min_windows=8, bona_fide_windows=40, max_gap_s=1.0)
# one answer to one check: there is nothing to take the mean of
CHECK = EvidenceConfig(cap_llr=4.0, call_share=1.0)


@dataclass(frozen=True, slots=True)
class FusionConfig:
    """The decision engine of one participant.

    Args:
        thresholds: from the policy profile; they move the state, never the llr.
        voice: evidence of the signals read from audio.
        face: evidence of the signals read from video.
        check: evidence of the active checks that give an llr.
        weights: non-negative weight of each signal; one that is not named counts 0. One
            that counts 0 is reported with its llr, but moves neither the state nor its reasons.
        call_shares: ``call_share`` of the signals for which it was measured (python -m
            benchmarks.call_share; face_identity: its card); the others have that of their kind.
        change: what a rise of ``voice_spoof`` within the call adds; of no other signal is it known how far
            genuine calls wander.
        horizons_s: lengths of the bounded means, seconds; the last is the memory.
        cusum_drift_llr: what the change detector takes off every unit of evidence.
        cusum_llr: where the change detector says that the evidence has turned.
        amber_clear_s: how long the llr must stay below half of amber.
        max_faces: faces followed at once in one picture; the one longest unseen goes.
        max_windows: windows kept for one signal and face.
        photo_mismatch_llr: mean llr, over the looks of the last 8 s, of another against the enrolled person
            from which the state is suspect; no look says more than 3.85, so 4 turns it off.
        face_replaced_llr: the same of another against whoever was in the picture before and never left it.
        face_fresh_s: once a face was judged, bona_fide needs a face judged this lately.
        low_coverage: share of the last minute that must have been looked at; below it the
            verdict says so.
    """

    thresholds: Thresholds = field(default_factory=Thresholds)
    voice: EvidenceConfig = VOICE
    face: EvidenceConfig = FACE
    check: EvidenceConfig = CHECK
    weights: Mapping[Signal, float] = field(
        default_factory=lambda: {
            Signal.VOICE_SPOOF: 1.0,
            Signal.VOICE_REPLAY: 0.0,  # reported, not fused: no real replay was ever measured
            Signal.SPEAKER_CHANGE: 0.5,
            Signal.VOICE_MATCH: 0.5,
            Signal.FACE_FRAME: 1.0,
            Signal.FACE_RING: 0.5,  # models/face/fusion.md: 0.3 to 0.9 by the draw of faces
            Signal.TEMPORAL: 0.0,  # as is lip_sync: calibrated on simulated people only, and
            Signal.LIP_SYNC: 0.0,  # genuine footage outside the simulation was taken for spoof
            Signal.PRESENTATION: 0.0,  # no real screen was ever filmed for it
            Signal.VIRTUAL_CAMERA: 0.5,
            Signal.FACE_IDENTITY: 1.0,  # its llr is bounded by the shares in its card
            Signal.SCREEN_LIGHT: 0.5,  # measured on rendered faces only
        }
    )
    call_shares: Mapping[Signal, float] = field(
        default_factory=lambda: {Signal.VOICE_SPOOF: 0.61, Signal.FACE_IDENTITY: 0.85}
    )
    change: ChangeConfig = ChangeConfig()
    horizons_s: tuple[float, ...] = (8.0, 15.0, 60.0)
    cusum_drift_llr: float = 0.5
    cusum_llr: float = 1.5
    amber_clear_s: float = 20.0
    max_faces: int = 6
    max_windows: int = 600
    photo_mismatch_llr: float = 1.0
    face_replaced_llr: float = 1.0
    face_fresh_s: float = 15.0
    low_coverage: float = 0.5

    def __post_init__(self) -> None:
        _require(all(w >= 0 for w in self.weights.values()), "weights", "must not be negative")
        _require(all(0 < r <= 1 for r in self.call_shares.values()), "call_shares", "must lie in (0, 1]")
        rising = all(a < b for a, b in pairwise((0.0, *self.horizons_s)))
        _require(bool(self.horizons_s) and rising, "horizons_s", "must rise from above 0")
        _require(
            self.cusum_drift_llr >= 0 < self.cusum_llr, "cusum_llr", "needs drift >= 0 and cusum_llr > 0"
        )
        _require(self.amber_clear_s > 0, "amber_clear_s", "must be positive")
        _require(self.max_faces >= 1, "max_faces", "must be at least 1")
        _require(self.max_windows >= 8, "max_windows", "must be at least 8")
        _require(self.photo_mismatch_llr > 0, "photo_mismatch_llr", "must be positive")
        _require(self.face_replaced_llr > 0, "face_replaced_llr", "must be positive")
        _require(self.face_fresh_s > 0, "face_fresh_s", "must be positive")
        _require(0 <= self.low_coverage <= 1, "low_coverage", "must lie in [0, 1]")

    def decides(self, signal: Signal) -> bool:
        """Return whether the signal may move the state by itself."""
        return self.weights.get(signal, 0.0) > 0 and signal not in SUPPORT_ONLY

    def reach_llr(self, signal: Signal) -> float:
        """Return what a signal comes to at most by itself, weighted; 0 where it decides nothing.

        Without what a rise adds: a call that was forged from its start has none. Every window of the
        memory stands at ``clip_llr``, and the oldest began before it (``guard.fusion.evidence``).
        """
        if not self.decides(signal):
            return 0.0
        own = self.evidence(signal)
        n = max(1.0, (self.horizons_s[-1] + own.max_gap_s) / own.unit_s)
        return self.weights[signal] * min(own.cap_llr, own.clip_llr * n / (1 + (n - 1) * own.call_share))

    def change_of(self, signal: Signal) -> ChangeConfig | None:
        """Return how a rise of this signal's scores within the call counts; None where it does not."""
        return self.change if signal is Signal.VOICE_SPOOF else None

    def evidence(self, signal: Signal) -> EvidenceConfig:
        """Return how the scores of this signal become evidence."""
        if signal is Signal.SCREEN_LIGHT:
            return self.check
        own = self.voice if signal.kind is Kind.AUDIO else self.face
        share = self.call_shares.get(signal)
        return own if share is None else replace(own, call_share=share)
