"""The files that ``guard analyze`` is asked about."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from guard.codec.files import MEDIA_EXTENSIONS


def expand(paths: Sequence[str]) -> Iterator[str]:
    """Yield files in argument order; a folder is walked recursively, sorted, unknown extensions skipped.

    A path that does not exist or cannot be looked at is yielded as it is: its object will carry the error.
    """
    for given in paths:
        path = Path(given)
        if not given or not _is(
            path, Path.is_dir, otherwise=False
        ):  # "" is no folder, though Path("") is "."
            yield given
            continue
        count = 0
        for found in sorted(path.rglob("*")):
            if found.suffix.lower() in MEDIA_EXTENSIONS and _is(found, Path.is_file, otherwise=True):
                count += 1
                yield str(found)
        if not count:
            sys.stderr.write(f"{given}: no audio or video files in this folder\n")


def _is(path: Path, kind: Callable[[Path], bool], *, otherwise: bool) -> bool:
    """Tell whether a path is of a kind, ``otherwise`` where the system will not say."""
    try:
        return kind(path)
    except OSError:  # its name is too long, or a folder on the way is closed to us
        return otherwise
