"""SDP offers: what is read, what is refused and by which name, and any text at all."""

from __future__ import annotations

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import ConfigError, PeerError
from guard.relay.answer import LocalTransport, MediaAnswer, SentStream, token, write_answer
from guard.relay.config import RelayConfig
from guard.relay.offer import parse_offer
from guard.types import Kind
from tests.relay.raw_client import IDENTITY, Line, audio, video

CONFIG = RelayConfig()
TRANSPORT = [
    "a=ice-ufrag:abcd",
    "a=ice-pwd:0123456789012345678901",
    "a=setup:actpass",
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
]
CODES = {
    "sdp_too_large",
    "sdp_malformed",
    "sdp_no_ice",
    "sdp_no_fingerprint",
    "sdp_not_bundled",
    "sdp_no_rtcp_mux",
}
H264 = "m=video 9 UDP/TLS/RTP/SAVPF 98 99 100 101"
ANY_H264 = """a=rtpmap:98 H264/90000
a=fmtp:98 packetization-mode=0;profile-level-id=42e01f
a=rtpmap:99 H264/90000
a=fmtp:99 packetization-mode=1;profile-level-id=640032
a=rtpmap:100 H264/90000
a=fmtp:100 packetization-mode=1;profile-level-id=42001f
a=rtpmap:101 H264/90000
a=fmtp:101 packetization-mode=1;profile-level-id=42E034"""


def offer(*lines: Line, bundle: str | None = None, transport: list[str] = TRANSPORT) -> str:
    bundle = " ".join(line.mid for line in lines) if bundle is None else bundle
    text = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        *([f"a=group:BUNDLE {bundle}"] if bundle else []),
    ]
    for line in lines:
        text += line.text() + transport
    return "\r\n".join(text) + "\r\n"


def code_of(text: str, config: RelayConfig = CONFIG) -> str:
    with pytest.raises(PeerError) as caught:
        parse_offer(text, config)
    return caught.value.code


def test_an_ordinary_offer_is_read() -> None:
    found = parse_offer(
        offer(audio("0", "sendonly", 1), video("1", "recvonly"), video("2", "sendrecv", 2, 3)), CONFIG
    )
    first, second, third = found.media
    assert (first.kind, first.sends, first.receives, first.ssrcs) == (Kind.AUDIO, True, False, (1,))
    assert (second.sends, second.receives) == (False, True)
    assert (third.ssrcs, third.rtx) == ((2,), {3: 2})
    assert first.codecs["opus"].payload_type == 111
    assert (third.codecs["vp8"].rtx_payload_type, third.codecs["vp8"].nack) == (97, True)
    assert found.ice.usernameFragment == "abcd"


def test_best_h264_is_chosen() -> None:
    text = offer(video("1")).replace("m=video 9 UDP/TLS/RTP/SAVPF 96 97", H264)
    lines = [line for line in text.splitlines() if "rtpmap" not in line and "fmtp" not in line]
    found = parse_offer("\r\n".join([*lines, *ANY_H264.splitlines()]) + "\r\n", CONFIG)
    assert found.media[0].codecs["h264"].payload_type == 101
    assert found.media[0].codecs["h264"].fmtp.endswith("profile-level-id=42e034")


def test_refusals_have_names() -> None:
    good = offer(audio("0"), video("1"))
    assert parse_offer(good, CONFIG)
    assert code_of("") == "sdp_malformed"
    assert code_of("hello") == "sdp_malformed"
    assert code_of(good.replace("m=audio 9", "m=audio nine")) == "sdp_malformed"
    assert code_of(good + "\ud800") == "sdp_malformed"
    assert code_of(good.replace("a=mid:1", "a=mid:0"), CONFIG) == "sdp_malformed"
    assert code_of(good.replace("a=ice-ufrag:abcd\r\n", "")) == "sdp_no_ice"
    assert code_of(good.replace("sha-256", "sha-1")) == "sdp_no_fingerprint"
    assert code_of(good.replace("a=setup:actpass\r\n", "")) == "sdp_no_fingerprint"
    assert code_of(good.replace("a=rtcp-mux\r\n", "")) == "sdp_no_rtcp_mux"
    assert code_of(offer(audio("0"), video("1"), bundle="0")) == "sdp_not_bundled"
    assert code_of(offer(audio("0"), video("1"), bundle="")) == "sdp_not_bundled"
    assert code_of(good, RelayConfig(max_sdp_bytes=100)) == "sdp_too_large"
    assert code_of(good, RelayConfig(max_media_sections=1)) == "sdp_too_large"
    assert code_of(good + "a=ssrc:1 cname:x\r\n" * 65) == "sdp_too_large"
    assert code_of(good + "a=x\r\n" * 601) == "sdp_too_large"
    assert code_of(good + "a=x\r" * 601) == "sdp_too_large"
    costly = "a=rtpmap:1 VP8/90000\r\n" * 250 + "a=rtcp-fb:* nack\r\n" * 250
    assert code_of(good + costly) == "sdp_too_large"
    assert code_of(offer(audio("0", "sendonly", 1 << 32))) == "sdp_malformed"
    off = offer(audio("0"), bundle="").replace("m=audio 9", "m=audio 0")
    assert code_of(off) == "sdp_malformed"


def test_codecs_nobody_forwards_are_not_listed() -> None:
    foreign = audio("0", codecs={0: "PCMU/8000", 8: "PCMA/8000", 63: "red/48000/2", 112: "opus/16000"})
    assert parse_offer(offer(foreign), CONFIG).media[0].codecs == {}


@settings(max_examples=200)
@given(st.text(max_size=300))
def test_any_text_is_an_offer_or_a_peer_error(text: str) -> None:
    try:
        parse_offer(text, CONFIG)
    except PeerError as error:
        assert error.code in CODES


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_offer_is_an_offer_or_a_peer_error(data: st.DataObject) -> None:
    lines = offer(audio("0", "sendonly", 1), video("1", "sendrecv", 2, 3)).split("\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        change = data.draw(st.sampled_from(["drop", "double", "cut", "swap", "junk"]))
        if change == "drop":
            lines[at] = ""
        elif change == "double":
            lines.insert(at, lines[at])
        elif change == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, 20))]
        elif change == "swap":
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            lines[at] += data.draw(st.text(max_size=8))
    try:
        parse_offer("\r\n".join(lines), CONFIG)
    except PeerError as error:
        assert error.code in CODES


def test_answer_says_what_was_agreed() -> None:
    found = parse_offer(offer(audio("0", "sendonly", 1), video("v", "recvonly")), CONFIG)
    first, second = found.media
    local = LocalTransport(found.ice, (), IDENTITY.fingerprints(), "active", 16384)
    answers = [
        MediaAnswer(first, True, None, list(first.codecs.values()), first.extensions),
        MediaAnswer(
            second, False, SentStream("Ann Lee", 7, 8), list(second.codecs.values()), second.extensions
        ),
    ]
    parsed = SessionDescription.parse(write_answer(answers, local, 3))
    assert [m.direction for m in parsed.media] == ["recvonly", "sendonly"]
    assert [s.ssrc for s in parsed.media[1].ssrc] == [7, 8]
    assert parsed.media[1].ssrc_group[0].items == [7, 8]
    assert [c.name for c in parsed.media[1].rtp.codecs] == ["VP8", "rtx"]
    assert parsed.group[0].items == ["0", "v"]
    assert {m.dtls.role for m in parsed.media if m.dtls} == {"client"}


def test_switched_off_line_is_refused_in_the_answer() -> None:
    text = offer(audio("0"), video("1"), bundle="0").replace("m=video 9", "m=video 0")
    found = parse_offer(text, CONFIG)
    local = LocalTransport(found.ice, (), IDENTITY.fingerprints(), "active", 16384)
    answer = write_answer(
        [MediaAnswer(m, codecs=list(m.codecs.values()) if m.active else ()) for m in found.media], local, 1
    )
    assert "m=video 0 UDP/TLS/RTP/SAVPF 96 97" in answer
    assert "a=group:BUNDLE 0\r\n" in answer


@given(st.text(min_size=1, max_size=100))
def test_names_become_tokens_that_cannot_break_a_line(name: str) -> None:
    assert all(c.isascii() and (c.isalnum() or c in "-_") for c in token(name))
    assert token(name) == token(name)


def test_config_refuses_nonsense_by_name() -> None:
    for bad in ({"addresses": ("localhost",)}, {"video_codecs": ("av1",)}, {"peer_timeout_s": 0.0}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            RelayConfig(**bad)
