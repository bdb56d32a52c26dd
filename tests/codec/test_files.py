from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guard.codec.files import MEDIA_EXTENSIONS, FileReader, probe, read_file
from guard.errors import MediaError
from guard.types import AudioFrame, FloatArray, VideoFrame

SECONDS = 2


def tone(rate_hz: int, seconds: float = SECONDS) -> FloatArray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate_hz * seconds)) / rate_hz)).astype(np.float32)


def write(
    path: Path,
    *,
    audio: str | None = None,
    video: str | None = None,
    rate_hz: int = 48_000,
    seconds: float = SECONDS,
) -> Path:
    """Write a tone and a picture whose left half is red and whose right half is blue."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream(audio, rate=rate_hz, layout="stereo") if audio else None
        screen = container.add_stream(video, rate=25) if video else None
        if screen is not None:
            assert isinstance(screen, av.VideoStream)
            screen.width, screen.height, screen.pix_fmt = 160, 120, "yuv420p"
            if video == "libvpx":
                screen.codec_context.options = {"deadline": "realtime", "cpu-used": "8"}
            image = np.zeros((120, 160, 3), np.uint8)
            image[:, :80, 0] = 255
            image[:, 80:, 2] = 255
            for index in range(int(25 * seconds)):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(screen.encode(frame))
            container.mux(screen.encode(None))
        if sound is not None:
            assert isinstance(sound, av.AudioStream)
            pcm = (np.tile(tone(rate_hz, seconds), (2, 1)) * 32_767).astype(np.int16)
            packed = np.ascontiguousarray(pcm.T.reshape(1, -1))
            whole = av.AudioFrame.from_ndarray(packed, format="s16", layout="stereo")
            whole.sample_rate, whole.pts, whole.time_base = rate_hz, 0, Fraction(1, rate_hz)
            resampler = av.AudioResampler(
                sound.codec_context.format, "stereo", rate_hz, sound.codec_context.frame_size or 1024
            )
            for piece in [*resampler.resample(whole), *resampler.resample(None)]:
                container.mux(sound.encode(piece))
            container.mux(sound.encode(None))
    return path


def sound_of(frames: list[AudioFrame | VideoFrame]) -> FloatArray:
    return np.concatenate([frame.samples for frame in frames if isinstance(frame, AudioFrame)])


def pictures_of(frames: list[AudioFrame | VideoFrame]) -> list[VideoFrame]:
    return [frame for frame in frames if isinstance(frame, VideoFrame)]


CASES = {
    "tone.wav": ("pcm_s16le", None, 48_000),
    "tone24.wav": ("pcm_s24le", None, 44_100),
    "float.wav": ("pcm_f32le", None, 16_000),
    "low.wav": ("pcm_u8", None, 8_000),
    "tone.flac": ("flac", None, 44_100),
    "tone.mp3": ("libmp3lame", None, 44_100),
    "tone.opus": ("libopus", None, 48_000),
    "tone.ogg": ("libopus", None, 48_000),
    "tone.m4a": ("aac", None, 48_000),
    "call.webm": ("libopus", "libvpx", 48_000),
    "call.mkv": ("flac", "libx264", 48_000),
    "call.mp4": ("aac", "libx264", 44_100),
    "silent.mp4": (None, "libx264", 48_000),
    "call.avi": ("libmp3lame", "mpeg4", 44_100),
    "call.ts": ("aac", "libx264", 48_000),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_each_kind_is_read_in_time_order(name: str, tmp_path: Path) -> None:
    audio, video, rate_hz = CASES[name]
    path = write(tmp_path / name, audio=audio, video=video, rate_hz=rate_hz)
    info = probe(path)
    assert (info.has_audio, info.has_video) == (audio is not None, video is not None)
    assert info.duration_s == pytest.approx(SECONDS, abs=0.15)
    reader = read_file(path, max_fps=5.0)
    frames = list(reader)
    times = [frame.time_s for frame in frames]
    assert times == sorted(times) and times[0] < 0.1
    assert not reader.damaged
    if audio is not None:
        samples = sound_of(frames)
        rate = next(frame.rate_hz for frame in frames if isinstance(frame, AudioFrame))
        assert len(samples) / rate == pytest.approx(SECONDS, abs=0.15)
        middle = samples[rate // 2 : rate // 2 + rate]
        assert np.argmax(np.abs(np.fft.rfft(middle))) == pytest.approx(440, abs=2)
        assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)
    if video is not None:
        shown = pictures_of(frames)
        # the AVI writer stretches the first interval to two
        assert len(shown) == 5 * SECONDS + (path.suffix == ".avi")
        red, blue = shown[0].image[60, 20], shown[0].image[60, 140]
        assert red[0] > 200 > 60 > red[2] and blue[2] > 200 > 60 > blue[0]
    assert path.suffix in MEDIA_EXTENSIONS


def test_the_number_of_pictures_a_second_is_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.webm", video="libvpx")
    assert len(list(read_file(path, max_fps=None))) == 50
    assert len(list(read_file(path, max_fps=1.0))) == 2


def test_tracks_are_named_after_the_session(tmp_path: Path) -> None:
    path = write(tmp_path / "a.webm", audio="libopus", video="libvpx")
    keys = {frame.key for frame in read_file(path, "s1")}
    assert {(key.session, key.participant, key.kind.value) for key in keys} == {
        ("s1", "file", "audio"),
        ("s1", "file", "video"),
    }


def test_same_file_gives_same_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", audio="aac", video="libx264")
    first, second = list(read_file(path)), list(read_file(path))
    assert [frame.time_s for frame in first] == [frame.time_s for frame in second]
    np.testing.assert_array_equal(sound_of(first), sound_of(second))
    for a, b in zip(pictures_of(first), pictures_of(second), strict=True):
        np.testing.assert_array_equal(a.image, b.image)


def test_a_picture_stored_lying_down_is_given_upright(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", video="libx264")
    data = bytearray(path.read_bytes())
    # the track header's matrix (ISO/IEC 14496-12 section 8.3.2): identity to a quarter turn clockwise
    identity = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    turned = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 120 << 16, 0, 0x40000000)
    at = data.index(identity, data.index(b"tkhd"))
    data[at : at + len(turned)] = turned
    path.write_bytes(data)
    image = pictures_of(list(read_file(path)))[0].image
    assert image.shape == (160, 120, 3)
    # what was left is on top after a quarter turn clockwise
    assert image[20, 60, 0] > 200 and image[140, 60, 2] > 200


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    write(path, audio="libmp3lame", rate_hz=44_100)
    png = write_png(tmp_path / "cover.png")
    body = b"\x00image/png\x00\x03\x00" + png
    frame = b"APIC" + struct.pack(">I", len(body)) + b"\x00\x00" + body
    size = len(frame)
    tag = b"ID3\x03\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + frame
    path.write_bytes(tag + path.read_bytes())
    info = probe(path)
    assert info.has_audio and not info.has_video


def write_png(path: Path) -> bytes:
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
        container.mux(
            stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24"))
        )
        container.mux(stream.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "file_not_found"),
        (b"", "file_unreadable"),
        (b"nothing of the kind " * 50, "file_unreadable"),
        (bytes(5000), "file_unreadable"),
        (b"#EXTM3U\n#EXTINF:10,\nhttp://192.0.2.1/a.ts\n#EXT-X-ENDLIST\n", "file_unreadable"),
        (b"ffconcat version 1.0\nfile other.wav\n", "file_unreadable"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "file_unreadable"),
    ],
)
def test_a_file_that_is_no_media_is_refused_with_its_code(
    content: bytes | None, code: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError) as caught:
        list(read_file(path))
    assert caught.value.code == code
    assert str(path) in caught.value.message


def test_a_playlist_cannot_send_the_reader_to_another_file(tmp_path: Path) -> None:
    write(tmp_path / "secret.wav", audio="pcm_s16le")
    path = tmp_path / "list.mp4"
    path.write_text("ffconcat version 1.0\nfile secret.wav\n")
    with pytest.raises(MediaError):
        list(read_file(path))


def test_a_name_the_system_refuses_is_an_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught:
        read_file(tmp_path / f"{'x' * 300}.wav")
    assert caught.value.code == "file_unreadable"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught:
        probe(tmp_path)
    assert caught.value.code == "file_unreadable"


def test_a_file_in_which_nothing_has_a_decoder_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.webm", video="libvpx")
    path.write_bytes(path.read_bytes().replace(b"V_VP8", b"V_XP8"))
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.code == "file_no_media"


@pytest.mark.parametrize("name", ["tone.wav", "tone.flac", "tone.mp3", "call.webm", "call.mkv", "call.ts"])
def test_a_file_cut_off_gives_what_is_there_and_says_so(name: str, tmp_path: Path) -> None:
    audio, video, rate_hz = CASES[name]
    path = write(tmp_path / name, audio=audio, video=video, rate_hz=rate_hz, seconds=6)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    reader = read_file(path)
    frames = list(reader)
    assert 1.0 < frames[-1].time_s < 5.0
    # these two say nowhere how long they should be
    assert reader.damaged or name in ("tone.mp3", "call.ts")


def test_an_mp4_cut_off_before_its_index_is_unreadable(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", audio="aac", video="libx264")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.code == "file_unreadable"


def test_samples_that_are_no_numbers_become_silence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", audio="pcm_f32le")
    data = bytearray(path.read_bytes())
    data[-8000:-4000] = struct.pack("<f", float("nan")) * 1000
    data[-4000:] = struct.pack("<f", float("inf")) * 1000
    path.write_bytes(data)
    samples = sound_of(list(read_file(path)))
    assert np.isfinite(samples).all() and np.abs(samples).max() <= 1.0


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    folder = tmp_path_factory.mktemp("originals")
    names = ("tone.wav", "tone.flac", "tone.mp3", "tone.opus", "call.webm", "call.mp4", "call.ts", "call.avi")
    out = []
    for name in names:
        audio, video, rate_hz = CASES[name]
        out.append(
            (name, write(folder / name, audio=audio, video=video, rate_hz=rate_hz, seconds=1).read_bytes())
        )
    return out


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.integers(0, 7),
    hits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=12)), min_size=1, max_size=12),
    keep=st.floats(0.02, 1.0),
)
def test_damaged_files_end_early_or_say_what_is_wrong(
    which: int,
    hits: list[tuple[float, bytes]],
    keep: float,
    originals: list[tuple[str, bytes]],
    tmp_path: Path,
) -> None:
    name, content = originals[which]
    data = bytearray(content)
    for place, junk in hits:
        at = int(place * (len(data) - len(junk)))
        data[at : at + len(junk)] = junk
    path = tmp_path / name
    path.write_bytes(data[: int(len(data) * keep)])
    try:
        frames = list(read_file(path))
    except MediaError as error:
        assert error.code in {"file_unreadable", "file_no_media"}
        return
    times = [frame.time_s for frame in frames]
    assert frames and times == sorted(times)
    for frame in frames:
        if isinstance(frame, AudioFrame):
            assert np.isfinite(frame.samples).all()


def test_a_file_is_decoded_only_as_far_as_it_was_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.webm", audio="libopus", video="libvpx", seconds=3)
    reader: FileReader = read_file(path)
    first = next(reader)
    assert first.time_s == pytest.approx(0.0, abs=0.05)
    assert reader.end_s < 0.5
