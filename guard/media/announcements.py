"""The announcements guard ships, as Opus packets encoded ahead, and the format they are kept in.

A pack is ``b"OPK1"`` and then, for every 20 ms packet, its length (u16, big endian) and
its bytes. ``models/assets/recipe/make_announcements.py`` writes them; docs/announcements.md says how
they were made and how a site puts its own in place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from guard.errors import MediaError

FOLDER = Path(__file__).resolve().parent / "sounds"
TONE = "tone"
# spoken announcements by language; Kazakh has the tone alone until a native speaker has approved one
SPOKEN = frozenset({"ru", "en"})

_MAGIC = b"OPK1"
_LENGTH = struct.Struct("!H")
_MAX_OPUS_BYTES = 1275


def write_pack(packets: Sequence[bytes]) -> bytes:
    """Return the pack of some Opus packets.

    Raises:
        ValueError: a packet is empty or longer than Opus allows (RFC 6716 section 3.4).
    """
    if not all(0 < len(packet) <= _MAX_OPUS_BYTES for packet in packets):
        raise ValueError(f"an Opus packet has 1 to {_MAX_OPUS_BYTES} bytes")
    return _MAGIC + b"".join(_LENGTH.pack(len(packet)) + packet for packet in packets)


def read_pack(data: bytes) -> list[bytes]:
    """Return the Opus packets of a pack.

    Raises:
        MediaError: ``announcement_broken``.
    """
    if data[: len(_MAGIC)] != _MAGIC:
        raise MediaError(
            "announcement_broken", "not an announcement pack; make it with make_announcements.py"
        )
    packets = []
    at = len(_MAGIC)
    while at < len(data):
        end = at + _LENGTH.size + int.from_bytes(data[at : at + _LENGTH.size], "big")
        packet = data[at + _LENGTH.size : end]
        if end > len(data) or not 0 < len(packet) <= _MAX_OPUS_BYTES:
            raise MediaError("announcement_broken", f"the announcement pack breaks off at byte {at}")
        packets.append(packet)
        at = end
    return packets


def announcement(language: str, folder: Path = FOLDER) -> list[bytes]:
    """Return the announcement in a language: tone and words, or the tone alone where there are no words.

    Args:
        language: ``kk``, ``ru`` or ``en``.
        folder: a site's own packs, ``<language>.opuspack``; guard's by default.

    Raises:
        MediaError: ``announcement_missing`` or ``announcement_broken``.
    """
    spoken = folder / f"{language}.opuspack"
    path = spoken if spoken.is_file() else folder / f"{TONE}.opuspack"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MediaError("announcement_missing", f"cannot read {path.name}: {error.strerror}") from error
    return read_pack(data)


def announcements(languages: Iterable[str], site: str, folder: Path = FOLDER) -> dict[str, list[bytes]]:
    """Return what people hear by the language they read: where it has no words, the site's announcement.

    Args:
        languages: all that can be read.
        site: the language of the site.
        folder: as for ``announcement``.

    Raises:
        MediaError: as ``announcement``.
    """
    has_words = {language: (folder / f"{language}.opuspack").is_file() for language in languages}
    return {
        language: announcement(language if spoken else site, folder) for language, spoken in has_words.items()
    }
