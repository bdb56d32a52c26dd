from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from guard.codec.receive import ReceiveConfig, TrackReceiver
from guard.errors import MediaError
from guard.media import h264, vp8
from guard.types import AudioFrame, FloatArray, Kind, TapPacket, TrackKey, VideoFrame

VOICE = TrackKey("s", "p", Kind.AUDIO)
CAMERA = TrackKey("s", "p", Kind.VIDEO)
PACKET = 960  # samples at 48 kHz of a 20 ms packet


def opus_packets(seconds: float, hz: float = 300.0) -> list[bytes]:
    encoder = av.AudioCodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    encoder.bit_rate = 32_000
    count = int(seconds * 50)
    t = np.arange(count * PACKET) / 48_000
    pcm = (np.sin(2 * np.pi * hz * t) * 10_000).astype(np.int16)
    packets = []
    for index in range(count):
        part = pcm[index * PACKET : (index + 1) * PACKET].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, index * PACKET
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets[:count]


OPUS = opus_packets(4.0)


def voice_packet(
    index: int, payload: bytes | None = None, *, shift: int = 0, late_s: float = 0.0
) -> TapPacket:
    """Return packet number ``index`` of a stream that wraps both counters early on."""
    return TapPacket(
        key=VOICE,
        codec="opus",
        sequence=(65_530 + index) & 0xFFFF,
        timestamp=(2**32 - 5 * PACKET + PACKET * index + shift) & 0xFFFFFFFF,
        marker=False,
        arrival_s=1000.0 + index * 0.02 + shift / 48_000 + late_s,
        payload=OPUS[index % len(OPUS)] if payload is None else payload,
    )


def heard(receiver: TrackReceiver, packets: list[TapPacket]) -> list[AudioFrame]:
    out = [frame for packet in packets for frame in receiver.push(packet)]
    frames = [*out, *receiver.flush()]
    assert all(isinstance(frame, AudioFrame) for frame in frames)
    return [frame for frame in frames if isinstance(frame, AudioFrame)]


def concealed(frames: list[AudioFrame]) -> list[tuple[float, float]]:
    return [(f.time_s, f.time_s + len(f.samples) / 48_000) for f in frames if f.concealed]


def without_gap(frames: list[AudioFrame]) -> FloatArray:
    """Join the frames; fails where their media times leave a hole or overlap."""
    end_s = 0.0
    for frame in frames:
        assert frame.time_s == pytest.approx(end_s, abs=1e-9)
        end_s += len(frame.samples) / 48_000
    return np.concatenate([frame.samples for frame in frames])


def rms(samples: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


def test_a_whole_stream_is_decoded_across_both_wrap_arounds() -> None:
    receiver = TrackReceiver(VOICE, "opus")
    samples = without_gap(heard(receiver, [voice_packet(n) for n in range(100)]))
    assert len(samples) == 100 * PACKET
    assert receiver.stats.decoded_s == pytest.approx(2.0)
    assert receiver.stats.concealed_s == 0.0
    spectrum = np.abs(np.fft.rfft(samples[48_000:]))
    assert np.argmax(spectrum) == pytest.approx(300, abs=2)


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        ([50], [(1.0, 1.02)]),
        ([50, 51, 52], [(1.0, 1.06)]),
        ([4, 5, 6, 7], [(0.08, 0.16)]),  # over both wrap-arounds
        ([30, 32], [(0.6, 0.62), (0.64, 0.66)]),
        (list(range(40, 80)), [(0.8, 1.6)]),
    ],
)
def test_every_lost_stretch_is_bridged_and_marked(
    lost: list[int], expected: list[tuple[float, float]]
) -> None:
    receiver = TrackReceiver(VOICE, "opus")
    frames = heard(receiver, [voice_packet(n) for n in range(100) if n not in lost])
    assert len(without_gap(frames)) == 100 * PACKET
    assert np.allclose(concealed(frames), expected)
    assert receiver.stats.lost == len(lost)
    assert receiver.stats.concealed_s == pytest.approx(len(lost) * 0.02)


def test_concealment_goes_on_from_what_was_heard_and_fades() -> None:
    receiver = TrackReceiver(VOICE, "opus")
    frames = heard(receiver, [voice_packet(n) for n in range(100) if not 40 <= n < 80])
    invented = next(frame.samples for frame in frames if frame.concealed)
    before = rms(frames[39].samples)
    assert rms(invented[:PACKET]) > 0.3 * before
    assert rms(invented[-PACKET:]) < 0.1 * before


def test_a_loss_too_long_to_bridge_stays_a_gap() -> None:
    receiver = TrackReceiver(VOICE, "opus")
    frames = heard(receiver, [voice_packet(n) for n in range(200) if not 50 <= n < 150])
    assert concealed(frames) == []
    times = [frame.time_s for frame in frames]
    assert times[49] == pytest.approx(0.98) and times[50] == pytest.approx(3.0)
    assert receiver.stats.gap_s == pytest.approx(2.0)


def test_reordered_packets_decode_as_if_in_order() -> None:
    packets = [voice_packet(n) for n in range(101)]
    # the stream opens with the first packet that arrives: that one keeps its place
    swapped = [packets[0], *(packets[1 + (n ^ 1)] for n in range(100))]
    straight = without_gap(heard(TrackReceiver(VOICE, "opus"), packets))
    np.testing.assert_array_equal(straight, without_gap(heard(TrackReceiver(VOICE, "opus"), swapped)))


def test_repeated_packets_change_nothing() -> None:
    receiver = TrackReceiver(VOICE, "opus")
    twice = [voice_packet(n // 2) for n in range(200)]
    assert len(without_gap(heard(receiver, twice))) == 100 * PACKET
    assert receiver.stats.late == 100


def test_a_pause_without_loss_is_silence_and_not_concealed() -> None:
    """DTX: the timestamp jumps, the sequence number does not (RFC 7587 section 3.1.3)."""
    receiver = TrackReceiver(VOICE, "opus")
    pause = 19 * PACKET
    packets = [voice_packet(n, shift=pause if n >= 50 else 0) for n in range(100)]
    frames = heard(receiver, packets)
    assert len(without_gap(frames)) == 100 * PACKET + pause
    assert concealed(frames) == []
    silent = [frame for frame in frames if not frame.samples.any()]
    assert [round(frame.time_s, 3) for frame in silent] == [1.0]
    assert receiver.stats.silence_s == pytest.approx(0.38)


def test_a_sender_that_leaves_out_silent_packets_is_silent_for_that_long() -> None:
    """In a pause of 4 s a sender with DTX sends one packet each 400 ms (RFC 6716 section 2.1.9)."""
    encoder = av.AudioCodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    encoder.bit_rate, encoder.options = 24_000, {"application": "voip"}
    pcm = np.zeros(48_000 * 6, np.int16)
    for start in (0, 48_000 * 5):
        pcm[start : start + 48_000] = np.sin(np.arange(48_000) / 20) * 8000
    packets: list[TapPacket] = []
    for index in range(300):
        part = pcm[index * PACKET : (index + 1) * PACKET].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, index * PACKET
        for packet in encoder.encode(frame):
            if packet.size > 3 or index % 20 == 0:
                stamp = index * PACKET
                packets.append(
                    TapPacket(VOICE, "opus", len(packets), stamp, False, stamp / 48_000, bytes(packet))
                )
    assert len(packets) < 200
    receiver = TrackReceiver(VOICE, "opus")
    frames = heard(receiver, packets)
    samples = without_gap(frames)
    assert len(samples) == pytest.approx(6 * 48_000, abs=2 * PACKET)
    assert concealed(frames) == []
    assert rms(samples[48_000 * 2 : 48_000 * 4]) < 0.01 < 0.1 < rms(samples[-40_000:])


def test_a_long_mute_is_a_gap() -> None:
    receiver = TrackReceiver(VOICE, "opus")
    packets = [voice_packet(n, shift=48_000 * 30 if n >= 50 else 0) for n in range(100)]
    frames = heard(receiver, packets)
    assert frames[50].time_s == pytest.approx(31.0)
    assert receiver.stats.gap_s == pytest.approx(30.0)


def test_broken_packets_are_counted_and_count_as_lost() -> None:
    receiver = TrackReceiver(VOICE, "opus")
    broken = {50: b"\xff" * 10, 51: b"\x03"}
    frames = heard(receiver, [voice_packet(n, broken.get(n)) for n in range(100)])
    assert len(without_gap(frames)) == 100 * PACKET
    assert np.allclose(concealed(frames), [(1.0, 1.02), (1.02, 1.04)])
    assert receiver.stats.broken == 2


def test_a_loss_before_padding_is_still_a_loss() -> None:
    receiver = TrackReceiver(VOICE, "opus")
    packets = [voice_packet(n, b"" if n == 51 else None) for n in range(100) if n != 50]
    assert np.allclose(concealed(heard(receiver, packets)), [(1.0, 1.04)])


def test_a_source_that_starts_anew_goes_on_by_arrival_time() -> None:
    receiver = TrackReceiver(VOICE, "opus")
    first = [voice_packet(n) for n in range(50)]
    again = [
        TapPacket(VOICE, "opus", 20_000 + n, 777 + PACKET * n, False, 1002.0 + n * 0.02, OPUS[n])
        for n in range(50)
    ]
    frames = heard(receiver, first + again)
    # the first packet is given for making the new start believable
    assert frames[50].time_s == pytest.approx(2.02)
    assert frames[-1].time_s == pytest.approx(2.98)
    assert receiver.stats.restarts == 1


def pictures(count: int) -> list[NDArray[np.uint8]]:
    base = np.random.default_rng(2).integers(0, 255, (9, 16, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
    return [np.roll(base, 2 * n, axis=1) for n in range(count)]


def encoded(codec: str, count: int, keyframe_every: int = 30) -> list[bytes]:
    encoder = av.CodecContext.create({"vp8": "libvpx", "h264": "libx264"}[codec], "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 90_000), Fraction(25)
    encoder.bit_rate, encoder.gop_size = 1_500_000, keyframe_every
    encoder.options = (
        {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        if codec == "vp8"
        else {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
    )
    frames = []
    for index, image in enumerate(pictures(count)):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = index * 3600
        frames += [bytes(packet) for packet in encoder.encode(frame)]
    return frames


ENCODED = {codec: encoded(codec, 75) for codec in ("vp8", "h264")}


def camera_packets(codec: str) -> list[list[TapPacket]]:
    """Return the packets of each frame; both counters wrap on the way."""
    out = []
    sequence = 65_500
    for index, frame in enumerate(ENCODED[codec]):
        payloads = vp8.packetize(frame, picture_id=index) if codec == "vp8" else h264.packetize(frame)
        group = []
        for position, payload in enumerate(payloads):
            timestamp = (2**32 - 60_000 + 3600 * index) & 0xFFFFFFFF
            marker = position == len(payloads) - 1
            group.append(
                TapPacket(CAMERA, codec, sequence & 0xFFFF, timestamp, marker, 50 + index * 0.04, payload)
            )
            sequence += 1
        out.append(group)
    return out


def seen(receiver: TrackReceiver, packets: list[TapPacket]) -> list[VideoFrame]:
    out = [frame for packet in packets for frame in receiver.push(packet)]
    return [frame for frame in [*out, *receiver.flush()] if isinstance(frame, VideoFrame)]


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_pictures_come_out_at_the_chosen_rate_and_look_like_what_was_sent(codec: str) -> None:
    receiver = TrackReceiver(CAMERA, codec, ReceiveConfig(max_fps=5.0))
    frames = seen(receiver, [packet for group in camera_packets(codec) for packet in group])
    assert [round(t, 3) for t in frames[1].skipped_s] == [0.04, 0.08, 0.12, 0.16]
    assert [round(frame.time_s, 3) for frame in frames] == [round(n * 0.2, 3) for n in range(15)]
    sent = pictures(75)
    for frame in frames:
        assert frame.image.shape == (180, 320, 3) and frame.image.dtype == np.uint8
        error = np.abs(frame.image.astype(float) - sent[round(frame.time_s * 25)]).mean()
        assert error < 30
    assert receiver.stats.frames_decoded == 75
    assert not receiver.wants_keyframe


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_after_a_lost_packet_nothing_comes_out_until_the_next_keyframe(codec: str) -> None:
    receiver = TrackReceiver(CAMERA, codec, ReceiveConfig(max_fps=None))
    groups = camera_packets(codec)
    packets = [p for index, group in enumerate(groups) for p in (group[1:] if index == 40 else group)]
    frames = seen(receiver, packets)
    indices = [round(frame.time_s * 25) for frame in frames]
    assert indices == [*range(40), *range(60, 75)]
    assert receiver.stats.lost == 1
    # of a frame that fits one packet nothing came, so nobody can count it
    assert receiver.stats.frames_lost == 20 - (len(groups[40]) == 1)


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_a_lost_keyframe_is_asked_for(codec: str) -> None:
    receiver = TrackReceiver(CAMERA, codec)
    groups = camera_packets(codec)
    assert seen(receiver, [packet for group in groups[1:30] for packet in group]) == []
    assert receiver.wants_keyframe
    assert seen(receiver, [packet for group in groups[30:35] for packet in group])
    assert not receiver.wants_keyframe


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_a_frame_no_decoder_takes_is_counted_and_the_next_keyframe_decodes(codec: str) -> None:
    receiver = TrackReceiver(CAMERA, codec, ReceiveConfig(max_fps=None))
    groups = camera_packets(codec)
    first = groups[0][0]
    rubbish = {
        "vp8": b"\x10\x00\x00\x00",
        "h264": h264.packetize(b"\0\0\0\1\x67\xff\xff\xff\0\0\0\1\x65\xff\xff\xff")[0],
    }[codec]
    bad = TapPacket(CAMERA, codec, first.sequence, first.timestamp, True, first.arrival_s, rubbish)
    follow = [
        TapPacket(CAMERA, codec, (65_501 + n) & 0xFFFF, p.timestamp, p.marker, p.arrival_s, p.payload)
        for n, p in enumerate(packet for group in groups[1:40] for packet in group)
    ]
    frames = seen(receiver, [bad, *follow])
    assert receiver.stats.broken >= 1
    assert [round(frame.time_s * 25) for frame in frames][:1] == [30]


def test_a_publisher_may_change_its_codec() -> None:
    receiver = TrackReceiver(CAMERA, "vp8", ReceiveConfig(max_fps=None))
    packets = [packet for group in camera_packets("vp8")[:20] for packet in group]
    follow = [
        replace(packet, sequence=(packets[-1].sequence + 1 + n) & 0xFFFF)
        for n, packet in enumerate(p for group in camera_packets("h264")[30:50] for p in group)
    ]
    frames = seen(receiver, packets + follow)
    assert [round(frame.time_s * 25) for frame in frames] == [*range(20), *range(30, 50)]
    audio = voice_packet(0)
    assert receiver.push(replace(audio, sequence=(follow[-1].sequence + 1) & 0xFFFF)) == []
    assert receiver.stats.broken == 1


def test_a_picture_larger_than_allowed_is_refused() -> None:
    header = bytearray(ENCODED["vp8"][0])
    header[6:10] = (16_383).to_bytes(2, "little") * 2
    receiver = TrackReceiver(CAMERA, "vp8")
    for sequence, payload in enumerate(vp8.packetize(bytes(header), picture_id=1)):
        marker = sequence == len(vp8.packetize(bytes(header), picture_id=1)) - 1
        assert receiver.push(TapPacket(CAMERA, "vp8", sequence, 0, marker, 0.0, payload)) == []
    assert receiver.stats.broken == 1


payloads = st.one_of(st.binary(max_size=60), st.sampled_from(OPUS[:5]), st.sampled_from(ENCODED["vp8"][1:3]))


@settings(max_examples=60, deadline=None)
@given(
    codec=st.sampled_from(["opus", "vp8", "h264"]),
    packets=st.lists(
        st.tuples(st.integers(0, 65_535), st.integers(0, 2**32 - 1), st.booleans(), payloads), max_size=30
    ),
    ordered=st.booleans(),
)
def test_no_garbage_raises_or_makes_media_time_run_back(
    codec: str, packets: list[tuple[int, int, bool, bytes]], ordered: bool
) -> None:
    receiver = TrackReceiver(VOICE if codec == "opus" else CAMERA, codec)
    last_s = 0.0
    frames = []
    for index, (sequence, timestamp, marker, payload) in enumerate(packets):
        number = index if ordered else sequence
        when = index * 960 if ordered else timestamp
        packet = TapPacket(VOICE, codec, number, when, marker, index * 0.02, payload)
        frames += receiver.push(packet)
    for frame in [*frames, *receiver.flush()]:
        assert frame.time_s >= last_s - 1e-9
        last_s = frame.time_s
        if isinstance(frame, AudioFrame):
            assert np.isfinite(frame.samples).all() and np.abs(frame.samples).max() <= 1.0
    assert receiver.stats.packets == len(packets)


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(MediaError) as caught:
        TrackReceiver(CAMERA, "av1")
    assert caught.value.code == "codec_unsupported"


@pytest.mark.parametrize("wrong", [{"max_packets": 0}, {"max_fps": 0.0}, {"audio_wait_s": -1.0}])
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"max_packets|max_fps|durations"):
        ReceiveConfig(**wrong)  # type: ignore[arg-type]
