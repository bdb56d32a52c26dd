"""The one module that touches private names of aiortc 1.16 and aioice 0.13.

aiortc gives ICE, DTLS and SCTP; it has no public door for encoded media. So: datagrams
whose first byte is 128 to 191 (RFC 7983: RTP and RTCP) are taken where aioice receives
them and decrypted with the DTLS transport's own SRTP contexts; outgoing ones leave by the
nominated pair's socket. ``tests/relay/test_seam.py`` fails when one of these names moves.

Also kept away from aiortc here, because one bad datagram would end a connection with a
traceback: empty datagrams, bytes no protocol claims, and SCTP content it trips over.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pylibsrtp
from aioice.ice import get_host_addresses
from aiortc import (
    RTCCertificate,
    RTCDataChannel,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceServer,
    RTCIceTransport,
    RTCSctpTransport,
)
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities
from aiortc.sdp import candidate_from_sdp

from guard.errors import ConfigError, PeerError
from guard.media.rtp import is_rtcp
from guard.relay.config import RelayConfig

CHANNEL_LABEL = "guard"
_MAX_EARLY_DATAGRAMS = 64
_MAX_BUFFERED_BYTES = 1 << 20
RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024
_LOOPBACK = "127.0.0.1"
_REPLAY_PREFIX = "replay check failed"


class TransportHandler(Protocol):
    """Who is told what happens on a transport."""

    def on_rtp(self, data: bytes) -> None:
        """One decrypted RTP packet."""

    def on_rtcp(self, data: bytes) -> None:
        """One decrypted RTCP compound packet."""

    def on_state(self, state: str) -> None:
        """``connected``, ``failed`` or ``closed``, each at most once."""

    def on_channel_open(self) -> None:
        """The data channel ``guard`` is open."""

    def on_channel_message(self, message: str | bytes) -> None:
        """A message on a data channel ``guard``."""


class Identity:
    """The relay's DTLS certificate, one for all its connections."""

    def __init__(self) -> None:
        self.certificate = RTCCertificate.generateCertificate()

    def fingerprints(self) -> list[RTCDtlsFingerprint]:
        """Return what goes into every answer."""
        return self.certificate.getFingerprints()


class _SafeSctp(RTCSctpTransport):
    """An SCTP transport that survives what a hostile peer puts into its packets."""

    def __init__(self, transport: RTCDtlsTransport, counters: Counter[str]) -> None:
        super().__init__(transport)
        self._counters = counters

    async def _handle_data(self, data: bytes) -> None:
        try:
            await super()._handle_data(data)
        except ConnectionError:
            raise
        except Exception:
            # invalid UTF-8, a second open of one stream, an ack for none: aiortc asserts or raises whatever
            self._counters["channel_malformed"] += 1


def check_addresses(config: RelayConfig) -> None:
    """Bind each configured address once, so that a wrong one is found before the first call.

    Raises:
        ConfigError: ``relay_no_address``, one of them is not this host's.
    """
    for address in config.addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, 0))
            except OSError as error:
                message = f"addresses: {address} cannot be bound ({error.strerror}); name this host's own"
                raise ConfigError("relay_no_address", message) from None


def host_addresses(config: RelayConfig) -> list[str]:
    """Return the addresses to bind and offer."""
    if config.addresses:
        return list(config.addresses)
    found = get_host_addresses(use_ipv4=True, use_ipv6=True)
    return found or [_LOOPBACK]


class Transport:
    """ICE, DTLS, SRTP and SCTP of one peer, bundled on one socket per address.

    Args:
        config: addresses and servers.
        identity: the certificate.
        handler: told of packets and changes.
    """

    def __init__(self, config: RelayConfig, identity: Identity, handler: TransportHandler) -> None:
        servers = [
            RTCIceServer(urls=s.url, username=s.username, credential=s.credential) for s in config.ice_servers
        ]
        self.counters: Counter[str] = Counter()
        self.datagrams_received = 0
        self._early: deque[bytes] = deque(maxlen=_MAX_EARLY_DATAGRAMS)
        self._addresses = host_addresses(config)
        self._handler = handler
        self._gatherer = RTCIceGatherer(iceServers=servers)
        self._connection = self._gatherer._connection
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [identity.certificate])
        self._sctp: _SafeSctp | None = None
        self._channel: RTCDataChannel | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._sctp_starting: asyncio.Task[None] | None = None
        self._state = "new"
        self._dtls.on("statechange", self._on_statechange)
        self._ice.on("statechange", self._on_statechange)

    async def gather(self) -> None:
        """Bind the sockets and take over their media datagrams.

        Raises:
            ConfigError: ``relay_no_address``, none of the addresses could be bound.
        """
        component_candidates = self._connection.get_component_candidates

        async def chosen(component: int, addresses: list[str]) -> Any:
            del addresses  # aioice leaves out loopback; ours are the operator's
            return await component_candidates(component, self._addresses)

        self._connection.get_component_candidates = chosen  # type: ignore[method-assign, assignment]
        gathering = asyncio.ensure_future(self._gatherer.gather())
        try:
            await asyncio.shield(gathering)
        except asyncio.CancelledError:
            # aioice forgets sockets it was binding when cancelled; let it finish, so that close() finds them
            await gathering
            raise
        if not self._gatherer.getLocalCandidates():
            raise ConfigError(
                "relay_no_address", f"could not bind any of {self._addresses}; check relay addresses"
            )
        for protocol in self._connection._protocols:
            # the system's default holds some ninety packets: lost whenever the loop is late
            protocol.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES
            )
            takeover = self._receiver(protocol.datagram_received)
            protocol.datagram_received = takeover  # type: ignore[method-assign, assignment]

    def _receiver(self, to_aioice: Callable[[bytes, Any], None]) -> Callable[[bytes, Any], None]:
        """Return what replaces a socket's ``datagram_received``."""

        def datagram_received(data: bytes, addr: Any) -> None:
            first = data[0] if data else 255
            if 127 < first < 192:
                self._on_media(data)
            elif first < 64 and not 3 < first < 20:
                self.datagrams_received += 1
                try:
                    to_aioice(data, addr)
                except Exception:
                    # aioice parses bytes from anybody; whatever it trips over is one lost datagram
                    self.counters["stun_malformed"] += 1
            else:
                self.counters["datagram_unknown"] += 1

        return datagram_received

    def _on_media(self, data: bytes) -> None:
        session = self._dtls._rx_srtp
        if session is None:
            # the peer may have finished the handshake a moment before this side read its last flight
            self._early.append(data)
            return
        control = is_rtcp(data)
        try:
            plain = session.unprotect_rtcp(data) if control else session.unprotect(data)
        except pylibsrtp.Error as error:
            self.counters["srtp_replayed" if str(error).startswith(_REPLAY_PREFIX) else "srtp_failed"] += 1
            return
        except ValueError:
            self.counters["srtp_oversized"] += 1
            return
        self.datagrams_received += 1
        if control:
            self._handler.on_rtcp(plain)
        else:
            self._handler.on_rtp(plain)

    def send_rtp(self, data: bytes) -> bool:
        """Encrypt and send one RTP packet; false where there is no connection (yet, or any more)."""
        return self._send(data, control=False)

    def send_rtcp(self, data: bytes) -> bool:
        """Encrypt and send one RTCP compound packet."""
        return self._send(data, control=True)

    def _send(self, data: bytes, *, control: bool) -> bool:
        pair = self._connection._nominated.get(1)
        session = self._dtls._tx_srtp
        if pair is None or session is None:
            return False
        try:
            sealed = session.protect_rtcp(data) if control else session.protect(data)
        except (pylibsrtp.Error, ValueError):
            self.counters["srtp_unsent"] += 1
            return False
        pair.protocol.transport.sendto(sealed, pair.remote_addr)
        return True

    @property
    def ice_parameters(self) -> RTCIceParameters:
        """The local user name fragment and password."""
        return self._gatherer.getLocalParameters()

    @property
    def candidates(self) -> list[RTCIceCandidate]:
        """The local candidates."""
        return self._gatherer.getLocalCandidates()

    @property
    def connected(self) -> bool:
        """Whether media can be sent."""
        return self._state == "connected"

    def start(self, ice: RTCIceParameters, dtls: RTCDtlsParameters) -> None:
        """Connect in the background; the handler hears how it ended.

        Args:
            ice: the peer's user name fragment and password.
            dtls: the peer's fingerprints; a role of ``client`` makes this side the server.
        """
        self._dtls._set_role("server" if dtls.role == "client" else "client")
        self._connecting = asyncio.ensure_future(self._connect(ice, dtls))

    async def _connect(self, ice: RTCIceParameters, dtls: RTCDtlsParameters) -> None:
        await self._ice.start(ice)
        if self._ice.state == "completed":
            await self._dtls.start(dtls)

    def open_channel(self, remote_port: int, max_message_bytes: int) -> None:
        """Start SCTP once DTLS stands (call after ``connected``) and open the channel ``guard``."""
        if self._sctp is not None:
            return
        self._sctp = _SafeSctp(self._dtls, self.counters)
        self._sctp.on("datachannel", self._on_datachannel)
        self._channel = RTCDataChannel(self._sctp, RTCDataChannelParameters(label=CHANNEL_LABEL))
        self._channel.on("open", self._handler.on_channel_open)
        self._channel.on("message", self._handler.on_channel_message)
        self._sctp_starting = asyncio.ensure_future(
            self._sctp.start(RTCSctpCapabilities(maxMessageSize=max_message_bytes), remote_port)
        )

    def _on_datachannel(self, channel: RTCDataChannel) -> None:
        if channel.label == CHANNEL_LABEL:
            channel.on("message", self._handler.on_channel_message)

    def send_text(self, text: str) -> bool:
        """Queue text on the channel ``guard``; false where it is not open or the client takes nothing."""
        if self._channel is None or self._channel.readyState != "open":
            return False
        if self._channel.bufferedAmount > _MAX_BUFFERED_BYTES:
            return False
        self._channel.send(text)
        return True

    async def add_candidate(self, line: str) -> None:
        """Take a remote candidate line (RFC 8839 section 5.1), without ``candidate:`` or with it.

        Candidates guard cannot use (TCP, RTCP component, mDNS names) are left out: the
        peer's own checks reveal its address.

        Raises:
            PeerError: ``candidate_malformed``.
        """
        value = line.strip().removeprefix("a=").removeprefix("candidate:")
        try:
            candidate = candidate_from_sdp(value)
        except (AssertionError, ValueError, IndexError):
            raise PeerError("candidate_malformed", f"not an ICE candidate: {line[:80]!r}") from None
        if usable(candidate):
            await self._ice.addRemoteCandidate(candidate)

    def _on_statechange(self) -> None:
        states = {self._ice.state, self._dtls.state}
        if "failed" in states:
            state = "failed"
        elif "closed" in states:
            state = "closed"
        elif self._dtls.state == "connected":
            state = "connected"
        else:
            return
        if state != self._state and self._state not in ("failed", "closed"):
            self._state = state
            self._handler.on_state(state)
            if state == "connected":
                while self._early:
                    self._on_media(self._early.popleft())

    async def close(self) -> None:
        """End everything; nothing of this transport runs when it returns."""
        self._state = "closed"
        tasks = [t for t in (self._connecting, self._sctp_starting, self._dtls._task) if t is not None]
        for task in (self._connecting, self._sctp_starting):
            if task is not None:
                task.cancel()
        async with AsyncExitStack() as stack:  # the sockets are closed whatever happens before
            stack.callback(self._dtls.remove_all_listeners)
            stack.push_async_callback(_settled, tasks)
            stack.push_async_callback(self._ice.stop)
            stack.push_async_callback(self._dtls.stop)
            if self._sctp is not None:
                await self._sctp.stop()


async def _settled(tasks: Iterable[asyncio.Future[None]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def usable(candidate: RTCIceCandidate) -> bool:
    """Whether aioice can pair with it without resolving names or tripping over it."""
    try:
        ipaddress.ip_address(candidate.ip)
    except ValueError:
        return False
    return (
        candidate.component == 1
        and candidate.protocol.lower() == "udp"
        and candidate.type in ("host", "srflx", "relay")
        and 0 < candidate.port < 65536
    )
