"""Reads a client's SDP offer (RFC 8866, 8829, 8843) into what the relay needs of it.

aiortc's parser reads the lines; everything it trips over, and everything guard cannot
serve, becomes a :class:`PeerError`:

    sdp_too_large        more bytes, m-lines or lines than allowed
    sdp_malformed        not SDP, or values out of range
    sdp_no_ice           no ICE user name fragment or password
    sdp_no_fingerprint   no usable DTLS fingerprint
    sdp_not_bundled      m-lines outside the BUNDLE group
    sdp_no_rtcp_mux      RTP and RTCP on separate ports
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiortc import RTCDtlsFingerprint, RTCDtlsParameters, RTCIceCandidate, RTCIceParameters
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.sdp import MediaDescription, SessionDescription

from guard.errors import PeerError
from guard.relay.codecs import CLOCK_RATE_HZ, H264, KIND_CODECS, OPUS, Codec
from guard.relay.config import RelayConfig
from guard.types import Kind

# aiortc's parser searches its lists anew for every line, so a section must be short enough for that
_MAX_SECTION_LINES = 600
_MAX_SECTION_SSRC_LINES = 64
_MAX_PARSER_STEPS = 500_000  # a browser's m-line takes about 6000, so this allows a full room of them
_DIGESTS = frozenset({"sha-256", "sha-384", "sha-512"})
_OPUS_FMTP = "minptime=10;useinbandfec=1"
_H264_DEFAULT_PROFILE = "42e01f"


@dataclass(frozen=True, slots=True)
class MediaOffer:
    """One m-line.

    Args:
        mid: its identifier.
        kind: audio or video, None for anything else (a data channel, an unknown medium).
        medium: the word behind ``m=``.
        profile: transport profile, repeated in the answer.
        formats: the m-line's formats as offered.
        active: False where the client switched the m-line off (port 0, outside BUNDLE).
        sends: the client offers to send.
        receives: the client offers to receive.
        codecs: by name, those guard can forward.
        extensions: header extension ids by URI.
        ssrcs: announced media streams.
        rtx: media SSRC of each announced retransmission SSRC.
        sctp_port: of a data channel.
        max_message_bytes: of a data channel; 0 means any size.
    """

    mid: str
    kind: Kind | None
    medium: str
    profile: str
    formats: tuple[str, ...]
    active: bool
    sends: bool
    receives: bool
    codecs: Mapping[str, Codec] = field(default_factory=dict)
    extensions: Mapping[str, int] = field(default_factory=dict)
    ssrcs: tuple[int, ...] = ()
    rtx: Mapping[int, int] = field(default_factory=dict)
    sctp_port: int | None = None
    max_message_bytes: int = 65536

    @property
    def is_channel(self) -> bool:
        """Whether it carries data channels."""
        return self.medium == "application" and self.sctp_port is not None


@dataclass(frozen=True, slots=True)
class Offer:
    """A whole offer; ICE and DTLS are those of the one bundled transport."""

    media: tuple[MediaOffer, ...]
    ice: RTCIceParameters
    dtls: RTCDtlsParameters
    candidates: tuple[RTCIceCandidate, ...]


def _malformed(what: str) -> PeerError:
    return PeerError("sdp_malformed", f"SDP offer refused: {what}")


def parse_offer(sdp: str, config: RelayConfig) -> Offer:
    """Read an offer.

    Raises:
        PeerError: see the module's docstring.
    """
    _check_size(sdp, config)
    try:
        session = SessionDescription.parse(sdp)
    except Exception as error:
        # the parser asserts, unpacks and indexes as it goes: any exception of it means unreadable text
        raise _malformed(f"it cannot be read ({type(error).__name__})") from None
    if not session.media:
        raise _malformed("it has no m-line")
    if len(session.media) > config.max_media_sections:
        raise PeerError("sdp_too_large", f"{len(session.media)} m-lines; at most {config.max_media_sections}")
    bundled = {str(mid) for group in session.group if group.semantic == "BUNDLE" for mid in group.items}
    media = tuple(_media(section, bundled, len(session.media)) for section in session.media)
    mids = [m.mid for m in media]
    if len(set(mids)) != len(mids):
        raise _malformed("two m-lines have the same mid")
    used = [s for s, m in zip(session.media, media, strict=True) if m.active]
    if not used:
        raise _malformed("every m-line is switched off")
    return _with_transport(media, used)


def _check_size(sdp: str, config: RelayConfig) -> None:
    try:
        size = len(sdp.encode())
    except UnicodeEncodeError:
        raise _malformed("it is not valid Unicode") from None
    if size > config.max_sdp_bytes:
        raise PeerError("sdp_too_large", f"SDP of {size} bytes; at most {config.max_sdp_bytes}")
    sections = sdp.split("\nm=")
    for section in sections:
        if (
            len(section.splitlines()) > _MAX_SECTION_LINES
            or section.count("a=ssrc:") > _MAX_SECTION_SSRC_LINES
        ):
            raise PeerError(
                "sdp_too_large", f"more than {_MAX_SECTION_LINES} lines or too many SSRCs in one m-line"
            )
    if sum(map(_parser_steps, sections)) > _MAX_PARSER_STEPS:
        raise PeerError("sdp_too_large", "too many codecs with too many attributes")


def _parser_steps(section: str) -> int:
    """Estimate how often the parser walks its list of codecs; a wildcard touches every one of them."""
    walks = section.count("a=rtcp-fb:") + section.count("a=fmtp:") + 9 * section.count("a=rtcp-fb:*")
    return walks * section.count("a=rtpmap:")


def _with_transport(media: tuple[MediaOffer, ...], used: list[MediaDescription]) -> Offer:
    first = used[0]
    ice = first.ice
    if ice is None or not ice.usernameFragment or not ice.password:
        raise PeerError("sdp_no_ice", "SDP offer without ice-ufrag or ice-pwd; guard needs ICE")
    if any(not section.rtcp_mux for section in used if section.kind in ("audio", "video")):
        raise PeerError("sdp_no_rtcp_mux", "SDP offer without rtcp-mux; guard needs it on every m-line")
    dtls = first.dtls
    usable = [f for f in dtls.fingerprints if f.algorithm.lower() in _DIGESTS] if dtls else []
    if dtls is None or not usable:
        raise PeerError(
            "sdp_no_fingerprint", "SDP offer without setup or a SHA-2 fingerprint; guard needs DTLS"
        )
    fingerprints = [RTCDtlsFingerprint(f.algorithm.lower(), f.value.upper()) for f in usable]
    return Offer(
        media=media,
        ice=ice,
        dtls=RTCDtlsParameters(fingerprints=fingerprints, role=dtls.role),
        candidates=tuple(c for section in used for c in section.ice_candidates),
    )


def _media(section: MediaDescription, bundled: set[str], total: int) -> MediaOffer:
    mid = section.rtp.muxId
    active = mid in bundled if bundled else section.port != 0
    if section.port != 0 and not active:
        raise PeerError(
            "sdp_not_bundled", f"m-line {mid!r} is not in the BUNDLE group; guard serves one transport"
        )
    if not bundled and total > 1:
        raise PeerError("sdp_not_bundled", "several m-lines and no BUNDLE group; guard serves one transport")
    if not re.fullmatch(r"[!-~]{0,16}", mid):
        raise _malformed("a mid is longer than 16 characters or not printable")
    kind = Kind(section.kind) if section.kind in ("audio", "video") else None
    direction = section.direction or "sendrecv"
    ssrcs = tuple(s.ssrc for s in section.ssrc)
    rtx = _retransmissions(section)
    if any(not 0 <= ssrc < 1 << 32 for ssrc in (*ssrcs, *rtx, *rtx.values())):
        raise _malformed("an SSRC is out of range")
    capabilities = section.sctpCapabilities
    return MediaOffer(
        mid=mid,
        kind=kind,
        medium=section.kind,
        profile=section.profile,
        formats=tuple(str(f) for f in section.fmt),
        active=active,
        sends=kind is not None and direction in ("sendrecv", "sendonly"),
        receives=kind is not None and direction in ("sendrecv", "recvonly"),
        codecs={} if kind is None else _codecs(kind, section.rtp.codecs),
        extensions={e.uri: e.id for e in section.rtp.headerExtensions if 0 < e.id < 15},
        ssrcs=tuple(s for s in ssrcs if s not in rtx),
        rtx=rtx,
        sctp_port=section.sctp_port,
        max_message_bytes=65536 if capabilities is None else capabilities.maxMessageSize,
    )


def _retransmissions(section: MediaDescription) -> dict[int, int]:
    """Return {retransmission SSRC: media SSRC} from ``a=ssrc-group:FID`` (RFC 5576)."""
    pairs = (g.items for g in section.ssrc_group if g.semantic == "FID" and len(g.items) == 2)
    return {int(rtx): int(media) for media, rtx in pairs}


def _codecs(kind: Kind, offered: list[RTCRtpCodecParameters]) -> dict[str, Codec]:
    """Return the offered codecs guard forwards, by name; the best H.264 profile wins."""
    rtx = {c.parameters.get("apt"): c.payloadType for c in offered if c.name.lower() == "rtx"}
    found: dict[str, tuple[int, Codec]] = {}
    for codec in offered:
        name = codec.name.lower()
        rank = _rank(name, codec)
        number = codec.payloadType
        if name not in KIND_CODECS[kind] or rank is None or number is None or not 0 <= number < 128:
            continue
        if name in found and found[name][0] <= rank:
            continue
        feedback = {(f.type, f.parameter) for f in codec.rtcpFeedback}
        found[name] = (
            rank,
            Codec(
                name=name,
                payload_type=number,
                rtx_payload_type=rtx.get(number),
                nack=("nack", None) in feedback,
                pli=("nack", "pli") in feedback or ("ccm", "fir") not in feedback,
                fmtp=_fmtp(name, codec),
            ),
        )
    return {name: codec for name, (_, codec) in found.items()}


def _profile(codec: RTCRtpCodecParameters) -> str:
    return str(codec.parameters.get("profile-level-id") or _H264_DEFAULT_PROFILE).lower()


def _rank(name: str, codec: RTCRtpCodecParameters) -> int | None:
    """Return how well a codec suits, 0 best, None where guard cannot use it.

    H.264: packetization mode 1 and a baseline profile, the constrained one first (what every
    WebRTC client decodes, RFC 7742 section 6.2).
    """
    if codec.clockRate != CLOCK_RATE_HZ.get(name) or (name == OPUS and codec.channels != 2):
        return None
    if name != H264:
        return 0
    profile = _profile(codec)
    if str(codec.parameters.get("packetization-mode", "0")) != "1" or not re.fullmatch(
        "42[0-9a-f]{4}", profile
    ):
        return None
    return 0 if profile[2:4] == "e0" else 1


def _fmtp(name: str, codec: RTCRtpCodecParameters) -> str:
    if name == OPUS:
        return _OPUS_FMTP
    if name == H264:
        return f"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={_profile(codec)}"
    return ""
