"""Video that is made while it plays, beside a sound that loops. Pure.

A ``Playlist`` knows its packets before it plays; a ``LiveSource`` is given them one by one by whoever draws
and encodes them, and hands them out as soon as they are there.
"""

from __future__ import annotations

import math
from collections import deque

from guard.media.clip import Clip, EncodedPacket, PacketReader, Playlist
from guard.types import Kind

# a second of video that nobody fetched: what comes later cannot be decoded without it
MOST_WAITING = 30
_NOT_YET = EncodedPacket(math.inf, b"")


class LiveSource:
    """What a client sends: given video, looped sound.

    Args:
        sound: its audio is looped, its video is left out; None sends video only.
    """

    def __init__(self, sound: Clip | None) -> None:
        self._sound = None if sound is None or not sound.audio else Playlist(_without_video(sound))
        self._waiting: deque[EncodedPacket] = deque()
        self._wanted = True
        self._gap = False
        self.dropped = 0

    def has(self, kind: Kind) -> bool:
        """Tell whether packets of a kind are sent."""
        return kind is Kind.VIDEO or self._sound is not None

    def cursor(self, kind: Kind) -> PacketReader:
        """Return the reader of one kind; there is one for each."""
        if kind is Kind.VIDEO:
            return _Waiting(self._waiting)
        if self._sound is None:
            raise ValueError("this source has no sound")
        return self._sound.cursor(Kind.AUDIO)

    def want_keyframe(self) -> None:
        """Somebody cannot decode without one."""
        self._wanted = True

    def keyframe_wanted(self) -> bool:
        """Tell, once, whether the next picture must be a keyframe."""
        wanted, self._wanted = self._wanted, False
        return wanted

    def offer(self, packet: EncodedPacket) -> None:
        """Take the next encoded picture, in order of time.

        Where nobody fetches them, all that wait are dropped, and with them all up to the next keyframe.
        """
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self._gap = self._wanted = True
        self._gap = self._gap and not packet.keyframe
        if self._gap:
            self.dropped += 1
        else:
            self._waiting.append(packet)


class _Waiting:
    """Hands out what waits; where nothing does, a packet that is never due."""

    def __init__(self, waiting: deque[EncodedPacket]) -> None:
        self._waiting = waiting

    def peek(self) -> EncodedPacket | None:
        return self._waiting[0] if self._waiting else _NOT_YET

    def take(self) -> None:
        self._waiting.popleft()


def _without_video(clip: Clip) -> Clip:
    return Clip(clip.audio, (), None, clip.duration_s)
