"""Tables of what detectors keep of each track, or of each face of one: bounded, and emptied of who left."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from guard.types import TrackKey

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def kept(table: OrderedDict[_Key, _Value], key: _Key, make: Callable[[], _Value], most: int) -> _Value:
    """Return what is kept of a key, made where it is new; beyond ``most`` the one unused for longest goes."""
    if key not in table:
        table[key] = make()
    table.move_to_end(key)
    while len(table) > most:
        table.popitem(last=False)
    return table[key]


def forget_tracks(
    table: OrderedDict[TrackKey, Any] | OrderedDict[tuple[TrackKey, int], Any], session: str, participant: str
) -> None:
    """Drop what is kept of a participant's tracks and of their faces; threads that share a table lock it."""
    keys: list[Any] = list(table)
    for key in keys:
        track: TrackKey = key[0] if isinstance(key, tuple) else key
        if (track.session, track.participant) == (session, participant):
            table.pop(key, None)
