"""Which models are in use, ``guard models list`` and ``verify``.

The shipped models are in use as they are, except where the operator's folder (``analysis.models_dir``)
holds another one: a folder there with a ``card.toml`` takes the place of the shipped model of the same
signal, or of the network, speaker or face identity model of the same name. Nothing falls back: a damaged
model of the operator leaves its signal without a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from guard.detectors.card import Card, load_card
from guard.detectors.face_identity import load_face_identity, load_face_identity_card
from guard.detectors.speaker import load_speaker
from guard.detectors.speaker_card import load_speaker_card
from guard.detectors.table import DETECTORS, FACE_IDENTITY, SPEAKER, DetectorEntry
from guard.detectors.tflite import NetworkCard, load_network, load_network_card
from guard.detectors.vector_card import VectorCard
from guard.errors import ConfigError, ModelError
from guard.resources import models_dir
from guard.types import Detector, Signal

NETWORKS = ("blazeface", "facemesh")
PACKAGED, IMPORTED = "packaged", "imported"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model in use lies; ``origin`` is PACKAGED or IMPORTED."""

    folder: Path
    origin: str


@dataclass(frozen=True, slots=True)
class InUse:
    """The place of each network by its name, of each detector's model by its signal, of two that tell who."""

    networks: Mapping[str, Place]
    detectors: Mapping[Signal, Place]
    speaker: Place
    face_identity: Place


def in_use(folder: Path | None) -> InUse:
    """Return which models are in use with the operator's folder, None where there is none.

    Raises:
        ConfigError: ``models_dir``; the folder cannot be read.
        ModelError: a card of an unknown model is wrong, ``model_signal`` or ``model_signal_taken``.
    """
    root = models_dir()
    networks = {name: Place(root / name, PACKAGED) for name in NETWORKS}
    detectors = {entry.signal: Place(root / entry.model, PACKAGED) for entry in DETECTORS}
    people = {name: Place(root / name, PACKAGED) for name in (SPEAKER, FACE_IDENTITY)}
    taken: dict[Signal, Path] = {}
    for model in _operators(folder):
        if model.name in NETWORKS:
            networks[model.name] = Place(model, IMPORTED)
            continue
        if model.name in people:
            people[model.name] = Place(model, IMPORTED)
            continue
        signal = signal_of(model)
        if signal in taken:
            raise ModelError(
                "model_signal_taken",
                f"{taken[signal]} and {model} both score {signal.value}; remove one of the folders",
            )
        taken[signal] = model
        detectors[signal] = Place(model, IMPORTED)
    return InUse(networks, detectors, people[SPEAKER], people[FACE_IDENTITY])


def signal_of(folder: Path) -> Signal:
    """Return the signal the model in an operator's folder scores, one of the detector table.

    Raises:
        ModelError: what ``load_card`` raises, or ``model_signal``.
    """
    for entry in DETECTORS:  # a damaged card under a shipped model's name spoils only that signal
        if entry.model == folder.name:
            return entry.signal
    signal = load_card(folder).signal
    if signal not in {entry.signal for entry in DETECTORS}:
        raise ModelError(
            "model_signal", f"{folder}: guard has no detector of {signal.value}; remove the folder"
        )
    return signal


def load_detector(entry: DetectorEntry, folder: Path) -> tuple[Card, Detector]:
    """Return the card and the loaded, dry-run detector of one line of the table.

    Raises:
        ModelError: the card, the file or the runtime is at fault, or the card names another signal.
    """
    card = load_card(folder)
    if card.signal is not entry.signal:
        raise ModelError(
            "model_signal",
            f"{folder} scores {card.signal.value}, its name is of a model of {entry.signal.value}",
        )
    return card, entry.load(card)


def is_packaged(folder: Path) -> bool:
    """Tell whether a folder is that of the shipped models, or lies in it."""
    return folder.resolve().is_relative_to(models_dir().resolve())


def _operators(folder: Path | None) -> list[Path]:
    if folder is None or is_packaged(folder):
        return []
    try:
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        return [path for path in inside if (path / "card.toml").exists()]
    except OSError as error:
        raise ConfigError(
            "models_dir",
            f"{error.filename or folder} cannot be read ({error.strerror}); make it readable, "
            "or correct analysis.models_dir",
        ) from None


def describe(folder: Path | None = None) -> list[dict[str, Any]]:
    """Return what the cards of the models in use say, without loading a model.

    Raises:
        ConfigError: ``models_dir``.
        ModelError: a card is missing or wrong.
    """
    found = in_use(folder)
    networks = [{**_network(load_network_card(p.folder)), **_where(p)} for p in found.networks.values()]
    detectors = [{**_detector(load_card(p.folder)), **_where(p)} for p in found.detectors.values()]
    speaker = {**_vectors(load_speaker_card(found.speaker.folder)), **_where(found.speaker)}
    identity = _vectors(load_face_identity_card(found.face_identity.folder))
    return [*networks, *detectors, speaker, {**identity, **_where(found.face_identity)}]


def verify(folder: Path | None = None) -> list[dict[str, Any]]:
    """Load and dry-run every model in use; the result names what is wrong with each.

    Raises:
        ConfigError: ``models_dir``.
        ModelError: it cannot be said which model is in use.
    """
    found = in_use(folder)
    entries = {entry.signal: entry for entry in DETECTORS}
    networks = [_check(place, partial(_load_network, place.folder)) for place in found.networks.values()]
    detectors = [
        _check(place, partial(_load_detector, entries[signal], place.folder))
        for signal, place in found.detectors.items()
    ]
    speaker = _check(found.speaker, lambda: _vectors(load_speaker(found.speaker.folder).card))
    folder = found.face_identity.folder
    identity = _check(found.face_identity, lambda: _vectors(load_face_identity(folder).card))
    return [*networks, *detectors, speaker, identity]


def _vectors(card: VectorCard) -> dict[str, Any]:
    return {
        "name": card.name,
        "version": card.version,
        "signal": None,
        "file": card.file,
        "sha256": card.sha256,
        "licence": card.licence,
        "summary": card.summary,
        "measured": dict(card.measured),
    }


def _load_network(folder: Path) -> dict[str, Any]:
    card = load_network_card(folder)
    load_network(card)
    return _network(card)


def _load_detector(entry: DetectorEntry, folder: Path) -> dict[str, Any]:
    return _detector(load_detector(entry, folder)[0])


def _check(place: Place, load: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        said = load()
    except ModelError as error:
        found = {
            "name": place.folder.name,
            "ok": False,
            "error": {"code": error.code, "message": error.message},
        }
        return {**found, **_where(place)}
    shown = {key: said[key] for key in ("version", "signal", "sha256", "licence")}
    return {"name": said["name"], "ok": True, "error": None, **_where(place), **shown}


def _where(place: Place) -> dict[str, Any]:
    return {"origin": place.origin, "folder": str(place.folder)}


def _network(card: NetworkCard) -> dict[str, Any]:
    return {
        "name": card.name,
        "version": card.version,
        "signal": None,
        "file": card.file,
        "sha256": card.sha256,
        "licence": card.licence,
    }


def _detector(card: Card) -> dict[str, Any]:
    return {
        "name": card.name,
        "version": card.version,
        "signal": card.signal.value,
        "file": card.file,
        "sha256": card.sha256,
        "licence": card.licence,
        "summary": card.summary,
        "measured": dict(card.measured),
    }
