"""What a voice model of another make is fed: windows of 4 s brought to its own length and level.

guard cuts 4 s at 16 kHz. A card may name another length and level, and then must say how to get
there (docs/models.md): nothing is guessed from the model's shapes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from guard.detectors.card import Card, InputSpec
from guard.detectors.onnx import Batch, OnnxModel, Outputs, Scorer
from guard.errors import ModelError
from guard.types import FloatArray

WINDOW_SAMPLES = 64_000
RATE_HZ = 16_000
MIN_SAMPLES, MAX_SAMPLES = RATE_HZ, 8 * RATE_HZ
_RMS = 0.05
# a silent row is left as it is: there is no level to bring it to
_SILENCE = 1e-8
# this much of a window may be cut off before another part is worth its cost
_SPARE_RATIO = 0.1


def check_contract(card: Card) -> None:
    """Refuse a voice card that guard's windows cannot be brought to.

    Raises:
        ModelError: ``model_contract``; names the key and what it may be.
    """
    reason = _refusal(card.input)
    if reason is None and card.outputs and not _takes_windows(card.input):
        reason = (
            f"outputs names {', '.join(card.outputs)}; only a model whose input is [{WINDOW_SAMPLES}] "
            "as it is may have outputs beside the score"
        )
    if reason is not None:
        raise ModelError("model_contract", f"{card.folder / 'card.toml'}: {reason}")


def _refusal(spec: InputSpec) -> str | None:
    if spec.dtype != "float32":
        return f"input.dtype is {spec.dtype!r}; a voice model takes float32 samples"
    if spec.rate_hz != RATE_HZ:
        return (
            f"input.rate_hz is {spec.rate_hz}; it must be {RATE_HZ}. guard hears calls at 16 kHz: for a "
            "higher rate it would have to invent the upper band, for a lower one to throw traces away"
        )
    samples = spec.shape[-1]
    if len(spec.shape) > 2 or spec.shape[:-1] not in ((), (1,)):
        return f"input.shape is {list(spec.shape)}; it must be [N] or [1, N], without the batch axis"
    if not MIN_SAMPLES <= samples <= MAX_SAMPLES:
        return (
            f"input.shape asks for {samples} samples; {MIN_SAMPLES} to {MAX_SAMPLES} (1 to 8 s) can be given"
        )
    if samples > WINDOW_SAMPLES and spec.shorter is None:
        return f"input.shorter is missing: say how {WINDOW_SAMPLES} samples become {samples}: repeat or zeros"
    if samples < WINDOW_SAMPLES and spec.longer is None:
        return f"input.longer is missing: say how {WINDOW_SAMPLES} samples become {samples}: cut or average"
    return None


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A Scorer of guard's windows over a model with a length or level of its own."""

    model: Scorer
    spec: InputSpec

    def raw(self, batch: Batch) -> FloatArray:
        """Return one raw score per window, float32 (B,), larger meaning spoof.

        Args:
            batch: float32 (B, 64000), mono 16 kHz in [-1, 1].

        Raises:
            ModelError: as the model does.
        """
        rows = np.asarray(batch, np.float32)
        parts = [fit(part, self.spec) for part in cut(rows, self.spec)]
        scores = self.model.raw(np.concatenate(parts)).reshape(len(parts), len(rows))
        return np.asarray(scores.mean(axis=0), np.float32)

    def run(self, batch: Batch) -> Outputs:
        """Return ``raw`` and no other output: ``check_contract`` refuses a card that names one."""
        return Outputs(self.raw(batch))


def cut(batch: FloatArray, spec: InputSpec) -> list[FloatArray]:
    """Return the parts of the windows, each (B, at most N): one, or as many as cover a window."""
    samples, total = spec.shape[-1], batch.shape[1]
    if samples >= total or spec.longer == "cut":
        return [batch[:, :samples]]
    count = math.ceil(total / samples - _SPARE_RATIO)
    starts = np.linspace(0, total - samples, count).astype(int) if count > 1 else [0]
    return [batch[:, start : start + samples] for start in starts]


def fit(rows: FloatArray, spec: InputSpec) -> FloatArray:
    """Return the rows at the model's level, lengthened to its shape: float32 (B, *spec.shape)."""
    levelled = _levelled(rows, spec.level)
    samples = spec.shape[-1]
    missing = ((0, 0), (0, max(0, samples - levelled.shape[1])))
    if spec.shorter == "repeat":
        levelled = np.pad(levelled, missing, mode="wrap")
    else:
        levelled = np.pad(levelled, missing)
    return np.ascontiguousarray(levelled, np.float32).reshape(len(rows), *spec.shape)


def _levelled(rows: FloatArray, level: str) -> FloatArray:
    if level == "as_is":
        return rows
    if level == "peak_1":
        now, wanted = np.abs(rows).max(axis=1, keepdims=True), 1.0
    else:
        now, wanted = np.sqrt(np.mean(rows**2, axis=1, keepdims=True)), _RMS
    gain = np.where(now > _SILENCE, wanted / np.maximum(now, _SILENCE), 1.0)
    return (rows * gain).astype(np.float32)


def fitted(model: OnnxModel) -> OnnxModel | FittedModel:
    """Return the model as it is where it takes guard's windows as they are, else fitted to them."""
    spec = model.card.input
    return model if _takes_windows(spec) else FittedModel(model, spec)


def _takes_windows(spec: InputSpec) -> bool:
    return spec.shape == (WINDOW_SAMPLES,) and spec.level == "as_is"
