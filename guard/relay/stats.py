"""What the relay counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from guard.relay.peer import Peer
from guard.relay.tap import TapCounters

# what else is in the counters is a reason for which something was dropped
_NAMED = frozenset(
    {
        "packets_received",
        "bytes_received",
        "packets_forwarded",
        "bytes_forwarded",
        "packets_lost",
        "packets_recovered",
        "retransmitted",
        "nacks_sent",
        "nacks_received",
        "pli_sent",
        "pli_received",
        "srtp_failed",
        "srtp_replayed",
    }
)


@dataclass(frozen=True, slots=True)
class PeerStats:
    """One connection; ``counters`` holds the same names as :class:`RelayStats`."""

    session: str
    participant: str
    state: str
    published: tuple[str, ...]
    subscriptions: int
    counters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RelayStats:
    """Totals since the relay was built; ``peers`` and ``peer`` are of now.

    ``dropped`` counts by reason what arrived and was thrown away; ``packets_lost`` what
    publishers sent and nobody ever got, after retransmission.
    """

    peers: int
    packets_received: int
    bytes_received: int
    packets_forwarded: int
    bytes_forwarded: int
    packets_lost: int
    packets_recovered: int
    retransmitted: int
    nacks_sent: int
    nacks_received: int
    pli_sent: int
    pli_received: int
    srtp_failed: int
    srtp_replayed: int
    tap_offered: int
    tap_dropped: int
    dropped: Mapping[str, int]
    peer: Mapping[str, PeerStats]


def peer_counters(peer: Peer) -> Counter[str]:
    """Return everything counted on one connection, its streams included."""
    total = peer.counters + peer.transport.counters
    for publication in peer.publications.values():
        total.update(publication.counters)
        total["packets_lost"] += publication.packets_lost
        total["packets_recovered"] += publication.packets_recovered
    for subscription in peer.subscriptions.values():
        total["retransmitted"] += subscription.output.counters.retransmitted
        total["nacks_received"] += subscription.output.counters.nacks_received
    return total


def relay_stats(peers: Mapping[str, Peer], gone: Counter[str], tap: TapCounters) -> RelayStats:
    """Add up the living connections and ``gone``, the totals of those closed."""
    total = Counter(gone)
    views: dict[str, PeerStats] = {}
    for name, peer in peers.items():
        counters = peer_counters(peer)
        total.update(counters)
        views[name] = PeerStats(
            session=peer.session,
            participant=peer.participant,
            state=peer.state,
            published=tuple(kind.value for kind, p in peer.publications.items() if p.published),
            subscriptions=len(peer.subscriptions),
            counters=counters,
        )
    return RelayStats(
        peers=len(peers),
        tap_offered=tap.offered,
        tap_dropped=tap.dropped,
        dropped={name: count for name, count in total.items() if name not in _NAMED and count},
        peer=views,
        **{name: total[name] for name in _NAMED},
    )
