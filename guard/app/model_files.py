"""``guard models list`` and ``verify``: the cards of the shipped models, and whether the files fit them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from guard.detectors.card import Card, load_card
from guard.detectors.table import DETECTORS, DetectorEntry
from guard.detectors.tflite import NetworkCard, load_network, load_network_card
from guard.errors import ModelError
from guard.resources import models_dir

NETWORKS = ("blazeface", "facemesh")


def describe(folder: Path | None = None) -> list[dict[str, Any]]:
    """Return what the cards say, without loading a model.

    Raises:
        ModelError: a card is missing or wrong.
    """
    root = folder or models_dir()
    networks = [_network(load_network_card(root / name)) for name in NETWORKS]
    return networks + [_detector(load_card(root / entry.model)) for entry in DETECTORS]


def verify(folder: Path | None = None) -> list[dict[str, Any]]:
    """Load and dry-run every model; the result names what is wrong with each."""
    root = folder or models_dir()
    networks = [_check(name, partial(_load_network, root / name)) for name in NETWORKS]
    return networks + [_check(e.model, partial(_load_detector, e, root / e.model)) for e in DETECTORS]


def _load_network(folder: Path) -> None:
    load_network(load_network_card(folder))


def _load_detector(entry: DetectorEntry, folder: Path) -> None:
    entry.load(load_card(folder))


def _check(name: str, load: Callable[[], object]) -> dict[str, Any]:
    try:
        load()
    except ModelError as error:
        return {"name": name, "ok": False, "error": {"code": error.code, "message": error.message}}
    return {"name": name, "ok": True, "error": None}


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
