"""The only door to ai_edge_litert: runs a TensorFlow Lite file on one CPU thread.

The networks here find things (a face, its points) and judge nothing, so their
``card.toml`` has no signal and no calibration; it is checked as strictly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from guard.detectors.card import read_checked
from guard.detectors.card_keys import NETWORK, check_keys
from guard.detectors.card_table import as_table, number_at, read_card, shape_at, table_at, text_at
from guard.errors import ModelError
from guard.types import FloatArray

_RESTORE = "reinstall guard or run its recipe"


@dataclass(frozen=True, slots=True)
class NetworkCard:
    """What ``card.toml`` says of a network: its file, its input and its outputs.

    ``input_shape`` is (height, width, 3), RGB; pixels in [0, 255] become
    ``pixel * scale + offset``.
    """

    folder: Path
    name: str
    version: str
    file: str
    sha256: str
    licence: str
    input_shape: tuple[int, ...]
    scale: float
    offset: float
    outputs: tuple[str, ...]


def load_network_card(folder: Path) -> NetworkCard:
    """Read and check ``folder/card.toml``.

    Raises:
        ModelError: ``card_missing`` or ``card_invalid``.
    """
    return read_card(folder, lambda table: _card(folder, table))


def load_network(card: NetworkCard, *, threads: int = 1) -> TfliteModel:
    """Return the card's network, after comparing the file's sha256.

    Raises:
        ModelError: ``model_missing``, ``model_hash``, or what TfliteModel raises.
    """
    path = card.folder / card.file
    content = read_checked(path, card.sha256)
    model = TfliteModel(path.name, content, card.outputs, threads=threads)
    if model.input_shape != (1, *card.input_shape):
        raise ModelError(
            "card_invalid",
            f"{card.folder / 'card.toml'} says input {card.input_shape}, the file takes {model.input_shape}",
        )
    return model


class TfliteModel:
    """One loaded network with fixed shapes. Not for use from two threads at once.

    Args:
        name: what to call it in errors.
        content: the bytes of the .tflite file, their sha256 already checked.
        outputs: names of the tensors to return, in this order.
        threads: threads of the runtime; one keeps the cost of a call predictable.

    Raises:
        ModelError: not a network the runtime can read, or an output is missing.
    """

    def __init__(self, name: str, content: bytes, outputs: tuple[str, ...], *, threads: int = 1) -> None:
        self._name = name
        try:
            self._runtime = Interpreter(model_content=content, num_threads=threads)
            self._runtime.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                "model_unreadable",
                f"{name} cannot be loaded as a TensorFlow Lite network ({error}); {_RESTORE}",
            ) from error
        (details,) = self._runtime.get_input_details()
        self._input = int(details["index"])
        self._shape = tuple(int(n) for n in details["shape"])
        self._outputs = self._find(outputs)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The one input's shape, batch first: (1, height, width, channels)."""
        return self._shape

    def run(self, batch: FloatArray) -> tuple[FloatArray, ...]:
        """Return copies of the outputs, float32, in the order asked for.

        Args:
            batch: float32 of ``input_shape``.

        Raises:
            ModelError: wrong shape, the runtime failed, or an output is not finite.
        """
        if batch.shape != self._shape:
            raise ModelError("model_input_shape", f"{self._name} takes {self._shape}, not {batch.shape}")
        try:
            self._runtime.set_tensor(self._input, batch.astype(np.float32, copy=False))
            self._runtime.invoke()
            results = tuple(self._runtime.get_tensor(index) for index in self._outputs)
        except (ValueError, RuntimeError) as error:
            raise ModelError("model_failed", f"{self._name} failed to run: {error}") from error
        if not all(np.isfinite(result).all() for result in results):
            raise ModelError("model_not_finite", f"{self._name} returned a value that is not finite")
        return results

    def _find(self, names: tuple[str, ...]) -> tuple[int, ...]:
        known = {str(d["name"]): int(d["index"]) for d in self._runtime.get_output_details()}
        missing = [name for name in names if name not in known]
        if missing:
            raise ModelError(
                "model_output_missing",
                f"{self._name} has no output {missing}, only {sorted(known)}; card and file do not match",
            )
        return tuple(known[name] for name in names)


def _card(folder: Path, table: Mapping[str, Any]) -> NetworkCard:
    check_keys(table, NETWORK)
    file, sha256 = text_at(table, "file"), text_at(table, "sha256")
    if Path(file).name != file:
        raise ValueError(f"file {file!r} must lie in the card's own folder")
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise ValueError("sha256 must be 64 lower-case hex digits")
    spec, outputs = table_at(table, "input"), table["outputs"]
    if not isinstance(outputs, list) or not outputs:
        raise ValueError("outputs must list tables")
    if text_at(spec, "dtype") != "float32" or text_at(spec, "colour_order") != "RGB":
        raise ValueError("input must be dtype 'float32' and colour_order 'RGB'")
    shape = shape_at(spec, "shape", "input.shape")
    if len(shape) != 3:
        raise ValueError("input.shape must be three positive integers: height, width, channels")
    return NetworkCard(
        folder=folder,
        name=text_at(table, "name"),
        version=text_at(table, "version"),
        file=file,
        sha256=sha256,
        licence=text_at(table, "licence"),
        input_shape=shape,
        scale=number_at(spec, "scale"),
        offset=number_at(spec, "offset"),
        outputs=tuple(text_at(as_table(output, "each of outputs"), "name") for output in outputs),
    )
