"""Puts guard's own packets in place of a participant's, for chosen recipients, without renegotiation.

The subscriber's SSRC and sequence go on (``Output``); timestamps stay the source's.
Sans-IO: the caller brings banner pictures, time and a tick. Whatever stops coming, the
call goes on: an output never stays muted without packets to send in the source's place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from guard.media import h264, vp8
from guard.types import TrackKey

OPUS_PACKET_S = 0.02
OPUS_PACKET_TICKS = 960
# without a banner picture for so long the source is shown again: a late warning beats a frozen call
STALL_S = 1.0
KEYFRAME_AGAIN_S = 1.0
_HALF = 0x80000000


class InjectableOutput(Protocol):
    """What is used of ``guard.relay.output.Output``."""

    participant: str
    source_muted: bool

    @property
    def source_live(self) -> bool:
        """Whether the source's packets go out."""

    @property
    def newest_timestamp(self) -> int | None:
        """Newest timestamp sent, in the source's own."""

    def inject(self, payload: bytes, *, timestamp: int, marker: bool, now: float) -> bool:
        """Send one own packet."""


class Media(Protocol):
    """What is used of ``guard.relay.relay.Relay``."""

    def outputs(self, key: TrackKey) -> Sequence[InjectableOutput]:
        """Return the outputs of one track."""

    def request_keyframe(self, key: TrackKey) -> None:
        """Ask the track's publisher for a keyframe."""


class Picture(Protocol):
    """One encoded banner picture, as ``guard.workers.wire.EncodedPicture`` carries it."""

    @property
    def timestamp(self) -> int:
        """The source's RTP timestamp."""

    @property
    def keyframe(self) -> bool:
        """Whether a decoder can start here."""

    @property
    def data(self) -> bytes:
        """VP8 frame or H.264 access unit."""


class _Stage(Enum):
    SHOWN = "shown"
    LEAVING = "leaving"


@dataclass(slots=True)
class _Place:
    """One output that shows the banner, or is on its way back to the source."""

    stage: _Stage
    last_timestamp: int


@dataclass(slots=True)
class BannerCounters:
    """Pictures injected, outputs switched to the banner and back, and switches back because it stalled."""

    pictures: int = 0
    switched_on: int = 0
    switched_off: int = 0
    stalled: int = 0


class BannerSwitch:
    """The burnt-in banner over one video track.

    Args:
        media: the relay.
        key: the suspect's video track.
        codec: its codec, ``vp8`` or ``h264``.
        ask_banner_keyframe: tells the banner process that a recipient needs a keyframe.
    """

    def __init__(
        self, media: Media, key: TrackKey, codec: str, ask_banner_keyframe: Callable[[], None]
    ) -> None:
        if codec not in ("vp8", "h264"):
            raise ValueError(f"no banner can be sent as {codec}")
        self.key = key
        self.counters = BannerCounters()
        self._media = media
        self._codec = codec
        self._ask_banner_keyframe = ask_banner_keyframe
        self._recipients: set[str] = set()
        self._places: dict[InjectableOutput, _Place] = {}
        self._picture_id = 0
        self._picture_at: float | None = None
        self._asked_at = float("-inf")

    @property
    def recipients(self) -> frozenset[str]:
        """Who is to see the banner."""
        return frozenset(self._recipients)

    @property
    def idle(self) -> bool:
        """Whether nothing is shown, wanted or on its way back: the banner process may stop."""
        return not self._recipients and not self._places

    def show(self, participant: str) -> None:
        """Show it to a participant from its next keyframe on.

        Raises:
            ValueError: the participant is the suspect.
        """
        if participant == self.key.participant:
            raise ValueError("the banner is never shown to the one it warns of")
        self._recipients.add(participant)
        self._ask_banner_keyframe()

    def hide(self, participant: str) -> None:
        """Go back to the source at its next keyframe."""
        self._recipients.discard(participant)
        for output, place in self._places.items():
            if output.participant == participant and place.stage is _Stage.SHOWN:
                self._leave(output, place)

    def _leave(self, output: InjectableOutput, place: _Place) -> None:
        place.stage = _Stage.LEAVING
        output.source_muted = False
        self.counters.switched_off += 1
        self._media.request_keyframe(self.key)

    def picture(self, picture: Picture, now: float) -> None:
        """Send one banner picture to every output that shows it.

        Args:
            picture: from the banner process, in order.
            now: monotonic seconds.
        """
        self._picture_at = now
        payloads: list[bytes] | None = None
        outputs = self._media.outputs(self.key)
        self._forget_gone(outputs)
        for output in outputs:
            place = self._place(output, picture)
            if place is None:
                continue
            if payloads is None:
                payloads = self._packets(picture.data)
            self._send(output, place, payloads, picture.timestamp, now=now)

    def _place(self, output: InjectableOutput, picture: Picture) -> _Place | None:
        """Return the output's place where this picture belongs to it, moving it on if it is time."""
        place = self._places.get(output)
        wanted = output.participant in self._recipients
        if place is None:
            if not wanted:
                return None
            if not picture.keyframe:
                self._ask_banner_keyframe()
                return None
            newest = output.newest_timestamp
            start = newest if newest is not None else (picture.timestamp - 1) & 0xFFFFFFFF
            place = self._places[output] = _Place(_Stage.SHOWN, start)
            output.source_muted = True
            self.counters.switched_on += 1
        elif place.stage is _Stage.LEAVING and output.source_live:
            del self._places[output]
            return self._place(output, picture) if wanted else None
        elif place.stage is _Stage.LEAVING and wanted:
            place.stage = _Stage.SHOWN
            output.source_muted = True
        return place

    def _send(
        self, output: InjectableOutput, place: _Place, payloads: list[bytes], timestamp: int, *, now: float
    ) -> None:
        # the banner runs some ten milliseconds behind the source it takes over from: its first
        # pictures must not go back in time, or a receiver takes them for late ones
        if not 0 < (timestamp - place.last_timestamp) & 0xFFFFFFFF < _HALF:
            timestamp = (place.last_timestamp + 1) & 0xFFFFFFFF
        place.last_timestamp = timestamp
        for index, payload in enumerate(payloads):
            output.inject(payload, timestamp=timestamp, marker=index == len(payloads) - 1, now=now)
        self.counters.pictures += 1

    def _packets(self, data: bytes) -> list[bytes]:
        if self._codec == "h264":
            return h264.packetize(data)
        self._picture_id = (self._picture_id + 1) % (1 << vp8.PICTURE_ID_BITS)
        return vp8.packetize(data, picture_id=self._picture_id)

    def poll(self, now: float) -> None:
        """Notice a banner that stalled, and ask again for keyframes that did not come; call it often."""
        self._forget_gone(self._media.outputs(self.key))
        if self._places and self._picture_at is not None and now - self._picture_at > STALL_S:
            for output, place in self._places.items():
                if place.stage is _Stage.SHOWN:
                    self._leave(output, place)
                    self.counters.stalled += 1
            self._picture_at = None
            self._places.clear()
        for output in [o for o, p in self._places.items() if p.stage is _Stage.LEAVING and o.source_live]:
            del self._places[output]
        leaving = any(place.stage is _Stage.LEAVING for place in self._places.values())
        if leaving and now - self._asked_at >= KEYFRAME_AGAIN_S:
            self._asked_at = now
            self._media.request_keyframe(self.key)

    def _forget_gone(self, outputs: Sequence[InjectableOutput]) -> None:
        present = set(outputs)
        for output in [o for o in self._places if o not in present]:
            del self._places[output]


class Announcement:
    """A spoken or sounded warning in place of one participant's voice, once, for chosen recipients.

    Args:
        media: the relay.
        key: the suspect's audio track.
        packets: Opus packets of 20 ms, encoded ahead.
        recipients: who hears it; the suspect is left out.
        now: monotonic seconds; the first packet goes out one packet's time later.
    """

    def __init__(
        self, media: Media, key: TrackKey, packets: Sequence[bytes], recipients: Sequence[str], now: float
    ) -> None:
        self.key = key
        self._media = media
        self._packets = packets
        self._recipients = set(recipients) - {key.participant}
        self._due = now + OPUS_PACKET_S
        self._next = 0
        self._bases: dict[InjectableOutput, int] = {}
        self._take_over()

    def _take_over(self) -> None:
        """Mute the source where it is not yet; a recipient who reconnects hears the rest."""
        for output in self._media.outputs(self.key):
            if output.participant in self._recipients and output not in self._bases:
                newest = output.newest_timestamp or 0
                self._bases[output] = newest + OPUS_PACKET_TICKS * (1 - self._next)
                output.source_muted = True

    @property
    def done(self) -> bool:
        """Whether nothing is left to play to anybody, and the source is heard again."""
        return not self._recipients

    def deadline(self) -> float | None:
        """Return when ``poll`` must be called next; None where it is done."""
        return None if self.done else self._due

    def poll(self, now: float) -> None:
        """Send the packets that are due; one packet's time behind the last one the source is heard again.

        That pause keeps the source's timestamps from going back behind the announcement's.
        """
        while not self.done and self._due <= now:
            if self._next == len(self._packets):
                self.stop()
                return
            self._take_over()
            self._send(self._packets[self._next], now)
            self._next += 1
            self._due += OPUS_PACKET_S

    def _send(self, payload: bytes, now: float) -> None:
        present = set(self._media.outputs(self.key))
        for output, base in self._bases.items():
            if output in present:
                timestamp = (base + self._next * OPUS_PACKET_TICKS) & 0xFFFFFFFF
                output.inject(payload, timestamp=timestamp, marker=self._next == 0, now=now)

    def stop_for(self, participant: str) -> None:
        """Let one recipient hear the source again."""
        self._recipients.discard(participant)
        for output in [o for o in self._bases if o.participant == participant]:
            output.source_muted = False
            del self._bases[output]

    def stop(self) -> None:
        """Let everybody hear the source again."""
        for participant in list(self._recipients):
            self.stop_for(participant)
