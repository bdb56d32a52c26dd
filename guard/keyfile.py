"""Keys that guard makes for itself on the first start and keeps in its data folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from guard.errors import ConfigError


def read_or_make(path: Path, make: Callable[[], bytes], what: str) -> bytes:
    """Return the content of a key file, which is made with mode 0600 where there is none.

    Args:
        path: the file; its folder must exist.
        make: gives the content of a new one.
        what: what the key is, for messages, e.g. ``the token key``.

    Raises:
        ConfigError: ``key_unreadable``, or ``key_exposed`` where others can read the file.
    """
    try:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "wb") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
        content, mode = path.read_bytes(), path.stat().st_mode
    except OSError as error:
        raise ConfigError("key_unreadable", f"{what} {path} cannot be used: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigError("key_exposed", f"{path} is readable by others; chmod 600 it, or remove it")
    return content
