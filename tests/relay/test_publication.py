"""A published track in virtual time: repair, keyframes, streams that change, bandwidth."""

from __future__ import annotations

from guard.media.rtp import RtpPacket, wrap_rtx
from guard.relay import rtcp
from guard.relay.bandwidth import FLOOR_BPS, BandwidthCombiner
from guard.relay.codecs import Codec
from guard.relay.publication import Publication
from guard.types import Kind, SenderClock, TrackKey

KEY = TrackKey("s", "a", Kind.VIDEO)
VP8 = Codec("vp8", 96, 97, nack=True)


def publication(codec: Codec = VP8, kind: Kind = Kind.VIDEO) -> Publication:
    return Publication(TrackKey("s", "a", kind), "1", codec, extensions={}, rtcp_ssrc=9)


def picture(sequence: int, *, key: bool = False, ssrc: int = 5) -> RtpPacket:
    return RtpPacket(
        96, True, sequence & 0xFFFF, sequence * 3000 & 0xFFFFFFFF, ssrc, payload=bytes((0x10, not key))
    )


def feedback(packets: list[bytes]) -> list[rtcp.RtcpPacket]:
    return rtcp.parse_rtcp(b"".join(packets))


def test_retransmission_fills_the_hole_once() -> None:
    track = publication()
    for sequence in (65534, 65536):
        assert track.receive(picture(sequence), 0.0) is not None
    assert feedback(track.poll(0.02)) == [rtcp.Nack(5, (65535,))]
    again = wrap_rtx(picture(65535), payload_type=97, sequence=1, ssrc=6)
    assert track.receive(again, 0.05) == picture(65535)
    assert track.receive(again, 0.06) is None
    assert track.receive(picture(65535), 0.07) is None
    assert track.poll(1.0) == []
    assert (track.packets_recovered, track.packets_lost, track.counters["rtp_duplicate"]) == (1, 0, 2)


def test_probes_foreign_payloads_and_early_retransmissions_are_not_forwarded() -> None:
    track = publication()
    early = wrap_rtx(picture(1), payload_type=97, sequence=1, ssrc=6)
    assert track.receive(early, 0.0) is None
    track.receive(picture(1), 0.0)
    assert track.receive(RtpPacket(97, False, 2, 0, 6), 0.0) is None
    assert track.receive(RtpPacket(100, False, 2, 0, 5, payload=b"x"), 0.0) is None
    assert track.counters == {"rtx_early": 1, "rtp_payload_type": 1}


def test_packet_given_up_asks_for_a_keyframe() -> None:
    track = publication()
    track.receive(picture(1, key=True), 0.0)
    track.receive(picture(3), 0.0)
    seen = [f for t in range(1, 80) for f in feedback(track.poll(t * 0.02))]
    assert rtcp.KeyframeRequest(5) in seen
    assert track.packets_lost == 1
    assert seen.index(rtcp.KeyframeRequest(5)) > seen.index(rtcp.Nack(5, (2,)))


def test_audio_without_nack_is_counted_but_not_asked_for() -> None:
    track = publication(Codec("opus", 111), Kind.AUDIO)
    for sequence in (1, 2, 5):
        track.receive(RtpPacket(111, False, sequence, sequence * 960, 5, payload=b"o"), 0.0)
    assert [track.poll(t / 10) for t in range(20)] == [[]] * 20
    assert track.packets_lost == 2
    assert track.request_keyframe(0.0) == []


def test_keyframe_requests_are_combined_and_repeated_until_one_comes() -> None:
    track = publication()
    assert track.request_keyframe(0.0) == []
    track.receive(picture(1), 0.0)
    sent = [t for t in range(30) if track.request_keyframe(t * 0.01)]
    assert sent == [0]
    assert track.request_keyframe(0.51) != []
    assert [t for t in range(6, 40) if track.poll(t / 10)] == [16, 26, 36]
    track.receive(picture(2, key=True), 4.0)
    assert track.poll(9.0) == []


def test_publisher_without_pli_gets_a_fir() -> None:
    track = publication(Codec("vp8", 96, None, nack=True, pli=False))
    track.receive(picture(1), 0.0)
    (packet,) = track.request_keyframe(0.0)
    assert packet[0] & 0x1F == 4
    assert rtcp.parse_rtcp(packet) == [rtcp.KeyframeRequest(5)]


def test_new_ssrc_starts_afresh_and_keeps_the_totals() -> None:
    track = publication()
    for sequence in (1, 3):
        track.receive(picture(sequence), 0.0)
    track.poll(2.0)
    assert track.receive(picture(40000, ssrc=8), 2.0) is not None
    assert (track.ssrc, track.packets_lost) == (8, 1)
    assert track.receive(picture(40001, ssrc=8), 2.0) is not None


def test_smallest_estimate_counts_until_it_is_stale() -> None:
    combiner = BandwidthCombiner()
    assert combiner.poll(0.0) is None
    combiner.update(1, 900_000, 0.0)
    combiner.update(2, 500_000, 0.0)
    assert combiner.poll(0.1) == 500_000
    assert combiner.poll(0.5) is None
    combiner.update(1, 400_000, 0.6)
    assert combiner.poll(0.6) == 400_000
    combiner.update(1, 900_000, 0.7)
    assert combiner.poll(0.7) is None
    assert combiner.poll(1.7) == 500_000
    combiner.update(1, 900_000, 9.0)
    assert combiner.poll(11.0) == 900_000
    combiner.update(3, 10, 12.0)
    assert combiner.poll(12.0) == FLOOR_BPS
    combiner.remove(3)
    assert combiner.poll(14.0) == 900_000


def said(ssrc: int, ntp: int, timestamp: int) -> rtcp.SenderReport:
    return rtcp.SenderReport(ssrc, ntp, timestamp, 1, 1)


def test_the_clock_of_a_stream_is_what_its_newest_report_says() -> None:
    track = publication()
    assert not track.take_sender_report(said(5, 1 << 40, 7), 0.0)
    track.receive(picture(1), 0.0)
    assert track.clock is None
    assert track.take_sender_report(said(5, 1 << 40, 7), 0.1)
    assert track.take_sender_report(said(5, 2 << 40, 8), 0.2)
    assert track.clock == SenderClock(2 << 40, 8)
    assert not track.take_sender_report(said(6, 3 << 40, 9), 0.3)
    assert track.clock == SenderClock(2 << 40, 8)


def test_a_sender_without_a_clock_and_a_new_stream_have_none() -> None:
    track = publication()
    track.receive(picture(1), 0.0)
    track.take_sender_report(said(5, 1 << 40, 7), 0.1)
    track.take_sender_report(said(5, 0, 8), 0.2)
    assert track.clock is None
    track.take_sender_report(said(5, 1 << 40, 7), 0.3)
    track.receive(picture(9, ssrc=8), 0.4)
    assert (track.clock, track.sender_report) == (None, None)
