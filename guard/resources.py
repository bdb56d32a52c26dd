"""Finds the files guard ships: models, texts, web page, demo clips.

In a wheel the repository's ``models/`` travels as ``guard/_models``; in a checkout
it lies beside the package.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def models_dir() -> Path:
    """Return the folder of shipped models, one folder with a card each."""
    packaged = _PACKAGE / "_models"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "models"


def web_dir() -> Path:
    """Return the folder of the call page's files."""
    return _PACKAGE / "web"


def locales_dir() -> Path:
    """Return the folder of the kk, ru and en texts."""
    return _PACKAGE / "web" / "locales"


def clips_dir() -> Path:
    """Return the folder of the demo's clips."""
    return _PACKAGE / "demo" / "clips"
