"""The server's own folder, and links made with the key that lies in it."""

from __future__ import annotations

import secrets
from pathlib import Path

from guard.clock import SystemClock
from guard.config import Settings, load_settings
from guard.errors import ConfigError
from guard.signalling.tokens import ANY_SESSION, Tokens, load_key
from guard.types import Role


def data_folder(settings: Settings) -> Path:
    """Return the data folder, made private on the first start.

    Raises:
        ConfigError: it cannot be made or entered.
    """
    folder = settings.server.data_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            "data_dir", f"server.data_dir {folder} cannot be used: {error.strerror}; choose another"
        ) from error
    return folder


def issue_token(config: Path | None, session: str, role: Role, participant: str | None, ttl_s: float) -> str:
    """Return a signed token made with the server's own key.

    Raises:
        ConfigError: the settings, the key or an id is wrong.
    """
    settings = load_settings(config)
    tokens = Tokens(load_key(data_folder(settings) / "token.key"), SystemClock())
    who = participant or f"{role.value}-{secrets.token_hex(4)}"
    return tokens.issue(session, who, role, ttl_s=ttl_s, may_open=session != ANY_SESSION)
