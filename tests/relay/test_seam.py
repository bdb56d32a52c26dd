"""The contract with aiortc 1.16 and aioice 0.13: the private names guard stands on.

When one of these fails after an upgrade, ``guard/relay/seam.py`` is the file to change.
"""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version

import pytest
from aioice import ice as aioice_ice
from aioice.candidate import Candidate
from aiortc import (
    RTCCertificate,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceGatherer,
    RTCIceTransport,
    RTCSctpTransport,
)

from guard.errors import ConfigError
from guard.relay.config import IceServer, RelayConfig
from guard.relay.seam import Identity, Transport, check_addresses, host_addresses, usable
from tests.relay.raw_client import LOOPBACK


def stand(owner: object, *names: str) -> None:
    for name in names:
        assert hasattr(owner, name), (
            f"{type(owner).__name__}.{name} is gone: guard/relay/seam.py needs it "
            f"(aiortc {version('aiortc')}, aioice {version('aioice')})"
        )


class Silent:
    """A handler nobody should call."""

    def on_rtp(self, data: bytes) -> None:
        raise AssertionError(data)

    on_rtcp = on_rtp

    def on_state(self, state: str) -> None:
        self.state = state

    def on_channel_open(self) -> None:
        raise AssertionError

    def on_channel_message(self, message: str | bytes) -> None:
        raise AssertionError(message)


def test_versions_are_the_ones_the_seam_was_written_for() -> None:
    assert (version("aiortc"), version("aioice")) == ("1.16.0", "0.13.0"), "read guard/relay/seam.py again"


async def test_private_names_are_where_the_seam_expects_them() -> None:
    gatherer = RTCIceGatherer(iceServers=[])
    stand(gatherer, "_connection")
    connection = gatherer._connection
    stand(connection, "get_component_candidates", "_protocols", "_nominated", "_queue", "ice_controlling")
    ice = RTCIceTransport(gatherer)
    dtls = RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
    stand(dtls, "_rx_srtp", "_tx_srtp", "_set_role", "_task", "_setup_srtp")
    stand(RTCSctpTransport(dtls), "_handle_data", "_data_channel_receive")
    protocol = aioice_ice.StunProtocol(connection)
    stand(protocol, "datagram_received")
    local = Candidate("1", 1, "udp", 1, "127.0.0.1", 1, "host")
    protocol.local_candidate = local
    pair = aioice_ice.CandidatePair(protocol, local)
    stand(pair, "protocol", "remote_addr")
    assert callable(aioice_ice.get_host_addresses)


async def test_no_server_is_contacted_unless_configured() -> None:
    transport = Transport(RelayConfig(), Identity(), Silent())
    assert (transport._connection.stun_server, transport._connection.turn_server) == (None, None)
    config = RelayConfig(
        ice_servers=(IceServer("turn:t.example:3478", "u", "p"), IceServer("stun:s.example"))
    )
    transport = Transport(config, Identity(), Silent())
    assert transport._connection.stun_server == ("s.example", 3478)
    assert transport._connection.turn_server == ("t.example", 3478)


async def test_only_the_chosen_addresses_are_bound() -> None:
    transport = Transport(LOOPBACK, Identity(), Silent())
    await transport.gather()
    assert {c.ip for c in transport.candidates} == {"127.0.0.1"}
    await transport.close()


def test_host_without_addresses_still_has_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.relay.seam.get_host_addresses", lambda **_: [])
    assert host_addresses(RelayConfig()) == ["127.0.0.1"]


def test_wrong_address_is_found_before_the_first_call() -> None:
    check_addresses(RelayConfig(addresses=("127.0.0.1",)))
    with pytest.raises(ConfigError, match=r"203\.0\.113\.9") as caught:
        check_addresses(RelayConfig(addresses=("127.0.0.1", "203.0.113.9")))
    assert caught.value.code == "relay_no_address"


async def test_address_that_went_away_is_a_configuration_error() -> None:
    transport = Transport(RelayConfig(addresses=("203.0.113.9",)), Identity(), Silent())
    with pytest.raises(ConfigError) as caught:
        await transport.gather()
    assert caught.value.code == "relay_no_address"
    await transport.close()


@pytest.mark.parametrize(
    ("data", "counted"),
    [
        (b"", "datagram_unknown"),
        (b"\xc8hello", "datagram_unknown"),
        (b"\x10zrtp", "datagram_unknown"),
        (b"\x00\x01\x00\x04\x21\x12\xa4\x42" + bytes(12) + b"\x00\x06\xff\xff", None),
    ],
)
async def test_datagrams_of_anybody_do_no_harm(data: bytes, counted: str | None) -> None:
    transport = Transport(LOOPBACK, Identity(), Silent())
    await transport.gather()
    (protocol,) = transport._connection._protocols
    protocol.datagram_received(data, ("127.0.0.1", 9))
    assert +transport.counters == (Counter({counted: 1}) if counted else Counter())
    await transport.close()


async def test_media_before_the_handshake_is_kept_within_bounds() -> None:
    transport = Transport(LOOPBACK, Identity(), Silent())
    await transport.gather()
    (protocol,) = transport._connection._protocols
    for _ in range(1000):
        protocol.datagram_received(b"\x80\x60" + bytes(30), ("127.0.0.1", 9))
    assert len(transport._early) == 64
    assert not transport.send_rtp(b"\x80\x60" + bytes(30))
    assert not transport.send_text("x")
    await transport.close()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"ip": "3f1c.local"}, False),
        ({"component": 2}, False),
        ({"protocol": "tcp"}, False),
        ({"port": 0}, False),
        ({"type": "odd"}, False),
    ],
)
def test_only_usable_candidates_reach_aioice(changes: dict[str, object], expected: bool) -> None:
    fields: dict[str, object] = {
        "component": 1,
        "foundation": "1",
        "ip": "10.0.0.1",
        "port": 5,
        "priority": 1,
        "protocol": "udp",
        "type": "host",
    }
    assert usable(RTCIceCandidate(**{**fields, **changes})) is expected  # type: ignore[arg-type]
