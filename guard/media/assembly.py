"""Puts the RTP payloads of one video track back together into encoded frames.

The codec's own rules live in ``vp8.py`` and ``h264.py`` as a ``read`` function that
turns one payload into a ``Piece``; what is common, and where the losses are seen,
is here. Packets are expected in sequence order (a reorder buffer stands before);
a late or repeated one is counted and left out.

A frame with a missing packet never leaves: it is counted. Frames that lean on it
are held back as well until the next keyframe, because a decoder would smear old
picture content over new and a detector would then score guard's own damage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from guard.errors import PeerError

MAX_FRAME_BYTES = 4 * 1024 * 1024
# A publisher that starts over jumps to any number; half the time that looks "late".
RESYNC_AFTER_LATE = 50


@dataclass(frozen=True, slots=True)
class Piece:
    """What one RTP payload adds to a frame.

    Args:
        data: bytes to append to the frame.
        starts_frame: true where the payload itself shows that it opens a frame.
        keyframe: true where it opens a keyframe.
        picture_id: the frame's number where the format carries one.
        picture_id_bits: 7 or 15; the number wraps there. 0 where there is none.
    """

    data: bytes
    starts_frame: bool
    keyframe: bool
    picture_id: int | None = None
    picture_id_bits: int = 0


@dataclass(slots=True)
class AssemblyCounts:
    """What happened to the frames and packets pushed so far.

    ``dropped`` frames had a packet missing or too many bytes; ``withheld`` frames were
    whole, but lean on one that was not; ``late`` packets came after their place was
    passed or twice; ``malformed`` packets did not parse.
    """

    delivered: int = 0
    dropped: int = 0
    withheld: int = 0
    late: int = 0
    malformed: int = 0


class FrameAssembler:
    """One track's payloads in, whole encoded frames out.

    Args:
        read: turns one payload into its Piece; raises PeerError on a malformed one.
    """

    def __init__(self, read: Callable[[bytes], Piece]) -> None:
        self._read = read
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._timestamp: int | None = None
        self._next_sequence: int | None = None
        self._late_run = 0
        self._keyframe = False
        self._broken = False
        self._between_frames = False
        self._picture_id: int | None = None
        self._awaiting_keyframe = True
        self.last_was_keyframe = False
        self.counts = AssemblyCounts()

    @property
    def awaiting_keyframe(self) -> bool:
        """Whether nothing will come out before the next keyframe."""
        return self._awaiting_keyframe

    def push(self, payload: bytes, *, sequence: int, timestamp: int, marker: bool) -> bytes | None:
        """Take one packet; return the frame it completes.

        Args:
            payload: RTP payload with its payload descriptor; empty for padding-only packets.
            sequence: 16-bit RTP sequence number.
            timestamp: 32-bit RTP timestamp; all packets of a frame share it.
            marker: the RTP marker bit, set on the last packet of a frame.

        Returns:
            One whole encoded frame (VP8 frame, or H.264 access unit in Annex B form), or
            None. ``last_was_keyframe`` then tells what it was.
        """
        gap = self._advance(sequence)
        if gap is None:
            self.counts.late += 1
            return None
        if not payload:
            self._after_padding(gap)
            return None
        try:
            piece = self._read(payload)
        except PeerError:
            self.counts.malformed += 1
            self._lose(timestamp, marker)
            return None
        if self._timestamp is None or timestamp != self._timestamp:
            self._open(piece, timestamp, gap)
        elif gap:
            self._broken = True
        self._append(piece)
        return self._close() if marker else None

    def _advance(self, sequence: int) -> int | None:
        """Return how many packets are missing before this one; None where it is late."""
        expected = self._next_sequence
        gap = 0 if expected is None else (sequence - expected) & 0xFFFF
        if gap >= 0x8000:
            self._late_run += 1
            if self._late_run < RESYNC_AFTER_LATE:
                return None
        self._late_run = 0
        self._next_sequence = (sequence + 1) & 0xFFFF
        return gap

    def _after_padding(self, gap: int) -> None:
        if gap and self._timestamp is not None:
            self._broken = True
        elif gap:
            self._between_frames = False

    def _lose(self, timestamp: int, marker: bool) -> None:
        """A packet of this frame cannot be read: the frame is lost with it."""
        if self._timestamp != timestamp:
            self._drop_open()
        self._timestamp = timestamp
        self._broken = True
        if marker:
            self._drop_open()

    def _open(self, piece: Piece, timestamp: int, gap: int) -> None:
        self._drop_open()
        # Without a start mark in the payload (H.264) only an unbroken run of packets
        # behind the last marker shows that this is the frame's first one.
        whole = piece.starts_frame or (self._between_frames and not gap)
        frames_missing = (gap > 0 or not self._between_frames) and not self._follows(piece)
        if frames_missing:
            self._awaiting_keyframe = True
        self._timestamp = timestamp
        self._keyframe = False
        self._broken = not whole
        self._picture_id = piece.picture_id

    def _follows(self, piece: Piece) -> bool:
        """Whether picture ids prove that only padding is missing between two frames."""
        if piece.picture_id is None or self._picture_id is None or not self._between_frames:
            return False
        return piece.picture_id == (self._picture_id + 1) % (1 << piece.picture_id_bits)

    def _append(self, piece: Piece) -> None:
        # not only the first packet's: an H.264 keyframe may begin with a delimiter
        self._keyframe = self._keyframe or piece.keyframe
        self._size_bytes += len(piece.data)
        if self._size_bytes > MAX_FRAME_BYTES:
            self._broken = True
            self._parts.clear()
        elif not self._broken:
            self._parts.append(piece.data)

    def _close(self) -> bytes | None:
        if self._broken:
            self._drop_open()
            # the next packet does open a frame, but one that leans on the lost one
            self._between_frames = True
            return None
        frame = b"".join(self._parts)
        keyframe = self._keyframe
        self._reset()
        self._between_frames = True
        if self._awaiting_keyframe and not keyframe:
            self.counts.withheld += 1
            return None
        self._awaiting_keyframe = False
        self.last_was_keyframe = keyframe
        self.counts.delivered += 1
        return frame

    def _drop_open(self) -> None:
        if self._timestamp is None:
            return
        self.counts.dropped += 1
        self._awaiting_keyframe = True
        self._reset()

    def _reset(self) -> None:
        self._parts = []
        self._size_bytes = 0
        self._timestamp = None
        self._keyframe = False
        self._broken = False
        self._between_frames = False
