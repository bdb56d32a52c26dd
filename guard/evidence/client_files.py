"""What the call page is made of, as this server hands it out: to compare with what a page says of itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from guard.errors import ConfigError


def client_files(folder: Path) -> Mapping[str, str]:
    """Return the SHA-256 in hex of every module and style sheet of the call page, by its path on the server.

    These are the files whose SHA-384 the page itself carries (``guard.api.page``), so a page that a browser
    with Subresource Integrity runs is made of exactly them.

    Args:
        folder: with ``js`` and ``css`` (``guard.resources.web_dir``); read once, at start.

    Raises:
        ConfigError: ``page_incomplete``; there is no module, or a file cannot be read.
    """
    paths = sorted([*folder.glob("js/*.js"), *folder.glob("css/*.css")])
    if not paths:
        raise ConfigError("page_incomplete", "the call page has no files; reinstall guard")
    try:
        digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    except OSError as error:
        raise ConfigError(
            "page_incomplete", f"{error.filename}: {error.strerror}; reinstall guard"
        ) from error
    return {f"/web/{path.relative_to(folder).as_posix()}": digest for path, digest in digests.items()}
