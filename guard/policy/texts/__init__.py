"""Guard's words in Kazakh, Russian and English, read from Babel catalogues.

The msgid is a stable key (``advice.meeting.spoof``), the msgstr the text. The ``.po``
files travel in the wheel and are read at start; a missing text stops the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

from guard.errors import ConfigError

LANGUAGES = ("kk", "ru", "en")
MAX_BANNER_CHARS = 56
MAX_ADVICE_CHARS = 280


class Texts:
    """Every text in every language.

    Args:
        catalogues: language -> key -> text.

    Raises:
        ConfigError: a key is missing or empty in a language, or a banner is too long.
    """

    def __init__(self, catalogues: Mapping[str, Mapping[str, str]]) -> None:
        self._catalogues = catalogues
        keys = {key for texts in catalogues.values() for key in texts}
        for language in LANGUAGES:
            texts = catalogues.get(language, {})
            for key in sorted(keys):
                _check(language, key, texts.get(key, ""))
        self._keys = frozenset(keys)

    @property
    def keys(self) -> frozenset[str]:
        """Return the keys of all texts."""
        return self._keys

    def get(self, key: str, language: str) -> str:
        """Return one text.

        Raises:
            ConfigError: there is no such key or language.
        """
        try:
            return self._catalogues[language][key]
        except KeyError:
            raise ConfigError(
                "text_missing", f"text {key!r} is missing in language {language!r}; add it to {language}.po"
            ) from None

    def all(self, key: str) -> dict[str, str]:
        """Return one text in every language: ``{"kk": ..., "ru": ..., "en": ...}``."""
        return {language: self.get(key, language) for language in LANGUAGES}

    def with_prefix(self, prefix: str, language: str) -> dict[str, str]:
        """Return the texts whose key starts with ``prefix``, without it; for pages."""
        return {
            key.removeprefix(prefix): text
            for key, text in sorted(self._catalogues[language].items())
            if key.startswith(prefix)
        }


@cache
def load_texts() -> Texts:
    """Read the shipped catalogues.

    Raises:
        ConfigError: a catalogue is missing or incomplete.
    """
    return Texts({language: _read(Path(__file__).parent / f"{language}.po") for language in LANGUAGES})


def _read(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise ConfigError("text_missing", f"catalogue {path.name} is missing; reinstall guard")
    with path.open("rb") as file:
        catalogue = read_po(file, abort_invalid=True)
    return {str(m.id): str(m.string) for m in catalogue if m.id and not m.fuzzy}


def _check(language: str, key: str, text: str) -> None:
    if not text.strip():
        raise ConfigError("text_missing", f"text {key!r} is missing in {language}.po; translate it")
    limits = {"banner.": MAX_BANNER_CHARS, "advice.": MAX_ADVICE_CHARS, "playbook.": MAX_ADVICE_CHARS}
    for prefix, limit in limits.items():
        if key.startswith(prefix) and len(text) > limit:
            raise ConfigError(
                "text_too_long",
                f"text {key!r} in {language}.po has {len(text)} characters, at most {limit} fit",
            )
