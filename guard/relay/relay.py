"""The relay: connections in and out of calls, and the media between them.

Forwards encoded media, never decodes. Everything runs in one event loop; packets are
handled as they arrive, and one task looks after timers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

from aiortc.sdp import candidate_to_sdp

from guard.clock import Clock
from guard.errors import NotFoundError, Overload, PeerError
from guard.media.rtp import RtpPacket
from guard.relay.answer import LocalTransport, write_answer
from guard.relay.config import RelayConfig
from guard.relay.events import ChannelMessage, ChannelOpen, PeerClosed, PeerConnected, RelayEvent
from guard.relay.offer import Offer, parse_offer
from guard.relay.output import Output
from guard.relay.peer import Peer
from guard.relay.plan import PlannedSection, plan, publication_extensions
from guard.relay.publication import Publication
from guard.relay.rtcp import SenderReport
from guard.relay.seam import Identity, check_addresses
from guard.relay.stats import RelayStats, peer_counters, relay_stats
from guard.relay.switchboard import Switchboard
from guard.relay.tap import Tap
from guard.types import Kind, TrackKey

TICK_S = 0.02


class Relay:
    """The media plane.

    Args:
        config: addresses, limits, timeouts.
        clock: monotonic time.
        tap: takes the copies for analysis.
        on_event: called, in the event loop, with every :class:`RelayEvent`; it must not block.

    Raises:
        ConfigError: ``relay_no_address``, a configured address is not this host's.
    """

    def __init__(
        self, config: RelayConfig, *, clock: Clock, tap: Tap, on_event: Callable[[RelayEvent], None]
    ) -> None:
        check_addresses(config)
        self._config = config
        self._clock = clock
        self._tap = tap
        self._emit = on_event
        self._identity = Identity()
        self._board = Switchboard(tap, on_event, config.video_codecs)
        self._peers: dict[str, Peer] = {}
        self._gone: Counter[str] = Counter()
        self._ticker: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    # connections

    async def negotiate(
        self,
        peer: str,
        *,
        session: str,
        participant: str,
        sdp: str,
        publish: bool,
        subscriptions: Mapping[str, str],
    ) -> str:
        """Answer an offer; the first one of a peer makes its connection, later ones change it.

        Args:
            peer: the caller's name for the connection.
            session: the call.
            participant: whose connection it is.
            sdp: the offer.
            publish: take the first audio and the first video m-line the client sends on.
            subscriptions: whose track is wanted on which m-line, by mid. A participant who
                does not publish yet is served as soon as they do.

        Returns:
            The SDP answer, candidates included.

        Raises:
            PeerError: the offer is refused; an existing connection stays as it was.
            Overload: ``relay_full``, no room for another connection.
            NotFoundError: ``peer_gone``, the connection ended meanwhile.
        """
        offer = parse_offer(sdp, self._config)
        existing = self._peers.get(peer)
        if existing is not None:
            if (existing.session, existing.participant) != (session, participant):
                raise PeerError("peer_mismatch", f"connection {peer!r} belongs to somebody else")
            return await self._renegotiate(existing, offer, publish, subscriptions)
        if len(self._peers) >= self._config.max_peers:
            raise Overload("relay_full", f"{self._config.max_peers} connections are open; try again later")
        made = Peer(
            peer,
            session,
            participant,
            config=self._config,
            identity=self._identity,
            clock=self._clock,
            owner=self,
        )
        return await self._open(made, offer, publish, subscriptions)

    async def _open(self, peer: Peer, offer: Offer, publish: bool, subscriptions: Mapping[str, str]) -> str:
        """Answer a new peer's first offer and start to connect; a failure leaves nothing behind."""
        self._peers[peer.name] = peer
        self._start_ticker()
        try:
            async with peer.lock:
                # refuse before sockets are bound; then again, as others may have come in between
                plan(offer, peer, self._board, publish=publish, subscriptions=subscriptions)
                await peer.transport.gather()
                sections = plan(offer, peer, self._board, publish=publish, subscriptions=subscriptions)
                answer = self._apply(peer, offer, sections)
                await self._add_candidates(peer, offer)
                peer.remote_ufrag = offer.ice.usernameFragment
                peer.transport.start(offer.ice, offer.dtls)
        except BaseException:
            await self._remove(peer, None)
            raise
        return answer

    async def _renegotiate(
        self, peer: Peer, offer: Offer, publish: bool, subscriptions: Mapping[str, str]
    ) -> str:
        async with peer.lock:
            if self._peers.get(peer.name) is not peer:
                raise NotFoundError("peer_gone", f"connection {peer.name!r} has ended; start a new one")
            if offer.ice.usernameFragment != peer.remote_ufrag:
                raise PeerError("ice_restart_unsupported", "guard cannot restart ICE; open a new connection")
            sections = plan(offer, peer, self._board, publish=publish, subscriptions=subscriptions)
            answer = self._apply(peer, offer, sections)
            await self._add_candidates(peer, offer)
            return answer

    async def _add_candidates(self, peer: Peer, offer: Offer) -> None:
        for candidate in offer.candidates:
            await peer.transport.add_candidate(candidate_to_sdp(candidate))

    def _apply(self, peer: Peer, offer: Offer, sections: list[PlannedSection]) -> str:
        """Change the peer's tracks as planned and write the answer."""
        received: set[Kind] = set()
        wanted = {s.answer.offer.mid: s.subscribe for s in sections if s.subscribe is not None}
        for mid, subscription in list(peer.subscriptions.items()):
            if wanted.get(mid) != subscription.key:
                self._board.unsubscribe(peer, mid)
        for section in sections:
            if section.answer.receives and section.answer.offer.kind is not None:
                received.add(section.answer.offer.kind)
                self._publish(peer, section)
            if section.subscribe is not None and section.stream is not None:
                output = Output(peer.participant, section.stream, peer.send_rtp)
                self._board.subscribe(peer, section.answer.offer.mid, section.subscribe, output)
            if section.answer.offer.active and section.answer.offer.sctp_port is not None:
                peer.channel_port = section.answer.offer.sctp_port
                peer.channel_message_bytes = section.answer.offer.max_message_bytes
        for kind in set(peer.publications) - received:
            self._board.unpublish(peer.publications[kind].key, peer)
        peer.open_channel()
        peer.answers += 1
        local = LocalTransport(
            ice=peer.transport.ice_parameters,
            candidates=peer.transport.candidates,
            fingerprints=self._identity.fingerprints(),
            setup="passive" if offer.dtls.role == "client" else "active",
            max_message_bytes=self._config.max_message_bytes,
        )
        return write_answer([section.answer for section in sections], local, peer.answers)

    def _publish(self, peer: Peer, section: PlannedSection) -> None:
        """Take the track of an m-line, unless it is being taken already."""
        offer = section.answer.offer
        assert offer.kind is not None
        codec = section.answer.codecs[0]
        known = peer.publications.get(offer.kind)
        if known is not None and (known.mid, known.codec) == (offer.mid, codec):
            return
        publication = Publication(
            TrackKey(peer.session, peer.participant, offer.kind),
            offer.mid,
            codec,
            extensions=publication_extensions(offer),
            rtcp_ssrc=peer.rtcp_ssrc,
        )
        self._board.publish(peer, publication, [*offer.ssrcs, *offer.rtx])

    async def add_candidate(self, peer: str, candidate: str, mid: str | None) -> None:
        """Take a trickled candidate; an empty one says there are no more and changes nothing.

        Raises:
            NotFoundError: ``peer_gone``.
            PeerError: ``candidate_malformed``.
        """
        del mid  # everything is bundled on one transport
        found = self._peers.get(peer)
        if found is None:
            raise NotFoundError("peer_gone", f"connection {peer!r} does not exist (any more)")
        if candidate.strip():
            await found.transport.add_candidate(candidate)

    async def close(self, peer: str, reason: str = "closed") -> None:
        """End a connection; one that does not exist is ended already."""
        found = self._peers.get(peer)
        if found is not None:
            await self._remove(found, reason)

    async def shutdown(self) -> None:
        """End every connection and the relay's own task."""
        for peer in list(self._peers.values()):
            await self._remove(peer, "shutdown")
        while self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
            self._ticker = None

    async def _remove(self, peer: Peer, reason: str | None) -> None:
        """Take a peer out of everything; ``reason`` None emits no event (it never got an answer)."""
        async with peer.lock:  # a negotiation under way comes to its end first
            if self._peers.get(peer.name) is not peer:
                return
            del self._peers[peer.name]
            self._disconnect(peer, reason)
            await peer.transport.close()

    def _disconnect(self, peer: Peer, reason: str | None) -> None:
        for mid in list(peer.subscriptions):
            self._board.unsubscribe(peer, mid)
        for publication in list(peer.publications.values()):
            self._board.unpublish(publication.key, peer)
        self._gone.update(peer_counters(peer))
        if reason is not None:
            self._emit(PeerClosed(peer.name, peer.session, peer.participant, reason))

    # what peers report (guard.relay.peer.PeerOwner)

    def forward(self, publication: Publication, packet: RtpPacket, now: float) -> None:
        """Send a packet to the track's subscribers and to the tap."""
        self._board.forward(publication, packet, now)

    def on_sender_report(self, publication: Publication, report: SenderReport) -> None:
        """Pass the publisher's clock on to the track's subscribers."""
        self._board.on_sender_report(publication, report)

    def send_clocks(self, peer: Peer) -> None:
        """Tell the peer the clocks of what it is newly sent."""
        self._board.send_clocks(peer)

    def on_keyframe_wanted(self, key: TrackKey) -> None:
        """A subscriber cannot decode that track any more."""
        self.request_keyframe(key)

    def on_bandwidth(self, key: TrackKey, ssrc: int, bitrate_bps: int) -> None:
        """A subscriber tells how much it can take of that track."""
        found = self._board.publication(key)
        if found is not None:
            found[0].bandwidth.update(ssrc, bitrate_bps, self._clock.now())

    def on_peer_state(self, peer: Peer, state: str) -> None:
        """The connection's state changed."""
        if self._peers.get(peer.name) is not peer:
            return
        if state == "connected":
            self._board.on_connected(peer)
            self._emit(PeerConnected(peer.name, peer.session, peer.participant))
        else:
            self._remove_soon(peer, state)

    def on_channel_open(self, peer: Peer) -> None:
        """The data channel is open."""
        self._emit(ChannelOpen(peer.session, peer.participant))

    def on_channel_message(self, peer: Peer, text: str) -> None:
        """The client sent text."""
        self._emit(ChannelMessage(peer.session, peer.participant, text))

    def _remove_soon(self, peer: Peer, reason: str) -> None:
        task = asyncio.ensure_future(self._remove(peer, reason))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    # timers

    def _start_ticker(self) -> None:
        if self._ticker is None:
            self._ticker = asyncio.ensure_future(self._tick())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self.poll()
            except Exception as error:
                # a mistake in one timer must be seen, but must not stop repair for every call
                context = {"message": "relay timer failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)

    def poll(self) -> None:
        """Do what the time demands: feedback to publishers, and the end of who is gone."""
        now = self._clock.now()
        for peer in list(self._peers.values()):
            if peer.state == "connected":
                peer.poll(now)
                if peer.silent_s(now) > self._config.peer_timeout_s:
                    self._remove_soon(peer, "vanished")
            elif now - peer.created_at > self._config.connect_timeout_s:
                self._remove_soon(peer, "not_connected")

    # what the application uses besides

    def send(self, session: str, participant: str, text: str) -> bool:
        """Send text over the participant's data channels ``guard``; false when none is open."""
        sent = [
            peer.transport.send_text(text)
            for peer in self._peers.values()
            if (peer.session, peer.participant) == (session, participant)
        ]
        return any(sent)

    def request_keyframe(self, key: TrackKey) -> None:
        """Ask the track's publisher for a keyframe, unless one was asked for just now."""
        found = self._board.publication(key)
        if found is not None:
            peer, publication = found
            peer.send_feedback(publication.request_keyframe(self._clock.now()))

    def tap_participant(self, session: str, participant: str, on: bool = True) -> None:
        """Copy the participant's tracks, present and future, to the tap; or stop that."""
        self._board.tap(session, participant, on)

    def tracks(self, session: str) -> list[TrackKey]:
        """Return the session's tracks that brought media."""
        return self._board.tracks(session)

    def codec(self, key: TrackKey) -> str | None:
        """Return the name of the track's codec; None where it is not published."""
        found = self._board.publication(key)
        return found[1].codec.name if found is not None else None

    def outputs(self, key: TrackKey) -> list[Output]:
        """Return the outputs that carry that track, one per subscribed connection."""
        return self._board.outputs(key)

    def stats(self) -> RelayStats:
        """Return the totals so far."""
        return relay_stats(self._peers, self._gone, self._tap.counters)
