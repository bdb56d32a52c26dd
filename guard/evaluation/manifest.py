"""Reads the ``manifest.csv`` of a labelled folder."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
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
            return [item(folder, row) for row in csv.DictReader(lines)]
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
