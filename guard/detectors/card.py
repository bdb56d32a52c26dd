"""Model cards: what a model file is, what it wants, what its output means, how wrong it is.

``models/<name>/card.toml`` is read and checked before the model is; a file whose sha256
differs from its card is refused. A number in a card without its file means nothing.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    path = folder / "card.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            "card_missing", f"{path} cannot be read ({error.strerror}); reinstall guard or run its recipe"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError("card_invalid", f"{path} is not TOML: {error}; correct it") from error
    try:
        return _card(folder, table)
    except (KeyError, TypeError, ValueError) as error:
        what = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise ModelError("card_invalid", f"{path}: {what}; correct the card") from error


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
    file, sha256 = _text(table, "file"), _text(table, "sha256")
    if Path(file).name != file:
        raise ValueError(f"file {file!r} must lie in the card's own folder")
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise ValueError("sha256 must be 64 lower-case hex digits")
    calibration, signal = table["calibration"], Signal(_text(table, "signal"))
    second = calibration.get("second")
    card = Card(
        folder=folder,
        name=_text(table, "name"),
        version=_text(table, "version"),
        signal=signal,
        file=file,
        sha256=sha256,
        licence=_text(table, "licence"),
        summary=_text(table, "summary"),
        input=_input(table["input"]),
        output=_output(table["output"]),
        calibration=_logistic(calibration),
        data=dict(table["data"]),
        measured=dict(table["measured"]),
        outputs={name: _shape(name, shape) for name, shape in table.get("outputs", {}).items()},
        gates=read_gates(table.get("gates", {})),
        bins=_bins(calibration, BINS if signal.kind is Kind.AUDIO else FACE_BINS),
        second=None if second is None else _logistic(second),
    )
    _check_outputs(card)
    return card


def _logistic(table: Mapping[str, Any]) -> Logistic:
    return Logistic(*(float(table[key]) for key in ("a", "b", "limit_llr")))


def _bins(calibration: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Logistic]:
    """Return the map of each bin; one that states no limit has that of the whole calibration."""
    bins: dict[str, Logistic] = {}
    for table in calibration.get("bins", []):
        name = _text(table, "name")
        if name not in known or name in bins:
            raise ValueError(f"calibration.bins names each of {', '.join(known)} at most once, not {name!r}")
        bins[name] = _logistic({"limit_llr": calibration["limit_llr"], **table})
    return bins


def _shape(name: str, shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape):
        raise ValueError(f"outputs.{name} must list positive integers, without the batch axis")
    return tuple(shape)


def _check_outputs(card: Card) -> None:
    """Refuse outputs of another form than their names promise, and what reads an absent one."""
    for name, shape in card.outputs.items():
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
    shape, dtype = table["shape"], _text(table, "dtype")
    if not shape or not all(type(n) is int and n > 0 for n in shape):
        raise ValueError("input.shape must list positive integers, without the batch axis")
    if dtype not in DTYPES:
        raise ValueError(f"input.dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    rate = table.get("rate_hz")
    colour = table.get("colour_order")
    return InputSpec(
        name=_text(table, "name"),
        shape=tuple(shape),
        dtype=dtype,
        scaling=_text(table, "scaling"),
        rate_hz=None if rate is None else int(rate),
        colour_order=None if colour is None else str(colour),
        level=_choice(table, "level", LEVELS) or "as_is",
        shorter=_choice(table, "shorter", SHORTER),
        longer=_choice(table, "longer", LONGER),
    )


def _output(table: Mapping[str, Any]) -> OutputSpec:
    spoof = _text(table, "spoof_is")
    if spoof not in ("larger", "smaller"):
        raise ValueError(f"output.spoof_is must be 'larger' or 'smaller', not {spoof!r}")
    column, minus = (_column(table, key) for key in ("column", "minus_column"))
    if minus is not None and (column is None or minus == column):
        raise ValueError("output.minus_column needs an output.column that is another one")
    return OutputSpec(_text(table, "name"), spoof == "larger", column, minus)


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


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} must be a text that is not empty")
    return value
