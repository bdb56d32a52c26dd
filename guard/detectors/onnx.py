"""The only door to onnxruntime: one session per model, one thread, checked at load and at every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from guard.detectors.card import Card, read_model
from guard.detectors.onnx_file import check_file
from guard.detectors.vector_card import VectorCard, read_vector_model
from guard.errors import ModelError
from guard.types import FloatArray

Batch = NDArray[np.float32] | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What one run gave.

    Args:
        raw: float32 (B,), uncalibrated scores, larger meaning spoof.
        more: the outputs of the card's ``[outputs]`` by name, float32 (B, *shape).
    """

    raw: FloatArray
    more: Mapping[str, FloatArray] = field(default_factory=dict)


class Scorer(Protocol):
    """What a detector of one output needs of its runtime; tests put a scripted one here."""

    def raw(self, batch: Batch) -> FloatArray:
        """Return one raw score per row, float32 (B,), larger meaning spoof."""


class Runner(Protocol):
    """What a detector that reads several outputs needs of its runtime."""

    def run(self, batch: Batch) -> Outputs:
        """Return the raw score and the other outputs of each row."""


class Embedder(Protocol):
    """What describes voices or faces; tests put a scripted one here."""

    def embed(self, batch: FloatArray) -> FloatArray:
        """Return float32 (B, D), each row of length 1, of prepared windows."""


class OnnxModel:
    """A model file with its card, loaded and dry-run.

    One intra-op thread and no spinning: lanes own the threads, and a spinning pool
    takes a core from the relay while it waits.

    Raises:
        ModelError: the file, its hash, its runtime, or the shapes it works on are not the card's.
    """

    def __init__(self, card: Card) -> None:
        self._card = card
        self._session = _open(card.folder / card.file, read_model(card))
        self._check_names()
        _check_shape(card.name, self._session, card.input.shape)
        self._single = self._session.get_inputs()[0].shape[:1] == [1]
        for rows in (1, 2):
            self.raw(np.zeros((rows, *card.input.shape), card.input.dtype))

    @property
    def card(self) -> Card:
        """The card the model was loaded by."""
        return self._card

    def raw(self, batch: Batch) -> FloatArray:
        """Return one uncalibrated score per row, float32 (B,), as ``run`` does."""
        return self.run(batch).raw

    def run(self, batch: Batch) -> Outputs:
        """Return one uncalibrated score per row, larger meaning spoof, and the other outputs.

        Args:
            batch: (B, *card.input.shape) of the card's dtype.

        Returns:
            The score is the card's column of its output, turned round where the card says that a
            smaller one is spoof; the others are as the model gives them.

        Raises:
            ModelError: ``model_input``, ``model_run``, ``model_output`` or ``model_not_finite``.
        """
        spec = self._card.input
        if batch.shape[1:] != spec.shape or batch.dtype != np.dtype(spec.dtype):
            raise ModelError(
                "model_input",
                f"{self._card.name} wants (B, {', '.join(map(str, spec.shape))}) {spec.dtype}, "
                f"got {batch.shape} {batch.dtype}; the caller's windows do not fit this model",
            )
        # a file exported for a batch of one takes its rows one by one
        parts = [batch[row : row + 1] for row in range(len(batch))] if self._single else [batch]
        runs = [self._run(part) for part in parts]
        raw = np.concatenate([outputs.raw for outputs in runs])
        more = {name: np.concatenate([outputs.more[name] for outputs in runs]) for name in self._card.outputs}
        for name, values in {self._card.output.name: raw, **more}.items():
            if not np.isfinite(values).all():
                raise ModelError(
                    "model_not_finite", f"{self._card.name} returned a {name} that is not finite"
                )
        return Outputs(raw if self._card.output.larger_is_spoof else -raw, more)

    def _run(self, batch: Batch) -> Outputs:
        try:
            score, *others = self._session.run(
                [self._card.output.name, *self._card.outputs], {self._card.input.name: batch}
            )
        except Exception as error:
            raise ModelError("model_run", f"{self._card.name} failed: {error}") from error
        named = zip(self._card.outputs, others, strict=True)
        more = {name: self._shaped(name, np.asarray(output), len(batch)) for name, output in named}
        return Outputs(self._column(np.asarray(score), len(batch)), more)

    def _shaped(self, name: str, output: NDArray[Any], rows: int) -> FloatArray:
        """Return an output of ``[outputs]``; it must be float32 (B, *shape)."""
        wanted = (rows, *self._card.outputs[name])
        if output.shape != wanted or output.dtype != np.float32:
            raise ModelError(
                "model_output",
                f"{self._card.name} must return {name} as float32 {wanted}, got {output.dtype} "
                f"{output.shape}; correct the card's [outputs] or the export",
            )
        return output

    def _column(self, output: NDArray[Any], rows: int) -> FloatArray:
        """Return the score of an output (B,), (B, 1) or, where the card names the column, (B, 2)."""
        spec = self._card.output
        shapes = [(rows,), (rows, 1)] if spec.column is None else [(rows, 2)]
        if output.shape not in shapes or output.dtype != np.float32:
            wanted = (
                "(B,) or (B, 1)" if spec.column is None else "(B, 2), of which output.column is the score"
            )
            raise ModelError(
                "model_output",
                f"{self._card.name} must return float32 {wanted}, got {output.dtype} {output.shape} "
                f"for {rows} row(s); correct the card's [output] or the export",
            )
        columns: FloatArray = output.reshape(rows, -1)
        score = columns[:, spec.column or 0]
        return score if spec.minus_column is None else score - columns[:, spec.minus_column]

    def _check_names(self) -> None:
        inputs = [node.name for node in self._session.get_inputs()]
        outputs = [node.name for node in self._session.get_outputs()]
        wanted = [self._card.output.name, *self._card.outputs]
        if inputs != [self._card.input.name] or not set(wanted) <= set(outputs):
            raise ModelError(
                "model_names",
                f"{self._card.name}: the card names input {self._card.input.name!r} and output "
                f"{', '.join(map(repr, wanted))}, the file has {inputs} and {outputs}; correct the card",
            )


class OnnxEmbedder:
    """A model that describes voices or faces, with its card, loaded and dry-run: vectors out, no scores.

    Raises:
        ModelError: the file, its hash, its runtime, or the shapes it works on are not the card's.
    """

    def __init__(self, card: VectorCard) -> None:
        self._card = card
        self._session = _open(card.folder / card.file, read_vector_model(card))
        inputs, outputs = (
            [n.name for n in nodes()] for nodes in (self._session.get_inputs, self._session.get_outputs)
        )
        if (inputs, outputs) != ([card.input], [card.output]):
            raise ModelError(
                "model_names",
                f"{card.name}: the card names input {card.input!r} and output {card.output!r}, "
                f"the file has {inputs} and {outputs}; correct the card",
            )
        _check_shape(card.name, self._session, card.shape)
        for rows in (1, 2):
            self.embed(np.full((rows, *card.shape), 0.01, np.float32))

    def embed(self, batch: FloatArray) -> FloatArray:
        """Return one vector per row, float32 (B, D), of length 1.

        Args:
            batch: float32 (B, *card.shape), scaled as the card says.

        Raises:
            ModelError: ``model_input``, ``model_run``, ``model_output`` or ``model_not_finite``.
        """
        card = self._card
        if batch.shape[1:] != card.shape or batch.dtype != np.float32:
            raise ModelError(
                "model_input",
                f"{card.name} wants float32 (B, {', '.join(map(str, card.shape))}), "
                f"got {batch.shape} {batch.dtype}; "
                "the caller's windows do not fit this model",
            )
        try:
            (found,) = self._session.run([card.output], {card.input: batch})
        except Exception as error:
            raise ModelError("model_run", f"{card.name} failed: {error}") from error
        vectors = np.asarray(found)
        if vectors.shape != (len(batch), card.size) or vectors.dtype != np.float32:
            raise ModelError(
                "model_output",
                f"{card.name} must return float32 ({len(batch)}, {card.size}), "
                f"got {vectors.dtype} {vectors.shape}; correct the card's [output] or the export",
            )
        if not np.isfinite(vectors).all():
            raise ModelError("model_not_finite", f"{card.name} returned a number that is not finite")
        return vectors


def _open(path: Path, content: bytes) -> ort.InferenceSession:
    """Load a model's bytes, of which nothing may lie outside the file that was hashed."""
    check_file(content, str(path))
    try:
        return ort.InferenceSession(content, sess_options=_options(), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen types of its own
        raise ModelError("model_load", f"{path} does not load: {error}; run its recipe again") from error


def _check_shape(name: str, session: ort.InferenceSession, wanted: Sequence[int]) -> None:
    """Compare the card's shape with the graph's; a dimension the graph leaves open takes any size."""
    sizes = session.get_inputs()[0].shape[1:]  # the first one is the batch
    # none is left: no batch, or a graph that keeps its shape to itself; the dry run decides
    if not sizes:
        return
    fits = [not isinstance(size, int) or size == own for size, own in zip(sizes, wanted, strict=False)]
    if len(sizes) != len(wanted) or not all(fits):
        taken = ", ".join(str(size) if isinstance(size, int) else "any" for size in sizes)
        raise ModelError(
            "model_input",
            f"{name}: the card says {list(wanted)}, the graph takes [{taken}]; correct input.shape",
        )


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options
