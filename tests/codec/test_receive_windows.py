"""Lossy Opus through the whole audio front: what is lost on the way must show in the windows."""

from __future__ import annotations

import random

import numpy as np
import pytest

from guard.codec.encode import encode_opus
from guard.codec.receive import ReceiveStats, TrackReceiver
from guard.types import AudioFrame, AudioWindow, Kind, TapPacket, TrackKey, WindowSkip
from guard.windows.audio import AudioWindows
from tests.windows.test_audio_windows import voice

KEY = TrackKey("s", "p", Kind.AUDIO)
SECONDS = 30
PACKETS = encode_opus(voice(SECONDS, 48_000))


def through(lost: set[int]) -> tuple[list[AudioWindow], list[WindowSkip], ReceiveStats]:
    receiver, windows = TrackReceiver(KEY, "opus"), AudioWindows(KEY)
    packets = [
        TapPacket(KEY, "opus", n, n * 960, False, n * 0.02, payload)
        for n, payload in enumerate(PACKETS)
        if n not in lost
    ]
    frames = [frame for packet in packets for frame in receiver.push(packet)] + receiver.flush()
    outputs = [one for f in frames if isinstance(f, AudioFrame) for one in windows.push(f)]
    outputs += windows.flush()
    return (
        [one for one in outputs if isinstance(one, AudioWindow)],
        [one for one in outputs if isinstance(one, WindowSkip)],
        receiver.stats,
    )


def at_random(loss_ratio: float) -> set[int]:
    chance = random.Random(11)
    return {n for n in range(1, len(PACKETS)) if chance.random() < loss_ratio}


def test_five_percent_loss_is_concealed_marked_and_still_scored() -> None:
    windows, _, stats = through(at_random(0.05))
    assert stats.decoded_s + stats.concealed_s >= 0.99 * SECONDS
    ratios = [window.quality.concealed_ratio for window in windows]
    assert len(windows) >= len(through(set())[0]) - 1
    assert np.mean(ratios) == pytest.approx(0.05, abs=0.02)


def test_half_of_the_packets_lost_gives_no_window_but_the_reason() -> None:
    windows, skips, stats = through(at_random(0.5))
    assert windows == []
    assert "concealed" in {skip.reason for skip in skips}
    assert stats.concealed_s == pytest.approx(0.5 * SECONDS, rel=0.1)


def test_an_outage_is_a_gap_in_the_windows() -> None:
    windows, skips, _ = through(set(range(500, 700)))
    assert [(round(s.start_s, 2), round(s.end_s, 2)) for s in skips if s.reason == "gap"] == [(10.0, 14.0)]
    assert all(window.end_s <= 10.0 + 1e-6 or window.start_s >= 14.0 - 1e-6 for window in windows)
    assert any(window.end_s <= 10.0 for window in windows) and any(
        window.start_s >= 14.0 for window in windows
    )


def test_a_whole_call_is_scored_without_a_word_of_loss() -> None:
    windows, skips, stats = through(set())
    assert windows[0].end_s < 2.5
    assert windows[-1].end_s == pytest.approx(SECONDS, abs=1.0)
    assert all(window.quality.concealed_ratio == 0.0 for window in windows)
    assert {skip.reason for skip in skips} <= {"too_short"}
    assert stats.concealed_s == 0.0 and stats.lost == 0
