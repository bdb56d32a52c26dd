"""Reading a ``card.toml`` whoever wrote it: of whatever form it is, it is taken or refused by name.

A card in the operator's folder is read by every command, so a wrong one must not end any of them in a
traceback; and what stands in it is shown on terminals and in JSON.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from guard.errors import ModelError

CARD = "card.toml"
_MOST = 2**63
Made = TypeVar("Made")


def read_card(folder: Path, make: Callable[[Mapping[str, Any]], Made]) -> Made:
    """Return what ``make`` makes of ``folder/card.toml``.

    ``make`` may raise KeyError for a key that is missing, and TypeError or ValueError for a wrong one.

    Raises:
        ModelError: ``card_missing`` or ``card_invalid``.
    """
    path = folder / CARD
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        _check_values(table, "")
    except OSError as error:
        raise ModelError(
            "card_missing", f"{path} cannot be read ({error.strerror}); reinstall guard or run its recipe"
        ) from error
    except _WrongValue as error:
        raise ModelError("card_invalid", f"{path}: {error}; correct the card") from None
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, a number of thousands of digits
        raise ModelError("card_invalid", f"{path} is not TOML: {error}; correct it") from error
    try:
        return make(table)
    except KeyError as error:
        raise ModelError("card_invalid", f"{path}: key {error} is missing; correct the card") from error
    except (TypeError, ValueError) as error:
        raise ModelError("card_invalid", f"{path}: {error}; correct the card") from error


def table_at(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a table in a table.

    Raises:
        KeyError: it is missing.
        ValueError: it is something else.
    """
    return as_table(table[key], key)


def as_table(value: Any, name: str) -> Mapping[str, Any]:
    """Return the value, if it is a table; raises ValueError as ``table_at``."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a table")
    return value


def text_at(table: Mapping[str, Any], key: str) -> str:
    """Return a text that is not empty; raises as ``table_at``."""
    value = table[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} must be a text that is not empty")
    return value


def number_at(table: Mapping[str, Any], key: str) -> float:
    """Return a number; raises as ``table_at``."""
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key} must be a number")
    return float(value)


def shape_at(table: Mapping[str, Any], key: str, name: str, *, may_be_empty: bool = False) -> tuple[int, ...]:
    """Return a list of positive integers; ``name`` is what errors call it; raises as ``table_at``."""
    value = table[key]
    if not isinstance(value, list) or not all(type(n) is int and n > 0 for n in value):
        raise ValueError(f"{name} must list positive integers, without the batch axis")
    if not value and not may_be_empty:
        raise ValueError(f"{name} must list at least one positive integer")
    return tuple(value)


def refuse_unknown(given: Iterable[str], known: Iterable[str], place: str) -> None:
    """Refuse names that are not known: a misspelt key would be as if it were not there.

    Raises:
        ValueError: names the first of them, and the known one nearest to it.
    """
    names = sorted(known)
    for name in given:
        if name not in names:
            hint = nearest(name, names)
            meant = f"did you mean {hint}?" if hint else f"known are {', '.join(names)}"
            raise ValueError(f"{f'{place} has' if place else 'a card has'} no key {name!r}; {meant}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is spelt most like another, if any is."""
    return next(iter(get_close_matches(name, list(known), n=1)), None)


class _WrongValue(ValueError):
    """Something in a card that no key may hold."""


def _check_values(value: Any, place: str) -> None:
    """Refuse what JSON cannot carry (dates, nan, numbers beyond 64 bits) and what a terminal would obey."""
    if isinstance(value, dict):
        for key, inside in value.items():
            _check_text(key, "a key")
            _check_values(inside, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for inside in value:
            _check_values(inside, place)
    elif isinstance(value, str):
        _check_text(value, place)
    elif isinstance(value, int):
        if abs(value) >= _MOST:
            raise _WrongValue(f"{place} is a number of more than 64 bits")
    elif not isinstance(value, float):
        raise _WrongValue(f"{place} is a date or time; write it as a text")
    elif not math.isfinite(value):
        raise _WrongValue(f"{place} is no finite number")


def _check_text(text: str, place: str) -> None:
    if not text.isprintable():
        raise _WrongValue(f"{place} holds characters that cannot be printed: {text[:40]!a}")
