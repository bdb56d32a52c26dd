"""Structured logs: a constant event name plus keys, as JSON or for people.

    log = get_logger("relay")
    log.info("peer_connected", session=session_id, peers=4)

Personal data and secrets stay out: the value of a marked key is replaced, and so is
whatever looks like a token or an IIN (12 digits) inside any value. It is a last net;
callers do not pass such values in the first place.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, TextIO

import structlog

REDACTED = "[redacted]"
MARKED = ("token", "secret", "authorization", "password", "credential", "cookie", "iin", "private_key", "sdp")
_MAX_DEPTH = 6

_PATTERNS = (
    # a JSON web token: three base64url parts, the first a JSON object
    re.compile(r"eyJ[\w-]{5,}\.[\w-]+\.[\w-]*"),
    re.compile(r"(?i)(?<=bearer )[\w.~+/=-]+"),
    re.compile(r"(?i)(?<=[?&]token=)[^&\s\"']+"),
    # an individual identification number: 12 digits that are no part of a longer number
    re.compile(r"(?<!\d)\d{12}(?!\d)"),
)


@dataclass(frozen=True, slots=True)
class LogConfig:
    """How guard logs.

    Args:
        level: least severity that is written.
        format: ``json`` for machines, ``console`` for people.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Logger:
    """Writes events of one part of guard; keys must be constant names."""

    def __init__(self, part: str) -> None:
        # a lazy proxy: bound only when it writes, so that a module's logger, made at import time,
        # follows what configure() says later
        self._logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(f"guard.{part}", part=part)

    def debug(self, event: str, **keys: object) -> None:
        """Write what only helps to find a fault."""
        self._logger.debug(event, **keys)

    def info(self, event: str, **keys: object) -> None:
        """Write what happens as it should."""
        self._logger.info(event, **keys)

    def warning(self, event: str, **keys: object) -> None:
        """Write what guard could cope with."""
        self._logger.warning(event, **keys)

    def error(self, event: str, **keys: object) -> None:
        """Write what somebody must look at."""
        self._logger.error(event, **keys)


def get_logger(part: str) -> Logger:
    """Return the logger of one part of guard."""
    return Logger(part)


def redact(value: object, depth: int = 0) -> object:
    """Return the value with marked keys and token-like or IIN-like text replaced."""
    if isinstance(value, bool | float) or value is None:
        return value
    if depth > _MAX_DEPTH:
        return REDACTED
    if isinstance(value, Mapping):
        return {str(k): REDACTED if _marked(str(k)) else redact(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth + 1) for item in value]
    if isinstance(value, int):
        return REDACTED if len(str(abs(value))) == 12 else value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    text = str(value)
    for pattern in _PATTERNS:
        text = pattern.sub(REDACTED, text)
    return text


def configure(config: LogConfig, stream: TextIO | None = None) -> None:
    """Set up logging of this process; uvicorn's and other libraries' lines go the same way."""
    handler = logging.StreamHandler(stream or sys.stderr)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if config.format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("guard").setLevel(config.level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _marked(key: str) -> bool:
    parts = re.split(r"[^a-z]+", key.lower())
    return any(mark in parts or key.lower().endswith(mark) for mark in MARKED)


def _redact_event(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    del logger, method
    kept = {key: event[key] for key in ("timestamp", "level") if key in event}
    hidden = {key: value for key, value in event.items() if key.startswith("_")}
    rest = {key: value for key, value in event.items() if key not in kept and key not in hidden}
    cleaned = redact(rest)
    assert isinstance(cleaned, dict)
    return {**cleaned, **kept, **hidden}
