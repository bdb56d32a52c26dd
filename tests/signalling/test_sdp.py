from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import PeerError
from guard.signalling.sdp import MAX_MEDIA_LINES, Fragment, MediaLine, media_lines, parse_fragment, read_offer
from tests.signalling.fakes import PUBLISH, offer

MEDIA = st.sampled_from(["m=audio 9 X 0", "m=video", "m=application 9 X", "a=mid:0", "a=mid:", "a=recvonly"])
OTHER = st.sampled_from(
    ["v=0", "s=-", "", "a=inactive", "a=candidate:1 1 udp", "a=ice-ufrag:x", "a=ice-pwd:y"]
)


def test_lines_are_read_with_kind_mid_and_direction() -> None:
    sdp = offer(("audio", "a", "sendonly"), ("video", "b", "recvonly"), ("application", "c", "sendrecv"))
    assert media_lines(sdp) == [
        MediaLine("audio", "a", "sendonly"),
        MediaLine("video", "b", "recvonly"),
        MediaLine("application", "c", "sendrecv"),
    ]


def test_line_ends_do_not_matter() -> None:
    assert media_lines(PUBLISH) == media_lines(PUBLISH.replace("\r\n", "\n"))


@pytest.mark.parametrize(
    "direction, publishes", [("sendrecv", True), ("sendonly", True), ("recvonly", False), ("inactive", False)]
)
def test_an_offer_publishes_if_it_sends(direction: str, publishes: bool) -> None:
    read = read_offer(offer(("audio", "0", direction), ("application", "1", "sendrecv")), {})
    assert read.publish is publishes
    assert read.ufrag == "abcd"


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
def test_a_line_that_does_not_receive_cannot_be_subscribed(direction: str) -> None:
    with pytest.raises(PeerError) as caught:
        read_offer(offer(("audio", "0", direction)), {"0": "alice"})
    assert caught.value.code == "subscription_invalid"


@pytest.mark.parametrize(
    "sdp",
    [
        "",
        "v=0",
        "v=1\r\nm=audio 9 X 0",
        "m=audio 9 X 0\r\nv=0",
        "v=0\r\nm=audio 9 X 0\r\nnonsense",
        "v=0\r\nm=audio 9 X 0\r\na=\x00",
        "v=0\r\n\r\nm=audio 9 X 0",
        offer(("audio", "0", "sendonly"), ("video", "0", "sendonly")),
        offer(*[("audio", str(n), "recvonly") for n in range(MAX_MEDIA_LINES + 1)]),
        PUBLISH + "a=x:" + "y" * 300_000,
    ],
)
def test_what_is_no_sdp_is_refused(sdp: str) -> None:
    with pytest.raises(PeerError) as caught:
        media_lines(sdp)
    assert caught.value.code == "sdp_malformed"


def test_a_fragment_gives_candidates_with_their_mid() -> None:
    first = "a=ice-ufrag:u\r\na=ice-pwd:p\r\nm=audio 9 X 0\r\na=mid:0\r\na=candidate:1\r\n"
    second = "m=video 9 X 0\r\na=candidate:2\r\na=end-of-candidates\r\n"
    assert parse_fragment(first + second) == Fragment("u", "p", [("candidate:1", "0"), ("candidate:2", None)])
    assert parse_fragment("") == Fragment()


@given(st.text(max_size=400) | st.lists(MEDIA | OTHER, max_size=30).map("\r\n".join))
def test_any_text_is_read_or_refused_with_a_code(text: str) -> None:
    for parse in (media_lines, parse_fragment):
        try:
            parse(text)
        except PeerError as error:
            assert error.code == "sdp_malformed"
