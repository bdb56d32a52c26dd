"""Model cards: what a model file is, what it wants, what its output means, how wrong it is.

``models/<name>/card.toml`` is read and checked before the model is; a file whose sha256
differs from its card is refused. A number in a card without its file means nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guard.detectors.card_keys import DETECTOR, check_keys
from guard.detectors.card_table import as_table, nearest, number_at, read_card, shape_at, table_at, text_at
from guard.detectors.gates import CONTENT, Gates, read_gates
from guard.errors import ModelError
from guard.fusion.calibration import BinnedLogistic, Logistic
from guard.media.channel import BINS
from guard.media.quality import FACE_BINS
from guard.types import Kind, Signal

DTYPES = ("float32", "uint8")
LEVELS = ("as_is", "rms_0.05", "peak_1")
SHORTER = ("repeat", "zeros")
LONGER = ("cut", "average")
# the calibration of the frame of a screen around a face; only presentation reads it
FRAME_BIN = "frame"
# half seconds of a window that a model may score one by one
PARTS = 8
# what an output beside the score holds, by its name; other names are not read
KNOWN_OUTPUTS: Mapping[str, tuple[int, ...]] = {
    "content": (len(CONTENT),),
    "quality": (),
    "timeline": (PARTS,),
}


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What the model is fed: ``shape`` without the batch axis, and how values are scaled.

    ``scaling`` is for people; what guard does to a window of audio before a model of another
    length or level sees it is ``level``, ``shorter`` and ``longer`` (docs/models.md).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scaling: str
    rate_hz: int | None = None
    colour_order: str | None = None
    level: str = "as_is"
    shorter: str | None = None
    longer: str | None = None


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """Name of the raw score, and whether a larger one means spoof.

    Of an output (B, 2) ``column`` is the score; ``minus_column`` is taken from it where given.
    """

    name: str
    larger_is_spoof: bool
    column: int | None = None
    minus_column: int | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A checked ``card.toml``; ``data`` and ``measured`` are for people and reports.

    ``outputs`` are what the model says beside its score, name to shape without the batch axis;
    ``bins`` the calibration of windows of one channel or noise, ``second`` that of one second of the
    output ``timeline``.
    """

    folder: Path
    name: str
    version: str
    signal: Signal
    file: str
    sha256: str
    licence: str
    summary: str
    input: InputSpec
    output: OutputSpec
    calibration: Logistic
    data: Mapping[str, Any]
    measured: Mapping[str, Any]
    outputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    gates: Gates = field(default_factory=Gates)
    bins: Mapping[str, Logistic] = field(default_factory=dict)
    second: Logistic | None = None

    @property
    def calibrations(self) -> BinnedLogistic:
        """The calibration of each bin of windows."""
        return BinnedLogistic(self.calibration, self.bins)


def load_card(folder: Path) -> Card:
    """Read and check ``folder/card.toml``.

    Raises:
        ModelError: ``card_missing`` or ``card_invalid``.
    """
    return read_card(folder, lambda table: _card(folder, table))


def read_model(card: Card) -> bytes:
    """Return the bytes of the card's model file; raises as ``read_checked`` does."""
    return read_checked(card.folder / card.file, card.sha256)


def read_checked(path: Path, sha256: str) -> bytes:
    """Return the bytes of a model file, after comparing their sha256 with the card's.

    Raises:
        ModelError: ``model_missing`` or ``model_hash``.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            "model_missing",
            f"{path} cannot be read ({error.strerror}); reinstall guard or run its recipe",
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(
            "model_hash",
            f"{path} has sha256 {found}, its card says {sha256}; "
            "the file was changed or is incomplete: reinstall guard or run its recipe",
        )
    return content


def _card(folder: Path, table: Mapping[str, Any]) -> Card:
    check_keys(table, DETECTOR)
    file, sha256 = text_at(table, "file"), text_at(table, "sha256")
    if Path(file).name != file:
        raise ValueError(f"file {file!r} must lie in the card's own folder")
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise ValueError("sha256 must be 64 lower-case hex digits")
    calibration, signal = table_at(table, "calibration"), Signal(text_at(table, "signal"))
    second = calibration.get("second")
    card = Card(
        folder=folder,
        name=text_at(table, "name"),
        version=text_at(table, "version"),
        signal=signal,
        file=file,
        sha256=sha256,
        licence=text_at(table, "licence"),
        summary=text_at(table, "summary"),
        input=_input(table_at(table, "input")),
        output=_output(table_at(table, "output")),
        calibration=_logistic(calibration),
        data=dict(table_at(table, "data")),
        measured=dict(table_at(table, "measured")),
        outputs=_outputs(as_table(table.get("outputs", {}), "outputs")),
        gates=read_gates(as_table(table.get("gates", {}), "gates")),
        bins=_bins(calibration, BINS if signal.kind is Kind.AUDIO else (*FACE_BINS, FRAME_BIN)),
        second=None if second is None else _logistic(as_table(second, "calibration.second")),
    )
    _check_outputs(card)
    return card


def _logistic(table: Mapping[str, Any]) -> Logistic:
    return Logistic(*(number_at(table, key) for key in ("a", "b", "limit_llr")))


def _bins(calibration: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Logistic]:
    """Return the map of each bin; one that states no limit has that of the whole calibration."""
    bins: dict[str, Logistic] = {}
    given = calibration.get("bins", [])
    if not isinstance(given, list):
        raise ValueError("calibration.bins must list tables")
    for table in (as_table(one, "each of calibration.bins") for one in given):
        name = text_at(table, "name")
        if name not in known or name in bins:
            raise ValueError(f"calibration.bins names each of {', '.join(known)} at most once, not {name!r}")
        bins[name] = _logistic({"limit_llr": calibration["limit_llr"], **table})
    return bins


def _outputs(table: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: shape_at(table, name, f"outputs.{name}", may_be_empty=True) for name in table}


def _check_outputs(card: Card) -> None:
    """Refuse outputs of another form than their names promise, and what reads an absent one."""
    for name, shape in card.outputs.items():
        meant = nearest(name, KNOWN_OUTPUTS)
        if meant not in (None, name):
            raise ValueError(f"outputs.{name} would not be read; did you mean {meant}?")
        if shape != KNOWN_OUTPUTS.get(name, shape):
            raise ValueError(f"outputs.{name} must be {list(KNOWN_OUTPUTS[name])}, not {list(shape)}")
    absent = sorted(card.gates.outputs - set(card.outputs))
    if absent:
        raise ValueError(f"gates needs the output {', '.join(absent)}, which outputs does not name")
    if ("timeline" in card.outputs) != (card.second is not None):
        raise ValueError("outputs.timeline and calibration.second need each other")
    if "timeline" in card.outputs and not card.output.larger_is_spoof:
        raise ValueError("outputs.timeline needs output.spoof_is = 'larger': its sign is that of the score")


def _input(table: Mapping[str, Any]) -> InputSpec:
    dtype = text_at(table, "dtype")
    if dtype not in DTYPES:
        raise ValueError(f"input.dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    rate = table.get("rate_hz")
    if rate is not None and (type(rate) is not int or rate <= 0):
        raise ValueError("input.rate_hz must be a positive integer")
    return InputSpec(
        name=text_at(table, "name"),
        shape=shape_at(table, "shape", "input.shape"),
        dtype=dtype,
        scaling=text_at(table, "scaling"),
        rate_hz=rate,
        colour_order=text_at(table, "colour_order") if "colour_order" in table else None,
        level=_choice(table, "level", LEVELS) or "as_is",
        shorter=_choice(table, "shorter", SHORTER),
        longer=_choice(table, "longer", LONGER),
    )


def _output(table: Mapping[str, Any]) -> OutputSpec:
    spoof = text_at(table, "spoof_is")
    if spoof not in ("larger", "smaller"):
        raise ValueError(f"output.spoof_is must be 'larger' or 'smaller', not {spoof!r}")
    column, minus = (_column(table, key) for key in ("column", "minus_column"))
    if minus is not None and (column is None or minus == column):
        raise ValueError("output.minus_column needs an output.column that is another one")
    return OutputSpec(text_at(table, "name"), spoof == "larger", column, minus)


def _column(table: Mapping[str, Any], key: str) -> int | None:
    value = table.get(key)
    if value is not None and (type(value) is not int or value not in (0, 1)):
        raise ValueError(f"output.{key} must be 0 or 1, not {value!r}")
    return value


def _choice(table: Mapping[str, Any], key: str, choices: tuple[str, ...]) -> str | None:
    value = table.get(key)
    if value is not None and value not in choices:
        raise ValueError(f"input.{key} must be one of {', '.join(choices)}, not {value!r}")
    return value
