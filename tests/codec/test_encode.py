from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from guard.codec import encode
from guard.codec.packets import read_clip
from guard.errors import MediaError
from guard.media import h264, vp8


def tone(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    time = np.arange(round(seconds * 48000)) / 48000
    return (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def picture(width: int, height: int, index: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    planar = np.full((height * 3 // 2, width), 128, np.uint8)
    planar[:height] = (np.arange(width)[None, :] + 3 * index) % 200
    return planar


def write_foreign_file(path: Path, seconds: int = 2) -> None:
    """An MP4 with H.264 at 25 fps, 4:3, and AAC at 44.1 kHz."""
    with av.open(str(path), "w") as writer:
        video = writer.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        audio = writer.add_stream("aac", rate=44100, layout="mono")
        for index in range(25 * seconds):
            frame = av.VideoFrame.from_ndarray(picture(160, 120, index), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            writer.mux(video.encode(frame))
        sound = np.zeros((1, 1024), np.float32)
        for index in range(44100 * seconds // 1024):
            block = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
            block.sample_rate, block.pts = 44100, index * 1024
            writer.mux(audio.encode(block))
        writer.mux(video.encode(None))
        writer.mux(audio.encode(None))


def test_opus_packets_are_20_ms_each_and_decode_to_the_tone() -> None:
    packets = encode.encode_opus(tone(0.5))
    assert len(packets) == 25
    decoder = av.CodecContext.create("libopus", "r")
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet))]
    assert sum(frame.samples for frame in frames) == 25 * 960
    sound = np.concatenate([frame.to_ndarray().reshape(-1)[::2] for frame in frames[5:]]).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(sound))
    assert spectrum.argmax() * 48000 / len(sound) == pytest.approx(440, abs=5)


def test_part_of_a_packet_is_filled_up() -> None:
    assert len(encode.encode_opus(tone(0.021))) == 2


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_one_picture_in_one_frame_out_and_keyframes_where_asked(codec: str) -> None:
    encoder = encode.VideoEncoder(codec, 320, 180)
    frames = [encoder.encode(picture(320, 180, i), keyframe=i == 6) for i in range(10)]
    assert [i for i, (_, keyframe) in enumerate(frames) if keyframe] == [0, 6]
    is_key = vp8.frame_is_keyframe if codec == "vp8" else h264.frame_is_keyframe
    assert [i for i, (data, _) in enumerate(frames) if is_key(data)] == [0, 6]
    assert all(data for data, _ in frames)


def test_foreign_file_is_converted_once(tmp_path: Path) -> None:
    source, cache = tmp_path / "foreign.mp4", tmp_path / "cache"
    write_foreign_file(source)
    clip = encode.prepare_clip(source, cache)
    assert clip.video_codec == "vp8"
    assert vp8.frame_size(clip.video[0].data) == (640, 360)
    assert clip.duration_s == pytest.approx(2.0, abs=0.1)
    assert len(clip.video) == pytest.approx(60, abs=2)
    assert [i for i, p in enumerate(clip.video) if p.keyframe][:2] == [0, 30]
    times = [p.time_s for p in clip.audio]
    assert np.allclose(np.diff(times), 0.02)
    (converted,) = cache.iterdir()
    before = converted.stat().st_mtime_ns
    assert encode.prepare_clip(source, cache) == clip
    assert converted.stat().st_mtime_ns == before


def test_h264_with_opus_is_read_as_annex_b(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    with av.open(str(path), "w") as writer:
        video = writer.add_stream(
            "libx264", rate=30, options={"profile": "baseline", "g": "10", "tune": "zerolatency"}
        )
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        for index in range(20):
            frame = av.VideoFrame.from_ndarray(picture(160, 96, index), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 30)
            writer.mux(video.encode(frame))
        writer.mux(video.encode(None))
    clip = read_clip(path)
    assert clip.video_codec == "h264"
    assert not clip.audio
    keys = [p for p in clip.video if p.keyframe]
    assert len(keys) >= 2
    for frame_packet in keys:
        kinds = [unit[0] & 0x1F for unit in h264.split_nal_units(frame_packet.data)]
        assert h264.NAL_SPS in kinds
        assert h264.NAL_IDR in kinds


def test_what_is_no_media_is_refused_with_its_name(tmp_path: Path) -> None:
    bad = tmp_path / "notes.webm"
    bad.write_bytes(b"no media at all")
    with pytest.raises(MediaError, match=r"notes\.webm") as caught:
        encode.prepare_clip(bad, tmp_path)
    assert caught.value.code == "file_unreadable"
    playlist = tmp_path / "list.webm"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    with pytest.raises(MediaError, match=r"list\.webm") as caught:
        encode.prepare_clip(playlist, tmp_path)
    assert caught.value.code == "file_unreadable"
    with pytest.raises(MediaError, match="cannot"):
        read_clip(tmp_path / "missing.webm")
