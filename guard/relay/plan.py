"""Turns an offer into what to answer, before anything is changed: a refused offer leaves no trace."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from guard.errors import PeerError
from guard.relay.answer import MediaAnswer, SentStream
from guard.relay.codecs import EXTENSIONS, PASSED_ON
from guard.relay.offer import MediaOffer, Offer
from guard.relay.output import OutputStream
from guard.relay.peer import Peer
from guard.relay.switchboard import Switchboard
from guard.types import Kind, TrackKey


@dataclass(frozen=True, slots=True)
class PlannedSection:
    """One m-line's answer and what it means.

    Args:
        answer: goes into the SDP.
        subscribe: the track to send there, None for none.
        stream: what is sent; None where the m-line's stream stays as it is (or there is none).
    """

    answer: MediaAnswer
    subscribe: TrackKey | None = None
    stream: OutputStream | None = None


def plan(
    offer: Offer, peer: Peer, board: Switchboard, *, publish: bool, subscriptions: Mapping[str, str]
) -> list[PlannedSection]:
    """Return one planned section per m-line, in order.

    Raises:
        PeerError: a codec cannot be agreed on, or ``subscription_unknown`` for an m-line not in the offer.
    """
    unknown = set(subscriptions) - {section.mid for section in offer.media}
    if unknown:
        raise PeerError("subscription_unknown", f"no m-line in the offer has the mid {sorted(unknown)[0]!r}")
    taken: set[Kind] = set()
    sections = []
    for section in offer.media:
        if section.kind is None or not section.active:
            sections.append(PlannedSection(MediaAnswer(section)))
            continue
        receives = publish and section.sends and section.kind not in taken
        if receives:
            taken.add(section.kind)
        source = subscriptions.get(section.mid) if section.receives else None
        sections.append(_media(section, peer, board, receives=receives, source=source))
    return sections


def _media(
    section: MediaOffer, peer: Peer, board: Switchboard, *, receives: bool, source: str | None
) -> PlannedSection:
    assert section.kind is not None
    names = board.codec_names(peer.session, section, publish=receives)
    codecs = [section.codecs[name] for name in names]
    extensions = {uri: i for uri, i in section.extensions.items() if uri in EXTENSIONS[section.kind]}
    if source is None:
        return PlannedSection(MediaAnswer(section, receives, None, codecs, extensions))
    key = TrackKey(peer.session, source, section.kind)
    known = peer.subscriptions.get(section.mid)
    stream = None if known is None or known.key != key else known.output.stream
    fresh = stream is None
    if stream is None:
        stream = OutputStream(
            mid=section.mid,
            kind=section.kind,
            ssrc=secrets.randbits(32),
            rtx_ssrc=secrets.randbits(32),
            codecs={codec.name: codec for codec in codecs},
            extensions=extensions,
        )
    sent = SentStream(source, stream.ssrc, stream.rtx_ssrc)
    answer = MediaAnswer(section, receives, sent, codecs, extensions)
    return PlannedSection(answer, key, stream if fresh else None)


def publication_extensions(section: MediaOffer) -> dict[str, int]:
    """Return the ids of the extensions read from a publisher's packets."""
    assert section.kind is not None
    wanted = (*PASSED_ON, *EXTENSIONS[section.kind])
    return {uri: identifier for uri, identifier in section.extensions.items() if uri in wanted}
