"""Reads the ``manifest.csv`` of a labelled folder."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from guard.errors import ConfigError

LABELS = {"bonafide": False, "real": False, "spoof": True, "fake": True}
"""Whether a label of a manifest names a spoof."""

T = TypeVar("T")


def read_lines(folder: Path, item: Callable[[Path, Mapping[str, str]], T], needs: str) -> list[T]:
    """Return ``item(folder, row)`` of every line of ``folder/manifest.csv``, in its order.

    Args:
        item: makes one line's value; a KeyError names the column or label that is wrong.
        needs: the columns, for the message.

    Raises:
        ConfigError: ``manifest_missing`` or ``manifest_invalid``.
    """
    path = folder / "manifest.csv"
    try:
        # spreadsheets write a byte order mark in front, which would be part of the first column's name
        with path.open(newline="", encoding="utf-8-sig") as lines:
            return [item(folder, row) for row in csv.DictReader(lines, restval="")]
    except OSError as error:
        raise ConfigError(
            "manifest_missing", f"{path} cannot be read ({error.strerror}); it lists {needs}"
        ) from error
    except (UnicodeDecodeError, csv.Error):
        raise ConfigError("manifest_invalid", f"{path} is no CSV in UTF-8; it lists {needs}") from None
    except (KeyError, TypeError) as error:
        wrong = repr(error.args[0]) if isinstance(error, KeyError) else "a value"
        raise ConfigError(
            "manifest_invalid", f"{path}: {wrong} is missing or unknown; it lists {needs}"
        ) from None


def inside(folder: Path, path: str) -> str:
    """Return a manifest's path if it stays in the folder by its own words, on any system.

    Raises:
        ConfigError: ``clip_outside``, it is absolute, empty or leaves the folder.
    """
    given = PurePosixPath(path.replace("\\", "/"))
    hostile = not path.strip() or "\0" in path
    if hostile or given.is_absolute() or PureWindowsPath(path).drive or ".." in given.parts:
        raise ConfigError(
            "clip_outside",
            f"{folder / 'manifest.csv'}: {path!r} must be a path inside the folder, without '..'",
        )
    return path


def check_once(paths: Iterable[Path]) -> None:
    """Refuse a file that is listed twice.

    Raises:
        ConfigError: ``clip_repeated``.
    """
    seen: set[str] = set()
    for given in paths:
        path = os.path.realpath(given)  # Path.resolve gives up on a link to itself
        if path in seen:
            raise ConfigError("clip_repeated", f"{given} is listed twice; every clip counts once")
        seen.add(path)
