from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.media.clip import Clip, Cursor, EncodedPacket, Playlist
from guard.types import Kind


def make_clip(name: str, seconds: float = 1.0, gop: int = 10) -> Clip:
    audio = tuple(EncodedPacket(i * 0.02, f"{name}a{i}".encode()) for i in range(round(seconds * 50)))
    video = tuple(
        EncodedPacket(i / 30, f"{name}v{i}".encode(), i % gop == 0) for i in range(round(seconds * 30))
    )
    return Clip(audio, video, "vp8", seconds)


def read(cursor: Cursor, until_s: float) -> list[EncodedPacket]:
    out = []
    while (packet := cursor.peek()) is not None and packet.time_s < until_s - 1e-9:
        cursor.take()
        out.append(packet)
    return out


def test_loop_keeps_media_time_continuous() -> None:
    playlist = Playlist(make_clip("x"))
    audio = read(playlist.cursor(Kind.AUDIO), 2.5)
    assert [round(p.time_s, 6) for p in audio] == [round(i * 0.02, 6) for i in range(125)]
    assert audio[50].data == b"xa0"
    video = read(playlist.cursor(Kind.VIDEO), 2.5)
    assert [round(p.time_s, 6) for p in video] == [round(i / 30, 6) for i in range(75)]


def test_without_loop_the_clip_ends() -> None:
    cursor = Playlist(make_clip("x"), loop=False).cursor(Kind.VIDEO)
    assert len(read(cursor, 99)) == 30
    assert cursor.peek() is None


@given(st.floats(0, 3), st.sampled_from(list(Kind)))
def test_switch_starts_the_other_clip_at_its_first_packet(at_s: float, kind: Kind) -> None:
    playlist = Playlist(make_clip("x"))
    cursor = playlist.cursor(kind)
    before = read(cursor, at_s)
    start_s = playlist.switch(make_clip("y"), at_s)
    after = read(cursor, start_s + 0.9)
    assert at_s - 1e-6 <= start_s < at_s + 0.02
    tail = [p for p in after if p.data.startswith(b"x")]
    new = [p for p in after if p.data.startswith(b"y")]
    assert new[0].keyframe
    assert new[0].data in (b"ya0", b"yv0")
    assert new[0].time_s == pytest.approx(start_s)
    times = [p.time_s for p in (*before, *tail, *new)]
    assert times == sorted(times)
    assert all(p.time_s < start_s for p in tail)


def test_switch_while_a_packet_waits_changes_what_comes_next() -> None:
    playlist = Playlist(make_clip("x"))
    cursor = playlist.cursor(Kind.VIDEO)
    read(cursor, 0.5)
    waiting = cursor.peek()
    assert waiting is not None
    assert waiting.data == b"xv15"
    playlist.switch(make_clip("y"), 0.48)
    changed = cursor.peek()
    assert changed is not None
    assert changed.data == b"yv0"


def test_wrong_clips_and_switches_are_refused() -> None:
    with pytest.raises(ValueError, match="audio or video"):
        Clip((), (), None, 1.0)
    with pytest.raises(ValueError, match="keyframe"):
        Clip((), (EncodedPacket(0, b"", False),), "vp8", 1.0)
    playlist = Playlist(make_clip("x"))
    playlist.switch(make_clip("y"), 2.0)
    with pytest.raises(ValueError, match="before"):
        playlist.switch(make_clip("y"), 1.0)
    other = Clip((), (EncodedPacket(0, b"z"),), "h264", 1.0)
    with pytest.raises(ValueError, match="h264"):
        playlist.switch(other, 3.0)
