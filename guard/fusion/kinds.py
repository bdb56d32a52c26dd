"""From the readings of single signals to the llr of each kind of track, and of the participant."""

from __future__ import annotations

import math
from collections.abc import Mapping

from guard.fusion.config import SUPPORT_ONLY, FusionConfig
from guard.fusion.signal import Reading
from guard.types import Kind, Signal

Readings = Mapping[Signal, Reading]


def by_kind(readings: Readings, config: FusionConfig) -> dict[Kind, float]:
    """Add up the weighted signals of each kind that has evidence."""
    kinds: dict[Kind, float] = {}
    for signal in sorted(readings):
        llr = readings[signal].llr
        if llr is not None and config.decides(signal):
            kinds[signal.kind] = kinds.get(signal.kind, 0.0) + config.weights[signal] * llr
    added = {signal: support(signal, readings[signal], kinds, config) for signal in sorted(readings)}
    for signal, llr in added.items():
        if llr > 0:
            kinds[signal.kind] += llr
    return kinds


def support(signal: Signal, reading: Reading, kinds: Mapping[Kind, float], config: FusionConfig) -> float:
    """Return what a signal that may only support adds to its kind; 0 where that does not point to spoof."""
    if signal not in SUPPORT_ONLY or reading.llr is None or kinds.get(signal.kind, 0.0) <= 0:
        return 0.0
    return max(0.0, config.weights.get(signal, 0.0) * reading.llr)


def fuse(kinds: Mapping[Kind, float]) -> float | None:
    """Return the llr of the mixture over all attacks on the kinds with evidence; None without any."""
    if not kinds:
        return None
    attacks = [0.0]
    for llr in kinds.values():
        attacks += [sum_llr + llr for sum_llr in attacks]
    attacks = attacks[1:]
    top = max(attacks)
    return top + math.log(sum(math.exp(llr - top) for llr in attacks) / len(attacks))
