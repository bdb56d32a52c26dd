"""The codecs guard forwards, and the little it must know of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from guard.media import h264, vp8
from guard.types import Kind

OPUS = "opus"
VP8 = "vp8"
H264 = "h264"

KIND_CODECS: Mapping[Kind, tuple[str, ...]] = {Kind.AUDIO: (OPUS,), Kind.VIDEO: (VP8, H264)}
CLOCK_RATE_HZ: Mapping[str, int] = {OPUS: 48000, VP8: 90000, H264: 90000}

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
AUDIO_LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

# copied from the publisher to every subscriber who asked for it; the other two are written anew
PASSED_ON = (AUDIO_LEVEL_URI,)
# No urn:3gpp:video-orientation: with it a phone sends its sensor's pixels as they lie and says beside them
# how to turn them; analysis and banner would work on faces that lie on their side or stand on their head.
# Where it was not agreed on, a sender turns the pixels before it encodes them (RFC 7742, section 4).
EXTENSIONS: Mapping[Kind, tuple[str, ...]] = {
    Kind.AUDIO: (MID_URI, ABS_SEND_TIME_URI, AUDIO_LEVEL_URI),
    Kind.VIDEO: (MID_URI, ABS_SEND_TIME_URI),
}

_KEYFRAME: Mapping[str, Callable[[bytes], bool]] = {VP8: vp8.is_keyframe, H264: h264.is_keyframe}


@dataclass(frozen=True, slots=True)
class Codec:
    """One codec as a peer numbered it.

    Args:
        name: ``opus``, ``vp8`` or ``h264``.
        payload_type: the peer's number for it.
        rtx_payload_type: the peer's number for its retransmissions, where offered.
        nack: whether the peer takes part in retransmission by NACK.
        pli: whether the peer understands picture loss indications.
        fmtp: format parameters, as they go into the answer.
    """

    name: str
    payload_type: int
    rtx_payload_type: int | None = None
    nack: bool = False
    pli: bool = True
    fmtp: str = ""

    @property
    def clock_rate_hz(self) -> int:
        """Ticks of the RTP timestamp per second."""
        return CLOCK_RATE_HZ[self.name]


def opens_keyframe(codec: str, payload: bytes) -> bool:
    """Whether this RTP payload is one a decoder can start from; any audio payload is."""
    test = _KEYFRAME.get(codec)
    return test is None or test(payload)
