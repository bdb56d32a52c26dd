"""What a trial must find before a voice model is believed: its sign, its calibration, and that it is steady.

One pair of clips tells little, so the limits are wide: what is refused here is wrong for certain (a
calibration that calls everybody the same, a score that changes by itself), not merely weak.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from guard.detectors.card import Card
from guard.detectors.onnx import Outputs, Runner
from guard.errors import ModelError
from guard.types import FloatArray

# llr that differ by less than this say the same: the odds change by one in a hundred
MIN_APART_LLR = 0.01
# E[exp(-llr)] over spoofs is 1 where llr are true, and so is E[exp(llr)] over genuine ones; so (Markov) the
# wrong clip lies further than log(1000) on the other side at most once in a thousand
MAX_WRONG_LLR = math.log(1000.0)
# n clips carry no claim beyond log(n), and nobody calibrates on a thousand million
MAX_CLAIM_LLR = math.log(1e9)
# of scores so large that float32 itself rounds by more than MIN_APART_LLR
_ROUNDING_RATIO = 1e-4
# most windows that a lane gives a model at once (inference.slots.SlotConfig.max_batch)
BATCH = 8
SECOND = "second"
_OWN_PAIR = "judge it by a pair of your own (--golden-bona-fide, --golden-spoof)"
_FIT = "fit a, b and limit_llr on clips that the model has not seen (guard.fusion.calibration.fit_logistic)"

_ONCE = "a true calibration puts the wrong clip beyond {:.1f} at most once in 1000"


def check_sign(card: Card, golden: Mapping[str, Any]) -> None:
    """Refuse a model whose raw score does not rise from the golden bona fide clip to the golden spoof clip.

    Raises:
        ModelError: ``model_sign``, with both scores.
    """
    genuine, synthetic = golden["bona_fide"], golden["spoof"]
    if genuine["raw"] < synthetic["raw"]:
        return
    raise ModelError(
        "model_sign",
        f"{card.name} gives the golden bona fide clip {genuine['raw']:.4f} and the golden spoof clip "
        f"{synthetic['raw']:.4f}; larger must mean spoof after the card's sign. Correct output.spoof_is or "
        f"output.column, or {_OWN_PAIR}",
    )


def check_calibration(card: Card, golden: Mapping[str, Any]) -> None:
    """Refuse a calibration that makes everything of a golden pair genuine, forged or the same.

    Args:
        card: of the model.
        golden: of each clip ``llr``, as a call would score it, and ``llr_by``, what every other
            calibration of the card makes of the same raw scores.

    Raises:
        ModelError: ``model_calibration``; names the calibration, both llr and what is wrong.
    """
    genuine, synthetic = golden["bona_fide"], golden["spoof"]
    found = [("[calibration]", genuine["llr"], synthetic["llr"])]
    others = sorted(genuine["llr_by"])
    found += [
        (f"calibration {name!r}", genuine["llr_by"][name], synthetic["llr_by"][name]) for name in others
    ]
    for name, low, high in found:
        # half seconds say little, so one pair need not come out in order
        reason = _wrong(low, high, ordered=name != f"calibration {SECOND!r}")
        if reason is not None:
            raise ModelError(
                "model_calibration",
                f"{card.folder / 'card.toml'}: {name} gives the golden bona fide clip llr {low:.4g} and the "
                f"golden spoof clip {high:.4g}: {reason}. Correct it ({_FIT}), or {_OWN_PAIR}",
            )


def _wrong(genuine_llr: float, synthetic_llr: float, *, ordered: bool) -> str | None:
    if max(abs(genuine_llr), abs(synthetic_llr)) > MAX_CLAIM_LLR:
        return f"no number of clips carries a claim beyond {MAX_CLAIM_LLR:.1f}"
    if synthetic_llr < -MAX_WRONG_LLR:
        return f"everybody would be called genuine; {_ONCE.format(-MAX_WRONG_LLR)}"
    if genuine_llr > MAX_WRONG_LLR:
        return f"everybody would be called a spoof; {_ONCE.format(MAX_WRONG_LLR)}"
    if ordered and synthetic_llr - genuine_llr < MIN_APART_LLR:
        return (
            f"the spoof must lie higher by at least {MIN_APART_LLR}; here nothing tells them apart "
            "(a too small, limit_llr too small, both at the limit, or bins that contradict each other)"
        )
    return None


def check_steady(card: Card, model: Runner, rows: Sequence[FloatArray], singles: Sequence[Outputs]) -> None:
    """Refuse a model that scores a window otherwise the second time, or otherwise among others.

    Args:
        card: of the model.
        model: what scores guard's windows.
        rows: float32 (64000,) each, windows of either class, at least one.
        singles: what the model gave for each of them alone.

    Raises:
        ModelError: ``model_random`` or ``model_batch``, or what the model raises.
    """
    for row, before in zip(rows[:2], singles[:2], strict=True):
        changed = _changed(card, before, model.run(row[None]), 0)
        if changed is not None:
            raise ModelError(
                "model_random",
                f"{card.name} does not repeat itself: for the same window {changed}. Export it in inference "
                "mode, without dropout, dither or other random operators",
            )
    picked = [n % len(rows) for n in range(BATCH)]
    together = model.run(np.stack([rows[n] for n in picked]))
    for place, n in enumerate(picked):
        changed = _changed(card, singles[n], together, place)
        if changed is not None:
            raise ModelError(
                "model_batch",
                f"{card.name} mixes the windows of a batch, which are of different people: for the same "
                f"window, alone and among {BATCH}, {changed}. Export it in inference mode, without "
                "statistics or scales over the batch (dynamic quantisation has one), or for a batch of one",
            )


def _changed(card: Card, alone: Outputs, other: Outputs, place: int) -> str | None:
    """Return in words which output of a row alone differs from that of ``place`` in another run."""
    steepest = max(one.a for one in (card.calibration, *card.bins.values()))
    scores = [(card.output.name, alone.raw[0], other.raw[place], steepest)]
    for name in card.outputs:
        slope = card.second.a if name == "timeline" and card.second is not None else 1.0
        scores.append((name, alone.more[name][0], other.more[name][place], slope))
    for name, before, after, slope in scores:
        if not np.allclose(before, after, rtol=_ROUNDING_RATIO, atol=MIN_APART_LLR / slope):
            worst = int(np.argmax(np.abs(np.subtract(before, after))))
            return f"{name} is {np.ravel(before)[worst]:.5g} and then {np.ravel(after)[worst]:.5g}"
    return None
