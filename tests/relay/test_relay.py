"""Whole calls over real ICE, DTLS and SRTP on loopback, with scripted media and losses."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from guard.clock import ManualClock
from guard.errors import NotFoundError, Overload, PeerError
from guard.media import vp8
from guard.media.rtp import RtpPacket, wrap_rtx
from guard.relay import rtcp
from guard.relay.codecs import ABS_SEND_TIME_URI, MID_URI
from guard.relay.config import RelayConfig
from guard.relay.events import (
    ChannelMessage,
    ChannelOpen,
    PeerClosed,
    PeerConnected,
    RelayEvent,
    TrackEnded,
    TrackPublished,
)
from guard.relay.relay import Relay
from guard.relay.tap import Tap
from guard.types import Kind, SenderClock, TrackKey
from tests.relay.conftest import House
from tests.relay.raw_client import H264_LINES, VP8_LINES, RawClient, audio, until, video

A_AUDIO, A_VIDEO, A_RTX = 1001, 1002, 1003
B_AUDIO, B_VIDEO, B_RTX = 2001, 2002, 2003
KEY_A = TrackKey("s", "a", Kind.VIDEO)


async def publisher(house: House, name: str = "a", base: int = 1000) -> RawClient:
    client = house.client(name)
    await client.join([audio("0", "sendonly", base + 1), video("1", "sendonly", base + 2, base + 3)])
    await client.connected()
    return client


async def subscriber(house: House, name: str = "b", source: str = "a") -> RawClient:
    client = house.client(name)
    lines = [audio("x", "recvonly"), video("y", "recvonly")]
    await client.join(lines, publish=False, subscriptions={"x": source, "y": source})
    await client.connected()
    return client


async def test_two_parties_get_each_others_media_unchanged(house: House) -> None:
    a, b = house.client("a"), house.client("b")
    renumbered = {120: "VP8/90000", 121: "rtx/90000 apt=120"}
    await a.join(
        [audio("0", "sendrecv", A_AUDIO), video("1", "sendrecv", A_VIDEO, A_RTX)],
        subscriptions={"0": "b", "1": "b"},
    )
    own_video = video("v", "sendonly", B_VIDEO, B_RTX)
    lines = [audio("u", "sendrecv", B_AUDIO), own_video, video("w", "recvonly", codecs=renumbered)]
    await b.join(lines, subscriptions={"u": "a", "w": "a"})
    await a.connected()
    await b.connected()
    sent_audio, sent_video, back = [], [], []
    for i in range(50):
        sent_audio.append(a.send_audio(A_AUDIO, 65500 + i))
        sent_video.append(a.send_video(A_VIDEO, 65500 + i, key=i == 0))
        back.append(b.send_video(B_VIDEO, i, key=i == 0))
    await until(lambda: len(b.received) == 100 and len(a.received) == 50)
    assert [p.payload for p in b.on_line("u")] == sent_audio
    assert [p.payload for p in b.on_line("w")] == sent_video
    assert [p.payload for p in a.on_line("1")] == back
    assert {p.payload_type for p in b.on_line("w")} == {120}
    assert {p.extension(1) for p in b.on_line("w")} == {b"w"}
    assert {p.extension(2) for p in b.on_line("u")} == {b"\x0a"}
    assert all(p.extension(3) not in (None, bytes(3)) for p in b.on_line("w"))
    for mid in ("u", "w"):
        first, *_, last = (p.sequence for p in b.on_line(mid))
        assert last - first == 49
    stamps = [p.timestamp for p in b.on_line("w")]
    assert {(later - earlier) & 0xFFFFFFFF for earlier, later in pairwise(stamps)} == {3000}
    assert set(house.relay.tracks("s")) == {
        TrackKey("s", "a", Kind.AUDIO), TrackKey("s", "a", Kind.VIDEO), TrackKey("s", "b", Kind.VIDEO)
    }  # fmt: skip
    assert house.relay.stats().packets_forwarded == 150


async def test_no_offer_makes_a_sender_leave_its_pixels_unturned(house: House) -> None:
    a, b = house.client("a"), house.client("b")
    turned = {1: MID_URI, 3: ABS_SEND_TIME_URI, 4: "urn:3gpp:video-orientation"}
    await a.join([video("1", "sendonly", A_VIDEO, A_RTX, extensions=turned)])
    await b.join([video("w", "recvonly", extensions=turned)], subscriptions={"w": "a"})
    for client in (a, b):
        agreed = {e.id: e.uri for e in client.answer.media[0].rtp.headerExtensions}
        assert agreed == {1: MID_URI, 3: ABS_SEND_TIME_URI}


async def test_subscriber_who_came_first_is_served_once_somebody_publishes(house: House) -> None:
    b = await subscriber(house)
    a = await publisher(house)
    payload = a.send_video(A_VIDEO, 1, key=True)
    await until(lambda: b.received)
    assert b.on_line("y")[0].payload == payload


async def test_video_starts_with_a_keyframe_and_asks_for_it(house: House) -> None:
    a, b = await publisher(house), await subscriber(house)
    a.send_video(A_VIDEO, 1)
    await until(lambda: rtcp.KeyframeRequest(A_VIDEO) in a.control)
    assert b.received == []
    key = a.send_video(A_VIDEO, 2, key=True)
    await until(lambda: b.received)
    assert b.received[0].payload == key


async def test_lost_packet_is_asked_for_and_reaches_the_subscriber(house: House) -> None:
    a, b = await publisher(house), await subscriber(house)
    a.lose_out = lambda p: p.ssrc == A_VIDEO and p.sequence == 5
    payloads = {i: a.send_video(A_VIDEO, i, key=i == 0) for i in range(10)}
    await until(lambda: rtcp.Nack(A_VIDEO, (5,)) in a.control)
    original = RtpPacket(96, True, 5, 15000, A_VIDEO, payload=payloads[5])
    a.send(wrap_rtx(original, payload_type=97, sequence=1, ssrc=A_RTX))
    await until(lambda: len(b.received) == 10)
    first = b.received[0].sequence
    assert {p.sequence - first: p.payload for p in b.received} == payloads
    stats = house.relay.stats()
    assert (stats.packets_recovered, stats.packets_lost) == (1, 0)


async def test_nack_is_repeated_while_the_retransmission_is_lost_too(house: House) -> None:
    a, b = await publisher(house), await subscriber(house)
    a.lose_out = lambda p: p.sequence == 5
    for i in range(10):
        a.send_video(A_VIDEO, i, key=i == 0)
    await until(lambda: a.control.count(rtcp.Nack(A_VIDEO, (5,))) >= 3)
    assert len(b.received) == 9


async def test_subscriber_gets_a_retransmission_for_its_nack(house: House) -> None:
    a, b = await publisher(house), await subscriber(house)
    media, rtx = b.ssrcs("y")
    b.lose_in = lambda p: p.ssrc == media and p.payload.endswith((4).to_bytes(4, "big"))
    payloads = [a.send_video(A_VIDEO, i, key=i == 0) for i in range(8)]
    await until(lambda: len(b.received) == 7)
    missing = b.received[0].sequence + 4
    b.send_control(rtcp.nack(1, media, [missing]))
    await until(lambda: len(b.received) == 8)
    again = b.received[-1]
    assert (again.ssrc, again.payload_type, again.extension(1)) == (rtx, 97, b"y")
    assert again.payload == missing.to_bytes(2, "big") + payloads[4]
    assert house.relay.stats().retransmitted == 1


async def test_keyframe_requests_of_many_become_one(house: House) -> None:
    a = await publisher(house)
    viewers = [await subscriber(house, f"b{i}") for i in range(3)]
    a.send_video(A_VIDEO, 1, key=True)
    await until(lambda: all(v.received for v in viewers))
    a.control.clear()
    for viewer in viewers:
        for _ in range(5):
            viewer.send_control(rtcp.picture_loss(1, viewer.ssrcs("y")[0]))
    await until(lambda: house.relay.stats().pli_received == 15)
    await until(lambda: rtcp.KeyframeRequest(A_VIDEO) in a.control)
    assert a.control.count(rtcp.KeyframeRequest(A_VIDEO)) == 1


async def test_sender_report_keeps_lip_sync(house: House) -> None:
    a, b = await publisher(house), await subscriber(house)
    a.send_audio(A_AUDIO, 7)
    a.send_video(A_VIDEO, 7, key=True)
    await until(lambda: len(b.received) == 2)
    ntp = 0xE0000000_80000000
    for ssrc, stamp in ((A_AUDIO, 7 * 960 + 5), (A_VIDEO, 7 * 3000 + 9)):
        a.send_control(rtcp.sender_report(rtcp.SenderReport(ssrc, ntp, stamp, 1, 1)))
    await until(lambda: sum(isinstance(p, rtcp.SenderReport) for p in b.control) == 2)
    reports = {p.ssrc: p for p in b.control if isinstance(p, rtcp.SenderReport)}
    for mid, ahead in (("x", 5), ("y", 9)):
        report = reports[b.ssrcs(mid)[0]]
        assert report.ntp == ntp
        assert report.timestamp - b.on_line(mid)[0].timestamp == ahead
        assert report.packets == 1


async def test_newcomer_gets_the_clock_before_the_next_sender_report(house: House) -> None:
    a = await publisher(house)
    a.send_audio(A_AUDIO, 7)
    a.send_control(rtcp.sender_report(rtcp.SenderReport(A_AUDIO, 1 << 40, 7 * 960, 1, 1)))
    await until(lambda: house.relay.tracks("s"))
    b = await subscriber(house)
    a.send_audio(A_AUDIO, 8)
    await until(lambda: any(isinstance(p, rtcp.SenderReport) for p in b.control))
    (report,) = (p for p in b.control if isinstance(p, rtcp.SenderReport))
    assert (report.ntp, report.timestamp) == (1 << 40, b.on_line("x")[0].timestamp - 960)


async def test_subscribers_own_loss_is_kept(house: House) -> None:
    a, b = await publisher(house), await subscriber(house)
    a.send_video(A_VIDEO, 1, key=True)
    await until(lambda: b.received)
    block = rtcp.Report(b.ssrcs("y")[0], 10, 42, 1, 0, 0, 0)
    b.send_control(rtcp.receiver_report(1, [block]))
    (output,) = house.relay.outputs(KEY_A)
    await until(lambda: output.counters.reported_lost == 42)


async def test_publisher_gets_reports_of_its_streams(house: House) -> None:
    a = await publisher(house)
    for i in range(20):
        a.send_video(A_VIDEO, i, key=i == 0)
    await until(lambda: any(isinstance(p, rtcp.ReceiverReport) and p.reports for p in a.control))
    reports = [r for p in a.control if isinstance(p, rtcp.ReceiverReport) for r in p.reports]
    assert (reports[0].ssrc, reports[0].highest_sequence, reports[0].packets_lost) == (A_VIDEO, 19, 0)


async def test_weakest_subscriber_sets_the_bandwidth(house: House) -> None:
    a = await publisher(house)
    strong, weak = await subscriber(house, "b"), await subscriber(house, "c")
    a.send_video(A_VIDEO, 1, key=True)
    await until(lambda: strong.received and weak.received)
    weak.send_control(rtcp.bandwidth(1, 300_000, [weak.ssrcs("y")[0]]))
    strong.send_control(rtcp.bandwidth(1, 2_000_000, [strong.ssrcs("y")[0]]))
    await until(lambda: any(isinstance(p, rtcp.Bandwidth) and p.bitrate_bps == 300_000 for p in a.control))


async def test_publisher_who_comes_back_goes_on_in_the_same_stream(house: House) -> None:
    a, b = await publisher(house), await subscriber(house)
    for i in range(5):
        a.send_video(A_VIDEO, 60000 + i, key=i == 0)
    await until(lambda: len(b.received) == 5)
    await a.close()
    await until(lambda: house.of(PeerClosed))
    again = house.client("a", connection="a2")
    await again.join([video("1", "sendonly", 77, 78)])
    await again.connected()
    for i in range(5):
        again.send_video(77, 100 + i, key=i == 0)
    await until(lambda: len(b.received) == 10)
    sequences = [p.sequence for p in b.on_line("y")]
    assert sequences == list(range(sequences[0], sequences[0] + 10))
    stamps = [p.timestamp for p in b.on_line("y")]
    assert 0 < (stamps[5] - stamps[4]) & 0xFFFFFFFF < 90000 * 60
    assert TrackEnded(KEY_A) in house.events
    pictures = [vp8.parse_descriptor(p.payload).picture_id for p in b.on_line("y")]
    assert pictures == [(60000 + i) & 0x7FFF for i in range(10)]


async def test_second_connection_of_a_participant_takes_over(house: House) -> None:
    a, b = await publisher(house), await subscriber(house)
    a.send_video(A_VIDEO, 1, key=True)
    await until(lambda: b.received)
    other = house.client("a", connection="a2")
    await other.join([video("1", "sendonly", 77, 78)])
    await other.connected()
    a.send_video(A_VIDEO, 2, key=True)
    payload = other.send_video(77, 50, key=True)
    await until(lambda: len(b.received) == 2)
    assert vp8.parse_descriptor(b.received[1].payload).picture_id == 2
    assert b.received[1].payload[4:] == payload[4:]


async def test_six_in_a_room_come_and_go(house: House) -> None:
    """Everybody re-offers as the room changes, like the call page does."""
    room: dict[str, RawClient] = {}
    lines: dict[str, list[str]] = {}

    async def offer_again(name: str) -> None:
        """Keep an m-line per remote ever seen; those who left are switched to inactive."""
        base = 1000 * (int(name[1:]) + 1)
        seen = lines[name]
        seen += [other for other in room if other != name and other not in seen]
        offered = [audio("a", "sendonly", base + 1), video("v", "sendonly", base + 2, base + 3)]
        wanted: dict[str, str] = {}
        for index, other in enumerate(seen):
            here = other in room
            offered += [audio(f"a{index}", "recvonly" if here else "inactive"),
                        video(f"v{index}", "recvonly" if here else "inactive")]  # fmt: skip
            if here:
                wanted |= {f"a{index}": other, f"v{index}": other}
        await room[name].join(offered, subscriptions=wanted)

    for i in range(6):
        name = f"p{i}"
        room[name] = house.client(name)
        lines[name] = []
        for member in list(room):
            await offer_again(member)
        await room[name].connected()
    sequence = 0

    def say() -> None:
        nonlocal sequence
        for i, client in enumerate(house.clients):
            if client.name in room:
                client.send_audio(1000 * (i + 1) + 1, sequence)
                client.send_video(1000 * (i + 1) + 2, sequence, key=True)
        sequence += 1

    say()
    await until(lambda: all(len(c.received) == 10 for c in room.values()))
    for client in room.values():
        assert len({p.ssrc for p in client.received}) == 10
    left = room.pop("p2")
    await left.close()
    await until(lambda: house.of(PeerClosed))
    for member in list(room):
        await offer_again(member)
        room[member].received.clear()
    say()
    await until(lambda: all(len(c.received) == 8 for c in room.values()))
    assert house.relay.stats().peers == 5
    assert len(house.relay.tracks("s")) == 10


async def test_rooms_do_not_hear_each_other(house: House) -> None:
    a, b = await publisher(house), house.client("b", session="other")
    await b.join([audio("x", "recvonly")], publish=False, subscriptions={"x": "a"})
    await b.connected()
    c = await subscriber(house, "c")
    a.send_audio(A_AUDIO, 1)
    await until(lambda: c.received)
    assert b.received == []


async def test_room_uses_h264_where_its_first_publisher_has_no_vp8(house: House) -> None:
    a, b = house.client("a"), house.client("b")
    await a.join([video("1", "sendonly", A_VIDEO, A_RTX, codecs=H264_LINES)])
    await a.connected()
    await b.join([video("1", "sendrecv", B_VIDEO, B_RTX, codecs={**VP8_LINES, **H264_LINES})],
                 subscriptions={"1": "a"})  # fmt: skip
    await b.connected()
    assert [c.name for c in b.answer.media[0].rtp.codecs] == ["H264", "rtx"]
    key = b"\x67sps"
    a.send(RtpPacket(102, False, 9, 0, A_VIDEO, payload=b"\x41not yet"))
    a.send(RtpPacket(102, True, 10, 0, A_VIDEO, payload=key))
    await until(lambda: b.received)
    assert b.received[0].payload == key
    with pytest.raises(PeerError) as caught:
        await house.client("c").join([video("1", "sendonly", 5, 6)])
    assert caught.value.code == "codec_not_in_room"
    with pytest.raises(PeerError) as caught:
        await house.client("d").join([video("1", "recvonly")], publish=False, subscriptions={"1": "a"})
    assert caught.value.code == "codec_not_in_room"
    assert house.relay.stats().peers == 2


async def test_tap_gets_a_copy_of_tapped_participants_only(house: House) -> None:
    house.relay.tap_participant("s", "a")
    a, b = await publisher(house), await publisher(house, "b", 2000)
    payload = a.send_audio(A_AUDIO, 5)
    b.send_audio(B_AUDIO, 5)
    await until(lambda: len(house.of(TrackPublished)) == 2)
    (packet,) = house.tap.drain(10)
    assert (packet.key, packet.codec, packet.sequence, packet.payload) == (
        TrackKey("s", "a", Kind.AUDIO), "opus", 5, payload
    )  # fmt: skip
    assert packet.clock is None
    a.send_control(rtcp.sender_report(rtcp.SenderReport(A_AUDIO, 9 << 40, 77, 1, 1)))
    a.send_audio(A_AUDIO, 6)
    await until(lambda: len(house.tap) == 1)
    (packet,) = house.tap.drain(10)
    assert packet.clock == SenderClock(9 << 40, 77)
    house.relay.tap_participant("s", "a", on=False)
    a.send_audio(A_AUDIO, 7)
    await until(lambda: house.relay.stats().packets_received == 4)
    assert len(house.tap) == 0


async def test_publisher_who_stops_offering_ends_the_track(house: House) -> None:
    a, b = await publisher(house), await subscriber(house)
    a.send_video(A_VIDEO, 1, key=True)
    await until(lambda: b.received)
    await a.join([audio("0", "sendonly", A_AUDIO), video("1", "inactive")])
    assert TrackEnded(KEY_A) in house.events
    a.send_video(A_VIDEO, 2, key=True)
    await until(lambda: house.relay.stats().dropped.get("rtp_unknown_ssrc"))
    assert len(b.received) == 1


async def test_source_is_replaced_and_comes_back_without_a_seam(house: House) -> None:
    a, b = await publisher(house), await subscriber(house)
    for i in range(4):
        a.send_video(A_VIDEO, i, key=i == 0)
    await until(lambda: len(b.received) == 4)
    (output,) = house.relay.outputs(KEY_A)
    assert output.participant == "b"
    output.source_muted = True
    for i in range(4, 8):
        a.send_video(A_VIDEO, i)
        (payload,) = vp8.packetize(b"\x00banner", picture_id=9)
        assert output.inject(payload, timestamp=i * 3000, marker=True, now=1.0)
    await until(lambda: len(b.received) == 8)
    output.source_muted = False
    a.send_video(A_VIDEO, 8)
    a.send_video(A_VIDEO, 9, key=True)
    await until(lambda: len(b.received) == 9)
    assert output.source_live
    packets = b.on_line("y")
    assert [p.sequence - packets[0].sequence for p in packets] == list(range(9))
    assert [p.timestamp - packets[0].timestamp for p in packets] == [3000 * i for i in (*range(8), 9)]
    pictures = [vp8.parse_descriptor(p.payload).picture_id for p in packets]
    assert pictures == [0, 1, 2, 3, 4, 4, 4, 4, 5]


async def test_text_goes_both_ways_over_the_data_channel(house: House) -> None:
    a = house.client("a")
    assert not house.relay.send("s", "a", "too early")
    await a.join([audio("0", "sendonly", A_AUDIO)], channel=True)
    await until(lambda: house.of(ChannelOpen) and a.channel_open)
    assert house.relay.send("s", "a", "привет")
    assert not house.relay.send("s", "b", "nobody")
    assert a.transport.send_text("сәлем")
    await until(lambda: a.texts and house.of(ChannelMessage))
    assert a.texts == ["привет"]
    assert house.of(ChannelMessage) == [ChannelMessage("s", "a", "сәлем")]


async def test_vanished_peer_is_noticed_and_its_track_ends() -> None:
    clock, events = ManualClock(), list[RelayEvent]()
    relay = Relay(RelayConfig(addresses=("127.0.0.1",)), clock=clock, tap=Tap(10), on_event=events.append)
    a = RawClient(relay, "a")
    await a.join([audio("0", "sendonly", A_AUDIO)])
    await a.connected()
    a.send_audio(A_AUDIO, 1)
    await until(lambda: relay.tracks("s"))
    relay.poll()
    clock.advance(14.0)
    relay.poll()
    assert relay.stats().peers == 1
    clock.advance(2.0)
    relay.poll()
    await until(lambda: relay.stats().peers == 0)
    assert events[-2:] == [TrackEnded(TrackKey("s", "a", Kind.AUDIO)), PeerClosed("a", "s", "a", "vanished")]
    await relay.shutdown()
    await a.close()


async def test_peer_that_never_connects_is_given_up() -> None:
    clock, events = ManualClock(), list[RelayEvent]()
    relay = Relay(RelayConfig(addresses=("127.0.0.1",)), clock=clock, tap=Tap(10), on_event=events.append)
    a = RawClient(relay, "a")
    sdp = await a.offer([audio("0", "sendonly", A_AUDIO)])
    await relay.negotiate("a", session="s", participant="a", sdp=sdp, publish=True, subscriptions={})
    clock.advance(21.0)
    relay.poll()
    await until(lambda: events)
    assert events == [PeerClosed("a", "s", "a", "not_connected")]
    await relay.shutdown()
    await a.close()


async def test_cancelled_negotiation_leaves_nothing(house: House) -> None:
    a = house.client("a")
    sdp = await a.offer([audio("0", "sendonly", A_AUDIO)])
    for turns in range(6):
        task = asyncio.ensure_future(
            house.relay.negotiate("a", session="s", participant="a", sdp=sdp, publish=True, subscriptions={})
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        if not task.cancel():
            await house.relay.close("a")
            continue
        with pytest.raises(asyncio.CancelledError):
            await task
        assert house.relay.stats().peers == 0


async def test_limits_and_mistakes_have_names(house: House) -> None:
    relay = Relay(
        RelayConfig(max_peers=1, addresses=("127.0.0.1",)), clock=ManualClock(), tap=Tap(1), on_event=print
    )
    first, second = RawClient(relay, "a"), RawClient(relay, "b")
    eve, again = RawClient(relay, "eve", connection="a"), RawClient(relay, "a")
    await first.join([audio("0", "sendonly", 1)])
    with pytest.raises(Overload) as full:
        await second.join([audio("0", "sendonly", 1)])
    assert full.value.code == "relay_full"
    with pytest.raises(PeerError) as mismatch:
        await eve.join([audio("0", "sendonly", 1)])
    assert mismatch.value.code == "peer_mismatch"
    with pytest.raises(PeerError) as restart:
        await again.join([audio("0", "sendonly", 1)])
    assert restart.value.code == "ice_restart_unsupported"
    with pytest.raises(PeerError) as unknown:
        await first.join([audio("0", "sendrecv", 1)], subscriptions={"7": "b"})
    assert unknown.value.code == "subscription_unknown"
    with pytest.raises(NotFoundError):
        await relay.add_candidate("nobody", "", None)
    with pytest.raises(PeerError) as malformed:
        await relay.add_candidate("a", "candidate:garbage", None)
    assert malformed.value.code == "candidate_malformed"
    await relay.add_candidate("a", "candidate:1 1 udp 1 3f1c.local 5000 typ host", "0")
    await relay.add_candidate("a", "", None)
    await relay.close("nobody")
    await relay.shutdown()
    for client in (first, second, eve, again):
        await client.close()


async def test_connection_is_announced_once(house: House) -> None:
    a = await publisher(house)
    await until(lambda: house.of(PeerConnected))
    assert house.of(PeerConnected) == [PeerConnected("a", "s", "a")]
    await a.close()
    await until(lambda: house.of(PeerClosed))
    assert house.of(PeerClosed) == [PeerClosed("a", "s", "a", "closed")]


async def test_a_mistake_in_a_timer_is_reported_and_the_timer_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: problems.append(context["exception"]))
    polls: list[int] = []

    def broken() -> None:
        polls.append(len(polls))
        if len(polls) == 1:
            raise ZeroDivisionError

    monkeypatch.setattr(house.relay, "poll", broken)
    await publisher(house)
    await until(lambda: len(polls) > 3)
    loop.set_exception_handler(None)
    assert [type(problem) for problem in problems] == [ZeroDivisionError]


async def test_connection_closed_while_it_negotiates_is_closed_afterwards(house: House) -> None:
    a = house.client("a")
    sdp = await a.offer([audio("0", "sendonly", A_AUDIO)])
    negotiation = asyncio.ensure_future(
        house.relay.negotiate("a", session="s", participant="a", sdp=sdp, publish=True, subscriptions={})
    )
    while not house.relay.stats().peers:  # noqa: ASYNC110 - one turn of the loop at a time
        await asyncio.sleep(0)
    await house.relay.close("a")
    assert "a=recvonly" in await negotiation
    assert house.relay.stats().peers == 0
    assert house.events == [PeerClosed("a", "s", "a", "closed")]
