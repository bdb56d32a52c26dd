"""Lossy Opus through the whole audio front: what is lost on the way must show in the windows."""

from __future__ import annotations

import random

import numpy as np
import pytest

from guard.codec.encode import encode_opus
from guard.codec.receive import ReceiveStats, TrackReceiver
from guard.detectors.onnx import Batch, Outputs
from guard.detectors.voice_spoof import VoiceReading, VoiceSpoof
from guard.fusion.calibration import BinnedLogistic, Logistic
from guard.media.channel import MAX_CONCEALED_RATIO
from guard.types import AudioFrame, AudioWindow, Finding, Kind, TapPacket, TrackKey, WindowSkip
from guard.windows.audio import AudioWindows
from tests.windows.test_audio_windows import voice

KEY = TrackKey("s", "p", Kind.AUDIO)
SECONDS = 30
PACKETS = encode_opus(voice(SECONDS, 48_000))


ALL, LOSSY = Logistic(1.0, 0.25, 5.0), Logistic(1.0, -0.5, 5.0)


class Silent:
    """A scripted model whose raw score is always 0: the llr tells which line was taken."""

    def run(self, batch: Batch) -> Outputs:
        return Outputs(np.zeros(len(batch), np.float32), {})


def through(
    lost: set[int], payloads: list[bytes] = PACKETS
) -> tuple[list[AudioWindow], list[WindowSkip], ReceiveStats]:
    receiver, windows = TrackReceiver(KEY, "opus"), AudioWindows(KEY)
    packets = [
        TapPacket(KEY, "opus", n, n * 960, False, n * 0.02, payload)
        for n, payload in enumerate(payloads)
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


def test_a_call_that_loses_packets_is_calibrated_as_one_that_does() -> None:
    # a hiss as loud as that of a microphone, so that the line is wide
    hiss = np.random.default_rng(7).standard_normal(SECONDS * 48_000).astype(np.float32) * 1e-2
    packets = encode_opus(voice(SECONDS, 48_000) + hiss)
    bins = {}
    for loss_ratio in (0.0, 0.05):
        windows, _, _ = through(at_random(loss_ratio), packets)
        lossy = [w for w in windows if w.quality.concealed_ratio > MAX_CONCEALED_RATIO]
        assert len(lossy) == (len(windows) if loss_ratio else 0)
        detector = VoiceSpoof(Silent(), VoiceReading(BinnedLogistic(ALL, {"lossy": LOSSY})))
        found = detector.score(np.stack([w.samples for w in windows]), windows)
        bins[loss_ratio] = {round(one.llr, 3) for one in found if isinstance(one, Finding)}
    assert bins == {0.0: {ALL.b}, 0.05: {LOSSY.b}}
