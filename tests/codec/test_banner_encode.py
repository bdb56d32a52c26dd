from __future__ import annotations

import numpy as np
import pytest

from guard.codec.banner import BannerConfig, BannerEncoder, EncodedFrame
from guard.codec.encode import VideoEncoder
from guard.codec.video import PictureDecoder, rgb
from guard.errors import MediaError
from guard.media import h264, vp8
from guard.media.banner import BannerText
from guard.types import ImageArray, Kind, TapPacket, TrackKey

KEY = TrackKey("s", "suspect", Kind.VIDEO)
TEXT = BannerText("Warning: voice or face may be fake", "Hold the call.")


def plain(width: int, height: int, index: int) -> ImageArray:
    picture = np.full((height * 3 // 2, width), 128, np.uint8)
    picture[:height] = 100 + (np.arange(width)[None, :] // 8 + index) % 40
    return picture


def source(codec: str, count: int, *, size: tuple[int, int] = (320, 180), first: int = 0) -> list[TapPacket]:
    encoder = VideoEncoder(codec, *size)
    packets: list[TapPacket] = []
    for index in range(count):
        data, _ = encoder.encode(plain(*size, index), keyframe=index % 15 == 0)
        payloads = vp8.packetize(data, picture_id=index) if codec == "vp8" else h264.packetize(data)
        for number, payload in enumerate(payloads):
            sequence = (first + len(packets)) & 0xFFFF
            marker = number == len(payloads) - 1
            packets.append(TapPacket(KEY, codec, sequence, 1000 + index * 3000, marker, index / 30, payload))
    return packets


def run(encoder: BannerEncoder, packets: list[TapPacket]) -> list[EncodedFrame]:
    return [frame for packet in packets for frame in encoder.push(packet)]


def decode(codec: str, frames: list[EncodedFrame]) -> list[ImageArray]:
    decoder = PictureDecoder(codec)
    pictures = [decoder.decode(frame.data) for frame in frames]
    return [rgb(picture) for picture in pictures if picture is not None]


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_every_picture_comes_out_with_the_band_and_its_own_timestamp(codec: str) -> None:
    encoder = BannerEncoder(codec, TEXT)
    frames = run(encoder, source(codec, 20))
    assert [f.timestamp for f in frames] == [1000 + i * 3000 for i in range(20)]
    assert frames[0].keyframe
    pictures = decode(codec, frames)
    assert len(pictures) == 20
    last = pictures[-1]
    assert last.shape == (180, 320, 3)
    # the band is dark with white words; the picture above it stays what it was
    assert np.median(last[120:170, 20:300]) < 60
    assert last[120:170, 60:300].max() > 200
    assert abs(float(np.median(last[20:60, 20:300])) - 120) < 15
    assert encoder.counts.encoded == 20


def test_keyframe_comes_when_asked_for_and_when_the_source_sends_one() -> None:
    encoder = BannerEncoder("vp8", TEXT)
    packets = source("vp8", 30)
    times = sorted({p.timestamp for p in packets})
    frames = []
    for packet in packets:
        if packet.timestamp == times[7] and packet.marker:
            encoder.request_keyframe()
        frames += encoder.push(packet)
    assert [i for i, f in enumerate(frames) if f.keyframe] == [0, 7, 15]


def test_lost_packet_holds_pictures_back_until_the_next_keyframe() -> None:
    packets = source("vp8", 40)
    lost = next(p for p in packets if p.timestamp == 1000 + 4 * 3000)
    encoder = BannerEncoder("vp8", TEXT, BannerConfig(reorder_s=0.05))
    frames = run(encoder, [p for p in packets if p is not lost])
    indexes = [(f.timestamp - 1000) // 3000 for f in frames]
    assert indexes == [0, 1, 2, 3, *range(15, 40)]
    assert not encoder.wants_keyframe


def test_starting_mid_stream_wants_a_keyframe_first() -> None:
    packets = [p for p in source("vp8", 20) if p.timestamp >= 1000 + 5 * 3000]
    encoder = BannerEncoder("vp8", TEXT)
    assert not run(encoder, packets[:3])
    assert encoder.wants_keyframe
    frames = run(encoder, packets[3:])
    assert frames[0].timestamp == 1000 + 15 * 3000
    assert not encoder.wants_keyframe


def test_picture_size_may_change_and_odd_sizes_are_made_even() -> None:
    encoder = BannerEncoder("vp8", TEXT, BannerConfig(max_pixels=320 * 180))
    small = source("vp8", 3, size=(160, 90))
    large = source("vp8", 3, size=(640, 360), first=len(small))
    frames = run(encoder, small + large)
    sizes = [vp8.frame_size(f.data) for f in frames if f.keyframe]
    assert sizes == [(160, 90), (320, 180)]


def test_when_behind_pictures_are_decoded_but_left_out() -> None:
    encoder = BannerEncoder("vp8", TEXT)
    for packet in source("vp8", 10):
        late = 3000 <= packet.timestamp - 1000 < 7 * 3000
        frames = encoder.push(packet, behind=late)
        assert not (frames and late)
    assert encoder.counts.skipped == 6
    assert encoder.counts.encoded == 4
    assert encoder.counts.decoded == 10


def test_words_change_mid_stream() -> None:
    packets = source("vp8", 12)
    half = len(packets) // 2
    changed, same = BannerEncoder("vp8", TEXT), BannerEncoder("vp8", TEXT)
    frames = run(changed, packets[:half])
    changed.change_text(BannerText("Warning: somebody else", "Hang up now."))
    frames += run(changed, packets[half:])
    one, other = (decode("vp8", f)[-1].astype(int) for f in (frames, run(same, packets)))
    difference = np.abs(one - other)
    assert difference[120:].mean() > 5 * max(1.0, difference[20:60].mean())


def test_broken_frames_are_counted_and_survived() -> None:
    encoder = BannerEncoder("vp8", TEXT)
    bad = vp8.packetize(b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01" + bytes(40), picture_id=1)
    run(encoder, [TapPacket(KEY, "vp8", 0, 1, True, 0.0, bad[0])])
    frames = run(encoder, source("vp8", 3, first=1))
    assert len(frames) == 3


def test_audio_has_no_banner() -> None:
    with pytest.raises(MediaError):
        BannerEncoder("opus", TEXT)
