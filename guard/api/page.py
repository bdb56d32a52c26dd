"""The call page with the digests of everything it runs, so that a browser refuses what was changed.

The digests are taken once, at start. The modules that others import carry theirs in an import map (HTML,
"Import maps", ``integrity``), the rest in ``integrity`` attributes (W3C Subresource Integrity), and
``Integrity-Policy`` has the browser refuse a script that carries none. This keeps files between here and the
browser as they were shipped; it cannot bind a browser that somebody else has built, or a page of their own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from guard import __version__
from guard.errors import ConfigError

_ENTRY = '<script type="module" src="'
_LOADED = re.compile(r'(<(?:link rel="stylesheet" href|script type="module" src)="(/web/[^"]+)")')
_HEAD_END = "</head>"


@dataclass(frozen=True, slots=True)
class CallPage:
    """The page as it is sent.

    Args:
        html: the text.
        script_sources: what ``script-src`` of the content security policy has to allow.
    """

    html: str
    script_sources: str


def build_page(folder: Path) -> CallPage:
    """Return the call page for the files in ``folder`` (``index.html``, ``js``, ``css``).

    Raises:
        ConfigError: ``page_incomplete``; a file is missing, or the page asks for one that is not there.
    """
    digests = integrity(folder)
    try:
        html = (folder / "index.html").read_text(encoding="utf-8")
    except OSError as error:
        raise _incomplete(f"index.html: {error.strerror}") from error
    if html.count(_ENTRY) != 1 or html.count(_HEAD_END) != 1:
        raise _incomplete("index.html has no single module script and head")
    for _, path in _LOADED.findall(html):
        if path not in digests:
            raise _incomplete(f"index.html asks for {path}")
    modules = {path: digest for path, digest in digests.items() if path.endswith(".js")}
    import_map = json.dumps({"integrity": modules}, separators=(",", ":"), sort_keys=True)
    html = _LOADED.sub(lambda found: f'{found[1]} integrity="{digests[found[2]]}"', html)
    head = [f'<meta name="guard-version" content="{__version__}">']
    head.append(f'<script type="importmap">{import_map}</script>')
    # for browsers that know no integrity in import maps: what was preloaded is what is run
    head += [f'<link rel="modulepreload" href="{p}" integrity="{d}">' for p, d in modules.items()]
    html = html.replace(_ENTRY, "\n  ".join([*head, _ENTRY]))
    return CallPage(html, f"'self' '{_digest('sha256', import_map.encode())}'")


def integrity(folder: Path) -> dict[str, str]:
    """Return the digest of every module and style sheet: path on the server -> ``sha384-...``.

    Raises:
        ConfigError: ``page_incomplete``; a file cannot be read.
    """
    found = {}
    for path in sorted([*folder.glob("js/*.js"), *folder.glob("css/*.css")]):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _incomplete(f"{path.name}: {error.strerror}") from error
        found[f"/web/{path.relative_to(folder).as_posix()}"] = _digest("sha384", content)
    return found


def _digest(algorithm: str, content: bytes) -> str:
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


def _incomplete(what: str) -> ConfigError:
    return ConfigError("page_incomplete", f"the call page is incomplete ({what}); reinstall guard")
