"""Who publishes what, and who is sent it. Knows tracks and outputs, no connections' insides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from guard.errors import PeerError
from guard.media.rtp import RtpPacket
from guard.relay.events import RelayEvent, TrackEnded, TrackPublished
from guard.relay.offer import MediaOffer
from guard.relay.output import Output
from guard.relay.peer import Peer, Subscription
from guard.relay.publication import Publication
from guard.relay.rtcp import SenderReport
from guard.relay.tap import Tap
from guard.types import Kind, TapPacket, TrackKey


@dataclass(slots=True)
class _Receiver:
    """A subscriber's output with the connection it belongs to."""

    peer: Peer
    output: Output


class Switchboard:
    """Connects publications with outputs.

    Args:
        tap: where copies for analysis go.
        emit: told of tracks coming and going.
        video_codecs: allowed in a room, in order of preference.
    """

    def __init__(self, tap: Tap, emit: Callable[[RelayEvent], None], video_codecs: tuple[str, ...]) -> None:
        self._tap = tap
        self._emit = emit
        self._video_codecs = video_codecs
        self._published: dict[TrackKey, tuple[Peer, Publication]] = {}
        self._receivers: dict[TrackKey, list[_Receiver]] = {}
        self._room_codec: dict[str, str] = {}
        self._tapped: set[tuple[str, str]] = set()

    # codecs

    def codec_names(self, session: str, offer: MediaOffer, *, publish: bool) -> list[str]:
        """Return the codecs to accept for an m-line, best first.

        A publisher must use the room's one codec; a subscriber may be given what it can
        decode, with the room's first.

        Raises:
            PeerError: ``codec_unsupported`` or ``codec_not_in_room``.
        """
        allowed = self._video_codecs if offer.kind is Kind.VIDEO else tuple(offer.codecs)
        names = [name for name in allowed if name in offer.codecs]
        if not names:
            wanted = "VP8 or H.264 (packetization mode 1, baseline)" if offer.kind is Kind.VIDEO else "Opus"
            raise PeerError(
                "codec_unsupported", f"m-line {offer.mid!r} offers no codec guard forwards: {wanted}"
            )
        room = self._room_codec.get(session) if offer.kind is Kind.VIDEO else None
        if room is None:
            return names[:1] if publish else names
        if room not in names:
            raise PeerError(
                "codec_not_in_room", f"this call uses {room}; m-line {offer.mid!r} does not offer it"
            )
        return [room] if publish else [room, *(name for name in names if name != room)]

    # tracks

    def tracks(self, session: str) -> list[TrackKey]:
        """Return the session's tracks that brought media."""
        return [key for key, (_, p) in self._published.items() if key.session == session and p.published]

    def publication(self, key: TrackKey) -> tuple[Peer, Publication] | None:
        """Return who publishes that track."""
        return self._published.get(key)

    def outputs(self, key: TrackKey) -> list[Output]:
        """Return the outputs subscribed to that track."""
        return [receiver.output for receiver in self._receivers.get(key, ())]

    def publish(self, peer: Peer, publication: Publication, ssrcs: list[int]) -> None:
        """Take over a track; another connection of the participant that brought it so far lost it."""
        key = publication.key
        self.unpublish(key)
        if key.kind is Kind.VIDEO:
            self._room_codec.setdefault(key.session, publication.codec.name)
        self._published[key] = (peer, publication)
        publication.tapped = (key.session, key.participant) in self._tapped
        peer.set_publication(publication, ssrcs)
        for receiver in self._receivers.get(key, ()):
            self._attach(receiver, publication)
        publication.outputs = self.outputs(key)

    def unpublish(self, key: TrackKey, peer: Peer | None = None) -> None:
        """End a track, if it is published (by that peer)."""
        found = self._published.get(key)
        if found is None or (peer is not None and found[0] is not peer):
            return
        del self._published[key]
        owner, publication = found
        owner.drop_publication(publication)
        owner.counters.update(publication.counters)
        owner.counters["packets_lost"] += publication.packets_lost
        owner.counters["packets_recovered"] += publication.packets_recovered
        for receiver in self._receivers.get(key, ()):
            receiver.output.detach()
        session = key.session
        if not any(k.session == session and k.kind is Kind.VIDEO for k in self._published):
            self._room_codec.pop(session, None)
        if publication.published:
            self._emit(TrackEnded(key))

    def subscribe(self, peer: Peer, mid: str, key: TrackKey, output: Output) -> None:
        """Send a track to a peer, now or as soon as it is published."""
        receiver = _Receiver(peer, output)
        self._receivers.setdefault(key, []).append(receiver)
        peer.set_subscription(mid, Subscription(key, output))
        found = self._published.get(key)
        if found is not None:
            self._attach(receiver, found[1])
            found[1].outputs = self.outputs(key)

    def unsubscribe(self, peer: Peer, mid: str) -> None:
        """Stop sending on that m-line."""
        subscription = peer.subscriptions[mid]
        key, output = subscription.key, subscription.output
        peer.drop_subscription(mid)
        peer.counters["retransmitted"] += output.counters.retransmitted
        peer.counters["nacks_received"] += output.counters.nacks_received
        left = [r for r in self._receivers[key] if r.output is not output]
        if left:
            self._receivers[key] = left
        else:
            del self._receivers[key]
        found = self._published.get(key)
        if found is not None:
            found[0].bandwidth.remove(output.stream.ssrc)
            found[1].outputs = self.outputs(key)

    def on_connected(self, peer: Peer) -> None:
        """The peer can be sent media from now on."""
        for subscription in peer.subscriptions.values():
            found = self._published.get(subscription.key)
            if found is not None:
                self._attach(_Receiver(peer, subscription.output), found[1])

    def _attach(self, receiver: _Receiver, publication: Publication) -> None:
        """Let an output send, unless its connection cannot yet: a keyframe must not be spent on it."""
        if receiver.peer.state != "connected":
            return
        try:
            receiver.output.attach(publication.codec.name, publication.extensions)
        except PeerError as error:
            receiver.peer.counters[error.code] += 1

    # packets

    def tap(self, session: str, participant: str, on: bool) -> None:
        """Copy a participant's media to the tap from now on, or no longer."""
        change = self._tapped.add if on else self._tapped.discard
        change((session, participant))
        for key, (_, publication) in self._published.items():
            if (key.session, key.participant) == (session, participant):
                publication.tapped = on

    def forward(self, publication: Publication, packet: RtpPacket, now: float) -> None:
        """Send a packet to the track's subscribers, then to the tap."""
        for output in publication.outputs:
            output.write(packet, now)
        if publication.tapped and packet.payload:
            self._tap.push(
                TapPacket(
                    publication.key,
                    publication.codec.name,
                    packet.sequence,
                    packet.timestamp,
                    packet.marker,
                    now,
                    packet.payload,
                    publication.clock,
                )
            )
        if not publication.announced:
            publication.announced = True
            self._emit(TrackPublished(publication.key))

    def send_clocks(self, peer: Peer) -> None:
        """Repeat the publishers' last sender reports for outputs that came after them.

        Browsers report audio every 5 s; until then a newcomer could not play in lip sync.
        """
        for subscription in peer.subscriptions.values():
            if subscription.output.clock_sent:
                continue
            found = self._published.get(subscription.key)
            if found is not None and found[1].sender_report is not None:
                report, participant = found[1].sender_report, subscription.key.participant
                peer.send_sender_report(subscription.output, report, participant)

    def on_sender_report(self, publication: Publication, report: SenderReport) -> None:
        """Pass the publisher's clock on to every subscriber."""
        for receiver in self._receivers.get(publication.key, ()):
            receiver.peer.send_sender_report(receiver.output, report, publication.key.participant)
