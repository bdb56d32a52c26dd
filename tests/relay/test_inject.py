from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest

from guard.media import vp8
from guard.media.rtp import RtpPacket, parse_rtp
from guard.relay.codecs import Codec
from guard.relay.inject import KEYFRAME_AGAIN_S, OPUS_PACKET_S, STALL_S, Announcement, BannerSwitch
from guard.relay.output import Output, OutputStream
from guard.types import Kind, TrackKey
from guard.workers.wire import EncodedPicture

VIDEO = TrackKey("s", "suspect", Kind.VIDEO)
AUDIO = TrackKey("s", "suspect", Kind.AUDIO)
FRAME_TICKS = 3000
KEY_FRAME = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01"
DELTA_FRAME = b"\x11delta"


class Receiver:
    """One real Output and what came out of it."""

    def __init__(self, participant: str, kind: Kind) -> None:
        self.packets: list[RtpPacket] = []
        codec = Codec("vp8", 96, nack=True) if kind is Kind.VIDEO else Codec("opus", 111)
        stream = OutputStream("0", kind, 777, 778, {codec.name: codec}, {})
        self.output = Output(participant, stream, lambda data: self.packets.append(parse_rtp(data)))
        self.output.attach(codec.name, {})

    def payloads(self) -> list[bytes]:
        return [p.payload for p in self.packets]

    def assert_unbroken(self) -> None:
        """One SSRC, sequences one by one, timestamps never back, picture ids one by one."""
        assert {p.ssrc for p in self.packets} <= {777}
        pairs = list(pairwise(self.packets))
        assert all((b.sequence - a.sequence) & 0xFFFF == 1 for a, b in pairs)
        assert all((b.timestamp - a.timestamp) & 0xFFFFFFFF < 0x80000000 for a, b in pairs)
        if self.output.stream.kind is Kind.VIDEO:
            numbers = [vp8.parse_descriptor(p.payload).picture_id or 0 for p in self.packets]
            assert all((b - a) & 0x7FFF <= 1 for a, b in pairwise(numbers))


@dataclass
class FakeMedia:
    """The relay's two methods over real outputs."""

    receivers: list[Receiver]
    keyframe_requests: int = 0

    def outputs(self, key: TrackKey) -> list[Output]:
        return [r.output for r in self.receivers]

    def request_keyframe(self, key: TrackKey) -> None:
        self.keyframe_requests += 1


class Call:
    """A suspect's video forwarded to receivers, 30 pictures a second, with a banner switch."""

    def __init__(self, *participants: str) -> None:
        self.media = FakeMedia([Receiver(p, Kind.VIDEO) for p in participants])
        self.asked = 0
        self.switch = BannerSwitch(self.media, VIDEO, "vp8", self.ask)
        self.now = 0.0
        self.index = 0

    def ask(self) -> None:
        self.asked += 1

    def source(self, *, keyframe: bool = False) -> None:
        """One picture of the source, one packet."""
        self.index += 1
        self.now = self.index / 30
        payload = vp8.packetize(KEY_FRAME if keyframe else DELTA_FRAME, picture_id=self.index)[0]
        packet = RtpPacket(96, True, self.index & 0xFFFF, self.index * FRAME_TICKS, 1, payload=payload)
        for receiver in self.media.receivers:
            receiver.output.write(packet, self.now)

    def banner(self, *, keyframe: bool = False, behind: int = 0) -> None:
        """The picture of the source some pictures ago, with the banner in it."""
        data = (KEY_FRAME if keyframe else DELTA_FRAME) + b"banner"
        stamp = (self.index - behind) * FRAME_TICKS
        self.switch.picture(EncodedPicture(VIDEO, stamp, keyframe, data), self.now)

    def shown(self, receiver: int = 0) -> bool:
        return self.media.receivers[receiver].payloads()[-1].endswith(b"banner")


def started(*participants: str) -> Call:
    call = Call(*participants)
    call.source(keyframe=True)
    for _ in range(5):
        call.source()
    return call


def test_banner_starts_at_its_keyframe_and_ends_at_the_sources() -> None:
    call = started("agent")
    call.switch.show("agent")
    assert call.asked == 1
    call.source()
    call.banner()
    assert not call.shown()
    call.source()
    call.banner(keyframe=True, behind=2)
    assert call.shown()
    for _ in range(5):
        call.source()
        call.banner(behind=2)
        assert call.shown()
    call.switch.hide("agent")
    assert call.media.keyframe_requests == 1
    call.source()
    call.banner(behind=2)
    assert call.shown(), "the banner goes on until the source can be decoded"
    call.source(keyframe=True)
    call.banner(behind=2)
    assert not call.shown()
    call.switch.poll(call.now)
    assert call.switch.idle
    call.source()
    call.media.receivers[0].assert_unbroken()
    assert (call.switch.counters.switched_on, call.switch.counters.switched_off) == (1, 1)


def test_only_chosen_recipients_see_it_and_never_the_suspect() -> None:
    call = started("agent", "guest", "suspect")
    call.switch.show("agent")
    for index in range(6):
        call.source()
        call.banner(keyframe=index == 0)
    assert [call.shown(i) for i in range(3)] == [True, False, False]
    with pytest.raises(ValueError, match="never"):
        call.switch.show("suspect")
    for receiver in call.media.receivers:
        receiver.assert_unbroken()


def test_second_recipient_joins_at_the_next_banner_keyframe() -> None:
    call = started("agent", "host")
    call.switch.show("agent")
    call.source()
    call.banner(keyframe=True)
    call.switch.show("host")
    call.source()
    call.banner()
    assert (call.shown(0), call.shown(1)) == (True, False)
    assert call.asked >= 2
    call.source()
    call.banner(keyframe=True)
    assert (call.shown(0), call.shown(1)) == (True, True)


def test_banner_wanted_again_while_it_leaves_stays_without_a_gap() -> None:
    call = started("agent")
    call.switch.show("agent")
    call.source()
    call.banner(keyframe=True)
    call.switch.hide("agent")
    call.switch.show("agent")
    call.source()
    call.banner()
    call.source(keyframe=True)
    call.banner()
    assert call.shown()
    call.media.receivers[0].assert_unbroken()


def test_stalled_banner_gives_the_source_back() -> None:
    call = started("agent")
    call.switch.show("agent")
    call.source()
    call.banner(keyframe=True)
    stalled_at = call.now
    while call.now < stalled_at + STALL_S + 0.1:
        call.source()
        call.switch.poll(call.now)
    assert call.switch.counters.stalled == 1
    assert call.media.keyframe_requests == 1
    call.source(keyframe=True)
    assert not call.shown()
    call.banner()
    assert not call.shown(), "a banner that comes back must start with a keyframe"
    call.banner(keyframe=True)
    assert call.shown()
    call.media.receivers[0].assert_unbroken()


def test_keyframe_of_the_source_is_asked_for_again() -> None:
    call = started("agent")
    call.switch.show("agent")
    call.source()
    call.banner(keyframe=True)
    call.switch.hide("agent")
    start = call.now
    while call.now < start + 2.5 * KEYFRAME_AGAIN_S:
        call.source()
        call.banner()
        call.switch.poll(call.now)
    assert 3 <= call.media.keyframe_requests <= 5


def test_recipient_who_left_is_forgotten() -> None:
    call = started("agent")
    call.switch.show("agent")
    call.source()
    call.banner(keyframe=True)
    call.media.receivers.clear()
    call.switch.poll(call.now)
    call.switch.hide("agent")
    assert call.switch.idle


def test_banner_pictures_larger_than_a_packet_end_with_one_marker() -> None:
    call = started("agent")
    call.switch.show("agent")
    call.switch.picture(EncodedPicture(VIDEO, 7 * FRAME_TICKS, True, KEY_FRAME + bytes(5000)), call.now)
    receiver = call.media.receivers[0]
    mine = [p for p in receiver.packets if p.timestamp == 7 * FRAME_TICKS]
    assert [p.marker for p in mine] == [False] * (len(mine) - 1) + [True]
    assert len(mine) == 5
    receiver.assert_unbroken()


def test_no_banner_in_other_codecs() -> None:
    with pytest.raises(ValueError, match="av1"):
        BannerSwitch(FakeMedia([]), VIDEO, "av1", lambda: None)


class Voice:
    """A suspect's voice forwarded in 20 ms packets."""

    def __init__(self, *participants: str) -> None:
        self.media = FakeMedia([Receiver(p, Kind.AUDIO) for p in participants])
        self.index = 0

    @property
    def now(self) -> float:
        return self.index * OPUS_PACKET_S

    def source(self) -> None:
        self.index += 1
        packet = RtpPacket(111, False, self.index, self.index * 960, 1, payload=b"voice")
        for receiver in self.media.receivers:
            receiver.output.write(packet, self.now)

    def play(self, announcement: Announcement, count: int) -> None:
        for _ in range(count):
            self.source()
            announcement.poll(self.now)


def test_announcement_replaces_the_voice_for_its_length_and_no_longer() -> None:
    voice = Voice("agent", "guest", "suspect")
    for _ in range(5):
        voice.source()
    own = [f"own{i}".encode() for i in range(10)]
    announcement = Announcement(voice.media, AUDIO, own, ["agent", "suspect"], voice.now)
    assert announcement.deadline() == pytest.approx(voice.now + OPUS_PACKET_S)
    voice.play(announcement, 20)
    heard = voice.media.receivers[0].payloads()
    assert heard[:5] == [b"voice"] * 5
    assert heard[5:15] == own
    assert set(heard[15:]) == {b"voice"}
    assert len(heard) in (24, 25)
    assert set(voice.media.receivers[1].payloads()) == {b"voice"}
    assert set(voice.media.receivers[2].payloads()) == {b"voice"}
    assert announcement.done
    assert announcement.deadline() is None
    voice.media.receivers[0].assert_unbroken()
    steps = voice.media.receivers[0].packets
    assert all(0 <= b.timestamp - a.timestamp <= 1920 for a, b in pairwise(steps))


def test_announcement_plays_on_while_the_suspect_is_silent() -> None:
    voice = Voice("agent")
    voice.source()
    announcement = Announcement(voice.media, AUDIO, [b"a", b"b", b"c"], ["agent"], voice.now)
    announcement.poll(voice.now + 0.2)
    assert voice.media.receivers[0].payloads() == [b"voice", b"a", b"b", b"c"]
    assert [p.timestamp for p in voice.media.receivers[0].packets] == [960, 1920, 2880, 3840]
    assert announcement.done


def test_announcement_stopped_early_gives_the_voice_back() -> None:
    voice = Voice("agent", "host")
    voice.source()
    announcement = Announcement(voice.media, AUDIO, [b"own"] * 50, ["agent", "host"], voice.now)
    voice.play(announcement, 5)
    announcement.stop_for("agent")
    voice.play(announcement, 5)
    assert voice.media.receivers[0].payloads()[-1] == b"voice"
    assert voice.media.receivers[1].payloads()[-1] == b"own"
    announcement.stop()
    voice.play(announcement, 2)
    assert voice.media.receivers[1].payloads()[-1] == b"voice"
    assert announcement.done


def test_recipient_who_reconnects_hears_the_rest() -> None:
    voice = Voice("agent")
    voice.source()
    own = [f"own{i}".encode() for i in range(10)]
    announcement = Announcement(voice.media, AUDIO, own, ["agent"], voice.now)
    voice.play(announcement, 4)
    voice.media.receivers[0] = Receiver("agent", Kind.AUDIO)
    voice.play(announcement, 8)
    heard = voice.media.receivers[0].payloads()
    assert [p for p in heard if p != b"voice"] == own[4:]
    voice.media.receivers[0].assert_unbroken()
