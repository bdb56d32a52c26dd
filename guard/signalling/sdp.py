"""The little of SDP (RFC 8866) that signalling itself reads: m-lines, and trickled fragments (RFC 8840)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from guard.errors import PeerError

MAX_SDP_BYTES = 256 * 1024
"""A page in a room of twelve offers about 100 KiB."""

MAX_FRAGMENT_BYTES = 16 * 1024
MAX_MEDIA_LINES = 64
MAX_CANDIDATES = 64
_DIRECTIONS = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})


@dataclass(slots=True)
class MediaLine:
    """One m-line: its kind (``audio``, ``video``, ``application``), mid and direction."""

    kind: str
    mid: str | None = None
    direction: str = "sendrecv"

    @property
    def is_media(self) -> bool:
        """Whether it is audio or video."""
        return self.kind in ("audio", "video")

    @property
    def sends(self) -> bool:
        """Whether the offerer wants to send media on it."""
        return self.is_media and self.direction in ("sendrecv", "sendonly")

    @property
    def receives(self) -> bool:
        """Whether the offerer wants to receive media on it."""
        return self.is_media and self.direction in ("sendrecv", "recvonly")


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer whose m-lines have been read.

    Args:
        sdp: the text, for the media plane.
        publish: whether the offerer sends audio or video that others are to get.
        subscriptions: mid -> participant wanted there.
        ufrag: ICE user fragment, by which an ICE restart is told from trickling.
    """

    sdp: str
    publish: bool
    subscriptions: Mapping[str, str]
    ufrag: str | None = None


@dataclass(slots=True)
class Fragment:
    """A trickle-ice-sdpfrag: candidates with their mid, and the ICE credentials it is for."""

    ufrag: str | None = None
    pwd: str | None = None
    candidates: list[tuple[str, str | None]] = field(default_factory=list)


def media_lines(sdp: str) -> list[MediaLine]:
    """Return the m-lines of an offer in order.

    Raises:
        PeerError: ``sdp_malformed``; it is too long, has no m-line, or a line is not SDP.
    """
    lines = _lines(sdp, MAX_SDP_BYTES)
    if not lines or lines[0] != "v=0":
        raise malformed("an SDP starts with v=0")
    found: list[MediaLine] = []
    for line in lines:
        if line.startswith("m="):
            kind = line[2:].split(" ", 1)[0]
            found.append(MediaLine(kind))
        elif found and line.startswith("a=mid:"):
            found[-1].mid = line[6:]
        elif found and line[2:] in _DIRECTIONS and line.startswith("a="):
            found[-1].direction = line[2:]
    if not found:
        raise malformed("the SDP has no m-line")
    if len(found) > MAX_MEDIA_LINES:
        raise malformed(f"the SDP has more than {MAX_MEDIA_LINES} m-lines")
    mids = [line.mid for line in found if line.mid is not None]
    if len(set(mids)) < len(mids):
        raise malformed("two m-lines have the same mid")
    return found


def read_offer(sdp: str, wanted: Mapping[str, str]) -> Offer:
    """Check an offer against the subscriptions asked for with it.

    Raises:
        PeerError: ``sdp_malformed``, or ``subscription_invalid``: a mid that the offer does not
            have, or on which it does not receive.
    """
    lines = media_lines(sdp)
    receiving = {line.mid for line in lines if line.receives}
    if not wanted.keys() <= receiving:
        raise PeerError("subscription_invalid", "a subscription names a mid that receives nothing")
    return Offer(sdp, any(line.sends for line in lines), dict(wanted), ice_credentials(sdp)[0])


def ice_credentials(sdp: str) -> tuple[str | None, str | None]:
    """Return the first ice-ufrag and ice-pwd of an SDP."""
    ufrag = pwd = None
    for line in sdp.splitlines():
        if line.startswith("a=ice-ufrag:") and ufrag is None:
            ufrag = line[12:].strip()
        elif line.startswith("a=ice-pwd:") and pwd is None:
            pwd = line[10:].strip()
    return ufrag, pwd


def parse_fragment(text: str) -> Fragment:
    """Read the body of a WHIP or WHEP PATCH.

    Raises:
        PeerError: ``sdp_malformed``.
    """
    lines = _lines(text, MAX_FRAGMENT_BYTES)
    fragment = Fragment()
    fragment.ufrag, fragment.pwd = ice_credentials(text)
    mid: str | None = None
    for line in lines:
        if line.startswith("m="):
            mid = None
        elif line.startswith("a=mid:"):
            mid = line[6:]
        elif line.startswith("a=candidate:"):
            fragment.candidates.append((line[2:], mid))
    if len(fragment.candidates) > MAX_CANDIDATES:
        raise malformed(f"more than {MAX_CANDIDATES} candidates at once")
    return fragment


def malformed(message: str) -> PeerError:
    """Return the error for an SDP that cannot be read."""
    return PeerError("sdp_malformed", message)


def _lines(text: str, limit_bytes: int) -> list[str]:
    if len(text) > limit_bytes:
        raise malformed(f"it is longer than {limit_bytes} bytes")
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n") if text.strip() else []
    for line in lines:
        if len(line) < 2 or line[1] != "=" or not line[0].isalpha() or not line.isprintable():
            raise malformed("a line is not of the form <type>=<value>")
    return lines
