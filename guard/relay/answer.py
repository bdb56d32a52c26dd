"""Writes the SDP answer (RFC 8829 section 5.3)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiortc import RTCDtlsFingerprint, RTCIceCandidate, RTCIceParameters
from aiortc.sdp import candidate_to_sdp

from guard.relay.codecs import Codec
from guard.relay.offer import MediaOffer
from guard.types import Kind

SCTP_PORT = 5000
# Chromium starts at 300 kbit/s and takes many seconds to rise without transport-wide feedback
START_BITRATE_KBPS = 600


@dataclass(frozen=True, slots=True)
class SentStream:
    """A stream the answer announces: whose media it is, and its SSRCs."""

    participant: str
    ssrc: int
    rtx_ssrc: int


@dataclass(frozen=True, slots=True)
class MediaAnswer:
    """One m-line's answer.

    Args:
        offer: what it answers.
        receives: guard takes the client's media.
        sent: guard sends this stream, None where it sends nothing.
        codecs: accepted, in order of preference.
        extensions: accepted header extensions, ids by URI.
    """

    offer: MediaOffer
    receives: bool = False
    sent: SentStream | None = None
    codecs: Sequence[Codec] = ()
    extensions: Mapping[str, int] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        """Whether the m-line is part of the connection."""
        return self.offer.active and (self.offer.is_channel or bool(self.codecs))


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Guard's side of the connection."""

    ice: RTCIceParameters
    candidates: Sequence[RTCIceCandidate]
    fingerprints: Sequence[RTCDtlsFingerprint]
    setup: str
    max_message_bytes: int


def token(name: str) -> str:
    """Return the name as an SDP token: itself where it is one, otherwise a digest."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        return name
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def write_answer(media: Sequence[MediaAnswer], local: LocalTransport, version: int) -> str:
    """Return the answer's text; ``version`` rises with every answer of one connection."""
    mids = [m.offer.mid for m in media if m.accepted]
    lines = [
        "v=0",
        f"o=- 1 {version} IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {' '.join(mids)}".rstrip(),
        "a=msid-semantic: WMS *",
    ]
    for section in media:
        lines += _section(section, local) if section.accepted else _rejected(section.offer)
    return "\r\n".join(lines) + "\r\n"


def _rejected(offer: MediaOffer) -> list[str]:
    head = f"m={offer.medium} 0 {offer.profile} {' '.join(offer.formats)}"
    return [head, "c=IN IP4 0.0.0.0", f"a=mid:{offer.mid}", "a=inactive"]


def _section(section: MediaAnswer, local: LocalTransport) -> list[str]:
    offer = section.offer
    if offer.is_channel:
        lines = [
            f"m=application 9 {offer.profile} webrtc-datachannel",
            "c=IN IP4 0.0.0.0",
            f"a=mid:{offer.mid}",
        ]
        lines += [f"a=sctp-port:{SCTP_PORT}", f"a=max-message-size:{local.max_message_bytes}"]
        return lines + _transport(local)
    numbers = [str(n) for c in section.codecs for n in (c.payload_type, c.rtx_payload_type) if n is not None]
    lines = [
        f"m={offer.medium} 9 {offer.profile} {' '.join(numbers)}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=mid:{offer.mid}",
        f"a={_direction(section)}",
        "a=rtcp-mux",
    ]
    lines += [f"a=extmap:{identifier} {uri}" for uri, identifier in section.extensions.items()]
    for codec in section.codecs:
        lines += _codec(codec, offer.kind, section.receives)
    if section.sent is not None:
        lines += _stream(section, section.sent)
    return lines + _transport(local)


def _direction(section: MediaAnswer) -> str:
    if section.sent is not None:
        return "sendrecv" if section.receives else "sendonly"
    return "recvonly" if section.receives else "inactive"


def _codec(codec: Codec, kind: Kind | None, receives: bool) -> list[str]:
    number = codec.payload_type
    if kind is Kind.AUDIO:
        lines = [f"a=rtpmap:{number} opus/48000/2"]
    else:
        lines = [f"a=rtpmap:{number} {codec.name.upper()}/{codec.clock_rate_hz}"]
        lines += [f"a=rtcp-fb:{number} goog-remb"]
        lines += [f"a=rtcp-fb:{number} nack pli" if codec.pli else f"a=rtcp-fb:{number} ccm fir"]
    if codec.nack:
        lines += [f"a=rtcp-fb:{number} nack"]
    fmtp = [codec.fmtp] if codec.fmtp else []
    if kind is Kind.VIDEO and receives:
        fmtp.append(f"x-google-start-bitrate={START_BITRATE_KBPS}")
    if fmtp:
        lines += [f"a=fmtp:{number} {';'.join(fmtp)}"]
    if codec.rtx_payload_type is not None:
        lines += [f"a=rtpmap:{codec.rtx_payload_type} rtx/{codec.clock_rate_hz}"]
        lines += [f"a=fmtp:{codec.rtx_payload_type} apt={number}"]
    return lines


def _stream(section: MediaAnswer, sent: SentStream) -> list[str]:
    name = token(sent.participant)
    lines = [f"a=msid:{name} {name}-{section.offer.medium}-{sent.ssrc}"]
    lines += [f"a=ssrc:{sent.ssrc} cname:{name}"]
    if any(c.rtx_payload_type is not None for c in section.codecs):
        lines.insert(1, f"a=ssrc-group:FID {sent.ssrc} {sent.rtx_ssrc}")
        lines += [f"a=ssrc:{sent.rtx_ssrc} cname:{name}"]
    return lines


def _transport(local: LocalTransport) -> list[str]:
    lines = [f"a=ice-ufrag:{local.ice.usernameFragment}", f"a=ice-pwd:{local.ice.password}"]
    lines += [f"a=fingerprint:{f.algorithm} {f.value}" for f in local.fingerprints]
    lines += [f"a=setup:{local.setup}"]
    lines += [f"a=candidate:{candidate_to_sdp(c)}" for c in local.candidates]
    return [*lines, "a=end-of-candidates"]
